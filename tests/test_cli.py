import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

import dice_extended_plugin
from dice_extended_plugin import cli
from dice_extended_plugin.plugins import PluginInfo
from dice_extended_plugin.registry import KINDS, Component

PLUGINS = [
    PluginInfo(
        "alpha",
        "alpha-dist",
        "1.0",
        "ok",
        components=(
            Component("dice_method", "first", "json:loads", extra="torch", backends=("PYT", "TF2")),
            Component("metric", "second-with-a-long-name", "json:loads", summary="counts"),
        ),
    ),
    PluginInfo("quiet", "quiet-dist", "2.0", "ok"),
    PluginInfo("bad", "bad-dist", "3.0", "failed", "RuntimeError: boom"),
    PluginInfo("kept-out", "other-dist", "4.0", "blocked", "in DICE_EXTENDED_BLOCK"),
]


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(cli, "list_plugins", lambda: list(PLUGINS))


def table(capsys, *arguments):
    assert cli.main(["plugins", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_table_has_a_row_for_everything(listed, capsys):
    header, *rows = table(capsys)
    words = [row.split(maxsplit=7) for row in rows]
    assert header.split() == [
        *("KIND", "NAME", "BACKENDS", "EXTRA", "PLUGIN", "DISTRIBUTION", "VERSION", "STATE")
    ]
    assert words == [
        ["dice_method", "first", "PYT,TF2", "torch", "alpha", "alpha-dist", "1.0", "ok"],
        ["metric", "second-with-a-long-name", "all", "-", "alpha", "alpha-dist", "1.0", "ok"],
        ["-", "-", "-", "-", "quiet", "quiet-dist", "2.0", "ok"],
        ["-", "-", "-", "-", "bad", "bad-dist", "3.0", "failed: RuntimeError: boom"],
        ["-", "-", "-", "-", "kept-out", "other-dist", "4.0", "blocked: in DICE_EXTENDED_BLOCK"],
    ]
    for start in map(header.index, header.split()[1:]):
        assert {row[start - 2 : start] for row in rows} == {"  "}, "columns are not aligned"
        assert " " not in {row[start] for row in rows}


def test_kind_filters_components_and_keeps_what_went_wrong(listed, capsys):
    rows = table(capsys, "--kind", "metric")[1:]
    assert [row.split()[0] for row in rows] == ["metric", "-", "-"]
    assert "second" in rows[0] and "boom" in rows[1] and "kept-out" in rows[2]

    infos = json.loads("\n".join(table(capsys, "--kind", "metric", "--json")))
    assert [info["name"] for info in infos] == ["alpha", "quiet", "bad", "kept-out"]
    assert [c["name"] for c in infos[0]["components"]] == ["second-with-a-long-name"]


def test_the_shape_of_the_json(listed, capsys):
    infos = json.loads("\n".join(table(capsys, "--json")))
    assert [info["name"] for info in infos] == ["alpha", "quiet", "bad", "kept-out"]
    assert infos[0] == {
        "name": "alpha",
        "distribution": "alpha-dist",
        "version": "1.0",
        "state": "ok",
        "reason": None,
        "components": [
            {
                "kind": "dice_method",
                "name": "first",
                "target": "json:loads",
                "extra": "torch",
                "summary": "",
                "backends": ["PYT", "TF2"],
            },
            {
                "kind": "metric",
                "name": "second-with-a-long-name",
                "target": "json:loads",
                "extra": None,
                "summary": "counts",
                "backends": None,
            },
        ],
    }
    assert infos[2] == {
        "name": "bad",
        "distribution": "bad-dist",
        "version": "3.0",
        "state": "failed",
        "reason": "RuntimeError: boom",
        "components": [],
    }


def test_a_plugin_that_prints_does_not_break_the_json(monkeypatch, capsys):
    def noisy():
        print("hello from a plugin")
        return PLUGINS

    monkeypatch.setattr(cli, "list_plugins", noisy)
    assert cli.main(["plugins", "--json"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == len(PLUGINS)
    assert "hello" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required"),
        (["plugins", "--kind", "metrics"], "metrics"),
        (["demo", "--queries", "0"], "at least 1"),
        (["demo", "--k", "many"], "many"),
        (["nothing"], "nothing"),
    ],
)
def test_wrong_arguments(arguments, words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"dice-extended {dice_extended_plugin.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"out": Path("demo"), "queries": 50, "k": 10}),
        (
            ["--out", "here", "--queries", "3", "--k", "2"],
            {"out": Path("here"), "queries": 3, "k": 2},
        ),
    ],
)
def test_demo_hands_its_arguments_on(monkeypatch, arguments, expected):
    calls = []
    demo = types.ModuleType("dice_extended_plugin.demo")
    demo.run = lambda **options: calls.append(options)
    monkeypatch.setitem(sys.modules, "dice_extended_plugin.demo", demo)
    assert cli.main(["demo", *arguments]) == 0
    assert calls == [expected]


def test_demo_without_its_needs_says_what_to_install(monkeypatch, capsys):
    def import_module(name):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(importlib, "import_module", import_module)
    assert cli.main(["demo"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "the demo needs 'torch'" in err and "pip install 'dice-extended[torch,report]'" in err


def test_the_real_command():
    root = Path(dice_extended_plugin.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "dice_extended_plugin", "plugins", "--kind", KINDS[0]],
        env=os.environ | {"PYTHONPATH": str(root), "DICE_EXTENDED_PLUGINS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "gradient" in done.stdout
    assert "nsga3" in done.stdout
    assert "alibi_bridge" not in done.stdout, "it has no dice_method"
