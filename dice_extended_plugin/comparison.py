"""Comparison: explainers side by side, query by query, with tests, tables, plots and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.statistics import holm, paired

__all__ = ["Comparison"]

_VALUES = ["explainer", "query", "metric", "value"]
_OUTCOMES = ["explainer", "query", "status", "reason"]
_FORMAT = "dice-extended comparison 1"
_ARROW = {"higher": " ↑", "lower": " ↓", "": ""}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Metrics of several explainers on the same queries.

    Attributes
    ----------
    values : DataFrame
        Columns ``explainer``, ``query`` (number from 0), ``metric``, ``value``; NaN where a metric
        is not defined (the distance of a query without counterfactuals, say).
    outcomes : DataFrame
        Columns ``explainer``, ``query``, ``status`` ("ok", "partial", "none"), ``reason``.
    metrics : DataFrame
        Index: metric; columns ``direction``, ``low``, ``high``, ``chance``, ``reference``,
        ``summary``, ``tested``.
    chance : dict of str to dict
        Metric -> ``chance`` and ``ceiling`` as numbers, where known for these queries.
    counterfactuals : DataFrame
        Columns ``explainer``, ``query``, ``valid``, and the features of each returned row.
    baseline : str
        The explainer that the others are compared with.
    info : dict
        Settings, JSON values only: ``k``, the noise, thresholds of confidence baselines.
    """

    values: pd.DataFrame
    outcomes: pd.DataFrame
    metrics: pd.DataFrame
    counterfactuals: pd.DataFrame
    baseline: str
    chance: dict[str, dict[str, float]] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    @property
    def explainers(self) -> list[str]:
        """Names in the order given."""
        return list(dict.fromkeys(self.outcomes["explainer"]))

    def per_query(self, metric: str) -> pd.DataFrame:
        """Return one metric with a row per query and a column per explainer."""
        self._check(metric, "metric", list(self.metrics.index))
        rows = self.values[self.values["metric"] == metric]
        table = rows.pivot(index="query", columns="explainer", values="value")
        return table.reindex(columns=self.explainers).rename_axis(columns=None)

    def to_frame(self) -> pd.DataFrame:
        """Return mean, standard deviation (n - 1) and number of queries of each cell.

        Returns
        -------
        DataFrame
            Index ``(metric, explainer)``; columns ``mean``, ``sd``, ``n``, ``direction``,
            ``chance``. Means are over the queries where the metric is defined; `sd` of fewer than
            two is NaN.
        """
        groups = self.values.groupby(["metric", "explainer"], sort=False)["value"]
        table = pd.DataFrame({"mean": groups.mean(), "sd": groups.std(), "n": groups.count()})
        order = pd.MultiIndex.from_product(
            [self.metrics.index, self.explainers], names=["metric", "explainer"]
        )
        table = table.reindex(order)
        names = table.index.get_level_values("metric")
        table["direction"] = self.metrics["direction"].reindex(names).to_numpy()
        table["chance"] = [self._chance(name) for name in names]
        return table

    def tests(
        self,
        metrics: Sequence[str] | None = None,
        pairs: Sequence[tuple[str, str]] | None = None,
        n_bootstrap: int = 5000,
        confidence: float = 0.95,
        random_state: int = 0,
    ) -> pd.DataFrame:
        """Test differences, paired over the queries where both explainers have a value.

        Parameters
        ----------
        metrics : sequence of str, optional
            All that can be tested by default (not times). They and the pairs make the family
            that Holm's correction is for: name the few that matter before looking.
        pairs : sequence of (str, str), optional
            ``(a, b)`` tests a minus b. By default every explainer against the baseline.

        Returns
        -------
        DataFrame
            A row per metric and pair: ``metric``, ``a``, ``b``, the fields of
            :class:`~dice_extended_plugin.statistics.Paired`, and the corrected ``p_t_holm`` and
            ``p_wilcoxon_holm``.
        """
        if metrics is None:
            metrics = [str(name) for name in self.metrics.index[self.metrics["tested"]]]
        if pairs is None:
            pairs = [(name, self.baseline) for name in self.explainers if name != self.baseline]
        for name in {name for pair in pairs for name in pair}:
            self._check(name, "explainer", self.explainers)
        rows = []
        for name in metrics:
            table = self.per_query(name)
            for a, b in pairs:
                found = paired(table[a], table[b], n_bootstrap, confidence, random_state)
                rows.append({"metric": name, "a": a, "b": b, **found.as_dict()})
        result = pd.DataFrame(rows)
        for test in ("p_t", "p_wilcoxon"):
            result[f"{test}_holm"] = holm(result[test]) if len(result) else []
        return result

    def to_markdown(self, metrics: Sequence[str] | None = None, tests: bool = True) -> str:
        """Return Markdown tables: mean ± sd of each explainer, and the paired tests.

        Parameters
        ----------
        metrics : sequence of str, optional
            Rows, all by default.
        tests : bool, default True
            Add the second table.
        """
        names = [str(name) for name in (self.metrics.index if metrics is None else metrics)]
        cells = self.to_frame()
        rows = []
        for name in names:
            self._check(name, "metric", list(self.metrics.index))
            arrow = _ARROW[str(self.metrics.at[name, "direction"])]
            values = [_mean_sd(cells.loc[(name, one)]) for one in self.explainers]
            rows.append([name + arrow, *values, _number(self._chance(name))])
        text = _table(["metric", *self.explainers, "chance"], rows) + self._shortfalls() + "\n"
        tested = [name for name in names if self.metrics.at[name, "tested"]]
        if tests and tested and len(self.explainers) > 1:
            text += "\n" + self.tests_markdown(tested)
        return text

    def tests_markdown(
        self,
        metrics: Sequence[str] | None = None,
        pairs: Sequence[tuple[str, str]] | None = None,
    ) -> str:
        """Return the paired tests of :meth:`tests` as a Markdown table."""
        return _tests_table(self.tests(metrics, pairs)) + "\n"

    def _chance(self, metric: str) -> float:
        return self.chance.get(metric, {}).get("chance", math.nan)

    def _shortfalls(self) -> str:
        """Say for how many queries each explainer fell short, and why the first time."""
        short = self.outcomes[self.outcomes["status"] != "ok"]
        if len(short) == 0:
            return ""
        groups = short.groupby("explainer", sort=False)["reason"]
        cases = [f"{name} {len(reasons)} (first: {reasons.iloc[0]})" for name, reasons in groups]
        return "\n\nQueries with fewer than k counterfactuals: " + "; ".join(cases)

    def plot(
        self, metric: str = "noise_validity", against: str | None = None, ax: Any = None
    ) -> Any:
        """Draw one metric, or one against another.

        Parameters
        ----------
        metric : str
            Alone: a box per explainer over the queries, with the chance value as a line.
        against : str, optional
            Metric of the horizontal axis: a point per query and each explainer's mean.
        ax : matplotlib.axes.Axes, optional
            Where to draw; else a new figure of pyplot's, which notebooks show.

        Returns
        -------
        matplotlib.axes.Axes
        """
        for name in (metric, against):
            if name is not None:
                self._check(name, "metric", list(self.metrics.index))
        if ax is None:
            try:
                from matplotlib import pyplot
            except ImportError:
                raise ImportError(
                    "plots need Matplotlib; run: pip install 'dice-extended[report]'"
                ) from None
            ax = pyplot.subplots(figsize=(6, 4), layout="constrained")[1]
        if against is None:
            self._boxes(metric, ax)
        else:
            self._scatter(metric, against, ax)
        ax.grid(alpha=0.3)
        return ax

    def _repr_html_(self) -> str:
        from dice_extended_plugin.html_tables import facts, table, titled

        cells = self.to_frame()
        rows = [
            [
                f"{name}{_ARROW[str(self.metrics.at[name, 'direction'])]}",
                *(_mean_sd(cells.loc[(name, one)]) for one in self.explainers),
                self._chance(str(name)),
            ]
            for name in self.metrics.index
        ]
        head = facts({"queries": self.outcomes["query"].nunique(), "compared with": self.baseline})
        return titled(
            "Comparison of explainers",
            head,
            table(["metric", *self.explainers, "chance"], rows, "Mean ± sd over the queries"),
        )

    def _boxes(self, metric: str, ax: Any) -> None:
        table = self.per_query(metric)
        values = [table[name].dropna().to_numpy() for name in self.explainers]
        ax.boxplot(values, showmeans=True)
        ax.set_xticks(range(1, len(values) + 1), self.explainers)
        chance = self._chance(metric)
        if math.isfinite(chance):
            ax.axhline(chance, linestyle=":", color="grey", label="chance")
            ax.legend()
        ax.set_ylabel(self._label(metric))

    def _scatter(self, metric: str, against: str, ax: Any) -> None:
        vertical, horizontal = self.per_query(metric), self.per_query(against)
        for i, name in enumerate(self.explainers):
            x, y = horizontal[name], vertical[name]
            ax.scatter(x, y, s=10, alpha=0.4, color=f"C{i}")
            if (x.notna() & y.notna()).any():
                ax.scatter(x.mean(), y.mean(), s=90, marker="X", color=f"C{i}", label=name)
        ax.set(xlabel=self._label(against), ylabel=self._label(metric))
        ax.legend()

    def _label(self, metric: str) -> str:
        better = str(self.metrics.at[metric, "direction"])
        return f"{metric} ({better} is better)" if better else metric

    def to_json(self) -> str:
        """Return all of it as JSON text; missing values become null, infinite ones text."""
        return json.dumps(
            {
                "format": _FORMAT,
                "baseline": self.baseline,
                "values": _columns(self.values),
                "outcomes": _columns(self.outcomes),
                "counterfactuals": _columns(self.counterfactuals),
                "metrics": {"metric": list(self.metrics.index), **_columns(self.metrics)},
                "chance": {
                    name: {key: _to_json(value) for key, value in found.items()}
                    for name, found in self.chance.items()
                },
                "info": self.info,
            },
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Comparison:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        InvalidInputError
            The text is no JSON, or holds no comparison.
        """
        try:
            read = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"this is no JSON text: {error}") from None
        return cls.from_json_value(read)

    @classmethod
    def from_json_value(cls, read: Any) -> Comparison:
        """Read the parsed form, for a comparison that is part of a larger JSON text."""
        if not isinstance(read, dict) or read.get("format") != _FORMAT:
            raise InvalidInputError(f"the JSON text is no comparison (format {_FORMAT!r})")
        try:
            return cls._of(read)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InvalidInputError(
                f"the JSON text is no whole comparison: {type(error).__name__}: {error}"
            ) from error

    @classmethod
    def _of(cls, read: dict[str, Any]) -> Comparison:
        values = pd.DataFrame(read["values"], columns=_VALUES)
        values["value"] = [_from_json(value) for value in values["value"]]
        metrics = pd.DataFrame(read["metrics"]).set_index("metric")
        for side in ("low", "high"):
            metrics[side] = [_from_json(value) for value in metrics[side]]
        return cls(
            values=values.astype({"value": float}),
            outcomes=pd.DataFrame(read["outcomes"], columns=_OUTCOMES),
            metrics=metrics,
            counterfactuals=pd.DataFrame(read["counterfactuals"]),
            baseline=read["baseline"],
            chance={
                name: {key: _from_json(value) for key, value in found.items()}
                for name, found in read["chance"].items()
            },
            info=read["info"],
        )

    def _check(self, name: str, kind: str, known: list[str]) -> None:
        if name not in known:
            raise InvalidInputError(
                f"no {kind} {name!r} in this comparison{did_you_mean(str(name), known)}; there "
                f"are {', '.join(known)}"
            )


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): [_to_json(value) for value in column] for name, column in table.items()}


def _to_json(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _from_json(value: Any) -> float:
    return math.nan if value is None else float(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    escaped = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in escaped)


def _number(value: float, digits: int = 3) -> str:
    if value is None or math.isnan(value):
        return ""
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.4g}"


def _mean_sd(cell: Any) -> str:
    if math.isnan(cell["mean"]):
        return "–"
    alone = math.isnan(cell["sd"])
    return _number(cell["mean"]) + ("" if alone else f" ± {_number(cell['sd'])}")


def _known(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def _interval(row: Mapping[Any, Any]) -> str:
    """Write a mean difference and its interval; one pair has none."""
    mean, ends = _known(row["mean_difference"], "+.4f"), ""
    if not math.isnan(row["low"]):
        ends = f" [{row['low']:+.4f}, {row['high']:+.4f}]"
    return mean + ends


def _tests_table(tests: pd.DataFrame) -> str:
    head = ["metric", "difference", "n", "mean [95 %]", "d_z", "rank-biserial"]
    rows = [
        [
            row["metric"],
            f"{row['a']} − {row['b']}",
            str(row["n"]),
            _interval(row),
            _known(row["dz"], "+.2f"),
            _known(row["rank_biserial"], "+.2f"),
            _known(row["p_t_holm"], ".1g"),
            _known(row["p_wilcoxon_holm"], ".1g"),
        ]
        for row in tests.to_dict("records")
    ]
    return _table([*head, "p t-test (Holm)", "p Wilcoxon (Holm)"], rows)
