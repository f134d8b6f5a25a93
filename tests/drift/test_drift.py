"""Hosts are what our code was written for; if not, the failure says which, what and where.

The tables are made by reading our packages. Run with the oldest hosts by `make test-oldest`.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import alibi_table
import art_table
import dice_ml_table
import networks_table
import plain_table
import pytest
import reliances
from reliances import Moved, Reliance, check, equals, has, named, takes

import dice_extended_plugin

ROOT = Path(dice_extended_plugin.__file__).parents[1]
ROWS = [
    *dice_ml_table.TABLE,
    *art_table.TABLE,
    *alibi_table.TABLE,
    *networks_table.PYMOO,
    *networks_table.NETWORKS,
    *networks_table.KERAS,
    *plain_table.TABLE,
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_host_is_as_we_know_it(row):
    host = row.target.partition(":")[0].partition(".")[0]
    if importlib.util.find_spec(host) is None:
        pytest.skip(f"{row.distribution} is not installed")
    check(row)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_we_still_rely_on_it(row):
    """A row that no code of ours needs any more would hold up an upgrade for nothing."""
    assert (ROOT / row.where).is_file(), row.where
    packages = ("dice_extended_plugin", "art_bridge", "alibi_bridge")
    text = "".join(
        path.read_text(encoding="utf-8")
        for package in packages
        for path in (ROOT / package).rglob("*.py")
    )
    module, _, name = row.target.partition(":")
    first = name.partition(".")[0] or module.rpartition(".")[2]
    assert first in text or first in _INDIRECT, f"{row.target}: {first} is not in our packages"


#: Hosts' names that we rely on without writing them.
_INDIRECT = {
    *("_SchemaVersions", "empirical_robustness", "adversarial_accuracy", "Attack"),
    *("save_explainer", "load_explainer", "SklearnClassifier"),
}


@pytest.fixture
def host(monkeypatch):
    """A host with one function, one class and one constant."""

    def f(a, b=1, **kwargs): ...

    class K:
        x = 1

        def m(self, y): ...

    made = ModuleType("a_host")
    made.f, made.K, made.C = f, K, 3
    monkeypatch.setitem(sys.modules, "a_host", made)
    return made


@pytest.mark.parametrize(
    ("target", "needs"),
    [
        ("f", (takes("a", "b=1", "**kwargs", only=True),)),
        ("f", (takes("b"),)),
        ("f", (named("b", "a"),)),
        ("K", (has("x", "m"),)),
        ("K.m", (takes("self", "y"),)),
        ("C", (equals(3),)),
    ],
)
def test_what_is_there_passes(host, target, needs):
    check(Reliance("pytest", f"a_host:{target}", "here.py", needs))


@pytest.mark.parametrize(
    ("target", "needs", "text"),
    [
        ("g", (), "a_host:g is gone"),
        ("K.z", (), "a_host:K.z is gone"),
        ("f", (takes("a", "c"),), "takes ['a', 'b', '**kwargs'], not ['a', 'c']"),
        ("f", (named("a", "c"),), "no longer takes c"),
        ("f", (takes("b", "a"),), "not ['b', 'a']"),
        ("f", (takes("a", "b", only=True),), "not ['a', 'b']"),
        ("f", (takes("a", "b=2"),), "default b=1, not 2"),
        ("K", (has("x", "z"),), "has lost z"),
        ("C", (equals(4),), "is 3, not 4"),
    ],
)
def test_what_moved_is_told(host, target, needs, text, monkeypatch):
    monkeypatch.setattr(reliances, "version", lambda name: "9.9")
    with pytest.raises(Moved) as caught:
        check(Reliance("a-host", f"a_host:{target}", "here.py", needs))
    told = str(caught.value)
    assert told.startswith("a-host 9.9: a_host:") and text in told and "here.py" in told
