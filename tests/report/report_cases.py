"""Small audits: a model on 442 patients, and names that are attacks."""

from __future__ import annotations

import numpy as np

from dice_extended_plugin.audit_report import AuditReport, ReportSettings

#: A name that is HTML, one that ends an attribute, one that ends the style or the script.
HOSTILE = "<script>alert(1)</script>"
HOSTILE_LEVEL = "\"'><img src=x onerror=alert(2)>"
HOSTILE_TITLE = "</style></script><svg onload=alert(3)>{{ 7 * 7 }}"


class Linear:
    """Logistic regression on a table with numbers and texts; quick to ask, unlike a pipeline."""

    def __init__(self, features, outcome):
        from sklearn.linear_model import LogisticRegression

        numeric = features.select_dtypes("number").columns
        self.levels = {
            name: None if name in numeric else np.unique(features[name].astype(str))
            for name in features.columns
        }
        rows = self._rows(features)
        self.scale = np.where(rows.std(axis=0) > 0, rows.std(axis=0), 1.0)
        self.inner = LogisticRegression(max_iter=1000).fit(rows / self.scale, outcome)
        self.classes_ = self.inner.classes_

    def _rows(self, table):
        parts = [
            table[name].to_numpy(dtype=float)[:, None]
            if levels is None
            else table[name].to_numpy(dtype=object).astype(str)[:, None] == levels
            for name, levels in self.levels.items()
        ]
        return np.concatenate(parts, axis=1).astype(float)

    def predict_proba(self, table):
        return self.inner.predict_proba(self._rows(table) / self.scale)

    def predict(self, table):
        return self.inner.predict(self._rows(table) / self.scale)


def pipeline(features, outcome):
    return Linear(features, outcome)


def small(**changes):
    """Return settings that take seconds."""
    return ReportSettings(
        **{"n_queries": 8, "k": 2, "n_draws": 200, "n_attacked": 3, "n_tables": 5, **changes}
    )


def make(table, settings=None, **keywords):
    """Return a report on a table with the outcome "progression", not run yet."""
    train, test = table.iloc[:340], table.iloc[340:].reset_index(drop=True)
    model = pipeline(train.drop(columns="progression"), train["progression"])
    given = {"outcome": "progression", "test": test, "class_names": ["calm", "worse"], **keywords}
    return AuditReport(model, train, settings=settings or small(), **given)
