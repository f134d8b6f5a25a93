"""The contract between dice-extended and its plugins.

A plugin is a module (or an object) named by an entry point of the group ``dice_extended``. It
implements one or more of the hooks below, marked with :data:`hookimpl`::

    from dice_extended_plugin import Component, hookimpl

    @hookimpl
    def dice_extended_register(registry):
        registry.add(Component("dice_method", "mine", "my_package.explainer:MyExplainer"))

An implementation may leave out parameters that it does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from dice_extended_plugin.registry import Registry

__all__ = [
    "PROJECT",
    "ScoreBatch",
    "ScoreFunction",
    "dice_extended_adapt_model",
    "dice_extended_register",
    "dice_extended_score",
    "hookimpl",
]

#: Name of the pluggy project and of the entry-point group.
PROJECT = "dice_extended"

hookspec = pluggy.HookspecMarker(PROJECT)
#: Marks a function of a plugin as the implementation of the hook of the same name.
hookimpl = pluggy.HookimplMarker(PROJECT)

#: Scores of a batch: ``(n, d)`` encoded rows -> ``(n, classes)`` scores.
ScoreFunction = Callable[[Any], Any]


@dataclass(frozen=True)
class ScoreBatch:
    """Counterfactuals to be scored; row i of every member speaks of counterfactual i.

    Parameters
    ----------
    queries : pandas.DataFrame
        For each counterfactual the query it explains, original feature values.
    counterfactuals : pandas.DataFrame
        The same columns in the same order.
    desired_class : numpy.ndarray or None
        Class index asked for, shape (n,); None for a regression model.
    predict : callable
        Feature table of m rows -> class scores of shape (m, classes).
    """

    queries: pd.DataFrame
    counterfactuals: pd.DataFrame
    desired_class: np.ndarray | None
    predict: Callable[[pd.DataFrame], np.ndarray]


@hookspec
def dice_extended_register(registry: Registry) -> None:
    """Add components; called once per process, when the plugins are loaded.

    Name them as ``"module:Class"`` and import nothing heavy here: every program that lists or
    looks up a component runs this. What an implementation added before it raised is taken back.

    Parameters
    ----------
    registry : Registry
        Add with ``registry.add(Component(kind, name, target, ...))``.
    """


@hookspec(firstresult=True)
def dice_extended_adapt_model(model: Any, options: Mapping[str, Any]) -> ScoreFunction | None:
    """Turn a model object that dice-extended does not know into a score function.

    The first implementation that returns something other than None wins.

    Parameters
    ----------
    model : object
        What the user handed over. An implementation must look before it acts, and look without
        importing the framework (``type(model).__module__``).
    options : mapping
        ``"differentiable"`` (bool): whether the search needs gradients. ``"n_features"`` (int):
        the width d of the encoded rows. ``"device"`` (str): torch device of the batch, present
        only with ``differentiable=True``.

    Returns
    -------
    callable or None
        None if the model is not this plugin's, or cannot give what `options` ask for. Otherwise
        ``score(rows)``, which takes the whole batch at once: `rows` of shape (n, d), result of
        shape (n, classes), one row of finite scores per input row, whatever n; a single sigmoid
        output is returned as the two columns ``1 - p, p``. With ``differentiable=True`` both are
        ``torch.Tensor`` of the same dtype and device and autograd reaches from the result to
        `rows`; otherwise both are ``numpy.ndarray``. The model's parameters, gradients and
        training mode must be the same after the call.
    """


@hookspec
def dice_extended_score(batch: ScoreBatch) -> Mapping[str, np.ndarray] | None:
    """Score finished counterfactuals, to add columns to result frames and reports.

    Parameters
    ----------
    batch : ScoreBatch
        All counterfactuals of a call, read only.

    Returns
    -------
    mapping of str to numpy.ndarray, or None
        Column name -> one value per counterfactual, shape (n,). None, or an empty mapping, if
        there is nothing to say about this batch.
    """
