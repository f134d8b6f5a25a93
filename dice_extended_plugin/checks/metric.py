"""Checks of metrics: what they state, and that their values keep to it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.checks.case import (
    Case,
    Check,
    ensure,
    need,
    recommended,
    refuses,
    required,
)
from dice_extended_plugin.checks.tables import Table, table

__all__ = ["CHECKS"]

#: What a metric may say it needs, see ``dice_extended_plugin.metric.Metric``.
_NEEDS = ("reference", "explain", "models", "seconds", "calls")
_K = 3
#: Values may leave their range by rounding.
_SLACK = 1e-9


# -- the sets that are measured -----------------------------------------------------------------


@lru_cache
def _problem() -> Table:
    need("dice_ml", "sklearn")
    return table("sklearn")


def _moved(queries: pd.DataFrame, seed: int) -> list[pd.DataFrame]:
    """Return three rows of the suite's own for each query."""
    found = []
    for place in range(len(queries)):
        draw = np.random.default_rng([seed, int(queries["age"].iloc[place])])
        rows = pd.concat([queries.iloc[[place]]] * _K, ignore_index=True)
        rows["income"] = np.round(draw.uniform(12, 58, _K), 1)
        rows.loc[1:, "job"] = draw.choice(["clerk", "driver", "nurse"], _K - 1)
        rows.loc[2, "age"] = int(draw.integers(25, 65))
        found.append(rows)
    return found


def sets_of(needs: tuple[str, ...] = _NEEDS, places: tuple[int, ...] | None = None) -> Any:
    """Make sets of counterfactuals that hold what `needs` names, and nothing else.

    `places` picks queries; all of them by default.
    """
    from dice_extended_plugin.judge import Judge
    from dice_extended_plugin.sets import CounterfactualSets, Protocol
    from dice_extended_plugin.targets import ClassTarget

    given = _problem()
    queries = given.queries
    chosen = np.arange(len(queries)) if places is None else np.array(places)
    tables = _moved(queries, 0)
    tables[1] = tables[1].iloc[:0]  # nothing was found for the second query
    models = {name: [given.predict] * 2 for name in ("seed", "bootstrap", "drop")}
    judge = Judge.of(given.data, given.model, queries, models if "models" in needs else None)
    if "reference" not in needs:
        judge = replace(judge, reference=None)
    rest: dict[str, Any] = {}
    if "explain" in needs:
        rest["explain"] = _moved
    if "seconds" in needs:
        rest["seconds"] = np.linspace(0.1, 0.5, len(queries))[chosen]
    if "calls" in needs:
        rest["model_calls"] = np.arange(1.0, len(queries) + 1)[chosen]
        rest["model_rows"] = 10.0 * rest["model_calls"]
    wanted = 1 - given.labels(queries)[chosen]
    protocol = Protocol(n_draws=40, n_neighbours=60, n_moves=2)
    return CounterfactualSets.collect(
        [tables[i] for i in chosen],
        queries.iloc[chosen].reset_index(drop=True),
        ClassTarget(wanted, np.zeros(len(chosen))),
        _K,
        judge,
        protocol,
        **rest,
    )


def _values(case: Case, sets: Any) -> np.ndarray:
    values = np.asarray(case.subject(sets), dtype=float)
    ensure(
        values.shape == (sets.n_queries,),
        f"it must return one value per query, ({sets.n_queries},), not shape {values.shape}",
    )
    return values


# -- required -----------------------------------------------------------------------------------


@required
def check_type(case: Case) -> None:
    """Check that it is a ``Metric``, registered under its own name."""
    from dice_extended_plugin.metric import Metric

    found = case.subject
    ensure(
        isinstance(found, Metric),
        f"it must be a dice_extended_plugin.metric.Metric, it is a {type(found).__name__}; put "
        f"@metric(...) before the function",
    )
    name = found.name
    ensure(case.name == name, f"it is registered as {case.name!r}, and named {name}")


@required
def check_states_what_it_means(case: Case) -> None:
    """Check that direction, range, chance value, reference and summary are stated."""
    found = case.subject
    ensure(
        found.direction in ("higher", "lower", ""),
        f"direction must be 'higher', 'lower' or '', it is {found.direction!r}",
    )
    for name in ("low", "high"):
        value = getattr(found, name)
        ensure(
            isinstance(value, (int, float)) and not math.isnan(value),
            f"{name} must be a number, it is {value!r}",
        )
    ensure(found.low < found.high, f"the range is [{found.low}, {found.high}]")
    for name in ("chance", "reference", "summary"):
        value = getattr(found, name)
        ensure(isinstance(value, str), f"{name} must be text, it is {value!r}")
    ensure(found.summary.strip(), "summary is empty: say in one line what is measured")
    ensure(len(found.summary.splitlines()) == 1, "summary must be one line")
    wrong = set(found.needs) - set(_NEEDS)
    ensure(not wrong, f"needs names {sorted(wrong)}; known are {', '.join(_NEEDS)}")


@required
def check_values_in_range(case: Case) -> None:
    """Check that there is one value per query, NaN or within the stated range."""
    found, values = case.subject, _values(case, sets_of())
    there = values[~np.isnan(values)]
    ensure(len(there), "every value is NaN on sets that hold all it may need")
    low, high = float(there.min()), float(there.max())
    ensure(
        low >= found.low - _SLACK and high <= found.high + _SLACK,
        f"the range is [{found.low}, {found.high}], values reach from {low:.6g} to {high:.6g}",
    )


@required
def check_no_rows(case: Case) -> None:
    """Check that queries without any row give NaN or a value of the range, no error."""
    sets = sets_of()
    empty = sets.only(np.zeros(len(sets.frame), dtype=bool))
    found, values = case.subject, _values(case, empty)
    good = np.isnan(values) | ((values >= found.low - _SLACK) & (values <= found.high + _SLACK))
    ensure(good.all(), f"without any row it gives {values.tolist()}")


@required
def check_needs_are_stated(case: Case) -> None:
    """Check that it can be measured where there is what `needs` names, and nothing more."""
    found = case.subject
    sets = sets_of(tuple(found.needs))
    ensure(found.can_measure(sets), f"can_measure is False where there is {found.needs}")
    _values(case, sets)
    for missing in found.needs:
        less = sets_of(tuple(name for name in found.needs if name != missing))
        ensure(not found.can_measure(less), f"can_measure is True without {missing!r}")


@required
def check_input_untouched(case: Case) -> None:
    """Check that the sets are what they were."""
    sets = sets_of()
    kept = {
        name: getattr(sets, name).copy()
        for name in ("frame", "u", "query", "queries", "x", "seconds", "model_calls", "model_rows")
    }
    _values(case, sets)
    for name, before in kept.items():
        now = getattr(sets, name)
        same = now.equals(before) if hasattr(now, "equals") else np.array_equal(now, before)
        ensure(same, f"it changed sets.{name}")


@required
def check_same_result_again(case: Case) -> None:
    """Check that measured twice, the values are the same."""
    one, two = _values(case, sets_of()), _values(case, sets_of())
    ensure(np.array_equal(one, two, equal_nan=True), f"it gave {one.tolist()}, then {two.tolist()}")


@required
def check_batch_splits(case: Case) -> None:
    """Check that a query's value does not depend on the other queries."""
    whole = _values(case, sets_of())
    for places in ((0,), (1,), (2, 3, 4), (4, 3, 2, 1, 0)):
        part = _values(case, sets_of(places=places))
        ensure(
            np.allclose(part, whole[list(places)], rtol=1e-9, atol=1e-12, equal_nan=True),
            f"queries {places} by themselves give {part.tolist()}, among all "
            f"{whole[list(places)].tolist()}",
        )


@required
def check_unknown_input(case: Case) -> None:
    """Check that what are no counterfactual sets is refused, not measured."""
    for thing in (None, "sets", np.zeros((3, 2))):
        errors = (TypeError, ValueError)
        refuses(lambda t=thing: case.subject(t), f"a {type(thing).__name__}", errors)  # type: ignore[misc]


# -- recommended --------------------------------------------------------------------------------


@recommended
def check_reference(case: Case) -> None:
    """Check that it says where it is defined."""
    ensure(case.subject.reference.strip(), "reference is empty: name the paper or page")


@recommended
def check_global_generators(case: Case) -> None:
    """Check that NumPy's global random generator is left alone."""
    sets = sets_of()
    before = np.random.get_state()
    _values(case, sets)
    same = all(np.array_equal(a, b) for a, b in zip(before, np.random.get_state(), strict=True))
    ensure(same, "NumPy's global generator was used")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
