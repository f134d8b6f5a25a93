"""The method: answer with training rows."""

import numpy as np
from dice_ml.constants import ModelTypes
from dice_ml.diverse_counterfactuals import CounterfactualExamples
from dice_ml.explainer_interfaces.explainer_base import ExplainerBase
from raiutils.exceptions import UserConfigValidationException


class PrototypeExplainer(ExplainerBase):
    """The k nearest training rows that the model predicts as the desired class.

    Distance: range-scaled difference per continuous feature, 1 per category that differs.
    """

    def __init__(self, data_interface, model_interface):
        super().__init__(data_interface, model_interface)
        if model_interface.model_type != ModelTypes.Classifier:
            raise UserConfigValidationException("method 'prototype' is for classifiers")

    def _generate_counterfactuals(
        self,
        query_instance,
        total_CFs,
        desired_class="opposite",
        desired_range=None,
        permitted_range=None,
        features_to_vary="all",
        posthoc_sparsity_param=0.1,
        **unused,
    ):
        vary = self.setup(features_to_vary, permitted_range, query_instance, None)
        outcome = self.data_interface.outcome_name
        query = self.data_interface.prepare_query_instance(query_instance)
        rows = self.data_interface.data_df[self.data_interface.feature_names].drop_duplicates()

        own, classes = self._labels(query)
        if desired_class == "opposite":
            if classes != 2:
                raise UserConfigValidationException("say which desired_class: there are several")
            desired_class = 1 - own[0]
        labels, _ = self._labels(rows)
        chosen = (labels == desired_class) & self._permitted(rows, query, vary)
        order = np.argsort(self._distances(rows[chosen], query), kind="stable")[:total_CFs]
        found = rows[chosen].iloc[order].reset_index(drop=True)
        found[outcome] = labels[chosen][order]

        query[outcome] = own
        query, found, _ = self.decode_to_original_labels(query, found, None)
        return CounterfactualExamples(
            data_interface=self.data_interface,
            final_cfs_df=found,
            final_cfs_df_sparse=found.copy(),
            test_instance_df=query,
            posthoc_sparsity_param=posthoc_sparsity_param,
            desired_class=int(desired_class),
            model_type=self.model.model_type,
        )

    def _labels(self, rows):
        """Class index of every row, from one model call, and the number of classes."""
        scores = np.asarray(self.model.get_output(rows)).reshape(len(rows), -1)
        if scores.shape[1] == 1:  # one sigmoid output
            scores = np.hstack([1 - scores, scores])
        return scores.argmax(axis=1), scores.shape[1]

    def _permitted(self, rows, query, vary):
        permitted = np.ones(len(rows), dtype=bool)
        for name in rows:
            allowed = self.feature_range[name]
            if name not in vary:
                inside = rows[name] == query[name].iloc[0]
            elif name in self.data_interface.continuous_feature_names:
                inside = rows[name].between(*allowed)
            else:
                inside = rows[name].isin([str(level) for level in allowed])
            permitted = permitted & inside.to_numpy()
        return permitted

    def _distances(self, rows, query):
        continuous = self.data_interface.continuous_feature_names
        categorical = self.data_interface.categorical_feature_names
        table = self.data_interface.data_df[continuous]
        width = (table.max() - table.min()).replace(0, 1)
        steps = (rows[continuous] - query[continuous].iloc[0]).abs() / width
        changed = rows[categorical].to_numpy(str) != query[categorical].to_numpy(str)
        return steps.sum(axis=1).to_numpy() + changed.sum(axis=1)
