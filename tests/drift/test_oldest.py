"""constraints-oldest.txt holds the lower bounds of pyproject.toml; see `make test-oldest`."""

import re
from pathlib import Path

import pytest

import dice_extended_plugin

tomllib = pytest.importorskip("tomllib", reason="Python reads TOML from 3.11 on")
ROOT = Path(dice_extended_plugin.__file__).parents[1]
#: Distribution -> why its pin is not its bound.
OTHERS = {
    "torch": "older builds for Linux come with CUDA only",
    "ruff": "a tool",
    "mypy": "a tool",
    "pandas-stubs": "for the tool",
    "pip": "comes with the environment",
    "tomli": "for Python 3.10 only",
    "mkdocs": "a tool",
    "mkdocs-material": "a tool",
    "mkdocstrings": "a tool",
}


def numbers(text):
    return tuple(int(part) for part in re.findall(r"\d+", text))


def bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        found = re.match(r"([A-Za-z0-9_.-]+)(?:\[.*\])?\s*>=\s*([0-9.]+)", line)
        if found:
            yield found[1].lower(), found[2]


def pins():
    for line in (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines():
        name, is_pin, pin = line.partition("==")
        if is_pin and not line.startswith("#"):
            yield name, pin


@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="needs a checkout")
def test_the_pins_are_the_lower_bounds():
    pinned, checked = dict(pins()), 0
    for name, bound in bounds():
        if name in OTHERS:
            continue
        assert name in pinned, f"constraints-oldest.txt lacks {name}>={bound}"
        held, least = numbers(pinned[name]), numbers(bound)
        assert held[: len(least)] == least, (
            f"pyproject.toml allows {name} {bound}, constraints-oldest.txt tests {pinned[name]}: "
            "change the two together"
        )
        checked += 1
    assert checked > 20
