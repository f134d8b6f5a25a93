"""dice-ml: the classes we subclass, the objects we read, the form of the results."""

from reliances import Reliance, equals, has, is_true, takes

_BATCHED = "dice_extended_plugin/explainers/batched.py"
_WORDS = "dice_extended_plugin/explainers/host_words.py"
_RESULTS = "dice_extended_plugin/results.py"
_DICE = "dice_extended_plugin/dice.py"
_COMMON = (
    *("desired_class='opposite'", "desired_range=None", "permitted_range=None"),
    *("features_to_vary='all'", "stopping_threshold=0.5", "posthoc_sparsity_param=0.1"),
    *("posthoc_sparsity_algorithm='linear'", "verbose=False", "**kwargs"),
)
_FACES = "dice_ml.explainer_interfaces"


def _row(target, where, *needs, distribution="dice-ml"):
    return Reliance(distribution, target, where, needs)


TABLE = [
    _row("dice_ml:Dice", _DICE, has("decide_implementation_type")),
    _row(
        "dice_ml:Dice.__init__",
        _DICE,
        takes("self", "data_interface", "model_interface", "method='random'", "**kwargs"),
    ),
    _row(
        "dice_ml:Dice.decide_implementation_type",
        _DICE,
        takes("self", "data_interface", "model_interface", "method", "**kwargs"),
    ),
    _row("dice_ml.dice:decide", _DICE, takes("model_interface", "method", only=True)),
    _row("dice_ml:Data", "dice_extended_plugin/datasets.py"),
    _row(
        "dice_ml:Model.__init__",
        "dice_extended_plugin/demo.py",
        takes("self", "model=None", "model_path=''", "backend='TF1'", "model_type='classifier'"),
        takes("func=None", "kw_args=None"),
    ),
    _row(
        f"{_FACES}.explainer_base:ExplainerBase.__init__",
        "dice_extended_plugin/explainers/differentiable.py",
        takes("self", "data_interface", "model_interface=None"),
    ),
    _row(
        f"{_FACES}.explainer_base:ExplainerBase.generate_counterfactuals",
        _BATCHED,
        takes("self", "query_instances", "total_CFs", *_COMMON, only=True),
    ),
    _row(
        f"{_FACES}.explainer_base:ExplainerBase._generate_counterfactuals",
        _BATCHED,
        takes("self", "query_instance", "total_CFs", "**kwargs"),
    ),
    _row(
        f"{_FACES}.explainer_base:ExplainerBase.feature_importance",
        _BATCHED,  # inherited; calls our generate_counterfactuals
        takes("self", "query_instances", "cf_examples_list=None", "total_CFs=10"),
    ),
    *(
        _row(f"{_FACES}.explainer_base:ExplainerBase.{name}", _WORDS, takes(*arguments))
        for name, arguments in (
            ("_validate_counterfactual_configuration", ("self", "query_instances", "total_CFs")),
            ("setup", ("self", "features_to_vary", "permitted_range", "query_instance")),
            ("infer_target_cfs_class", ("self", "desired_class_input", "original_pred")),
        )
    ),
    *(
        _row(
            f"{_FACES}.{module}:{name}",
            f"dice_extended_plugin/explainers/{ours}.py",
            is_true(lambda kind: kind.__mro__[1].__name__ == "ExplainerBase", "has other bases"),
        )
        for module, name, ours in (
            ("dice_pytorch", "DicePyTorch", "pytorch"),
            ("dice_random", "DiceRandom", "random"),
            ("dice_genetic", "DiceGenetic", "genetic"),
            ("dice_KD", "DiceKD", "kdtree"),
        )
    ),
    _row(
        "dice_ml.diverse_counterfactuals:CounterfactualExamples.__init__",
        "dice_extended_plugin/assemble.py",
        takes("self", "data_interface=None", "final_cfs_df=None", "test_instance_df=None"),
        takes("final_cfs_df_sparse=None", "posthoc_sparsity_param=0", "desired_range=None"),
        takes("desired_class='opposite'", "model_type='classifier'"),
    ),
    _row(
        "dice_ml.counterfactual_explanations:CounterfactualExplanations.__init__",
        _RESULTS,
        takes("self", "cf_examples_list", "local_importance=None", "summary_importance=None"),
        takes("version=None"),
    ),
    _row(
        "dice_ml.counterfactual_explanations:CounterfactualExplanations",
        _RESULTS,
        has("to_json", "from_json", "cf_examples_list", "metadata", "visualize_as_dataframe"),
    ),
    _row(
        "dice_ml.constants:ModelTypes",
        "dice_extended_plugin/assemble.py",
        is_true(lambda t: (t.Classifier, t.Regressor) == ("classifier", "regressor"), "renamed"),
    ),
    _row("dice_ml.constants:_SchemaVersions.CURRENT_VERSION", _RESULTS, equals("2.0")),
    _row(
        "raiutils.exceptions:UserConfigValidationException",
        "dice_extended_plugin/host.py",
        is_true(lambda kind: issubclass(kind, Exception), "is no exception"),
        distribution="raiutils",
    ),
]
