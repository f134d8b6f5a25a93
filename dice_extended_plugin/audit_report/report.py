"""AuditReport: ask, measure, say it in words, and write it as HTML or JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dice_extended_plugin.audit_report.images import ImageAudit
from dice_extended_plugin.audit_report.settings import ReportSettings
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["SCHEMA", "SCHEMA_VERSION", "AuditReport"]

logger = logging.getLogger(__name__)

SCHEMA = "dice-extended audit report"
SCHEMA_VERSION = 1
#: What every report has.
_PARTS = (
    *("title", "generated", "settings", "subject", "recourse", "tables", "margins", "images"),
    *("versions", "seeds", "command", "metrics", "verdict"),
)


class AuditReport:
    """An audit of a model, for people who will never see its code.

    Rows are explained with and without regard for noise, what was found is measured on held-out
    noise, classes are measured by the ART bridge where ART is installed, and finished results about
    images are shown beside. Equal inputs, seeds and versions give the same report, byte for byte.

    Parameters
    ----------
    model : object, optional
        A fitted model with ``predict_proba`` on the table's features, a torch or Keras network on
        the columns of dice-ml's "ohe-min-max", or a ``dice_ml.Model``. None for images only.
    data : DataFrame, dice_ml.Data or Dataset, optional
        The training table.
    outcome : str, optional
        Outcome column of a DataFrame.
    continuous : sequence of str, optional
        Numeric features of a DataFrame; all numeric columns by default.
    queries : DataFrame, optional
        Rows to explain. By default some are drawn from `test`, else from the training table.
    test : DataFrame, optional
        Further rows with their outcome: for the model's accuracy, and to draw rows from.
    unseen : bool, default True
        Whether the model was trained without them. If not, or if nobody knows, the report says so.
    desired_class : int, str or "opposite", default "opposite"
        What is wanted, by number or name. Rows that have it are left out. "opposite" is for two
        classes.
    desired_range : (low, high), optional
        What is wanted of a regression model.
    class_names : sequence of str, optional
        Names in the order of the model's classes.
    classifier : ART classifier of encoded rows, optional
        Instead of the one that is made from `model`.
    margins, curve : RobustnessReport and SuccessRateCurve of art_bridge, optional
        Finished results, shown instead of new measures.
    retrain : callable, optional
        ``retrain(random_state, rows) -> predict``, see
        :func:`~dice_extended_plugin.evaluation.compare`.
    images : sequence of ImageAudit, optional
    settings : ReportSettings, optional
    title, data_name : str, optional
        Heading, and what the data is called.
    generated : str, optional
        A date or note for the head of the report. None is set by itself, so that a report can be
        made again byte for byte.
    command : str, optional
        How the report was made, for its last section.
    verbose : bool, default False
        Show progress.

    Raises
    ------
    InvalidInputError
        From the constructor or :meth:`run`, before any search: naming the argument.
    """

    def __init__(
        self,
        model: Any = None,
        data: Any = None,
        *,
        outcome: str | None = None,
        continuous: Sequence[str] | None = None,
        queries: pd.DataFrame | None = None,
        test: pd.DataFrame | None = None,
        unseen: bool = True,
        desired_class: int | str = "opposite",
        desired_range: Sequence[float] | None = None,
        class_names: Sequence[str] | None = None,
        classifier: Any = None,
        margins: Any = None,
        curve: Any = None,
        retrain: Callable[[int, np.ndarray], Any] | None = None,
        images: ImageAudit | Sequence[ImageAudit] = (),
        settings: ReportSettings | None = None,
        title: str = "Audit of a model",
        data_name: str | None = None,
        generated: str | None = None,
        command: str | None = None,
        verbose: bool = False,
    ) -> None:
        self.model, self.data = model, data
        self.outcome, self.continuous = outcome, continuous
        self.queries, self.test, self.unseen = queries, test, unseen
        self.desired_class, self.desired_range = desired_class, desired_range
        self.class_names = class_names
        self.classifier, self.margins, self.curve = classifier, margins, curve
        self.retrain = retrain
        self.images = (images,) if isinstance(images, ImageAudit) else tuple(images)
        self.settings = settings or ReportSettings()
        self.title, self.data_name = title, data_name
        self.generated, self.command = generated, command
        self.verbose = verbose
        self._content: dict[str, Any] | None = None
        self._check()

    def _check(self) -> None:
        if (self.model is None) != (self.data is None):
            missing = "model" if self.model is None else "data"
            raise InvalidInputError(f"{missing} is missing: give both model and data, or neither")
        for one in self.images:
            if not isinstance(one, ImageAudit):
                raise InvalidInputError(
                    f"images must be ImageAudit objects, not {type(one).__name__}; write "
                    f"ImageAudit(audits={{'name': audit}})"
                )
        if self.model is None and not self.images and self.margins is None:
            raise InvalidInputError(
                "there is nothing to report on: give model and data, or images, or margins"
            )
        if self.settings.n_retrained and self.retrain is None:
            raise InvalidInputError(
                "n_retrained needs a retrain function: retrain(random_state, rows) -> predict"
            )

    def run(self) -> AuditReport:
        """Search and measure; returns itself. What is asked for later does so by itself."""
        from dice_extended_plugin.audit_report.document import build

        if not hasattr(self, "model"):
            raise InvalidInputError("a report read from JSON has no model to run: make a new one")
        self._content = build(self)
        return self

    @property
    def content(self) -> dict[str, Any]:
        """All of the report as plain values: what :meth:`to_json` writes."""
        if self._content is None:
            self.run()
        assert self._content is not None
        return self._content

    @classmethod
    def from_json(cls, text: str) -> AuditReport:
        """Read what :meth:`to_json` wrote, to write it as HTML again.

        Raises
        ------
        InvalidInputError
            The text is no JSON, no report, or one of a later version.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidInputError(f"this is no JSON text: {error}") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise InvalidInputError(f"the JSON text is no {SCHEMA}")
        if content.get("schema_version") != SCHEMA_VERSION:
            raise InvalidInputError(
                f"the report has schema version {content.get('schema_version')!r}; this version of "
                f"dice-extended reads {SCHEMA_VERSION}"
            )
        missing = [name for name in _PARTS if name not in content]
        if missing:
            raise InvalidInputError(f"the JSON text is no whole report: it lacks {missing}")
        report = cls.__new__(cls)
        report._content = content
        return report

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON text, and write it to a file where one is named.

        NaN and infinity are null.
        """
        text = json.dumps(self.content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the report as one HTML text that needs nothing else, and write it to a file.

        Raises
        ------
        ImportError
            Jinja2 is missing; the text names the extra that brings it.
        """
        from dice_extended_plugin.audit_report.render import render

        text = render(self.content)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def _repr_html_(self) -> str:
        from dice_extended_plugin.audit_report.render import render_summary

        return render_summary(self._content)
