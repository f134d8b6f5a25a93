"""ART: what an attack, a trainer and a detector are, and the registry that we add to."""

from reliances import Reliance, equals, has, is_true, named, takes

_ATTACK = "art_bridge/attack_base.py"
_BASE = "art_bridge/baselines.py"
_CURVES = "alibi_bridge/attacks.py"


def _row(target, where, *needs):
    return Reliance("adversarial-robustness-toolbox", target, where, needs)


TABLE = [
    _row(
        "art.attacks.attack:EvasionAttack",
        _ATTACK,
        has("attack_params", "_estimator_requirements", "set_params", "_check_params", "targeted"),
        is_true(lambda kind: isinstance(kind.attack_params, list), "keeps no list attack_params"),
    ),
    _row(
        "art.attacks.attack:EvasionAttack.generate",
        _ATTACK,
        takes("self", "x", "y=None", "**kwargs", only=True),
    ),
    _row(
        "art.attacks.attack:Attack.__init__",
        _ATTACK,
        takes("self", "estimator"),
    ),
    _row(
        "art.config:ART_NUMPY_DTYPE", _ATTACK, is_true(lambda d: d().itemsize == 4, "not float32")
    ),
    _row("art.estimators.estimator:BaseEstimator", _ATTACK, has("predict", "fit", "clip_values")),
    _row("art.estimators.classification.classifier:ClassifierMixin", _ATTACK, has("nb_classes")),
    _row("art.defences.trainer:Trainer", "art_bridge/trainer.py", has("get_classifier")),
    _row(
        "art.defences.trainer:Trainer.__init__",
        "art_bridge/trainer.py",
        takes("self", "classifier"),
    ),
    _row(
        "art.defences.trainer:Trainer.fit",
        "art_bridge/trainer.py",
        takes("self", "x", "y", "**kwargs", only=True),
    ),
    _row(
        "art.defences.detector.evasion:EvasionDetector",
        "art_bridge/detector.py",
        has("defence_params", "set_params", "get_params"),
    ),
    _row(
        "art.defences.detector.evasion:EvasionDetector.fit",
        "art_bridge/detector.py",
        takes("self", "x", "y", "batch_size=128", "nb_epochs=20", "**kwargs", only=True),
    ),
    _row(
        "art.defences.detector.evasion:EvasionDetector.detect",
        "art_bridge/detector.py",
        takes("self", "x", "batch_size=128", "**kwargs", only=True),
    ),
    _row(
        "art.exceptions:EstimatorError.__init__",
        "art_bridge/inputs.py",
        takes("self", "this_class", "class_expected_list", "classifier_given"),
    ),
    _row(
        "art.metrics.metrics:SUPPORTED_METHODS",
        "art_bridge/register.py",
        is_true(
            lambda methods: all({"class", "params"} <= entry.keys() for entry in methods.values()),
            "has other entries than {'class', 'params'}",
        ),
    ),
    _row(
        "art.metrics:empirical_robustness",
        "art_bridge/register.py",
        takes("classifier", "x", "attack_name", "attack_params=None"),
    ),
    _row(
        "art.metrics:adversarial_accuracy",
        "art_bridge/register.py",
        takes("classifier", "x", "y=None", "attack_name=None", "attack_params=None"),
    ),
    _row(
        "art.estimators.classification:PyTorchClassifier.__init__",
        "alibi_bridge/counterfactual_gan/art_view.py",
        takes("self", "model", "loss", "input_shape", "nb_classes"),
        named("channels_first", "clip_values", "device_type"),
    ),
    _row(
        "art.estimators.classification:PyTorchClassifier",
        "art_bridge/refit.py",
        has("clone_for_refitting", "class_gradient", "loss_gradient", "input_shape"),
    ),
    _row(
        "art.estimators.classification:SklearnClassifier",
        "art_bridge/refit.py",
        takes("model", "clip_values"),
    ),
    _row(
        "art.attacks.evasion:HopSkipJump._perturb",
        _BASE,
        takes("self", "x", "y", "y_p", "init_pred", "adv_init", "mask", "clip_min", "clip_max"),
    ),
    _row(
        "art.attacks.evasion:DeepFool.__init__",
        _BASE,
        takes("self", "classifier", "max_iter", "epsilon", "nb_grads", "batch_size", "verbose"),
    ),
    _row(
        "art.attacks.evasion:LowProFool",
        _BASE,
        has("_LowProFool__get_gradients", "_LowProFool__weighted_lp_norm_gradient"),
    ),
    _row(
        "art.attacks.evasion:LowProFool.__init__",
        _BASE,
        takes("self", "classifier", "n_steps", "lambd", "norm", "importance", "verbose"),
    ),
    *(
        _row(
            f"art.attacks.evasion:{name}.__init__", _CURVES, takes("estimator", "eps", "batch_size")
        )
        for name in ("ProjectedGradientDescentPyTorch", "AutoProjectedGradientDescent")
    ),
    _row(
        "art.attacks.evasion:SquareAttack.__init__",
        _CURVES,
        takes("estimator", "eps", "batch_size"),
    ),
    _row(
        "art.defences.detector.evasion:EvasionDetector.defence_params",
        "art_bridge/detector.py",
        equals([]),
    ),
]
