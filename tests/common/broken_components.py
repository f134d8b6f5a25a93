"""Components that break one promise each, made of one that keeps them all."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd

from dice_extended_plugin import DiceExtendedRandom
from dice_extended_plugin.explainers.kdtree import DiceExtendedKD
from dice_extended_plugin.metric import Metric, metric

# -- dice-ml methods ----------------------------------------------------------------------------


class Good(DiceExtendedKD):
    """Keeps every promise; quick."""


class WritesIntoQueries(Good):
    def generate_counterfactuals(self, query_instances, total_CFs, *args, **kwargs):
        query_instances["age"] += 1
        return super().generate_counterfactuals(query_instances, total_CFs, *args, **kwargs)


class OtherDefault(Good):
    def generate_counterfactuals(
        self,
        query_instances,
        total_CFs,
        desired_class=1,
        desired_range=None,
        permitted_range=None,
        features_to_vary="all",
        stopping_threshold=0.5,
        posthoc_sparsity_param=0.1,
        posthoc_sparsity_algorithm="linear",
        verbose=False,
        **kwargs,
    ):
        return super().generate_counterfactuals(
            query_instances, total_CFs, desired_class, desired_range, permitted_range, **kwargs
        )


class Forwarding(Good):
    """Changes the arguments of a call, or its result."""

    def before(self, queries, keywords):
        return keywords

    def after(self, found, keywords):
        return found

    def generate_counterfactuals(
        self,
        query_instances,
        total_CFs,
        desired_class="opposite",
        desired_range=None,
        permitted_range=None,
        features_to_vary="all",
        stopping_threshold=0.5,
        posthoc_sparsity_param=0.1,
        posthoc_sparsity_algorithm="linear",
        verbose=False,
        **kwargs,
    ):
        keywords = {
            "total_CFs": total_CFs,
            "desired_class": desired_class,
            "desired_range": desired_range,
            "permitted_range": permitted_range,
            "features_to_vary": features_to_vary,
            "stopping_threshold": stopping_threshold,
            "posthoc_sparsity_param": posthoc_sparsity_param,
            "posthoc_sparsity_algorithm": posthoc_sparsity_algorithm,
            **kwargs,
        }
        given = self.before(query_instances, dict(keywords))
        return self.after(super().generate_counterfactuals(query_instances, **given), keywords)


class IgnoresFeaturesToVary(Forwarding):
    def before(self, queries, keywords):
        return {**keywords, "features_to_vary": "all" if keywords["features_to_vary"] else []}


class IgnoresPermittedRange(Forwarding):
    def before(self, queries, keywords):
        return {**keywords, "permitted_range": None}


class LiesAboutValidity(Forwarding):
    """Adds a row that is the query itself, with the wanted class written beside it."""

    def after(self, found, keywords):
        for example in found.cf_examples_list:
            for rows in (example.final_cfs_df, example.final_cfs_df_sparse):
                if rows is not None and len(rows):
                    label = rows["loan"].iloc[0]
                    for name in example.test_instance_df:
                        rows.loc[0, name] = example.test_instance_df[name].iloc[0]
                    rows.loc[0, "loan"] = label
        return found


class DependsOnTheBatch(Forwarding):
    def before(self, queries, keywords):
        most = keywords["total_CFs"]
        return {**keywords, "total_CFs": 1 if len(queries) > 1 and most == 2 else most}


class DrawsAnew(DiceExtendedRandom):
    def __init__(self, data_interface, model_interface, **keywords):
        keywords.pop("random_state", None)
        super().__init__(data_interface, model_interface, random_state=None, **keywords)


class NeverStopsAsking(Forwarding):
    """Asks until it has what was wanted: for ever, where there is nothing to find."""

    def after(self, found, keywords):
        while not any(len(e.final_cfs_df) for e in found.cf_examples_list):
            try:
                self.model.get_output(found.cf_examples_list[0].test_instance_df[_FEATURES])
            except Exception:
                continue
        return found


class NeverReturns(Forwarding):
    """The same, without asking the model."""

    def after(self, found, keywords):
        while not any(len(e.final_cfs_df) for e in found.cf_examples_list):
            time.sleep(0.01)
        return found


_FEATURES = ["age", "job", "income", "smoker"]


class WrongError(Forwarding):
    def before(self, queries, keywords):
        if keywords["total_CFs"] == 0:
            raise KeyError("total_CFs")
        return keywords


class StateAfterError(Forwarding):
    """What it was asked last, also in vain, narrows the next call."""

    vary = "all"

    def before(self, queries, keywords):
        if keywords["stopping_threshold"] > 1:
            self.vary = ["smoker"]
        return {**keywords, "features_to_vary": keywords["features_to_vary"] and self.vary}


class LosesRowsInJson(Forwarding):
    def after(self, found, keywords):
        found.to_json = lambda: type(found)(found.cf_examples_list[:1]).to_json()
        return found


class ReturnsAFrame(Forwarding):
    def after(self, found, keywords):
        return found.to_frame()


class LeavesTheData(Forwarding):
    def after(self, found, keywords):
        for example in found.cf_examples_list:
            for rows in (example.final_cfs_df, example.final_cfs_df_sparse):
                rows["income"] = 1000.0
        return found


class SaysOk(Forwarding):
    def after(self, found, keywords):
        for example in found.cf_examples_list:
            example.status = "ok"
        return found


class Reseeds(Forwarding):
    def before(self, queries, keywords):
        np.random.seed(0)
        return keywords


class OverrunsItsBudget(Forwarding):
    def before(self, queries, keywords):
        keywords.pop("max_model_calls", None)
        for _ in range(300):
            self.model.get_output(queries)
        return keywords


class LeaksRanges(Forwarding):
    ranges = None

    def before(self, queries, keywords):
        self.ranges = keywords["permitted_range"] or self.ranges
        return {**keywords, "permitted_range": self.ranges}


#: Component -> the check that tells what is wrong with it.
METHODS = {
    WritesIntoQueries: "check_input_untouched",
    OtherDefault: "check_signature",
    IgnoresFeaturesToVary: "check_constraints_kept",
    IgnoresPermittedRange: "check_constraints_kept",
    LiesAboutValidity: "check_validity",
    DependsOnTheBatch: "check_batch_splits",
    DrawsAnew: "check_same_result_again",
    NeverStopsAsking: "check_ends",
    NeverReturns: "check_ends",
    WrongError: "check_error_classes",
    StateAfterError: "check_no_state_after_error",
    LosesRowsInJson: "check_json_round_trip",
    ReturnsAFrame: "check_result_type",
    LeavesTheData: "check_data_ranges_kept",
    SaysOk: "check_status",
    Reseeds: "check_global_generators",
    OverrunsItsBudget: "check_budgets",
    LeaksRanges: "check_no_leak",
}

# -- metrics ------------------------------------------------------------------------------------


def number(compute, name="measured", direction="higher", low=0, high=1, **more):
    """Make a metric of a function, without the decorator's help."""
    values = {"chance": "", "reference": "a page", "summary": "A number.", **more}
    return Metric(name, direction, low, high, compute=compute, **values)


@metric("higher", 0, 1, "a page")
def good_metric(sets):
    """Share of rows that are valid."""
    return sets.mean(sets.valid)


def _writes(sets):
    sets.u[:] = 0.0
    return sets.mean(sets.valid)


_order = itertools.count()

#: What is wrong -> metric, and the check that tells.
METRICS = {
    "out of its range": (number(lambda s: 3.0 + s.mean(s.valid)), "check_values_in_range"),
    "all NaN": (number(lambda s: np.full(s.n_queries, np.nan)), "check_values_in_range"),
    "one number for all": (number(lambda s: 0.5), "check_values_in_range"),
    "no summary": (number(lambda s: s.mean(s.valid), summary=" "), "check_states_what_it_means"),
    "an empty range": (
        number(lambda s: s.mean(s.valid), low=1, high=0),
        "check_states_what_it_means",
    ),
    "no reference": (number(lambda s: s.mean(s.valid), reference=""), "check_reference"),
    "writes": (number(_writes), "check_input_untouched"),
    "depends on others": (
        number(lambda s: np.full(s.n_queries, s.valid.mean())),
        "check_batch_splits",
    ),
    "differs each time": (
        number(lambda s: np.full(s.n_queries, 1 / (1 + next(_order)))),
        "check_same_result_again",
    ),
    "fails without rows": (number(lambda s: np.full(s.n_queries, s.u.min())), "check_no_rows"),
    "hides what it needs": (
        number(lambda s: np.full(s.n_queries, len(s.judge._reference()) / 1000)),
        "check_needs_are_stated",
    ),
    "draws globally": (number(lambda s: np.random.rand(s.n_queries)), "check_global_generators"),
    "no metric": (lambda sets: sets.mean(sets.valid), "check_type"),
}


def frame_like(rows: pd.DataFrame) -> pd.DataFrame:
    """A copy with its columns turned round."""
    return rows[list(rows.columns)[::-1]]
