"""Random tables, constraints and models for properties that hold for all of them."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field

import dice_ml
import numpy as np
import pandas as pd
from hypothesis import assume
from hypothesis import strategies as st

from dice_extended_plugin import Rules
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.host import feature_space

OUTCOME = "y out"
#: Names that tables really have, and those of our own columns.
NAMES = [
    "a", "b c", "Größe", "x.y", "x_y", "0", "query", "status", "counterfactual", "probability",
    "row", "index", "tab\tname", 'quo"te', "class", "features", "[low]", "{set}", "%", "α→β",
]  # fmt: skip
LEVELS = [
    ["no", "yes"], ["", " ", "x"], ["1", "01", "1.0"], ["ä", "Ä", "a"], ["nan", "None", "NaN"],
    ["a_b", "b"], ["only"], ["low", "mid", "high", "very high"],
]  # fmt: skip


@dataclass
class Column:
    """One feature: its kind, and what the model makes of it."""

    name: str
    kind: str
    values: pd.Series
    weight: float

    @property
    def continuous(self):
        return self.kind in ("int8", "int64", "float32", "float64", "constant")

    def score(self, column):
        if self.continuous:
            low, high = float(self.values.min()), float(self.values.max())
            return self.weight * (column.astype(float) - low) / ((high - low) or 1.0)
        # A categorical column may declare a level that no row has; noise may draw it.
        known = self.values.cat.categories if self.kind == "category" else self.values
        levels = sorted({str(value) for value in known})
        unknown = {str(value) for value in column} - set(levels)
        if unknown:
            raise KeyError(f"{self.name}: levels {unknown} are not in the data")
        # A list: the map of a categorical column asks about levels that no row has.
        share = self.weight / len(levels)
        return pd.Series([share * levels.index(str(value)) for value in column], dtype=float)


class Model:
    """Two classes from a weighted sum of the features; fails, if it is to, at call `fail_at`."""

    classes_ = np.array([0, 1])

    def __init__(self, columns, kind, cut, failure=None, fail_at=0):
        self.columns, self.kind, self.cut = columns, kind, cut
        self.failure, self.fail_at = failure, fail_at
        self.calls = 0

    def share(self, table):
        """Probability of class 1, without counting."""
        if self.kind == "constant":
            return np.full(len(table), 0.2)
        score = sum(column.score(table[column.name]).to_numpy(float) for column in self.columns)
        if self.kind == "step":
            return np.where(score > self.cut, 0.9, 0.1)
        return 1 / (1 + np.exp(-6 * (score - self.cut)))

    def predict_proba(self, table):
        self.calls += 1
        share = self.share(table)
        if self.failure is not None and self.calls >= self.fail_at:
            if self.failure == "raises":
                raise RuntimeError("the model broke")
            if self.failure == "slow":
                time.sleep(0.002)
            else:
                share = np.where(np.arange(len(share)) % 3 == 0, np.nan, share)
        return np.column_stack([1 - share, share])

    def labels(self, table):
        share = self.share(table)
        return np.where(share == 0.5, -1, (share > 0.5).astype(int))


@dataclass
class Problem:
    """A data set, a model of it, queries and the constraints of a call."""

    columns: list[Column]
    frame: pd.DataFrame
    model: Model
    queries: pd.DataFrame
    total_CFs: int
    call: dict = field(default_factory=dict)

    @property
    def names(self):
        return [column.name for column in self.columns]

    def data(self):
        return dice_ml.Data(
            dataframe=self.frame,
            continuous_features=[c.name for c in self.columns if c.continuous],
            outcome_name=OUTCOME,
        )

    def wrapped(self, model=None):
        model = self.model if model is None else model
        return dice_ml.Model(model=model, backend="sklearn")

    def fresh_model(self, **changes):
        model = copy.copy(self.model)
        model.calls = 0
        for name, value in changes.items():
            setattr(model, name, value)
        return model


@st.composite
def columns(draw, rows):
    name = draw(st.sampled_from(NAMES))
    kind = draw(
        st.sampled_from(
            ["int8", "int64", "float32", "float64", "constant", "bool", "category", "object", "int"]
        )
    )
    seed = draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    weight = float(draw(st.sampled_from([-1.0, 0.5, 1.0, 2.0])))
    if kind in ("int8", "int64"):
        values = pd.Series(random.integers(-5, 40, rows).astype(kind))
    elif kind in ("float32", "float64"):
        digits = draw(st.integers(0, 3))
        values = pd.Series(np.round(random.normal(3, 10, rows), digits).astype(kind))
    elif kind == "constant":
        values = pd.Series(np.full(rows, 7))
    elif kind == "bool":
        values = pd.Series(random.integers(0, 2, rows).astype(bool))
    elif kind == "int":
        values = pd.Series(random.choice([0, 3, 7], rows))
    else:
        levels = draw(st.sampled_from(LEVELS))
        values = pd.Series(random.choice(np.array(levels, dtype=object), rows)).astype(object)
        if kind == "category":
            values = values.astype(pd.CategoricalDtype(levels))
    return Column(name, kind, values, weight)


def _changes(kind):
    return kind != "constant"


@st.composite
def problems(draw, kinds=("linear", "step", "constant"), constrained=True):
    """Return a problem that dice-ml can hold, on which an explainer can be made."""
    rows = draw(st.integers(8, 24))
    found = draw(
        st.lists(columns(rows), min_size=1, max_size=4, unique_by=lambda column: column.name)
    )
    frame = pd.DataFrame({column.name: column.values for column in found})
    doubled = draw(st.booleans())
    if doubled:  # rows that are there twice
        frame = pd.concat([frame, frame.iloc[:3]], ignore_index=True)
    kind = draw(st.sampled_from(kinds))
    model = Model(found, kind, 0.0)
    if kind != "constant":
        score = sum(column.score(frame[column.name]).to_numpy(float) for column in found)
        model.cut = float(np.median(score)) + 1e-3
    labels = model.labels(frame)
    frame[OUTCOME] = np.where(np.arange(len(frame)) < 2, [0, 1] + [0] * (len(frame) - 2), labels)
    picked = draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=3))
    queries = frame.drop(columns=OUTCOME).iloc[picked].reset_index(drop=True)
    call = draw(constraints(found, queries)) if constrained else {}
    problem = Problem(found, frame, model, queries, draw(st.integers(1, 3)), call)
    try:
        space = feature_space(problem.data())
    except InvalidInputError:  # only constants, names that collide once encoded: refused
        assume(False)
    except Exception as error:
        # What dice_ml.Data itself cannot hold is not ours.
        assume("dice_ml" not in _origin(error))
        raise
    assume(space.n_features == len(found))
    return problem


def _origin(error):
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename


@st.composite
def constraints(draw, found, queries):
    """Return keywords of a call that allow every query."""
    call = {}
    names = [column.name for column in found]
    if draw(st.booleans()):
        size = draw(st.integers(1, len(names)))
        call["features_to_vary"] = names[:size]
    vary = call.get("features_to_vary", names)
    ranges = {}
    for column in found:
        if column.name in vary and draw(st.integers(0, 3)) == 0:
            own = list(queries[column.name])
            if column.continuous:
                low, high = float(column.values.min()), float(column.values.max())
                middle = float(np.median(column.values.astype(float)))
                ranges[column.name] = draw(st.sampled_from([[low, middle], [middle, high]]))
            else:
                levels = sorted({str(value) for value in column.values})
                kept = [level for level in levels if draw(st.booleans())]
                ranges[column.name] = kept or [str(own[0])]
    if ranges:
        call["permitted_range"] = ranges
    numbers = [column.name for column in found if column.continuous]
    texts = [column for column in found if not column.continuous]
    rules = {}
    if numbers and draw(st.integers(0, 2)) == 0:
        rules["monotone"] = {numbers[0]: draw(st.sampled_from(["increase", "decrease"]))}
    if texts and draw(st.integers(0, 2)) == 0:
        levels = sorted({str(value) for value in texts[0].values})
        if len(levels) > 1:
            rules["forbidden"] = {texts[0].name: [(levels[0], levels[1])]}
    if rules:
        call["rules"] = Rules(**rules)
    return call
