"""The task "audit" of jobs: which attributes flip a predictor, over many images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from alibi_bridge.audit import Audit, check_options, compare_audits, image_changes, movable
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.jobs.errors import TaskError

__all__ = ["AuditTask", "audits_of"]

#: What is written of every attribute, and the defaults of the options.
_PARTS = ("delta", "signed", "needed", "moved")
_DEFAULTS: dict[str, Any] = {"points": "chosen", "level": 0.95, "n_bootstrap": 2000}
_PREDICTORS = ("first", "second")


class AuditTask:
    """Audit images.

    Parameters
    ----------
    made : PlausibleCounterfactual with a predictor, or (explainer, second predictor)
    options : mapping
        ``points``, ``level`` and ``n_bootstrap`` of :func:`~alibi_bridge.audit.audit`.
    random_state : int
        Of the bootstrap; the search's own is the explainer's.
    """

    def __init__(self, made: Any, options: Mapping[str, Any], random_state: int) -> None:
        explainer, *others = made if isinstance(made, tuple) else (made,)
        if not hasattr(explainer, "search") or len(others) > 1:
            raise TaskError(
                "for the task 'audit' the factory returns a fitted PlausibleCounterfactual with a "
                "predictor, or (explainer, second predictor)"
            )
        self._explainer, self._predictors = explainer, [None, *others]
        self._points = {**_DEFAULTS, **options}["points"]

    def __call__(self, rows: Any, start: int) -> pd.DataFrame:
        """Return a line per image and predictor.

        Columns ``row``, ``predictor`` ("first", "second"), ``status``, ``reason``, ``class``,
        ``calls``, and for every attribute ``delta.NAME`` (|δ|), ``signed.NAME``, ``needed.NAME``,
        ``moved.NAME``, missing where no counterfactual was found.
        """
        if isinstance(rows, pd.DataFrame):
            raise TaskError("images come as an array: an npz file, or an ndarray")
        tables = []
        for name, predictor in zip(_PREDICTORS, self._predictors, strict=False):
            result = self._explainer.search(rows, keep="none", predictor=predictor)
            kept = movable(result)
            nothing = (np.full(len(kept), np.nan),) * len(_PARTS)
            changes = [
                image_changes(front, kept, self._points) if front.ok else nothing
                for front in result.fronts
            ]
            table = pd.DataFrame(
                {
                    "row": np.arange(start, start + len(rows)),
                    "predictor": pd.Series([name] * len(rows), dtype="string"),
                    "status": pd.Series([f.status for f in result.fronts], dtype="string"),
                    "reason": pd.Series([f.reason for f in result.fronts], dtype="string"),
                    "class": np.array([f.original_class for f in result.fronts], dtype=np.int64),
                    "calls": np.array([f.calls for f in result.fronts], dtype=np.int64),
                }
            )
            columns = [f"{part}.{result.attributes[j]}" for part in _PARTS for j in kept]
            values = np.array([np.concatenate(parts) for parts in changes], dtype=float)
            tables.append(pd.concat([table, pd.DataFrame(values, columns=columns)], axis=1))
        return pd.concat(tables, ignore_index=True).sort_values(
            ["row", "predictor"], kind="stable", ignore_index=True
        )

    @staticmethod
    def check(options: Mapping[str, Any]) -> None:
        """Check the audit's options."""
        if unknown := sorted(set(options) - set(_DEFAULTS)):
            raise InvalidInputError(
                f"unknown option {unknown[0]!r} of the task 'audit'; known are "
                f"{', '.join(_DEFAULTS)}"
            )
        check_options(**{**_DEFAULTS, **options})

    @staticmethod
    def summary(
        tables: Iterator[pd.DataFrame], options: Mapping[str, Any], random_state: int
    ) -> dict[str, Any]:
        """Return the audits as JSON can write them, and their comparison if there are two."""
        held = list(tables)
        if not held:
            return {}
        audits = audits_of(pd.concat(held, ignore_index=True), options, random_state)
        found: dict[str, Any] = {name: audit.to_dict() for name, audit in audits.items()}
        if len(audits) == 2:
            try:
                found["comparison"] = compare_audits(*audits.values()).to_dict()
            except InvalidInputError as error:
                found["comparison"] = str(error)
        return found


def audits_of(
    lines: pd.DataFrame, options: Mapping[str, Any] | None = None, random_state: int = 0
) -> dict[str, Audit]:
    """Return the audits of a finished "audit" job.

    Parameters
    ----------
    lines : DataFrame
        ``read_job(folder).to_frame()``.
    options : mapping, optional
        ``level`` and ``n_bootstrap``.
    random_state : int

    Returns
    -------
    dict of str to Audit
        By predictor; one under which no image has a counterfactual is left out.
    """
    settings = {**_DEFAULTS, **(options or {})}
    names = tuple(
        name.removeprefix("delta.") for name in lines.columns if str(name).startswith("delta.")
    )
    audits = {}
    for predictor in _PREDICTORS:
        table = lines[lines["predictor"] == predictor].reset_index(drop=True)
        rows = np.flatnonzero(table["status"] == "ok")
        if not len(rows):
            continue
        found = table.loc[rows]
        parts = {
            part: found[[f"{part}.{name}" for name in names]].to_numpy(dtype=float)
            for part in _PARTS
        }
        # The images' places among those audited; failed ones are not among them.
        audits[predictor] = Audit(
            names,
            rows,
            parts["delta"],
            parts["signed"],
            parts["needed"].astype(bool),
            parts["moved"],
            table["class"].to_numpy(),
            {str(status): int(n) for status, n in table["status"].value_counts().items()},
            settings["level"],
            settings["n_bootstrap"],
            random_state,
        )
    return audits
