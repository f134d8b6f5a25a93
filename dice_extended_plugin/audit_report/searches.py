"""The searches behind a report: one change chosen per row, measured on held-out noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import metrics
from dice_extended_plugin.audit_report.settings import ReportSettings
from dice_extended_plugin.audit_report.subject import Subject
from dice_extended_plugin.dice_sorensen import wilson_interval
from dice_extended_plugin.judge import Judge
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.sets import CounterfactualSets, Protocol
from dice_extended_plugin.targets import Target

__all__ = ["MEASURE_SEED", "Search", "ask", "choose_queries", "method_of"]

#: Seed of what measures; the change to recommend is chosen on draws of another seed.
MEASURE_SEED = 2026
_CHOOSE_SEED = 2025
_STREAM = 41
#: Back-ends with gradients, by dice-ml's names.
_DIFFERENTIABLE = ("PYT", "TF2")


@dataclass(frozen=True, eq=False)
class Search:
    """Changes found for the rows of a report.

    Attributes
    ----------
    sets : CounterfactualSets
    status, reason : list of str, length Q
    chosen : ndarray of int, shape (Q,)
        Place in the sets of each row's recommended change; -1 for none.
    """

    sets: CounterfactualSets
    status: list[str]
    reason: list[str]
    chosen: np.ndarray

    @cached_property
    def has(self) -> np.ndarray:
        """Which rows have a valid change; bool (Q,)."""
        return self.chosen >= 0

    @cached_property
    def proximity(self) -> np.ndarray:
        """Distance of each change, (n,)."""
        sets = self.sets
        return metrics.proximity(sets.u, sets.own, sets.judge.weights)

    def held(self, noise: NoiseModel) -> np.ndarray:
        """Held-out noise validity of each row's recommended change, (Q,); NaN for none."""
        rows = self.chosen[self.has]
        values = np.full(len(self.chosen), np.nan)
        values[self.has] = self.sets.only(_mask(rows, len(self.sets.u))).held(noise)
        return values

    def of_chosen(self, values: np.ndarray) -> np.ndarray:
        """Return a value per row from one per change, (n,) -> (Q,); NaN for none."""
        out = np.full(len(self.chosen), np.nan)
        out[self.has] = np.asarray(values, dtype=float)[self.chosen[self.has]]
        return out


def _mask(rows: np.ndarray, n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[rows] = True
    return mask


def choose_queries(eligible: np.ndarray, n: int, random_state: int) -> np.ndarray:
    """Return the places of at most `n` eligible rows, drawn without replacement, ascending."""
    places = np.flatnonzero(eligible)
    if len(places) <= n:
        return places
    rng = np.random.default_rng(np.random.SeedSequence(random_state, spawn_key=(_STREAM,)))
    return np.sort(rng.choice(places, n, replace=False))


def method_of(settings: ReportSettings, model: Any) -> str:
    """Return the method's name; "auto" is told by the model's back-end."""
    if settings.method != "auto":
        return settings.method
    return "gradient" if model.backend in _DIFFERENTIABLE else "genetic"


def ask(
    subject: Subject,
    frame: pd.DataFrame,
    target: Target,
    wanted: dict[str, Any],
    judge: Judge,
    settings: ReportSettings,
    robust: bool,
    verbose: bool = False,
) -> Search:
    """Search changes for all rows, and choose one for each.

    With regard for noise the nearest change is chosen that surely survives it, by draws that are
    not those of the measures; where there is none, the one that survives best. Without, simply
    the nearest: what an ordinary user would take.

    Parameters
    ----------
    wanted : dict
        ``desired_class`` or ``desired_range`` as the explainer takes it.
    robust : bool
        Whether noise counts.
    """
    from dice_extended_plugin.dice import Dice

    options: dict[str, Any] = {
        "robustness": "dice" if robust else None,
        "noise": settings.noise,
        "random_state": settings.random_state,
        "report_draws": 0,
    }
    explainer = Dice(
        subject.data, subject.model, method=method_of(settings, subject.model), **options
    )
    vary = [name for name in subject.space.names if name not in settings.immutable]
    result = explainer.generate_counterfactuals(
        frame,
        total_CFs=settings.k,
        features_to_vary=vary if settings.immutable else "all",
        permitted_range=settings.permitted_range,
        verbose=verbose,
        **wanted,
    )
    protocol = Protocol(noise=settings.noise, n_draws=settings.n_draws, random_state=MEASURE_SEED)
    sets = CounterfactualSets.collect(
        [_table(example) for example in result.cf_examples_list],
        frame, target, settings.k, judge, protocol,
    )  # fmt: skip
    return Search(sets, result.status, result.reason, _choose(sets, settings, robust))


def _table(example: Any) -> pd.DataFrame | None:
    sparse = example.final_cfs_df_sparse
    return example.final_cfs_df if sparse is None else sparse


def _choose(sets: CounterfactualSets, settings: ReportSettings, robust: bool) -> np.ndarray:
    """Return the place of each query's recommended change."""
    far = metrics.proximity(sets.u, sets.own, sets.judge.weights)
    if robust:
        other = replace(sets, protocol=replace(sets.protocol, random_state=_CHOOSE_SEED))
        share = other.noise_validity
        low = wilson_interval(share, settings.n_draws)[0] if len(share) else share
        surely = low >= min(settings.survive_at, 1.0 - 1.0 / settings.n_draws)
        # Nearest of those that surely survive; the others by how well they do.
        rank = np.lexsort((far, np.where(surely, 0.0, -share), ~surely))
    else:
        rank = np.argsort(far, kind="stable")
    chosen = np.full(sets.n_queries, -1)
    for row in rank[::-1]:
        if sets.valid[row]:
            chosen[sets.query[row]] = row
    return chosen
