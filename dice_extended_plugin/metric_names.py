"""Names of our metrics, without what computes them: what listings show before anything loads."""

from __future__ import annotations

__all__ = ["SUMMARIES"]

#: Name -> the first line of its docstring in ``metric_table``; a test holds the two together.
SUMMARIES = {
    "validity": "Share of the k asked for that are counterfactuals by the model's own label.",
    "validity_returned": "Share of the rows returned that are counterfactuals.",
    "found": "Counterfactuals returned.",
    "proximity": "Distance that DiCE minimises: L1 over inverse median MAD, per encoded column.",
    "proximity_median_mad": "Mean change of continuous features in median absolute deviations.",
    "proximity_mean_mad": "Mean change of continuous features in mean absolute deviations.",
    "proximity_categorical": "Share of the categorical features whose level changed.",
    "l1": "Sum of changes: share of the data range, 1 for a level.",
    "sparsity": "Share of the features left unchanged.",
    "changed": "Count of the changed features.",
    "diversity": "Kernel determinant, kernel 1 / (1 + distance); for sets of equal size.",
    "spread": "Mean distance between counterfactuals, in the units of proximity.",
    "duplicates": "Rows that repeat another of the query's rows.",
    "rho_lit": "Literal Dice-Sorensen coefficient, all features disturbed, clipped.",
    "rho_open": "Literal coefficient without the ends of the ranges.",
    "end_bins": "Share of continuous values in the first or last bin.",
    "noise_validity": "Share of held-out disturbances that leave the class as wanted.",
    "noise_validity_low": "Lower end of the 95 % Wilson interval of noise validity.",
    "noise_validity_high": "Upper end of the 95 % Wilson interval of noise validity.",
    "invalidation_rate": (
        "Share of the wanted class that Gaussian noise (0.1 of each range) takes away."
    ),
    "model_change_validity": (
        "Share of retrained models (seed, bootstrap, 1-10 % dropped) that agree."
    ),
    "model_change_seed": "Share of models retrained with another seed that agree.",
    "model_change_bootstrap": "Share of models retrained on bootstrap samples that agree.",
    "model_change_drop": "Share of models retrained without 1-10 % of the rows that agree.",
    "regeneration_stability": (
        "Agreement of the advice for a slightly moved query, same seed; beside regeneration_seeds."
    ),
    "regeneration_seeds": "Agreement of the advice for the same query, other seeds.",
    "lof": "Local outlier factor against training rows of the wanted class.",
    "lof_inliers": "Share of counterfactuals with a local outlier factor up to 1.5.",
    "knn_distance": "Mean L1 distance to the 5 nearest training rows of the wanted class.",
    "fidelity_half": "1-NN fidelity within 0.5 mean absolute deviations.",
    "fidelity_one": "1-NN fidelity within 1 mean absolute deviation.",
    "fidelity_two": "1-NN fidelity within 2 mean absolute deviations.",
    "fidelity_half_baseline": (
        "Accuracy of always answering the query's class, within 0.5 deviations."
    ),
    "fidelity_one_baseline": "Accuracy of always answering the query's class, within 1 deviation.",
    "fidelity_two_baseline": "Accuracy of always answering the query's class, within 2 deviations.",
    "seconds": "Wall time; of a batch the batch's time over its queries.",
    "model_calls": "Count of model calls; of a batch the batch's calls over its queries.",
    "model_rows": "Rows in these calls.",
}
