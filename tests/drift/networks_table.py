"""pymoo, and the hosts of networks: torch, transformers, torchmetrics, captum, Keras and others."""

from reliances import Reliance, has, is_true, named, takes

_SMPSO, _RUN = "alibi_bridge/smpso.py", "alibi_bridge/search_run.py"
_SWIN = "alibi_bridge/counterfactual_gan/swin.py"
_RESNET = "alibi_bridge/counterfactual_gan/discriminator.py"
_KERAS = "dice_extended_plugin/keras_scores.py"


def _row(distribution, target, where, *needs):
    return Reliance(distribution, target, where, needs)


PYMOO = [
    _row("pymoo", f"pymoo.{target}", where, *needs)
    for target, where, needs in (
        ("core.algorithm:Algorithm.setup", _RUN, (takes("self", "problem", "**kwargs"),)),
        ("core.algorithm:Algorithm.ask", _RUN, (takes("self", only=True),)),
        ("core.algorithm:Algorithm.tell", _RUN, (takes("self", "*args", "**kwargs"),)),
        ("core.algorithm:Algorithm._initialize_infill", _SMPSO, (takes("self", only=True),)),
        ("core.algorithm:Algorithm._infill", _SMPSO, (takes("self", only=True),)),
        ("core.algorithm:Algorithm._initialize_advance", _SMPSO, (takes("self", "infills"),)),
        ("core.algorithm:Algorithm._advance", _SMPSO, (takes("self", "infills"),)),
        ("core.algorithm:Algorithm._set_optimum", _SMPSO, (takes("self", only=True),)),
        ("core.population:Population", _SMPSO, (has("new", "merge", "empty", "get", "set"),)),
        (
            "core.problem:Problem.__init__",
            "alibi_bridge/edit_problem.py",
            (takes("self", "n_var", "n_obj", "xl", "xu"),),
        ),
        (
            "core.problem:Problem._evaluate",
            "alibi_bridge/edit_problem.py",
            (takes("self", "x", "out", "*args", "**kwargs"),),
        ),
        ("core.evaluator:Evaluator.eval", _RUN, (takes("self", "problem", "pop"),)),
        ("core.termination:NoTermination", _RUN, ()),
        (
            "operators.sampling.rnd:FloatRandomSampling.__call__",
            "alibi_bridge/engines.py",
            (takes("self", "problem", "**kwargs"),),
        ),
        (
            "algorithms.moo.nsga2:NSGA2.__init__",
            "alibi_bridge/plugin.py",
            (takes("self", "pop_size", "sampling", "**kwargs"),),
        ),
        (
            "algorithms.moo.gde3:GDE3.__init__",
            "alibi_bridge/plugin.py",
            (takes("self", "pop_size", "**kwargs"),),
        ),
        (
            "indicators.hv:HV",
            "alibi_bridge/fronts.py",
            (takes("ref_point"), is_true(lambda hv: _volume(hv) == 0.25, "measures otherwise")),
        ),
        (
            "util.ref_dirs:get_reference_directions",
            "art_bridge/survival.py",
            (is_true(lambda make: _directions(make) == (6, 3), "gives other directions"),),
        ),
    )
]


def _volume(hv):
    import numpy as np

    return float(hv(ref_point=np.ones(2))(np.array([[0.5, 0.5]])))


def _directions(make):
    return make("das-dennis", 3, n_partitions=2).shape


NETWORKS = [
    _row("torch", "torch.utils.dlpack:from_dlpack", _KERAS),
    _row(
        "torch",
        "torch.nn.modules.module:register_module_parameter_registration_hook",
        "alibi_bridge/untrusted.py",
        takes("hook"),
    ),
    _row("torch", "torch:_foreach_lerp_", "alibi_bridge/counterfactual_gan/training.py"),
    _row(
        "torch",
        "torch.nn.utils.parametrizations:spectral_norm",
        "alibi_bridge/counterfactual_gan/parts.py",
        takes("module"),
    ),
    _row("safetensors", "safetensors:SafetensorError", "alibi_bridge/saving.py"),
    _row("safetensors", "safetensors.torch:save", "alibi_bridge/saving.py", takes("tensors")),
    _row("safetensors", "safetensors.torch:load", "alibi_bridge/saving.py", takes("data")),
    _row(
        "transformers",
        "transformers:SwinConfig",
        _SWIN,
        named("image_size", "patch_size", "num_channels", "embed_dim", "depths", "num_heads"),
        named("window_size", "drop_path_rate"),
    ),
    _row(
        "transformers",
        "transformers:SwinBackbone",
        _SWIN,
        is_true(lambda kind: "use_safetensors" in _from_pretrained(kind), "lost use_safetensors"),
    ),
    _row(
        "transformers",
        "transformers:ResNetConfig",
        _RESNET,
        named("num_channels", "embedding_size", "hidden_sizes", "depths", "layer_type"),
    ),
    _row("transformers", "transformers:ResNetModel", _RESNET),
    _row(
        "torchmetrics",
        "torchmetrics.image.fid:FrechetInceptionDistance",
        "alibi_bridge/fid.py",
        takes("feature"),
        has("update", "compute"),
    ),
    _row(
        "torchmetrics",
        "torchmetrics.image.fid:FrechetInceptionDistance.update",
        "alibi_bridge/fid.py",
        takes("self", "imgs", "real"),
    ),
    _row("captum", "captum.attr:LayerGradCam", "alibi_bridge/gradcam.py", takes("layer")),
    _row(
        "captum",
        "captum.attr:LayerGradCam.attribute",
        "alibi_bridge/gradcam.py",
        takes("self", "inputs", "target", "relu_attributions"),
    ),
    _row(
        "vector-quantize-pytorch",
        "vector_quantize_pytorch:VectorQuantize",
        _SWIN,
        named("dim", "codebook_size", "decay", "kmeans_init", "commitment_weight"),
    ),
]
KERAS = [
    _row("tensorflow", "tensorflow:function", _KERAS, takes("func", "reduce_retracing")),
    _row(
        "tensorflow",
        "tensorflow:GradientTape",
        _KERAS,
        takes("persistent", "watch_accessed_variables"),
        has("watch", "gradient"),
    ),
    _row(
        "tensorflow",
        "tensorflow:GradientTape.gradient",
        _KERAS,
        takes("self", "target", "sources", "output_gradients"),
    ),
    _row("tensorflow", "tensorflow.experimental.dlpack", _KERAS, has("to_dlpack", "from_dlpack")),
    _row("tensorflow", "tensorflow.config:list_physical_devices", _KERAS),
    _row(
        "keras",
        "keras:Model",
        _KERAS,
        has("from_config", "get_config", "get_weights", "set_weights", "layers"),
    ),
    _row("keras", "keras:Model.from_config", _KERAS, takes("config", "custom_objects")),
]


def _from_pretrained(kind):
    import inspect

    return inspect.signature(kind.from_pretrained).parameters
