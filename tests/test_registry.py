import dataclasses
import sys
from pathlib import Path

import pytest

import dice_extended_plugin
from dice_extended_plugin.registry import (
    KINDS,
    Component,
    ComponentClashError,
    Registry,
    UnknownComponentError,
)


def method(name="mine", target="json:loads", **options):
    return Component("dice_method", name, target, **options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "dice_metod"}, ["dice_metod", "did you mean 'dice_method'"]),
        ({"kind": None}, ["None", *KINDS]),
        ({"name": ""}, ["name", "''"]),
        ({"name": "two words"}, ["name", "two words"]),
        ({"name": 3}, ["name", "3"]),
        ({"target": "json.loads"}, ["target", "mine", "package.module:Class"]),
        ({"target": "json:"}, ["target", "json:"]),
        ({"target": ":loads"}, ["target", ":loads"]),
        ({"target": "json:loads()"}, ["target", "loads()"]),
        ({"target": object}, ["target", "object"]),
        ({"extra": "torch and more"}, ["extra", "torch and more"]),
        ({"summary": "two\nlines"}, ["summary", "one line"]),
        ({"backends": "PYT"}, ["backends", "tuple", "PYT"]),
        ({"backends": ["PYT"]}, ["backends", "tuple"]),
        ({"backends": ()}, ["backends", "()"]),
        ({"backends": ("skleran",)}, ["skleran", "did you mean 'sklearn'"]),
        ({"backends": ("PYT", 2)}, ["backends", "2"]),
    ],
)
def test_a_component_is_checked_when_it_is_made(arguments, words):
    with pytest.raises(ValueError) as caught:
        Component(**{"kind": "dice_method", "name": "mine", "target": "json:loads", **arguments})
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_component_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        method().name = "other"


@pytest.mark.parametrize("kind", KINDS)
def test_add_find_load(kind):
    registry = Registry()
    component = Component(kind, "mine", "json:loads", summary="one")
    registry.add(component)
    assert registry.find(kind, "mine") is component
    assert registry.load(kind, "mine")("[1]") == [1]
    assert registry.components(kind) == registry.components() == [component]


def test_add_takes_components_only():
    with pytest.raises(ValueError, match="Component"):
        Registry().add("dice_method")


def test_components_are_imported_on_load_only(tmp_path, monkeypatch):
    (tmp_path / "late_module.py").write_text("class Late: pass")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry()
    registry.add(method(target="late_module:Late"))
    registry.find("dice_method", "mine")
    assert "late_module" not in sys.modules
    try:
        assert registry.load("dice_method", "mine").__name__ == "Late"
    finally:
        sys.modules.pop("late_module", None)


def test_one_name_may_have_one_component_for_each_backend():
    registry = Registry()
    torch = method(backends=("PYT",))
    keras = method(target="json:dumps", backends=("TF2",))
    registry.add(torch)
    registry.add(keras)
    assert registry.find("dice_method", "mine", backend="PYT") is torch
    assert registry.find("dice_method", "mine", backend="TF2") is keras
    with pytest.raises(UnknownComponentError, match="each of PYT, TF2: say which backend"):
        registry.find("dice_method", "mine")
    with pytest.raises(UnknownComponentError, match="serves PYT, TF2, not 'sklearn'"):
        registry.find("dice_method", "mine", backend="sklearn")


def test_unknown_names_list_what_there_is_and_what_is_close():
    registry = Registry()
    registry.add(method("gradient", backends=("PYT",)))
    registry.add(method("prototype"))
    registry.add(Component("metric", "gradients", "json:loads"))

    with pytest.raises(UnknownComponentError) as caught:
        registry.find("dice_method", "gradiant")
    text = str(caught.value)
    assert "did you mean 'gradient'?" in text and "there is: gradient, prototype" in text

    with pytest.raises(UnknownComponentError) as caught:
        registry.find("dice_method", "gradiant", backend="sklearn")
    text = str(caught.value)
    assert "gradient" not in text, "that one does not serve scikit-learn models"
    assert "for backend 'sklearn': prototype" in text

    with pytest.raises(UnknownComponentError, match="there is: nothing"):
        registry.find("art_attack", "hopskip")


@pytest.mark.parametrize("call", [Registry.find, Registry.load])
def test_unknown_kind_has_a_close_match(call):
    with pytest.raises(ValueError, match="unknown kind 'dice_methods'; did you mean 'dice_method'"):
        call(Registry(), "dice_methods", "gradient")
    with pytest.raises(ValueError, match="did you mean 'dice_method'"):
        Registry().components("dice_methods")


def test_lookup_errors_name_the_plugins_that_are_absent():
    registry = Registry()
    registry.absent = {"broken": "failed: RuntimeError: boom"}
    with pytest.raises(UnknownComponentError, match=r"broken \(failed: RuntimeError: boom\)"):
        registry.find("dice_method", "prototype")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (None, None),
        (None, ("PYT",)),
        (("TF2",), None),
        (("PYT", "TF2"), ("TF2", "sklearn")),
    ],
)
def test_a_clash_names_both_distributions(first, second):
    registry = Registry()
    with registry.transaction("one", "dist-one"):
        registry.add(method(backends=first))
    with (
        pytest.raises(ComponentClashError) as caught,
        registry.transaction("two", "dist-two"),
    ):
        registry.add(method(backends=second))
    assert "'dist-one'" in str(caught.value) and "'dist-two'" in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert registry.components() == [method(backends=first)]


def test_same_name_of_another_kind_is_no_clash():
    registry = Registry()
    registry.add(method())
    registry.add(Component("metric", "mine", "json:loads"))
    assert len(registry.components()) == 2


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt])
def test_a_transaction_that_fails_leaves_nothing(error):
    registry = Registry()
    registry.add(method("before"))
    with pytest.raises(error), registry.transaction("plugin", "dist"):
        registry.add(method("half"))
        raise error
    assert [c.name for c in registry.components()] == ["before"]
    registry.add(method("half"))  # the name is free again, and no longer the plugin's
    with pytest.raises(ComponentClashError) as caught:
        registry.add(method("half"))
    assert "'plugin'" not in str(caught.value) and "this session" in str(caught.value)


def test_a_missing_module_names_the_extra_of_the_distribution(tmp_path, monkeypatch):
    (tmp_path / "wants_more.py").write_text("import module_that_is_not_there.part")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry()
    registry.add(method("ours", "wants_more:Thing", extra="torch"))
    with registry.transaction("plugin", "their-dist"):
        registry.add(method("theirs", "wants_more:Thing", extra="gpu"))
        registry.add(method("plain", "wants_more:Thing"))

    with pytest.raises(ImportError, match=r"pip install 'dice-extended\[torch\]'") as caught:
        registry.load("dice_method", "ours")
    assert caught.value.name == "module_that_is_not_there"
    with pytest.raises(ImportError, match=r"pip install 'their-dist\[gpu\]'"):
        registry.load("dice_method", "theirs")
    with pytest.raises(ImportError, match=r"_is_not_there', which is not installed$"):
        registry.load("dice_method", "plain")


@pytest.mark.parametrize("target", ["json:no_such_name", "json.no_such_module:Thing"])
def test_a_wrong_target_names_the_plugin_and_no_extra(target):
    registry = Registry()
    with registry.transaction("their plugin", "their-dist"):
        registry.add(method(target=target, extra="torch"))
    with pytest.raises(ImportError) as caught:
        registry.load("dice_method", "mine")
    assert "their plugin" in str(caught.value) and "no_such" in str(caught.value)
    assert "pip install" not in str(caught.value)


def test_other_errors_of_an_import_pass_through(tmp_path, monkeypatch):
    (tmp_path / "raises_at_import.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry()
    registry.add(method(target="raises_at_import:Thing", extra="torch"))
    with pytest.raises(ZeroDivisionError):
        registry.load("dice_method", "mine")


def test_lazy_names_and_all_agree():
    lazy = set(dice_extended_plugin._LAZY)
    assert lazy | {"__version__"} == set(dice_extended_plugin.__all__)
    assert lazy <= set(dir(dice_extended_plugin))
    assert dice_extended_plugin.Component is Component
    assert dice_extended_plugin.Registry is Registry
    with pytest.raises(AttributeError, match="no attribute 'Dize'"):
        _ = dice_extended_plugin.Dize


def test_a_lazy_name_says_which_extra_it_needs(tmp_path, monkeypatch):
    (tmp_path / "wants_more.py").write_text("import module_that_is_not_there")
    monkeypatch.setattr(
        dice_extended_plugin, "__path__", [*dice_extended_plugin.__path__, str(tmp_path)]
    )
    monkeypatch.setitem(dice_extended_plugin._LAZY, "Extra", ("wants_more", "torch"))
    with pytest.raises(ImportError) as caught:
        _ = dice_extended_plugin.Extra
    assert "dice_extended_plugin.Extra needs 'module_that_is_not_there'" in str(caught.value)
    assert "pip install 'dice-extended[torch]'" in str(caught.value)


def test_the_version_of_a_checkout_is_that_of_pyproject():
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'\nversion = "{dice_extended_plugin._FALLBACK_VERSION}"\n' in text
