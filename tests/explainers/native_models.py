"""scikit-learn models on raw rows, and our classes by method, for the tests of this folder."""

from __future__ import annotations

CONTINUOUS = ["age", "bmi", "bp", "s5"]
METHODS = {
    "random": "dice_extended_plugin.explainers.random:DiceExtendedRandom",
    "genetic": "dice_extended_plugin.explainers.genetic:DiceExtendedGenetic",
    "kdtree": "dice_extended_plugin.explainers.kdtree:DiceExtendedKD",
}


def explainer_class(method):
    from dice_extended_plugin.registry import import_target

    return import_target(METHODS[method], method, None)


def pipeline(frame, labels, last=None, continuous=CONTINUOUS):
    """A scikit-learn pipeline on raw rows, strict about levels it has not seen."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [c for c in continuous if c in frame.columns]
    texts = [c for c in frame.columns if c not in numbers]
    first = ColumnTransformer([("n", StandardScaler(), numbers), ("t", OneHotEncoder(), texts)])
    last = RandomForestClassifier(8, random_state=0) if last is None else last
    return make_pipeline(first, last).fit(frame, labels)
