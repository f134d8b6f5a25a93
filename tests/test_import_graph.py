"""The arrows of the design, held: which module may import what.

Adding an import that a rule forbids is a decision about the design: change the table here and the
design together, or import inside the function that needs it.
"""

import ast
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

import dice_extended_plugin

ROOT = Path(dice_extended_plugin.__file__).parents[1]
PACKAGES = ("dice_extended_plugin", "art_bridge", "alibi_bridge")

#: Package -> those of our packages that it may import, beside itself.
ARROWS = {
    "dice_extended_plugin": set(),
    "art_bridge": {"dice_extended_plugin"},
    "alibi_bridge": {"dice_extended_plugin"},
}
#: Modules of numbers only: no host, no framework, not even inside a function.
LIGHT = {
    f"dice_extended_plugin.{name}"
    for name in (
        "columns",
        "constraints",
        "dice_sorensen",
        "errors",
        "measure",
        "metrics",
        "noise",
        "projection",
        "rows",
        "space",
        "streams",
        "targets",
    )
}
LIGHT_MAY_IMPORT = {"numpy", "pandas", "scipy"} | set(sys.stdlib_module_names)
#: Heavy package -> the modules that may import it when they are imported themselves.
_DICE_ML = ("demo", "dice", "host", "results", "assemble", "explainers.*")
_TORCH = (
    *("terms", "soft_codes", "soft_robustness", "goals", "objective", "descent"),
    *("differentiable", "keras_scores", "explainers.*", "demo"),
)
_NETWORKS = (
    *("attgan.*", "counterfactual_gan.*", "target", "twins", "probing", "gradcam", "fid"),
    *("attacks", "averaging", "edit_scores", "joint", "plausible"),
)
_ALIBI = ("adapter", "joint", "plausible")
_ART = ("attack", "attack_base", "baselines", "detector", "register", "trainer", "explainer")


def _in(package, names):
    return tuple(f"{package}.{name}" for name in names)


HEAVY = {
    "torch": _in("dice_extended_plugin", _TORCH) + _in("alibi_bridge", _NETWORKS),
    "dice_ml": _in("dice_extended_plugin", _DICE_ML) + _in("art_bridge", ["explainer"]),
    "raiutils": _in("dice_extended_plugin", _DICE_ML),
    "tensorflow": _in("dice_extended_plugin", ["keras_scores"]),
    "keras": _in("dice_extended_plugin", ["keras_scores"]),
    "art": _in("art_bridge", _ART),
    "alibi": _in("alibi_bridge", _ALIBI),
}
#: Not loaded by importing one of our packages, nor by finding the plugins.
HOSTS = ("torch", "tensorflow", "keras", "art", "alibi", "dice_ml", "sklearn", "pandas", "numpy")


class Import(NamedTuple):
    """One imported module; at_import says whether importing the importer runs it."""

    target: str
    line: int
    at_import: bool


def imports(source, module, is_package=False):
    """Return what a module imports, wherever in it, but for ``if TYPE_CHECKING`` blocks."""
    found = []

    def visit(node, at_import):
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if is_package else module.split(".")[:-1]
                kept = parents[: len(parents) - node.level + 1]
                base = ".".join([*kept, base] if base else kept)
            # "from package import name": the name may be a module, so take it for one.
            found.extend(
                Import(f"{base}.{alias.name}", node.lineno, at_import) for alias in node.names
            )
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                visit(child, at_import)
        else:
            inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            for child in ast.iter_child_nodes(node):
                visit(child, at_import and not inside)

    visit(ast.parse(source), True)
    return found


def broken_rules(module, found, is_package=False):
    """Return one line for each import that the design does not allow."""
    package = module.partition(".")[0]
    broken = []
    for target, line, at_import in found:
        top = target.partition(".")[0]
        where = f"{module}:{line} imports {target}"
        if top in PACKAGES and top != package and top not in ARROWS[package]:
            broken.append(f"{where}: no such arrow")
        if module in LIGHT and top not in LIGHT_MAY_IMPORT:
            ours = any(target == light or target.startswith(f"{light}.") for light in LIGHT)
            if not ours:
                broken.append(f"{where}: a light module must not")
        placed = not is_package and any(fnmatch(module, p) for p in HEAVY.get(top, ()))
        if at_import and top in HEAVY and not placed:
            broken.append(f"{where}: not at module level")
        if at_import and is_package and top in HOSTS:
            broken.append(f"{where}: not in an __init__")
    return broken


def modules():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            yield ".".join(parts[:-1] if is_package else parts), path, is_package


@pytest.mark.parametrize(
    ("module", "path", "is_package"), [pytest.param(*found, id=found[0]) for found in modules()]
)
def test_a_module_imports_what_the_design_allows(module, path, is_package):
    found = imports(path.read_text(encoding="utf-8"), module, is_package)
    assert broken_rules(module, found, is_package) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dice_extended_plugin.plugins", "import art_bridge.plugin"),
        ("dice_extended_plugin.dice", "def f():\n    from alibi_bridge import search"),
        ("art_bridge.attack", "from alibi_bridge.search import front"),
        ("alibi_bridge.joint", "def f():\n    import art_bridge"),
        ("dice_extended_plugin.space", "import sklearn.neighbors"),
        ("dice_extended_plugin.space", "def f():\n    import torch"),
        ("dice_extended_plugin.noise", "from . import dice"),
        ("dice_extended_plugin.noise", "from .objective import terms"),
        ("dice_extended_plugin.metrics", "from dice_extended_plugin import objective"),
        ("dice_extended_plugin.metrics", "from dice_extended_plugin.spaces import x"),
        ("dice_extended_plugin.cli", "import torch"),
        ("dice_extended_plugin.cli", "try:\n    import dice_ml\nexcept ImportError:\n    pass"),
        ("dice_extended_plugin.cli", "class A:\n    from raiutils import exceptions"),
        ("dice_extended_plugin.gradient", "import dice_ml"),
        ("dice_extended_plugin.explainers.tensorflow2", "import tensorflow as tf"),
        ("art_bridge.objective", "from torch import nn"),
        ("art_bridge.nsga3", "import art.attacks"),
    ],
)
def test_the_rules_catch(module, source):
    assert len(broken_rules(module, imports(source, module))) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dice_extended_plugin", "import numpy"),
        ("dice_extended_plugin.explainers", "from dice_ml import Dice"),
        ("art_bridge", "import art"),
    ],
)
def test_the_rules_catch_in_a_package(module, source):
    found = imports(source, module, is_package=True)
    assert broken_rules(module, found, is_package=True) != []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("dice_extended_plugin.descent", "import torch"),
        ("dice_extended_plugin.explainers.pytorch", "from dice_ml.constants import ModelTypes"),
        ("dice_extended_plugin.space", "import json, numpy as np\nfrom .errors import x"),
        ("dice_extended_plugin.cli", "def f():\n    import torch"),
        ("dice_extended_plugin.cli", "if TYPE_CHECKING:\n    import torch"),
        ("dice_extended_plugin.explainers.pytorch", "from ..gradient import optimise"),
        ("art_bridge.plugin", "from dice_extended_plugin import hookimpl"),
        ("art_bridge.attack", "from . import objectives"),
    ],
)
def test_the_rules_allow(module, source):
    assert broken_rules(module, imports(source, module)) == []


@pytest.mark.parametrize(
    "code",
    [
        *(f"import {package}" for package in PACKAGES),
        "from dice_extended_plugin import Component, Registry, hookimpl",
        "import dice_extended_plugin; dir(dice_extended_plugin)",
        "from dice_extended_plugin.plugins import get_registry; get_registry()",
        "from dice_extended_plugin.cli import main; main(['plugins'])",
    ],
)
def test_no_host_is_loaded(code):
    report = f"import sys; print('loaded:', *({{*sys.modules}} & {{*{HOSTS!r}}}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        # Third-party plugins of this environment are not ours to answer for.
        env=os.environ | {"PYTHONPATH": str(ROOT), "DICE_EXTENDED_PLUGINS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded:"
