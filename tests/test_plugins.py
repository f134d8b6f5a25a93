import importlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

import dice_extended_plugin
from dice_extended_plugin import plugins

ROOT = Path(dice_extended_plugin.__file__).parents[1]
SAMPLES = Path(__file__).parent / "third_party"

GOOD = """
from dice_extended_plugin import Component, hookimpl

@hookimpl
def dice_extended_register(registry):
    registry.add(Component("dice_method", "{name}", "json:loads", backends={backends}))
    {more}
"""


def good(name, backends=None, more=""):
    return GOOD.format(name=name, backends=backends, more=more)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay a distribution with one plugin module on sys.path, as pip would."""
    for variable in (plugins.ALLOW_VARIABLE, plugins.BLOCK_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(dist, source=None, *, module=None, point=None, version="1.0", where=site):
        module = module or dist.replace("-", "_") + "_module"
        if source is not None:
            (where / f"{module}.py").write_text(textwrap.dedent(source))
        info = where / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[dice_extended]\n{point or dist} = {module}\n")
        importlib.invalidate_caches()
        return info

    plugins.reset()
    yield install
    plugins.reset()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def by_name():
    return {info.name: info for info in plugins.list_plugins()}


def strangers():
    """Return the methods that are not ours."""
    found = plugins.get_registry().components("dice_method")
    return [part.name for part in found if not part.target.startswith(tuple(plugins.BUILTINS))]


def methods():
    return [component.name for component in plugins.get_registry().components("dice_method")]


def assert_unhurt():
    """Built-in plugins work, whatever else is installed."""
    infos = by_name()
    assert [infos[name].state for name in plugins.BUILTINS] == ["ok"] * len(plugins.BUILTINS)
    assert "gradient" in methods()


def assert_gone(name):
    """A failed plugin has left neither components nor hooks."""
    assert by_name()[name].components == ()
    manager = plugins.get_manager()
    assert [key for key, _ in manager.list_name_plugin() if key.endswith(f":{name}")] == []
    assert len(manager.hook.dice_extended_register.get_hookimpls()) == sum(
        info.state == "ok" for info in plugins.list_plugins()
    )


def test_built_in_plugins(install):
    assert_unhurt()
    gradient = plugins.get_registry().find("dice_method", "gradient", backend="PYT")
    assert gradient.extra == "torch"
    info = by_name()["dice_extended_plugin"]
    assert (info.distribution, info.version) == ("dice-extended", dice_extended_plugin.__version__)
    assert gradient in info.components
    methods = {(part.name, *(part.backends or ())) for part in info.components}
    assert {("gradient", "PYT"), ("gradient", "TF2"), ("random",), ("genetic",)} <= methods
    assert {part.kind for part in info.components} == {"dice_method", "metric", "job_task"}
    assert {part.kind for part in by_name()["art_bridge"].components} >= {"art_attack"}
    bridge = {(part.kind, part.name) for part in by_name()["alibi_bridge"].components}
    assert ("alibi_explainer", "plausible_counterfactual") in bridge
    assert ("search_engine", "smpso") in bridge


def test_a_third_party_plugin_is_found(install):
    install("their-dist", good("theirs"), point="their_plugin", version="3.4")
    info = by_name()["their_plugin"]
    assert (info.distribution, info.version, info.state, info.reason) == (
        "their-dist",
        "3.4",
        "ok",
        None,
    )
    assert [component.name for component in info.components] == ["theirs"]
    assert plugins.get_registry().load("dice_method", "theirs", backend="sklearn") is json.loads
    assert plugins.get_manager().has_plugin("their-dist:their_plugin")
    assert_unhurt()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('first\\nsecond')", "RuntimeError: first second"),
        ("import module_that_is_not_there", "ModuleNotFoundError: No module named"),
        ("def", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import sys; sys.exit()", "SystemExit"),
        ("class Panic(BaseException): pass\nraise Panic('rust')", "Panic: rust"),
        ("from dice_extended_plugin.plugins import get_registry\nget_registry()", "still being"),
        (
            "def dice_extended_register(registry): pass",
            "it implements no hook; mark",
        ),
        (good("a", more="raise KeyError('half way')"), "KeyError: 'half way'"),
        (good("a", more="raise SystemExit(4)"), "SystemExit: 4"),
        (good("a", more="registry.add(Component('dice_method', 'b', 'no target'))"), "no target"),
        (good("a", more="registry.add(Component('dice_method', 'a', 'json:dumps'))"), "Clash"),
        (good("a").replace("(registry):", "(registry, other):"), "other"),
        (good("a") + "@hookimpl\ndef dice_extended_regster(registry): pass", "regster"),
    ],
)
def test_a_plugin_that_fails_leaves_nothing_and_breaks_nothing(install, caplog, source, reason):
    install("bad-dist", source, point="bad")
    install("last-dist", good("last"))
    info = by_name()["bad"]
    assert info.state == "failed"
    assert reason in info.reason and "\n" not in info.reason
    assert_gone("bad")
    assert strangers() == ["last"]
    assert by_name()["last-dist"].state == "ok"
    assert_unhurt()
    assert "plugin bad of bad-dist failed" in caplog.text
    with pytest.raises(ValueError, match=r"not loaded: bad \(failed: "):
        plugins.get_registry().find("dice_method", "a")


def test_a_missing_module_is_a_failed_plugin(install):
    install("bad-dist", module="module_that_is_not_there")
    assert by_name()["bad-dist"].state == "failed"
    assert_unhurt()


def test_ctrl_c_is_not_a_failure(install):
    install("slow-dist", "import os\nif 'GO_ON' not in os.environ: raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        plugins.list_plugins()
    with pytest.MonkeyPatch.context() as patch:  # the next call starts afresh
        patch.setenv("GO_ON", "1")
        assert by_name()["slow-dist"].state == "failed"
        assert_unhurt()


def test_a_clash_names_both_distributions_and_keeps_the_first(install):
    install("dist-a", good("same"))
    again = "registry.add(Component('dice_method', 'same', 'json:loads'))"
    install("dist-b", good("own-of-b", more=again))
    info = by_name()["dist-b"]
    assert info.state == "failed"
    assert info.reason.startswith("ComponentClashError")
    assert "'dist-a'" in info.reason and "'dist-b'" in info.reason
    assert strangers() == ["same"], "nothing of dist-b stays"
    assert_gone("dist-b")


def test_nobody_takes_the_place_of_a_built_in(install):
    install("a-thief", good("gradient"))
    info = by_name()["a-thief"]
    assert info.state == "failed"
    assert "'dice-extended'" in info.reason and "'a-thief'" in info.reason
    install("b-neighbour", good("gradient", backends=("sklearn",)))
    plugins.reset()
    assert by_name()["b-neighbour"].state == "ok", "another backend is no clash"


@pytest.mark.parametrize(
    ("allow", "block", "states"),
    [
        (None, None, ["ok", "ok"]),
        ("", None, ["not in DICE_EXTENDED_PLUGINS", "not in DICE_EXTENDED_PLUGINS"]),
        ("one", None, ["ok", "not in DICE_EXTENDED_PLUGINS"]),
        (" Dist.One ,", None, ["ok", "not in DICE_EXTENDED_PLUGINS"]),
        ("one,two", None, ["ok", "ok"]),
        (None, "two", ["ok", "in DICE_EXTENDED_BLOCK"]),
        (None, "dist_two,other", ["ok", "in DICE_EXTENDED_BLOCK"]),
        ("one", "one", ["in DICE_EXTENDED_BLOCK", "not in DICE_EXTENDED_PLUGINS"]),
    ],
)
def test_allow_and_block(install, monkeypatch, allow, block, states):
    install("dist-one", good("one"), point="one")
    install("dist-two", good("two"), point="two")
    for variable, value in ((plugins.ALLOW_VARIABLE, allow), (plugins.BLOCK_VARIABLE, block)):
        if value is not None:
            monkeypatch.setenv(variable, value)
    infos = by_name()
    assert [infos[name].reason or infos[name].state for name in ("one", "two")] == states
    for name, state in zip(("one", "two"), states, strict=True):
        assert infos[name].state == ("ok" if state == "ok" else "blocked")
        assert (f"dist_{name}_module" in sys.modules) == (state == "ok"), "blocked, yet imported"
        assert (name in methods()) == (state == "ok")
    assert_unhurt()


def test_built_in_plugins_can_be_blocked(install, monkeypatch):
    monkeypatch.setenv(plugins.BLOCK_VARIABLE, "dice_extended_plugin")
    assert {name: info.state for name, info in by_name().items()} == {
        "dice_extended_plugin": "blocked",
        "art_bridge": "ok",
        "alibi_bridge": "ok",
    }
    with pytest.raises(ValueError, match=r"_plugin \(blocked: in DICE_EXTENDED_BLOCK\)"):
        plugins.get_registry().find("dice_method", "gradient")
    monkeypatch.setenv(plugins.BLOCK_VARIABLE, "dice-extended")
    plugins.reset()
    assert {info.state for info in plugins.list_plugins()} == {"blocked"}


def test_our_own_entry_points_are_not_loaded_twice(install):
    install("dice-extended", module="dice_extended_plugin.builtin", point="again", version="9")
    assert list(by_name()) == list(plugins.BUILTINS)
    assert_unhurt()


def test_a_distribution_that_is_twice_on_the_path_is_read_once(install, tmp_path, monkeypatch):
    install("their-dist", good("old"), version="1.0")
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    install("their-dist", good("new"), version="2.0", where=shadow)
    monkeypatch.syspath_prepend(shadow)
    assert [i.version for i in plugins.list_plugins() if i.name == "their-dist"] == ["2.0"]
    assert strangers() == ["new"]


def test_two_distributions_may_use_one_entry_point_name(install):
    install("dist-a", good("a"), point="plugin")
    install("dist-b", good("b"), point="plugin")
    assert [i.state for i in plugins.list_plugins() if i.name == "plugin"] == ["ok", "ok"]
    assert strangers() == ["a", "b"]


def test_one_module_is_one_plugin(install):
    install("dist-a", good("a"), module="shared_module")
    install("dist-b", module="shared_module")
    assert by_name()["dist-a"].state == "ok"
    assert "'dist-a:dist-a' already" in by_name()["dist-b"].reason
    assert strangers() == ["a"]
    assert plugins.get_manager().has_plugin("dist-a:dist-a")


@pytest.mark.parametrize("damage", [b"[dice_extended]\nno equals sign\n", b"\xff\xfe[x"])
def test_a_damaged_stranger_hides_nobody(install, caplog, damage):
    (install("a-damaged", "") / "entry_points.txt").write_bytes(damage)
    install("b-dist", good("b"))
    assert strangers() == ["b"]
    assert "entry points" in caplog.text


def test_the_order_does_not_depend_on_the_path(install):
    for dist in ("zeta", "alpha", "mid"):
        install(dist, good(dist))
    assert strangers() == ["alpha", "mid", "zeta"]


def test_many_threads_load_the_plugins_once(install):
    install("slow-dist", "import time\n" + good("slow", more="time.sleep(0.05)"))
    start, found = threading.Barrier(8), []

    def ask():
        start.wait()
        found.append(plugins.get_registry())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(map(id, found))) == 1
    assert strangers() == ["slow"]


def test_hooks_of_loaded_plugins_can_be_called(install):
    source = """
    from dice_extended_plugin import hookimpl

    @hookimpl
    def dice_extended_adapt_model(model):
        return model if callable(model) else None

    @hookimpl
    def dice_extended_score(batch):
        return {"column": batch}
    """
    install("hook-dist", source)
    hook = plugins.get_manager().hook
    assert hook.dice_extended_adapt_model(model=abs, options={}) is abs
    assert hook.dice_extended_adapt_model(model=3, options={}) is None
    assert hook.dice_extended_score(batch=7) == [{"column": 7}]
    assert by_name()["hook-dist"].state == "ok", "registering components is not a duty"


# The two sample packages, built and installed as a stranger would.


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Environment of a process that has the sample packages installed."""
    for needed in ("pip", "setuptools"):
        if find_spec(needed) is None:
            pytest.skip(f"{needed} is not installed: the sample packages cannot be built")
    folder = tmp_path_factory.mktemp("third_party")
    for name in ("good_plugin", "broken_plugin"):
        shutil.copytree(SAMPLES / name, folder / name)  # the build leaves files beside the source
    target = folder / "site"
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    sources = [folder / "good_plugin", folder / "broken_plugin"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", target, *sources],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ours = (plugins.ALLOW_VARIABLE, plugins.BLOCK_VARIABLE)
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return environment | {"PYTHONPATH": os.pathsep.join([str(target), str(ROOT)])}


def run_python(environment, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_installed_samples_are_listed(samples):
    listing = run_python(samples, "-m", "dice_extended_plugin", "plugins", "--json")
    infos = {info["name"]: info for info in json.loads(listing)}
    assert infos["prototype"]["state"] == "ok"
    assert (infos["prototype"]["distribution"], infos["prototype"]["version"]) == (
        "prototype-dice",
        "1.2.3",
    )
    assert [c["name"] for c in infos["prototype"]["components"]] == ["prototype"]
    assert infos["broken"] == {
        "name": "broken",
        "distribution": "broken-dice",
        "version": "0.0.1",
        "state": "failed",
        "reason": "RuntimeError: this plugin is broken on purpose",
        "components": [],
    }
    assert infos["dice_extended_plugin"]["state"] == "ok"


PROTOTYPES = """
import json
import dice_ml, numpy as np, pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
{imports}

numbers = ["mean radius", "mean texture", "mean smoothness"]
table = load_breast_cancer(as_frame=True).frame[[*numbers, "mean area", "target"]]
table["size"] = np.where(table.pop("mean area") > 550, "large", "small")
features = [*numbers, "size"]
pipeline = make_pipeline(
    make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(), ["size"])),
    LogisticRegression(),
).fit(table[features], table["target"])
data = dice_ml.Data(dataframe=table, continuous_features=numbers, outcome_name="target")
model = dice_ml.Model(model=pipeline, backend="sklearn")
explainer = {explainer}

queries = pd.concat([table[table.target == label][features][:2] for label in (0, 1)])
result = explainer.generate_counterfactuals(queries, total_CFs=4, desired_class="opposite")
answers = result.cf_examples_list
assert len(answers) == 4
train = table[features].astype({{name: "float32" for name in numbers}})
labels, width = pipeline.predict(train), train[numbers].max() - train[numbers].min()
for (_, query), answer in zip(queries.iterrows(), answers):
    found = answer.final_cfs_df
    wanted = 1 - pipeline.predict(query.to_frame().T)[0]
    assert answer.test_instance_df["target"].iloc[0] == 1 - wanted
    assert (found["target"] == wanted).all() and (pipeline.predict(found[features]) == wanted).all()

    def distance(rows):
        steps = (rows[numbers].astype(float) - query[numbers].astype(float)).abs() / width
        return steps.sum(axis=1) + (rows["size"].astype(str) != query["size"])

    nearest = np.sort(distance(train[labels == wanted]))[:4]
    np.testing.assert_allclose(distance(found), nearest, rtol=1e-5)
    rows = found[features].merge(train.assign(size=train["size"].astype(str)), on=features)
    assert len(rows) == 4, "not training rows"

kept = explainer.generate_counterfactuals(
    queries[:1],
    total_CFs=len(table),
    desired_class=1,
    features_to_vary=numbers,
    permitted_range={{"mean radius": [12, 14], "mean texture": [0, 99], "mean smoothness": [0, 9]}},
).cf_examples_list[0].final_cfs_df
same = (train["size"] == queries["size"].iloc[0]) & train["mean radius"].between(12, 14)
assert 0 < len(kept) == (same & (labels == 1)).sum() < (labels == 1).sum()
assert (kept["size"] == queries["size"].iloc[0]).all() and kept["mean radius"].between(12, 14).all()
assert len(json.loads(result.to_json())["cfs_list"]) == 4
print("done")
"""


@pytest.mark.parametrize(
    ("imports", "explainer"),
    [
        (
            "from dice_extended_plugin.plugins import get_registry",
            "get_registry().load('dice_method', 'prototype', model.backend)(data, model)",
        ),
        (
            "from dice_extended_plugin import Dice",
            "Dice(data, model, method='prototype')",
        ),
    ],
    ids=["registry", "facade"],
)
def test_an_installed_method_works(samples, imports, explainer):
    code = PROTOTYPES.format(imports=imports, explainer=explainer)
    assert run_python(samples, "-c", code).strip().endswith("done")
