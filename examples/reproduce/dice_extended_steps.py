"""The steps of DiCE-Extended's experiments; each returns JSON values."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import dice_ml
import numpy as np
import pandas as pd
from dice_extended_models import Setting

from dice_extended_plugin import Dice
from dice_extended_plugin.comparison import Comparison
from dice_extended_plugin.evaluation import compare
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.plugins import get_registry
from dice_extended_plugin.registry import UnknownComponentError
from dice_extended_plugin.sets import Protocol

METHODS = {
    "sklearn": ("random", "genetic", "kdtree"),
    "torch": ("gradient",),
    "tensorflow": ("gradient",),
}
#: Ours: name -> robustness mode.
MODES = {"plain": None, "dice": "dice", "validity": "validity"}
STOCK = "stock dice-ml"
WEIGHTS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
GRID_METRICS = ("validity", "proximity", "diversity", "rho_lit", "rho_open", "noise_validity")
#: Steps of the search whose losses are drawn, and queries averaged over.
LOSS_STEPS, LOSS_QUERIES = 300, 10
_BACKEND = {"sklearn": "sklearn", "torch": "PYT", "tensorflow": "TF2"}


class NotThereError(Exception):
    """A method that this version does not have for this back-end."""


def chosen(backend: str, methods: list[str] | None) -> list[str]:
    """Return the back-end's methods, or those asked for."""
    return [name for name in METHODS[backend] if methods is None or name in methods]


def check_methods(backend: str, methods: list[str] | None) -> None:
    """Raise before any work unless every method of ours is there."""
    if not chosen(backend, methods):
        raise NotThereError(f"none of {methods} is a method for {backend}: {METHODS[backend]}")
    for name in chosen(backend, methods):
        try:
            get_registry().load("dice_method", name, backend=_BACKEND[backend])
        except (UnknownComponentError, ImportError) as error:
            raise NotThereError(
                f"this version has no method {name!r} for {backend} models: {error}"
            ) from error


def plan(backend: str, methods: list[str] | None, stock: bool) -> dict[str, Callable[..., Any]]:
    """Return the steps in order."""
    steps: dict[str, Callable[..., Any]] = {"model": model_step}
    for name in chosen(backend, methods):
        steps[f"ours:{name}"] = partial(ours_step, method=name)
        steps[f"grid:{name}"] = partial(grid_step, method=name)
        if name == "gradient":
            steps["loss"] = loss_step
        if stock:
            steps[f"stock:{name}"] = partial(stock_step, method=name)
    return steps


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    found = {}
    for name in ("dice-extended", "dice-ml", "torch", "tensorflow", "scikit-learn", "numpy"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return {"python": platform.python_version(), "cores": os.cpu_count(), "versions": found}


def ours(setting: Setting, method: str, mode: str | None, **keywords: Any) -> Any:
    """Make an explainer of ours."""
    keywords = {"report_draws": 0, **keywords}
    return Dice(setting.data, setting.model, method=method, robustness=mode, **keywords)


def protocol(arguments: argparse.Namespace) -> Protocol:
    """How everything is measured."""
    return Protocol(n_draws=arguments.draws, n_moves=arguments.moves)


def model_step(setting: Setting, arguments: argparse.Namespace) -> dict[str, float]:
    """Measure the model on the test rows (preprint, table 2)."""
    rows = setting.test[setting.dataset.features]
    scores = Judge.of(setting.data, setting.model, rows).predict(rows)
    truth = setting.test[setting.dataset.outcome].to_numpy()
    return {**classification(truth, scores[:, 1]), "rows": len(rows)}


def classification(truth: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Return the preprint's five measures; class 1 is the positive one."""
    from sklearn import metrics

    label = (p > 0.5).astype(int)
    both = len(np.unique(truth)) == 2
    return {
        "accuracy": float((label == truth).mean()),
        "f1": float(metrics.f1_score(truth, label, zero_division=0.0)),
        "recall": float(metrics.recall_score(truth, label, zero_division=0.0)),
        "precision": float(metrics.precision_score(truth, label, zero_division=0.0)),
        "auc": float(metrics.roc_auc_score(truth, p)) if both else None,
    }


def ours_step(setting: Setting, arguments: argparse.Namespace, method: str) -> dict[str, Any]:
    """Compare our plain, robust and confidence-margin searches on all queries."""
    queries = setting.queries(arguments.n, arguments.seed)
    found = compare(
        {name: ours(setting, method, mode) for name, mode in MODES.items()},
        queries,
        arguments.k,
        protocol=protocol(arguments),
        confidence={"plain": "dice"},
        retrain=setting.retrain if arguments.retrained else None,
        n_retrained=arguments.retrained,
        regenerate=list(MODES) if arguments.moves else False,
    )
    return stored(found, setting, queries)


def stock_step(setting: Setting, arguments: argparse.Namespace, method: str) -> dict[str, Any]:
    """Compare stock dice-ml with ours on the queries that stock can be asked."""
    queries = setting.queries(arguments.n, arguments.seed).iloc[: arguments.stock_n]
    explainers = {STOCK: dice_ml.Dice(setting.data, setting.model, method=method)}
    explainers |= {name: ours(setting, method, mode) for name, mode in MODES.items()}
    found = compare(explainers, queries, arguments.k, protocol=protocol(arguments))
    return stored(found, setting, queries)


def stored(found: Comparison, setting: Setting, queries: pd.DataFrame) -> dict[str, Any]:
    """Return a comparison with the preprint's measures of each explainer's counterfactuals."""
    judge = Judge.of(setting.data, setting.model, queries)
    wanted = 1 - judge.predict(queries).argmax(axis=1)
    measures = {}
    for name in found.explainers:
        rows = found.counterfactuals[found.counterfactuals["explainer"] == name]
        if len(rows):
            p = judge.predict(rows[setting.dataset.features].reset_index(drop=True))[:, 1]
            measures[name] = classification(wanted[rows["query"].to_numpy()], p)
    return {"comparison": json.loads(found.to_json()), "classification": measures}


def grid_step(setting: Setting, arguments: argparse.Namespace, method: str) -> dict[str, Any]:
    """Compare weights of the robustness term."""
    explainers = {
        f"{weight:g}": ours(setting, method, "dice", robustness_weight=weight) for weight in WEIGHTS
    }
    queries = setting.queries(arguments.n, arguments.seed).iloc[: arguments.grid_n]
    found = compare(
        explainers,
        queries,
        arguments.k,
        protocol=protocol(arguments),
        metrics=GRID_METRICS,
        held_out={},
    )
    return json.loads(found.to_json())


def loss_step(setting: Setting, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Return each loss after each step of the search, a mean over queries."""
    queries = setting.queries(arguments.n, arguments.seed).iloc[:LOSS_QUERIES]
    explainer = ours(setting, "gradient", "dice", max_memory=64.0)  # one batch, one descent
    with recorded() as terms:
        explainer.generate_counterfactuals(
            queries, total_CFs=arguments.k, min_iter=LOSS_STEPS, max_iter=LOSS_STEPS
        )
    terms = terms[:LOSS_STEPS]
    names = terms[0]
    losses = {name: [term[name] for term in terms] for name in names}
    losses["robustness_loss"] = [1.0 - value for value in losses.pop("robustness")]
    losses["diversity_loss"] = [1.0 - value for value in losses.pop("diversity")]
    return losses


@contextlib.contextmanager
def recorded() -> Iterator[list[dict[str, float]]]:
    """Write down the mean of every term, at every step of the searches in the block."""
    import torch

    from dice_extended_plugin.objective import Objective

    own, seen = Objective.terms, []

    def watched(self: Any, u: Any, queries: Any) -> Any:
        terms, scores = own(self, u, queries)
        if torch.is_grad_enabled():  # a step, not a look at the rounded set
            seen.append({name: float(value.detach().mean()) for name, value in terms.items()})
        return terms, scores

    Objective.terms = watched
    try:
        yield seen
    finally:
        Objective.terms = own
