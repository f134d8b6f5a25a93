"""The command: a table and a factory in, a page out; mistakes in one line."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="Jinja2 is not installed (extra 'report')")

from dice_extended_plugin.audit_report import command, making
from dice_extended_plugin.audit_report.making import make_model
from dice_extended_plugin.errors import InvalidInputError

FACTORY = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def factory(features, outcome, random_state=None):
    assert list(features) == ["a", "b"], list(features)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(features, outcome)


def nothing(features, outcome):
    return None


def broken(features, outcome):
    raise KeyError("a column")


def others():
    import pandas as pd

    return LogisticRegression().fit(pd.DataFrame({"c": [0, 1], "d": [0, 1]}), ["no", "yes"])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with a table and a module of models."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.normal(size=120).round(2), "b": rng.integers(0, 9, 120)})
    frame["answer"] = np.where(frame["a"] + frame["b"] / 4 > 1, "yes", "no")
    frame.to_csv(tmp_path / "table.csv", index=False)
    frame.head(0).to_csv(tmp_path / "header.csv", index=False)
    frame.assign(answer=frame["a"] + 0.5).to_csv(tmp_path / "numbers.csv", index=False)
    (tmp_path / "broken.csv.gz").write_text("a,b,answer", encoding="utf-8")
    (tmp_path / "own_models.py").write_text(FACTORY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("own_models", None)
    yield tmp_path
    sys.modules.pop("own_models", None)


def call(*words):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


BASE = ("--data", "table.csv", "--outcome", "answer", "--model", "own_models:factory")
QUICK = ("--queries", 4, "--k", 2, "--attacked", 0, "--quiet")


def test_a_page_and_its_json(folder, capsys):
    done = call(
        *BASE, *QUICK, "--out", "r.html", "--json", "r.json", "--desired-class", "yes",
        "--noun", "client,clients", "--retrain", 1, "--immutable", "b", "--note", "2026",
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert done == 0 and err == ""
    assert "Of 4 clients the model answers with “no”" in out
    content = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert content["verdict"]["headline"] in out
    assert content["generated"] == "2026"
    assert content["subject"]["classes"] == ["no", "yes"]
    assert content["subject"]["training_rows"] == 90 and content["subject"]["test_rows"] == 30
    assert content["command"].startswith("dice-extended report --data table.csv --model own_models")
    assert "--retrain 1" in content["command"] and "--k 2" in content["command"]
    page = (folder / "r.html").read_text(encoding="utf-8")
    assert content["verdict"]["headline"] in page


def test_the_same_command_writes_the_same_bytes(folder, capsys):
    for name in ("one.html", "two.html"):
        assert call(*BASE, *QUICK, "--out", name) == 0
    assert (folder / "one.html").read_bytes() == (folder / "two.html").read_bytes()


def test_a_data_set_by_name(folder, capsys):
    (folder / "own_models.py").write_text(
        FACTORY.replace('assert list(features) == ["a", "b"], list(features)', ""),
        encoding="utf-8",
    )
    wanted = ("--desired-class", 1, "--out", "wine.html")
    assert call("--data", "wine", "--model", "own_models:factory", *QUICK, *wanted) == 0
    assert "wine" in (folder / "wine.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--data", "tabel.csv"), "is no file, and no data set"),
        (("--outcome", "anser"), "did you mean 'answer'"),
        (("--model", "own_models"), "package.module:function"),
        (("--model", "own_models:factorx"), "factorx"),
        (("--model", "own_models:nothing"), "returned nothing"),
        (("--model", "own_models:broken"), "broken failed: KeyError"),
        (("--data", "header.csv"), "the table has 0 rows"),
        (("--data", "broken.csv.gz"), "broken.csv.gz cannot be read as CSV"),
        (("--data", "numbers.csv"), "real numbers, no classes; for a regression model"),
        (("--model", "own_models:others"), "cannot answer rows with the features ['a', 'b']"),
        (("--out", "nowhere/r.html"), "does not exist"),
        (("--out", "."), ". is a folder; name a file in it"),
        pytest.param(
            ("--out", "/dev/full"),
            "No space left on device",
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here"),
        ),
        (("--json", "nowhere/r.json"), "does not exist"),
        (("--noun", "client"), "--noun must be"),
        (("--queries", 0), "n_queries"),
        (("--desired-class", "maybe"), "no class 'maybe'"),
        (("--groups", "c"), "no feature 'c'"),
    ],
)
def test_mistakes_in_one_line(folder, capsys, words, told):
    assert call(*BASE, *QUICK, "--out", "r.html", *words) == 2
    out, err = capsys.readouterr()
    assert told in err and err.startswith("dice-extended report: ")
    assert len(err.splitlines()) == 1 and out == ""
    assert not (folder / "r.html").exists()


def test_a_folder_without_permission_is_told_before_any_search(folder, capsys, monkeypatch):
    # Root may write anywhere: what the system says is put in its place.
    monkeypatch.setattr(making.os, "access", lambda path, mode: False)
    monkeypatch.setattr(making, "load_factory", lambda text: pytest.fail("went on"))
    assert call(*BASE, *QUICK, "--out", "r.html") == 2
    assert "r.html cannot be written here" in capsys.readouterr().err


def test_a_missing_jinja_is_told_before_any_search(folder, capsys, monkeypatch):
    from dice_extended_plugin.audit_report import render

    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr(making, "load_factory", lambda text: pytest.fail("went on"))
    render._environment.cache_clear()
    assert call(*BASE, *QUICK, "--out", "r.html") == 2
    assert "dice-extended[report]" in capsys.readouterr().err
    render._environment.cache_clear()


def test_missing_values_are_named(folder, capsys):
    text = (folder / "table.csv").read_text(encoding="utf-8").splitlines()
    text[1] = "," + text[1].partition(",")[2]
    (folder / "table.csv").write_text("\n".join(text), encoding="utf-8")
    assert call(*BASE, *QUICK, "--out", "r.html") == 2
    assert "missing values in 'a'" in capsys.readouterr().err


def test_what_a_factory_may_take():
    def unused():
        raise AssertionError("not asked for")

    given = {"features": lambda: "x", "outcome": lambda: "y", "random_state": lambda: 3}
    given["data"] = unused
    assert make_model(lambda: "m", **dict.fromkeys(given, unused)) == "m"
    assert make_model(lambda: ("data", "m"), **given) == "m"  # a job's factory
    assert make_model(lambda rows: rows, **given) == "x"
    assert make_model(lambda f, o, random_state: f"{f}{o}{random_state}", **given) == "xy3"
    assert make_model(lambda f, o, depth=5: f"{f}{o}{depth}", **given) == "xy5"
    assert make_model(lambda data: data, **{**given, "data": lambda: "d"}) == "d"
    with pytest.raises(InvalidInputError, match=r"needs \['a', 'b', 'c'\]"):
        make_model(lambda a, b, c: None, **given)


def test_a_factory_that_takes_no_rows_may_have_seen_them(folder, capsys):
    text = (
        FACTORY
        + """

def ready():
    import pandas as pd

    table = pd.read_csv("table.csv")
    return factory(table[["a", "b"]], table["answer"])
"""
    )
    (folder / "own_models.py").write_text(text, encoding="utf-8")
    words = (
        *BASE[:4],
        "--model",
        "own_models:ready",
        *QUICK,
        "--out",
        "r.html",
        "--json",
        "r.json",
    )
    assert call(*words) == 0
    content = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert not content["subject"]["quality"]["unseen"]
    assert any("is not known" in limit for limit in content["verdict"]["limits"])


def test_a_network(folder, capsys):
    pytest.importorskip("torch")
    text = """
from dice_extended_plugin.demo import train_network


def network(data, random_state):
    rows = data.get_ohe_min_max_normalized_data(data.data_df[data.feature_names])
    labels = data.data_df[data.outcome_name].to_numpy()
    rows = rows.to_numpy(dtype=float, copy=True)
    return train_network(rows, labels, epochs=300, seed=random_state)
"""
    (folder / "own_models.py").write_text(text, encoding="utf-8")
    words = (
        *BASE[:4],
        "--model",
        "own_models:network",
        *QUICK,
        "--queries",
        2,
        "--k",
        1,
        "--out",
        "r.html",
        "--json",
        "r.json",
    )
    assert call(*words) == 0
    content = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert content["subject"]["method"] == "gradient" and content["subject"]["quality"]["unseen"]


def test_naming_the_arguments_loads_no_framework():
    code = (
        "import argparse, sys\n"
        "from dice_extended_plugin.audit_report import command\n"
        "command.add_arguments(argparse.ArgumentParser())\n"
        "heavy = {'numpy', 'pandas', 'sklearn', 'torch', 'dice_ml', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
