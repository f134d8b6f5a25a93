"""The answers of a scikit-learn pipeline without its ceremony.

A search asks a model about encoded rows: numbers and level numbers. On the way through a pipeline
they become a table of text, are checked column by column and looked up again, and each tree of a
forest sets up contexts of its own: for a few thousand rows all that takes longer than the answer.
Here each level's columns are looked up once a call, and the trees are asked one after the other.

Only for pipelines that are known to treat columns one by one, of scikit-learn's own classes, and
only where the answers to the queries are the pipeline's own: to the last bit, but for models whose
sums depend on the number of rows (matrix products) or of workers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from dice_extended_plugin.row_writer import RowWriter
from dice_extended_plugin.space import FeatureSpace

__all__ = ["QuickPipeline"]

#: Transformers that treat every column by itself.
_BY_COLUMN = (
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    MinMaxScaler,
    RobustScaler,
    SimpleImputer,
)
_FORESTS = (
    RandomForestClassifier,
    ExtraTreesClassifier,
    RandomForestRegressor,
    ExtraTreesRegressor,
)
#: A forest that works in parallel is faster on more rows than this.
_FEW = 4096


class QuickPipeline:
    """A fitted ``Pipeline([ColumnTransformer, model])`` on rows in codes.

    Make one with :meth:`of`.

    Parameters
    ----------
    model : estimator
        The last step.
    numbers : list of (transformer, names, slice)
        Parts of the column transformer on continuous features.
    tables : list of (int, ndarray of int, ndarray of shape (levels, columns))
        For each categorical feature: its number, its output columns, and what each level becomes.
    base : ndarray of shape (columns,)
        What does not depend on any feature.
    """

    def __init__(
        self,
        model: Any,
        numbers: list[tuple[Any, list[str], slice]],
        tables: list[tuple[int, np.ndarray, np.ndarray]],
        base: np.ndarray,
        continuous: tuple[str, ...],
    ) -> None:
        self.model, self.numbers, self.tables, self.base = model, numbers, tables, base
        self.continuous = list(continuous)
        self.forest = type(model) in _FORESTS and getattr(model, "n_outputs_", 0) == 1

    @classmethod
    def of(cls, pipeline: Any, space: FeatureSpace, writer: RowWriter) -> QuickPipeline | None:
        """Read a pipeline; None for one that is not known to treat columns one by one."""
        if not _is_plain(pipeline, space, writer):
            return None
        first = pipeline.steps[0][1]
        numbers, levels = [], []
        for name, part, columns in first.transformers_:
            if isinstance(part, str) and part == "drop":
                continue
            names = _names(columns, space)
            if names == []:  # a remainder of nothing
                continue
            if names is None or not _by_column(part):
                return None
            if set(names) <= set(space.continuous):
                numbers.append((part, names, first.output_indices_[name]))
            elif set(names) <= set(space.categorical):
                levels.extend(names)
            else:
                return None
        made = _tables(first, space, writer, set(levels))
        if made is None:
            return None
        return cls(pipeline.steps[-1][1], numbers, *made, space.continuous)

    def __call__(self, values: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, C), or predictions (n,) of a regression model.

        Parameters
        ----------
        values : ndarray of shape (n, n_continuous)
            In the table's units.
        levels : ndarray of int, shape (n, n_categorical)
        """
        # A forest reads single precision; others what the column transformer gives.
        rows = np.empty((len(values), len(self.base)), np.float32 if self.forest else np.float64)
        rows[:] = self.base
        for j, columns, table in self.tables:
            rows[:, columns] = table[levels[:, j]]
        if self.numbers:
            frame = pd.DataFrame(values, columns=self.continuous)
            for part, names, place in self.numbers:
                rows[:, place] = part.transform(frame[names])
        classifier = hasattr(self.model, "predict_proba")
        if self.forest and (self.model.n_jobs in (None, 1) or len(rows) <= _FEW):
            return _ask_trees(self.model, rows, classifier)
        answer: np.ndarray = (self.model.predict_proba if classifier else self.model.predict)(rows)
        return answer


def _ask_trees(forest: Any, rows: np.ndarray, classifier: bool) -> np.ndarray:
    """Return the mean of the trees' answers, added up in the forest's order."""
    total = np.zeros((len(rows), forest.n_classes_ if classifier else 1))
    for tree in forest.estimators_:
        total += tree.tree_.predict(rows)
    total /= len(forest.estimators_)
    return total if classifier else total[:, 0]


def _is_plain(pipeline: Any, space: FeatureSpace, writer: RowWriter) -> bool:
    """Whether a pipeline and queries are of the kind that is read here."""
    if type(pipeline) is not Pipeline or len(pipeline.steps) != 2 or not writer.usual:
        return False
    if {"predict_proba", "predict"} & set(vars(pipeline)):  # someone listens or answers instead
        return False
    first = pipeline.steps[0][1]
    if type(first) is not ColumnTransformer or not hasattr(first, "transformers_"):
        return False
    known = list(getattr(first, "feature_names_in_", ())) == list(space.names)
    kinds = {writer.frame[name].dtype for name in space.continuous}
    return known and kinds <= {np.dtype("int64"), np.dtype("float64")}


def _names(columns: Any, space: FeatureSpace) -> list[str] | None:
    """Return the features that a part of a column transformer takes; None where unclear."""
    if isinstance(columns, (str, slice)):  # a text gives its transformer one dimension
        return None
    chosen = list(columns)
    if all(isinstance(name, str) for name in chosen):
        return [str(name) for name in chosen]
    if any(isinstance(place, (bool, np.bool_)) for place in chosen):
        return [name for name, taken in zip(space.names, chosen, strict=True) if taken]
    return [space.names[place] for place in chosen]


def _by_column(part: Any) -> bool:
    if type(part) is Pipeline:
        return all(_by_column(step) for _, step in part.steps)
    if type(part) is FunctionTransformer:  # what "passthrough" becomes
        return part.func is None
    return type(part) in _BY_COLUMN


def _tables(
    first: ColumnTransformer, space: FeatureSpace, writer: RowWriter, levels: set[str]
) -> tuple[list[tuple[int, np.ndarray, np.ndarray]], np.ndarray] | None:
    """Look up what each level becomes, with the other features at their first level, in one call.

    None where the column transformer gives anything else than an array.
    """
    sizes = [len(names) for names in space.levels]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.zeros((1 + len(owner), space.n_columns))
    for j, block in enumerate(space.blocks):
        rows[:, block[0]] = 1.0
        mine = np.flatnonzero(owner == j)
        rows[1 + mine, block[0]] = 0.0
        rows[1 + mine, block[0] + np.arange(sizes[j])] = 1.0
    out = first.transform(writer.table(rows, None))
    out = out.toarray() if hasattr(out, "toarray") else out
    if not isinstance(out, np.ndarray) or out.dtype.kind not in "fiub":
        return None
    out = out.astype(np.float64)
    tables = []
    for j, name in enumerate(space.categorical):
        if name in levels:
            mine = out[1:][owner == j]
            columns = np.flatnonzero((mine != out[0]).any(axis=0))
            tables.append((j, columns, mine[:, columns]))
    return tables, out[0]
