"""The table of metrics: each with its direction, range, chance value and reference.

A metric is a function of :class:`~dice_extended_plugin.sets.CounterfactualSets` that returns one
value per query. A value of a row (a distance, say) is averaged over the query's rows. Adding one:
write a function here (or in a plugin) under ``@metric(...)`` and register it as a component of
kind "metric".
"""

from __future__ import annotations

from math import inf, nan

import numpy as np

from dice_extended_plugin import fidelity, invalidation, metrics, stability
from dice_extended_plugin.dice_sorensen import wilson_interval
from dice_extended_plugin.metric import Metric, metric
from dice_extended_plugin.plausibility import INLIER
from dice_extended_plugin.sets import CounterfactualSets as Sets

__all__ = ["METRICS", "SHARE_OF_CLASS"]

_DICE = "Mothilal, Sharma, Tan: DiCE (FAT* 2020)"
_PAPER = "Bakir, Goktas, Ozogur-Akyuz: DiCE-Extended"
_PAGE = "docs/evaluation.md"
#: Chance value of validities.
SHARE_OF_CLASS = "share of the wanted class"


# -- validity ---------------------------------------------------------------------------------


@metric("higher", 0, 1, _DICE + ", section 4.1", SHARE_OF_CLASS)
def validity(sets: Sets) -> np.ndarray:
    """Share of the k asked for that are counterfactuals by the model's own label."""
    return np.bincount(sets.query, sets.valid, minlength=sets.n_queries) / sets.k


@metric("higher", 0, 1, _PAPER + ", section 3.3", SHARE_OF_CLASS)
def validity_returned(sets: Sets) -> np.ndarray:
    """Share of the rows returned that are counterfactuals."""
    return sets.mean(sets.valid)


@metric("higher", 0, inf, _PAGE)
def found(sets: Sets) -> np.ndarray:
    """Counterfactuals returned."""
    return np.bincount(sets.query, minlength=sets.n_queries)


# -- distance ---------------------------------------------------------------------------------


@metric("lower", 0, inf, _DICE + ", equation 2")
def proximity(sets: Sets) -> np.ndarray:
    """Distance that DiCE minimises: L1 over inverse median MAD, per encoded column."""
    return sets.mean(metrics.proximity(sets.u, sets.own, sets.judge.weights))


@metric("lower", 0, inf, _DICE + ", section 4.1", needs=("reference",))
def proximity_median_mad(sets: Sets) -> np.ndarray:
    """Mean change of continuous features in median absolute deviations."""
    judge = sets.judge
    return sets.mean(
        metrics.continuous_distance(sets.u, sets.own, judge.space, judge.median_deviation)
    )


@metric("lower", 0, inf, _PAPER + ", sections 2.3.1 and 3.2", needs=("reference",))
def proximity_mean_mad(sets: Sets) -> np.ndarray:
    """Mean change of continuous features in mean absolute deviations."""
    judge = sets.judge
    return sets.mean(
        metrics.continuous_distance(sets.u, sets.own, judge.space, judge.mean_deviation)
    )


@metric("lower", 0, 1, _DICE + ", section 4.1")
def proximity_categorical(sets: Sets) -> np.ndarray:
    """Share of the categorical features whose level changed."""
    return sets.mean(metrics.categorical_distance(sets.u, sets.own, sets.judge.space))


@metric("lower", 0, inf, _PAGE)
def l1(sets: Sets) -> np.ndarray:
    """Sum of changes: share of the data range, 1 for a level."""
    return sets.mean(metrics.l1_distance(sets.u, sets.own, sets.judge.space))


@metric("higher", 0, 1, _PAPER + ", section 2.3.2")
def sparsity(sets: Sets) -> np.ndarray:
    """Share of the features left unchanged."""
    return sets.mean(metrics.sparsity(sets.u, sets.own, sets.judge.space))


@metric("lower", 0, inf, _DICE + ", section 4.1")
def changed(sets: Sets) -> np.ndarray:
    """Count of the changed features."""
    return sets.mean(metrics.changed_features(sets.u, sets.own, sets.judge.space))


# -- the set ----------------------------------------------------------------------------------


@metric("higher", 0, 1, _DICE + ", equation 1; " + _PAPER + ", section 2.3.3")
def diversity(sets: Sets) -> np.ndarray:
    """Kernel determinant, kernel 1 / (1 + distance); for sets of equal size."""
    return metrics.set_diversity(sets.u, sets.query, sets.n_queries, sets.judge.weights)


@metric("higher", 0, inf, _DICE + ", section 4.1")
def spread(sets: Sets) -> np.ndarray:
    """Mean distance between counterfactuals, in the units of proximity."""
    return metrics.set_spread(sets.u, sets.query, sets.n_queries, sets.judge.weights)


@metric("lower", 0, inf, _PAGE)
def duplicates(sets: Sets) -> np.ndarray:
    """Rows that repeat another of the query's rows."""
    return metrics.set_duplicates(sets.u, sets.query, sets.n_queries)


# -- robustness -------------------------------------------------------------------------------


@metric("higher", 0, 1, _PAPER + ", section 2.3.4", "chance(r), see chance_values")
def rho_lit(sets: Sets) -> np.ndarray:
    """Literal Dice-Sorensen coefficient, all features disturbed, clipped."""
    return sets.mean(sets.literal["rho_lit"])


@metric("higher", 0, 1, "docs/dice_extended.md", "chance(r), see chance_values")
def rho_open(sets: Sets) -> np.ndarray:
    """Literal coefficient without the ends of the ranges."""
    return sets.mean(sets.literal["rho_open"])


@metric("", 0, 1, "docs/dice_extended.md", "2 / K of uniform values")
def end_bins(sets: Sets) -> np.ndarray:
    """Share of continuous values in the first or last bin."""
    return sets.mean(sets.literal["end_bins"])


@metric("higher", 0, 1, "docs/dice_extended.md", SHARE_OF_CLASS)
def noise_validity(sets: Sets) -> np.ndarray:
    """Share of held-out disturbances that leave the class as wanted."""
    return sets.mean(sets.noise_validity)


@metric("higher", 0, 1, "Wilson (1927)", tested=False)
def noise_validity_low(sets: Sets) -> np.ndarray:
    """Lower end of the 95 % Wilson interval of noise validity."""
    # The bank of draws is shared by a query's rows: they are no further evidence.
    return _wilson(sets)[0]


@metric("higher", 0, 1, "Wilson (1927)", tested=False)
def noise_validity_high(sets: Sets) -> np.ndarray:
    """Upper end of the 95 % Wilson interval of noise validity."""
    return _wilson(sets)[1]


def _wilson(sets: Sets) -> tuple[np.ndarray, np.ndarray]:
    low, high = wilson_interval(sets.mean(sets.noise_validity), sets.protocol.n_draws)
    return low, high


@metric("lower", -1, 1, "Pawelczyk et al.: PROBE (ICLR 2023), definition 1")
def invalidation_rate(sets: Sets) -> np.ndarray:
    """Share of the wanted class that Gaussian noise (0.1 of each range) takes away."""
    protocol = sets.protocol
    return sets.mean(
        invalidation.invalidation_rate(
            sets.u,
            sets.own,
            sets.judge.space,
            sets.is_target,
            n_draws=protocol.n_draws,
            random_state=protocol.random_state,
        )
    )


@metric("higher", 0, 1, "Dutta et al. (ICML 2022)", SHARE_OF_CLASS, needs=("models",))
def model_change_validity(sets: Sets) -> np.ndarray:
    """Share of retrained models (seed, bootstrap, 1-10 % dropped) that agree."""
    return _after_change(sets, *sets.judge.models)


@metric("higher", 0, 1, "Black, Wang, Fredrikson (ICLR 2022)", SHARE_OF_CLASS, needs=("models",))
def model_change_seed(sets: Sets) -> np.ndarray:
    """Share of models retrained with another seed that agree."""
    return _after_change(sets, "seed")


@metric("higher", 0, 1, "Dutta et al. (ICML 2022)", SHARE_OF_CLASS, needs=("models",))
def model_change_bootstrap(sets: Sets) -> np.ndarray:
    """Share of models retrained on bootstrap samples that agree."""
    return _after_change(sets, "bootstrap")


@metric("higher", 0, 1, "Black, Wang, Fredrikson (ICLR 2022)", SHARE_OF_CLASS, needs=("models",))
def model_change_drop(sets: Sets) -> np.ndarray:
    """Share of models retrained without 1-10 % of the rows that agree."""
    return _after_change(sets, "drop")


def _after_change(sets: Sets, *changes: str) -> np.ndarray:
    models = [model for change in changes for model in sets.judge.models.get(change, ())]
    n_columns = sets.judge.scores(sets.x[:1]).shape[1]
    return sets.mean(
        invalidation.model_change_validity(
            sets.frame,
            models,
            lambda scores: sets.target.met(scores, sets.query),
            n_columns if n_columns > 1 else None,
        )
    )


@metric("higher", 0, 1, _PAGE, needs=("explain",))
def regeneration_stability(sets: Sets) -> np.ndarray:
    """Agreement of the advice for a slightly moved query, same seed; beside regeneration_seeds."""
    return _regenerated(sets).regeneration


@metric("higher", 0, 1, _PAGE, needs=("explain",))
def regeneration_seeds(sets: Sets) -> np.ndarray:
    """Agreement of the advice for the same query, other seeds."""
    return _regenerated(sets).seeds


def _regenerated(sets: Sets) -> stability.Stability:
    def measure() -> stability.Stability:
        assert sets.explain is not None
        protocol = sets.protocol
        return stability.regeneration_stability(
            sets.explain,
            sets.queries,
            sets.judge.space,
            sets.labels,
            protocol.noise,
            protocol.n_moves,
        )

    result: stability.Stability = sets.once("regeneration", measure)
    return result


# -- plausibility -----------------------------------------------------------------------------


@metric("lower", 0, inf, "Breunig et al.: LOF (2000)", "about 1 for data", needs=("reference",))
def lof(sets: Sets) -> np.ndarray:
    """Local outlier factor against training rows of the wanted class."""
    return sets.mean(sets.lof)


@metric("higher", 0, 1, "Breunig et al.: LOF (2000)", needs=("reference",))
def lof_inliers(sets: Sets) -> np.ndarray:
    """Share of counterfactuals with a local outlier factor up to 1.5."""
    return sets.mean(np.where(np.isnan(sets.lof), nan, sets.lof <= INLIER))


@metric("lower", 0, inf, "Dandl et al.: MOC (PPSN 2020), objective 4", needs=("reference",))
def knn_distance(sets: Sets) -> np.ndarray:
    """Mean L1 distance to the 5 nearest training rows of the wanted class."""
    return sets.mean(sets.knn_distance)


# -- fidelity ---------------------------------------------------------------------------------


def _fidelity(sets: Sets, radius: float) -> fidelity.Fidelity:
    def sample(x: np.ndarray) -> np.ndarray:
        judge, protocol = sets.judge, sets.protocol
        return fidelity.neighbours(
            x,
            judge.space,
            judge.mean_deviation,
            radius,
            protocol.n_neighbours,
            protocol.categories,
            protocol.random_state,
        )

    def measure() -> fidelity.Fidelity:
        return fidelity.local_fidelity(
            sets.u, sets.query, sets.x, sets.judge.weights, sample, sets.labels
        )

    result: fidelity.Fidelity = sets.once(("fidelity", radius), measure)
    return result


_TABLES = _PAPER + ", tables 2 and 3"


@metric("higher", 0, 1, _TABLES, "fidelity_half_baseline", needs=("reference",))
def fidelity_half(sets: Sets) -> np.ndarray:
    """1-NN fidelity within 0.5 mean absolute deviations."""
    return _fidelity(sets, 0.5).accuracy


@metric("higher", 0, 1, _TABLES, "fidelity_one_baseline", needs=("reference",))
def fidelity_one(sets: Sets) -> np.ndarray:
    """1-NN fidelity within 1 mean absolute deviation."""
    return _fidelity(sets, 1.0).accuracy


@metric("higher", 0, 1, _TABLES, "fidelity_two_baseline", needs=("reference",))
def fidelity_two(sets: Sets) -> np.ndarray:
    """1-NN fidelity within 2 mean absolute deviations."""
    return _fidelity(sets, 2.0).accuracy


@metric("", 0, 1, _TABLES, needs=("reference",))
def fidelity_half_baseline(sets: Sets) -> np.ndarray:
    """Accuracy of always answering the query's class, within 0.5 deviations."""
    return _fidelity(sets, 0.5).baseline


@metric("", 0, 1, _TABLES, needs=("reference",))
def fidelity_one_baseline(sets: Sets) -> np.ndarray:
    """Accuracy of always answering the query's class, within 1 deviation."""
    return _fidelity(sets, 1.0).baseline


@metric("", 0, 1, _TABLES, needs=("reference",))
def fidelity_two_baseline(sets: Sets) -> np.ndarray:
    """Accuracy of always answering the query's class, within 2 deviations."""
    return _fidelity(sets, 2.0).baseline


# -- cost -------------------------------------------------------------------------------------


@metric("lower", 0, inf, _PAGE, needs=("seconds",), tested=False)
def seconds(sets: Sets) -> np.ndarray:
    """Wall time; of a batch the batch's time over its queries."""
    assert sets.seconds is not None
    return sets.seconds


@metric("lower", 0, inf, _PAGE, needs=("calls",), tested=False)
def model_calls(sets: Sets) -> np.ndarray:
    """Count of model calls; of a batch the batch's calls over its queries."""
    assert sets.model_calls is not None
    return sets.model_calls


@metric("lower", 0, inf, _PAGE, needs=("calls",), tested=False)
def model_rows(sets: Sets) -> np.ndarray:
    """Rows in these calls."""
    assert sets.model_rows is not None
    return sets.model_rows


#: Name -> metric, in the order of tables.
METRICS: dict[str, Metric] = {
    value.name: value for value in list(globals().values()) if isinstance(value, Metric)
}
