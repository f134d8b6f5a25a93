"""The tasks "attack" and "analyse" of jobs: attacks, and Algorithm 1, over many rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from art_bridge.report import RobustnessReport
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.errors import TaskError
from dice_extended_plugin.plugins import get_registry

__all__ = ["AnalyseTask", "AttackTask"]

_ATTACK = "unconstrained_counterfactual"


class _ArrayTask:
    """What both share: the factory's product, rows as an array, labels taken out of them."""

    def __init__(self, made: Any, options: Mapping[str, Any], random_state: int) -> None:
        parts = made if isinstance(made, tuple) else (made,)
        if not 1 <= len(parts) <= 3:
            raise TaskError(
                "the factory returns an ART classifier, or (classifier, x_train), or (classifier, "
                f"x_train, y_train), not {len(parts)} things"
            )
        self.classifier = parts[0]
        self.outcome = options.get("outcome")
        keywords = {k: v for k, v in options.items() if k not in self.OWN}
        keywords.setdefault("random_state", random_state)
        attack = get_registry().load("art_attack", options.get("attack", _ATTACK))
        train = dict(zip(("x_train", "y_train"), parts[1:], strict=False))
        try:
            self.attack = attack(self.classifier, **train, **keywords, **self._aim(options))
        except (TypeError, ValueError) as error:  # ART's own errors are among these
            raise TaskError(f"the attack cannot be made: {error}") from error

    #: Options that are not the attack's.
    OWN: tuple[str, ...] = ("attack", "outcome")

    def _aim(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    def _split(self, rows: Any) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
        """Return numbers, labels (if there are some) and column names."""
        if isinstance(rows, pd.DataFrame):
            labels = None
            if self.outcome is not None:
                if self.outcome not in rows.columns:
                    raise TaskError(f"the rows have no column {self.outcome!r} (option outcome)")
                labels = rows[self.outcome].to_numpy()
                rows = rows.drop(columns=self.outcome)
            names = [str(name) for name in rows.columns]
            try:
                x = rows.to_numpy(dtype=np.float32)
            except (TypeError, ValueError) as error:
                raise InvalidInputError(
                    f"a row holds something other than numbers: {error}"
                ) from None
        else:
            if rows.ndim != 2:
                raise TaskError(f"rows to attack are a table of numbers, not of shape {rows.shape}")
            if self.outcome is not None:
                raise TaskError("option outcome names a column, and an array has none")
            x, labels = np.asarray(rows, dtype=np.float32), None
            names = [f"x{i}" for i in range(x.shape[1])]
        # Said here, so that the row is set apart whatever other rows are in its chunk.
        if not np.isfinite(x).all():
            raise InvalidInputError("a value is missing or infinite")
        return x, labels, names


class AttackTask(_ArrayTask):
    """Attack rows.

    Parameters
    ----------
    made : art classifier, or (classifier, x_train[, y_train])
    options : mapping
        ``attack``: a registered attack (default "unconstrained_counterfactual"); ``target``: the
        class that rows are to become (default: any other than their own); ``outcome``: a column
        of true labels, which is no feature; everything else is a keyword of the attack.
    random_state : int
    """

    OWN = ("attack", "outcome", "target")

    def _aim(self, options: Mapping[str, Any]) -> dict[str, Any]:
        self.target = options.get("target")
        return {} if self.target is None else {"targeted": True}

    def __call__(self, rows: Any, start: int) -> pd.DataFrame:
        """Return a line per row: ``row``, what came of it, and the adversarial values.

        Columns ``success``, ``target`` (class reached), ``distance``, ``probability``, ``reason``,
        ``model_rows``, and ``adversarial.NAME`` for every feature (the row itself without success).
        """
        x, labels, names = self._split(rows)
        wanted = labels if self.target is None else np.full(len(x), self.target)
        found = self.attack.generate(x, y=wanted)
        result = self.attack.result_
        table = pd.DataFrame(
            {
                "row": np.arange(start, start + len(x)),
                "success": result.success,
                "target": result.target.astype(np.int64),
                "distance": result.distance.astype(float),
                "probability": result.probability.astype(float),
                "reason": pd.Series(result.reason, dtype="string"),
                "model_rows": result.rows.astype(np.int64),
            }
        )
        columns = pd.DataFrame(found, columns=[f"adversarial.{name}" for name in names])
        return pd.concat([table, columns], axis=1)

    @staticmethod
    def check(options: Mapping[str, Any]) -> None:
        """Check the attack's name."""
        get_registry().find("art_attack", options.get("attack", _ATTACK))

    @staticmethod
    def summary(
        tables: Iterator[pd.DataFrame], options: Mapping[str, Any], random_state: int
    ) -> dict[str, Any]:
        """Count rows by reason; mean and median distance of the successes."""
        reasons: dict[str, int] = {}
        distances: list[np.ndarray] = []
        for table in tables:
            for reason, count in table["reason"].value_counts().items():
                reasons[str(reason)] = reasons.get(str(reason), 0) + int(count)
            distances.append(table.loc[table["success"], "distance"].to_numpy())
        found = np.concatenate(distances) if distances else np.empty(0)
        middle = (
            {}
            if not len(found)
            else {
                "mean_distance": round(float(found.mean()), 6),
                "median_distance": round(float(np.median(found)), 6),
            }
        )
        return {"reasons": reasons, "successes": len(found), **middle}


class AnalyseTask(_ArrayTask):
    """Measure class-wise robustness (Algorithm 1) over rows.

    Parameters
    ----------
    made : art classifier, or (classifier, x_train[, y_train])
    options : mapping
        ``attack`` and ``outcome`` as for "attack"; ``n_bootstrap`` (int, default 1000) resamples
        behind the intervals; everything else is a keyword of the attack.
    random_state : int
    """

    OWN = ("attack", "outcome", "n_bootstrap")

    def _aim(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"targeted": True}

    def __call__(self, rows: Any, start: int) -> pd.DataFrame:
        """Return a line per row and class that is not its own.

        Columns ``row``, ``source`` and ``target`` (classes), ``success``, ``distance``,
        ``probability``, ``label`` (the true class; -1 without ``outcome``).
        """
        from art_bridge.border import class_index
        from art_bridge.robustness import SCORE_NOT_FINITE, counterfactual_robustness

        x, labels, _ = self._split(rows)
        report = counterfactual_robustness(self.classifier, x, attack=self.attack)
        if SCORE_NOT_FINITE in report.reasons:
            raise InvalidInputError(SCORE_NOT_FINITE)
        truth = np.full(len(x), -1)
        if labels is not None:
            truth = class_index(labels, len(x), report.n_classes, str(self.outcome))
        return pd.DataFrame(
            {
                "row": report.row + start,
                "source": report.source.astype(np.int64),
                "target": report.target.astype(np.int64),
                "success": report.success,
                "distance": report.distance.astype(float),
                "probability": report.probability.astype(float),
                "norm": np.full(len(report.row), float(report.norm)),
                "label": truth[report.row].astype(np.int64),
            }
        )

    @staticmethod
    def check(options: Mapping[str, Any]) -> None:
        """Check the attack's name and the number of resamples."""
        AttackTask.check(options)
        n = options.get("n_bootstrap", 1000)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InvalidInputError(f"n_bootstrap must be a positive whole number, not {n!r}")

    @staticmethod
    def summary(
        tables: Iterator[pd.DataFrame], options: Mapping[str, Any], random_state: int
    ) -> dict[str, Any]:
        """Return Algorithm 1's figures with their intervals."""
        held = list(tables)
        if not held:
            return {}
        lines = pd.concat(held, ignore_index=True)
        report = report_of(lines, int(options.get("n_bootstrap", 1000)), random_state)
        figures = {k: v for k, v in report.summary().items() if k not in ("seconds", "reasons")}
        return _jsonable(figures)


def report_of(
    lines: pd.DataFrame, n_bootstrap: int = 1000, random_state: int = 0
) -> RobustnessReport:
    """Return the report of a finished "analyse" job.

    Parameters
    ----------
    lines : DataFrame
        ``read_job(folder).to_frame()``.
    n_bootstrap, random_state : int
        Of the intervals.

    Returns
    -------
    RobustnessReport
        That of one call over all rows, but for the counterfactuals themselves.
    """
    rows, labels = lines["row"].to_numpy(), lines["label"].to_numpy()
    source, target = lines["source"].to_numpy(), lines["target"].to_numpy()
    _, first = np.unique(rows, return_index=True)
    known = labels[first] >= 0
    return RobustnessReport(
        # Each row is aimed at every other class, so that all classes are there.
        n_classes=int(max(source.max(), target.max())) + 1,
        n_rows=len(first),
        row=rows,
        source=source,
        target=target,
        distance=lines["distance"].to_numpy(dtype=float),
        success=lines["success"].to_numpy(dtype=bool),
        probability=lines["probability"].to_numpy(dtype=float),
        counterfactuals=np.empty((len(rows), 0), dtype=np.float32),
        norm=float(lines["norm"].iloc[0]),
        seconds=0.0,
        reasons={},
        accuracy=float((labels == source)[first].mean()) if known.all() else None,
        random_state=random_state,
        n_bootstrap=n_bootstrap,
    )


def _jsonable(value: Any) -> Any:
    """Return numbers that JSON lacks as None."""
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
