"""Keras models in the torch search: the same answers as their torch twins."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import dice_ml  # noqa: E402
import keras  # noqa: E402
from dice_ml.explainer_interfaces.dice_tensorflow2 import DiceTensorFlow2  # noqa: E402

from dice_extended_plugin import Dice  # noqa: E402
from dice_extended_plugin.differentiable import TorchScores  # noqa: E402
from dice_extended_plugin.explainers.tensorflow2 import DiceExtendedTensorFlow2  # noqa: E402
from dice_extended_plugin.host import DiceInputError  # noqa: E402
from dice_extended_plugin.keras_scores import KerasModule, double  # noqa: E402

#: Enough steps for a small network.
QUICK = {"min_iter": 100, "max_iter": 300}
ACTIVATIONS = {"ReLU": "relu", "Sigmoid": "sigmoid", "Softmax": "softmax", "Tanh": "tanh"}


def keras_twin(module, n_columns: int, functional: bool = False, extra=()):
    """Return a Keras model with the weights of a torch Sequential."""
    first = keras.Input((n_columns,))
    layers, weights = [], []
    for part in module:
        if isinstance(part, torch.nn.Linear):
            layers.append(keras.layers.Dense(part.out_features))
            weights += [part.weight.detach().numpy().T, part.bias.detach().numpy()]
        else:
            layers.append(keras.layers.Activation(ACTIVATIONS[type(part).__name__]))
    layers[1:1] = extra
    if functional:
        out = first
        for layer in layers:
            out = layer(out)
        model = keras.Model(first, out)
    else:
        model = keras.Sequential([first, *layers])
    model.set_weights(weights)
    return model


@pytest.fixture
def twin(fit, space):
    def make(n_outputs: int = 1, **keywords):
        return keras_twin(fit(n_outputs), space.n_columns, **keywords)

    return make


@pytest.fixture
def tf_explainer(data, twin):
    def make(n_outputs: int = 1, model=None, data=data, **keywords):
        model = twin(n_outputs) if model is None else model
        wrapped = dice_ml.Model(model=model, backend="TF2", func="ohe-min-max")
        return DiceExtendedTensorFlow2(data, wrapped, **{"report_draws": 32, **keywords})

    return make


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
@pytest.mark.parametrize("functional", [False, True])
def test_values_and_gradients_are_those_of_torch(fit, twin, space, n_outputs, functional):
    theirs = KerasModule(twin(n_outputs, functional=functional))
    generator = torch.Generator().manual_seed(0)
    rows = torch.rand(50, space.n_columns, generator=generator)
    weight = torch.rand(n_outputs, generator=generator)
    values, slopes = [], []
    for function in (fit(n_outputs), theirs):
        u = rows.clone().requires_grad_(True)
        out = function(u)
        (slope,) = torch.autograd.grad((out @ weight).sum(), u)
        values.append(out.detach().numpy())
        slopes.append(slope.numpy())
    np.testing.assert_allclose(*values, atol=1e-6)
    np.testing.assert_allclose(*slopes, atol=5e-6)  # single precision, two ways of summing


def test_gradients_of_a_double_copy_agree_with_central_differences(twin, space):
    module = KerasModule(double(twin(2), space.n_columns), torch.float64)
    rows = torch.rand(
        4, space.n_columns, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    assert torch.autograd.gradcheck(module, (rows.requires_grad_(True),))


def test_views_into_larger_tensors_are_read_right(twin, space):
    module = KerasModule(twin())
    large = torch.rand(9, space.n_columns + 1, generator=torch.Generator().manual_seed(2))
    view = large[3:, 1:]
    np.testing.assert_allclose(
        module(view).numpy(), module(view.clone()).numpy(), rtol=0, atol=1e-7
    )
    assert module(large[:0, 1:]).shape == (0, 1)


def test_memory_that_tensorflow_would_abort_on_is_copied(twin, space):
    """NumPy aligns to 16 bytes; TensorFlow's CPU kernels end the process on less than 64."""
    module = KerasModule(twin())
    flat = np.random.default_rng(0).uniform(size=7 * space.n_columns + 8).astype(np.float32)
    for shift in range(8):
        rows = flat[shift : shift + 7 * space.n_columns].reshape(7, -1)
        expected = module(torch.tensor(rows))
        np.testing.assert_array_equal(module(torch.as_tensor(rows)).numpy(), expected.numpy())


@pytest.mark.parametrize("robustness", [None, "dice", "validity"])
def test_the_search_finds_what_it_finds_for_the_torch_twin(
    explainer, tf_explainer, queries, robustness
):
    ours, theirs = explainer(robustness=robustness), tf_explainer(robustness=robustness)
    first = ours.generate_counterfactuals(queries[:6], 4, **QUICK)
    second = theirs.generate_counterfactuals(queries[:6], 4, **QUICK)
    assert first.status == second.status
    left, right = (found.to_frame() for found in (first, second))
    same = (left[list(ours.space.names)] == right[list(ours.space.names)]).all(axis=1)
    assert same.mean() > 0.9  # the twins differ in the last digit


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_every_row_is_a_counterfactual_by_keras_own_label(tf_explainer, queries, n_outputs):
    ours = tf_explainer(n_outputs)
    found = ours.generate_counterfactuals(queries, 4, **QUICK)
    table = found.to_frame()

    def labels(frame):
        rows = tf.constant(ours.space.encode(frame[list(ours.space.names)]), tf.float32)
        out = ours.model.model(rows).numpy()
        return (out[:, 0] > 0.5).astype(int) if n_outputs == 1 else out.argmax(1)

    assert found.status.count("ok") == len(queries)
    np.testing.assert_array_equal(labels(table), 1 - labels(queries)[table["query"]])


def test_three_classes(tf_explainer, queries):
    found = tf_explainer(3).generate_counterfactuals(queries, 3, desired_class=2, **QUICK)
    assert (found.to_frame()["progression"] == 2).all()
    assert found.status.count("ok") >= len(queries) - 1


def test_batches_do_not_matter(tf_explainer, queries):
    ours = tf_explainer()
    together = ours.generate_counterfactuals(queries[:5], 3, **QUICK).to_frame()
    for i in range(5):
        alone = ours.generate_counterfactuals(queries[i : i + 1], 3, **QUICK).to_frame()
        mine = together[together["query"] == i].reset_index(drop=True)
        assert alone.drop(columns="query").equals(mine.drop(columns="query"))


def test_dropout_is_off_and_the_model_stays_as_it_is(tf_explainer, twin, queries):
    model = twin(extra=[keras.layers.Dropout(0.5)])
    before = [weight.copy() for weight in model.get_weights()]
    ours = tf_explainer(model=model)
    first = ours.generate_counterfactuals(queries[:3], 3, **QUICK).to_frame()
    assert first.equals(ours.generate_counterfactuals(queries[:3], 3, **QUICK).to_frame())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert model.dtype == "float32"


def test_a_model_trained_further_is_searched_as_it_is_now(tf_explainer, twin, queries):
    model = twin()
    ours = tf_explainer(model=model)
    first = ours.generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()
    model.set_weights([-weight for weight in model.get_weights()])
    second = ours.generate_counterfactuals(queries[:2], 2, **QUICK).to_frame()
    fresh = tf_explainer(model=model).generate_counterfactuals(queries[:2], 2, **QUICK)
    assert second.equals(fresh.to_frame()) and not second.equals(first)


def test_what_is_kept_of_a_model_does_not_keep_it_alive(twin, space):
    model = twin()
    KerasModule(model)(torch.rand(2, space.n_columns))
    KerasModule(double(model, space.n_columns), torch.float64)(
        torch.rand(2, space.n_columns, dtype=torch.float64)
    )
    gone = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert gone() is None


@keras.saving.register_keras_serializable("dice_extended_tests")
class Subclassed(keras.Model):
    """A model that no configuration describes."""

    def __init__(self, inner, **keywords):
        super().__init__(**keywords)
        self.inner = inner

    def call(self, rows, training=False):
        return self.inner(rows, training=training)


def test_a_subclassed_model_is_searched_as_it_is(tf_explainer, twin, space, queries):
    model = Subclassed(twin())
    model(tf.zeros((1, space.n_columns)))
    assert double(model, space.n_columns) is None
    found = tf_explainer(model=model).generate_counterfactuals(queries[:4], 3, **QUICK)
    assert found.status == ["ok"] * 4


def test_a_saved_model_is_loaded_from_its_path(data, twin, queries, tmp_path):
    path = tmp_path / "model.keras"
    twin().save(path)
    wrapped = dice_ml.Model(model_path=str(path), backend="TF2", func="ohe-min-max")
    found = Dice(data, wrapped, method="gradient", report_draws=0).generate_counterfactuals(
        queries[:2], 2, **QUICK
    )
    assert found.status == ["ok", "ok"]


def test_the_factory_knows_it_and_it_is_dice_mls(data, twin):
    wrapped = dice_ml.Model(model=twin(), backend="TF2", func="ohe-min-max")
    for method in ("gradient", "auto"):
        made = Dice(data, wrapped, method=method)
        assert type(made) is DiceExtendedTensorFlow2 and isinstance(made, DiceTensorFlow2)


def test_raw_features_of_a_table_without_levels(table, queries):
    numbers = table[["age", "bmi", "bp", "progression"]]
    data = dice_ml.Data(
        dataframe=numbers, continuous_features=["age", "bmi", "bp"], outcome_name="progression"
    )
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Normalization(), keras.layers.Dense(1, "sigmoid")]
    )
    model.layers[0].adapt(numbers.drop(columns="progression").to_numpy())
    model.layers[1].set_weights([np.array([[0.1], [1.0], [0.7]]), np.zeros(1)])
    wrapped = dice_ml.Model(model=model, backend="TF2")
    found = Dice(data, wrapped, report_draws=0).generate_counterfactuals(
        queries[["age", "bmi", "bp"]], 2, **QUICK
    )
    rows = found.to_frame()[["age", "bmi", "bp"]].to_numpy(dtype=np.float32)
    assert found.status == ["ok"] * len(queries)
    before = (model(queries[["age", "bmi", "bp"]].to_numpy(np.float32)).numpy() > 0.5)[:, 0]
    after = (model(rows).numpy() > 0.5)[:, 0].reshape(-1, 2)
    assert (after != before[:, None]).all()


def test_regression(data, table, queries, space):
    inner = keras.Sequential([keras.Input((space.n_columns,)), keras.layers.Dense(1)])
    generator = np.random.default_rng(0)
    inner.set_weights([generator.normal(size=(space.n_columns, 1)), np.array([2.0])])
    wrapped = dice_ml.Model(model=inner, backend="TF2", func="ohe-min-max", model_type="regressor")
    ours = Dice(data, wrapped, method="gradient", report_draws=16)
    value = inner(tf.constant(space.encode(queries), tf.float32)).numpy()[:, 0]
    wanted = [float(value.max() + 0.2), float(value.max() + 0.6)]
    table = ours.generate_counterfactuals(queries, 2, desired_range=wanted, **QUICK).to_frame()
    assert len(table) > len(queries)
    assert table["progression"].between(*wanted).all()


def test_dice_mls_optimizer_names(tf_explainer, queries):
    ours = tf_explainer()
    for name in ("tensorflow:adam", "tensorflow:rmsprop", "pytorch:adam"):
        assert ours.generate_counterfactuals(queries[:1], 2, optimizer=name, **QUICK).status == [
            "ok"
        ]
    with pytest.raises(DiceInputError, match="optimizer"):
        ours.generate_counterfactuals(queries[:1], 2, optimizer="tensorflow:sgd", **QUICK)


BAD = {
    "backend": (lambda twin: dice_ml.Model(model=object(), backend="sklearn"), ["TF2"]),
    "no model": (
        lambda twin: dice_ml.Model(model=len, backend="TF2", func="ohe-min-max"), ["Keras"]
    ),
    "logits": (
        lambda twin: dice_ml.Model(
            model=keras.Sequential(twin().layers[:-1]), backend="TF2", func="ohe-min-max"
        ), ["probabilities"],
    ),
    "wrong width": (
        lambda twin: dice_ml.Model(
            model=keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")]),
            backend="TF2", func="ohe-min-max",
        ), ["columns"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_models(data, twin, queries, case):
    make, words = BAD[case]
    with pytest.raises(DiceInputError) as error:
        DiceExtendedTensorFlow2(data, make(twin)).generate_counterfactuals(queries[:1], 1, **QUICK)
    assert all(word in str(error.value) for word in words), error.value


def test_a_model_without_gradient_is_refused(tf_explainer, space, queries):
    first = keras.Input((space.n_columns,))
    out = keras.layers.Lambda(lambda rows: tf.round(rows[:, :1]))(first)
    with pytest.raises(DiceInputError, match="gradient"):
        tf_explainer(model=keras.Model(first, out)).generate_counterfactuals(
            queries[:1], 1, **QUICK
        )


def test_importance_and_private_data(tf_explainer, twin, queries, space):
    ours = tf_explainer()
    found = ours.local_feature_importance(queries[:1], total_CFs=10, **QUICK)
    assert set(found.local_importance[0]) == set(space.names)
    private = dice_ml.Data(
        features={
            **{
                f: [float(a), float(b)]
                for f, a, b in zip(space.continuous, space.low, space.high, strict=True)
            },
            **{f: list(v) for f, v in zip(space.categorical, space.levels, strict=True)},
        },
        outcome_name="progression",
        type_and_precision={f: ["float", 2] for f in space.continuous},
    )
    theirs = tf_explainer(data=private)
    assert theirs.generate_counterfactuals(queries[:2], 2, **QUICK).status == ["ok", "ok"]


def test_rows_of_one_search_run_on_the_double_copy(tf_explainer):
    scores = tf_explainer()._scores()
    assert isinstance(scores, TorchScores) and scores.private
    assert scores.searched.dtype == torch.float64 and scores.module.dtype == torch.float32
    rows = np.random.default_rng(0).uniform(size=(5, scores.n_columns))
    np.testing.assert_allclose(scores.numpy(rows), scores.native(rows), atol=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 2, 3, 5])
def test_slopes_formed_with_the_answers_are_those_of_the_tape(space, monkeypatch, n_outputs):
    """Up to four outputs TensorFlow is called once a step; more go through its tape."""
    inputs = keras.Input((space.n_columns,))
    hidden = keras.layers.Dense(6, activation="relu")(inputs)
    hidden = keras.layers.BatchNormalization()(keras.layers.Dropout(0.5)(hidden))
    last = "sigmoid" if n_outputs == 1 else "softmax"
    model = keras.Model(inputs, keras.layers.Dense(n_outputs, activation=last)(hidden))
    rows = torch.rand(40, space.n_columns, generator=torch.Generator().manual_seed(5))
    upstream = torch.rand(40, n_outputs, generator=torch.Generator().manual_seed(6))

    def slope(module):
        u = rows.clone().requires_grad_(True)
        (found,) = torch.autograd.grad(module(u), u, upstream)
        return found.numpy()

    quick = KerasModule(model)
    assert (quick.sloped(space.n_columns) is not None) == (n_outputs <= 4)
    taped = KerasModule(model)
    monkeypatch.setattr(taped, "sloped", lambda width: None)
    np.testing.assert_allclose(slope(quick), slope(taped), rtol=0, atol=1e-6)
    assert len(quick(rows[:0].requires_grad_(True))) == 0
