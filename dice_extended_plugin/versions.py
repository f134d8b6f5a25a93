"""Which versions a result was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from dice_extended_plugin import DISTRIBUTION

__all__ = ["versions"]

#: Distributions whose version can change a counterfactual.
_MATTER = (
    DISTRIBUTION,
    "dice-ml",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "torch",
    "tensorflow",
    "keras",
    "pymoo",
    "adversarial-robustness-toolbox",
    "alibi",
)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that matter, by name."""
    found = {"python": platform.python_version()}
    for name in _MATTER:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
