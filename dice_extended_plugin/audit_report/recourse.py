"""What a report says about changes of single rows: are there some, do they hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin import metric_catalogue
from dice_extended_plugin.audit_report.searches import Search
from dice_extended_plugin.audit_report.settings import ReportSettings
from dice_extended_plugin.dice_sorensen import wilson_interval
from dice_extended_plugin.evaluation import held_out_noises
from dice_extended_plugin.metric import Metric
from dice_extended_plugin.noise import NoiseModel
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.statistics import bootstrap_interval, paired

__all__ = ["METRIC_NAMES", "recourse", "survivors"]

#: Metrics of the report, in the order of its table.
METRIC_NAMES = (
    "validity",
    "noise_validity",
    "invalidation_rate",
    "rho_lit",
    "rho_open",
    "proximity",
    "changed",
    "sparsity",
    "diversity",
    "lof_inliers",
    "knn_distance",
)
_RETRAINED = "model_change_validity"
#: What a difference is tested for; named before anything is measured.
_TESTED = ("noise_validity", "proximity")


def survivors(held: np.ndarray, settings: ReportSettings) -> dict[str, Any]:
    """Count the rows whose recommended change survives, (Q,) shares with NaN for no change."""
    n = len(held)
    survive = int((held >= settings.survive_at).sum())
    low, high = wilson_interval(survive / n, n)
    return {
        "n": n,
        "found": int(np.isfinite(held).sum()),
        "survive": survive,
        "share": survive / n,
        "low": float(low),
        "high": float(high),
    }


def recourse(
    robust: Search,
    plain: Search | None,
    origin: np.ndarray,
    wanted: np.ndarray,
    settings: ReportSettings,
) -> dict[str, Any]:
    """Return everything that the report says about single rows.

    Parameters
    ----------
    robust, plain : Search
        With and without regard for noise.
    origin, wanted : ndarray of int, shape (Q,)
        Class of each row and wanted class; 0 and 1 for a regression model.
    """
    both = {"robust": robust} | ({"plain": plain} if plain is not None else {})
    held = {name: one.held(settings.noise) for name, one in both.items()}
    return {
        "k": settings.k,
        "outcomes": {name: survivors(values, settings) for name, values in held.items()},
        "directions": _directions(held["robust"], origin, wanted, settings),
        "groups": _groups(robust, held["robust"], settings),
        "curve": _curve(both, settings),
        "held_out": _held_out(both, settings),
        "features": _features(robust),
        "comparison": _comparison(both),
        "tests": _tests(both, held),
        "chance": _chance(robust),
        "shortfalls": _shortfalls(robust),
    }


def _directions(
    held: np.ndarray, origin: np.ndarray, wanted: np.ndarray, settings: ReportSettings
) -> list[dict[str, Any]]:
    pairs = sorted(set(zip(origin.tolist(), wanted.tolist(), strict=True)))
    return [
        {"from": i, "to": j} | survivors(held[(origin == i) & (wanted == j)], settings)
        for i, j in pairs
    ]


def _groups(search: Search, held: np.ndarray, settings: ReportSettings) -> list[dict[str, Any]]:
    """Tell the results apart by the values of a feature; numbers are cut at their median."""
    frame, far = search.sets.queries, search.of_chosen(search.proximity)
    rows = []
    for feature in settings.groups:
        column = frame[feature]
        if feature in search.sets.judge.space.continuous:
            middle = float(column.median())
            labels = np.where(column <= middle, f"up to {middle:g}", f"above {middle:g}")
        else:
            labels = column.astype(str).to_numpy()
        for label in sorted(set(labels.tolist())):
            of = labels == label
            found = np.isfinite(far[of])
            rows.append(
                {"feature": feature, "level": label}
                | survivors(held[of], settings)
                | {"proximity": float(far[of][found].mean()) if found.any() else None}
            )
    return rows


def _curve(searches: dict[str, Search], settings: ReportSettings) -> dict[str, Any]:
    """Mean noise validity of the recommended changes at each size, with bootstrap intervals."""
    space = next(iter(searches.values())).sets.judge.space
    found: dict[str, Any] = {"factors": list(settings.noise_factors), "series": {}}
    for name, search in searches.items():
        means, lows, highs, survive = [], [], [], []
        for factor in settings.noise_factors:
            held = search.held(_times(settings.noise, factor, space))
            values = held[np.isfinite(held)]
            low, high = bootstrap_interval(values, 2000) if len(values) > 1 else (None, None)
            means.append(float(values.mean()) if len(values) else None)
            lows.append(low)
            highs.append(high)
            survive.append(int((held >= settings.survive_at).sum()))
        found["series"][name] = {"mean": means, "low": lows, "high": highs, "survive": survive}
    return found


def _times(noise: NoiseModel, factor: float, space: FeatureSpace) -> NoiseModel:
    """Return a noise of another size: numbers and categories both."""
    scales = zip(space.continuous, factor * noise.scales(space), strict=True)
    flips = zip(space.categorical, np.minimum(factor * noise.flips(space), 1.0), strict=True)
    return replace(noise, scale=dict(scales), flip=dict(flips))


def _held_out(searches: dict[str, Search], settings: ReportSettings) -> list[dict[str, Any]]:
    """Survivors under noises that no search has seen."""
    space = next(iter(searches.values())).sets.judge.space
    rows = []
    for name, noise in held_out_noises(settings.noise, space).items():
        held = {key: search.held(noise) for key, search in searches.items()}
        rows.append(
            {"name": name} | {key: survivors(values, settings) for key, values in held.items()}
        )
    return rows


def _features(search: Search) -> list[dict[str, Any]]:
    """How often each feature is part of the recommended change, most often first."""
    sets = search.sets
    space = sets.judge.space
    rows = search.chosen[search.has]
    changed = space.changed(sets.u[rows], sets.own[rows])
    names = space.continuous + space.categorical
    share = changed.mean(axis=0) if len(rows) else np.zeros(len(names))
    order = np.argsort(-share, kind="stable")
    return [
        {"feature": names[j], "share": float(share[j]), "count": int(changed[:, j].sum())}
        for j in order
    ]


def _metrics(search: Search) -> list[Metric]:
    names = [*METRIC_NAMES, *([_RETRAINED] if search.sets.judge.models else [])]
    return [one for one in metric_catalogue.choose(names) if one.can_measure(search.sets)]


def _comparison(searches: dict[str, Search]) -> list[dict[str, Any]]:
    """Mean and standard deviation of each metric over the rows where it is defined."""
    rows = []
    for one in _metrics(next(iter(searches.values()))):
        row: dict[str, Any] = {"metric": one.name}
        for name, search in searches.items():
            values = np.asarray(one(search.sets), dtype=float)
            values = values[np.isfinite(values)]
            row[name] = {
                "mean": float(values.mean()) if len(values) else None,
                "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                "n": len(values),
            }
        rows.append(row)
    return rows


def _tests(searches: dict[str, Search], held: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Difference of the recommended changes, robust minus plain, row by row."""
    if len(searches) < 2:
        return []
    far = {name: search.of_chosen(search.proximity) for name, search in searches.items()}
    values = {"noise_validity": held, "proximity": far}
    rows = []
    for name in _TESTED:
        found = paired(values[name]["robust"], values[name]["plain"])
        rows.append({"metric": name, **found.as_dict()})
    return rows


def _chance(search: Search) -> dict[str, dict[str, float]]:
    return metric_catalogue.chance_values(search.sets, _metrics(search))


def _shortfalls(search: Search) -> list[dict[str, Any]]:
    """Reasons why rows got fewer changes than asked for, most frequent first."""
    reasons = pd.Series([why for why in search.reason if why], dtype=object)
    counts = reasons.value_counts()
    return [{"reason": str(why), "count": int(n)} for why, n in counts.items()]
