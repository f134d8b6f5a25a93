"""Every kind of classifier gives the same probabilities through one function."""

from fractions import Fraction

import numpy as np
import pytest

from alibi_bridge.formats import ImageFormat
from alibi_bridge.predictors import as_predictor
from dice_extended_plugin.errors import InvalidInputError

FORMAT = ImageFormat(4, 5, 3)


def images(n=6, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (n, *FORMAT.shape)).astype(np.float32)


def three(X):
    scores = np.stack([X.mean((1, 2, 3)), X[:, 0].mean((1, 2)), X[:, :, 0].mean((1, 2))], axis=1)
    return scores / scores.sum(axis=1, keepdims=True)


def test_a_function_is_taken_as_it_is_and_counted():
    predictor = as_predictor(three, FORMAT)
    np.testing.assert_allclose(predictor(images()), three(images()), atol=1e-7)
    predictor(images(2))
    assert (predictor.calls, predictor.images, predictor.n_classes) == (2, 8, 3)
    predictor.reset()
    assert (predictor.calls, predictor.images) == (0, 0)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_a_function_may_write_to_what_it_gets(dtype):
    def in_place(X):
        assert X.dtype == np.float32
        X -= 100
        X /= 100
        return three(1 + X)

    given = (255 * images()).astype(dtype)
    before = given.copy()
    found = as_predictor(in_place, FORMAT)(given)
    np.testing.assert_array_equal(given, before)
    np.testing.assert_allclose(found, three(given.astype(float)), atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_tensors_of_any_width(dtype):
    torch = pytest.importorskip("torch")
    answer = torch.full((4, 2), 0.5, dtype=getattr(torch, dtype), requires_grad=True)
    np.testing.assert_array_equal(as_predictor(lambda X: answer, FORMAT)(images(4)), 0.5)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_column_is_the_second_class(shape):
    predictor = as_predictor(lambda X: X.mean((1, 2, 3)).reshape(shape), FORMAT)
    found = predictor(images())
    np.testing.assert_allclose(found[:, 1], images().mean((1, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_logits():
    logits = np.array([[1.0, 3.0, -2.0], [800.0, -800.0, 0.0]])
    found = as_predictor(lambda X: logits, FORMAT, "logits")(images(2))
    np.testing.assert_allclose(found[0], np.exp(logits[0]) / np.exp(logits[0]).sum())
    np.testing.assert_allclose(found[1], [1, 0, 0])
    found = as_predictor(lambda X: np.array([0.0, np.log(3)]), FORMAT, "logits")(images(2))
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.25, 0.75]])


def test_labels():
    found = as_predictor(lambda X: np.array([0, 1, 1]), FORMAT, "labels")(images(3))
    np.testing.assert_array_equal(found, [[1, 0], [0, 1], [0, 1]])
    found = as_predictor(lambda X: np.array([[2], [0]]), FORMAT, "labels", n_classes=3)(images(2))
    np.testing.assert_array_equal(found, [[0, 0, 1], [1, 0, 0]])
    with pytest.raises(InvalidInputError, match="n_classes"):
        as_predictor(lambda X: np.array([2, 0]), FORMAT, "labels")(images(2))
    with pytest.raises(InvalidInputError, match="one class number"):
        as_predictor(three, FORMAT, "labels")(images(2))


@pytest.mark.parametrize("channels_last", [True, False])
def test_torch_modules_get_channels_first_and_keep_their_mode(channels_last):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = torch.nn.Dropout(0.5)
            self.layer = torch.nn.Linear(3, 2)

        def forward(self, x):
            assert x.shape[1:] == (3, 4, 5)
            return self.layer(self.drop(x).mean((2, 3)))

    net = Net()
    layout = ImageFormat(4, 5, 3, channels_last=channels_last)
    X = images() if channels_last else images().transpose(0, 3, 1, 2)
    predictor = as_predictor(net, layout, "logits")
    found = predictor(X)
    assert net.training and net.drop.training
    assert net.layer.weight.grad is None
    net.eval()
    mean = torch.from_numpy(images().mean((1, 2)))
    expected = net.layer(mean).softmax(1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_sklearn_classifiers_get_flat_images():
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    X = images(40)
    flat, y = X.reshape(40, -1), np.where(X.mean((1, 2, 3)) > 0.5, "yes", "no")
    model = LogisticRegression().fit(flat, y)
    np.testing.assert_allclose(as_predictor(model, FORMAT)(X), model.predict_proba(flat))
    found = as_predictor(model, FORMAT, "labels")(X)
    np.testing.assert_array_equal(found.argmax(1), model.predict(flat) == "yes")
    plain = LinearSVC().fit(flat, y)
    found = as_predictor(plain, FORMAT, "labels")(X)
    np.testing.assert_array_equal(found.argmax(1), plain.predict(flat) == "yes")
    with pytest.raises(InvalidInputError, match="outputs='labels'"):
        as_predictor(plain, FORMAT)


@pytest.mark.slow
def test_keras_models():
    keras = pytest.importorskip("keras")
    model = keras.Sequential(
        [keras.Input((4, 5, 3)), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")]
    )
    found = as_predictor(model, FORMAT)(images())
    np.testing.assert_allclose(found[:, 1], np.asarray(model(images()))[:, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (np.full((6, 2), np.nan), "NaN or infinity for 6 of 6"),
        (np.full((5, 2), 0.5), r"one row per image.*\(5, 2\)"),
        (np.full((6, 2, 2), 0.5), r"\(n, classes\)"),
        (np.full((6, 0), 0.5), r"\(n, classes\)"),
        (np.full((6, 2), 3.0), "outputs='logits'"),
        (np.full((6, 3), 0.9), "sum to"),
        (np.float64(1.0), "one row per image"),
        (np.array(["a"] * 6), "numbers"),
        (np.full((6, 2), 0.5 + 0j), "complex"),
        ([[0.5, 0.5]] * 5 + [[1.0]], "array"),
    ],
)
def test_bad_answers(answer, text):
    with pytest.raises(InvalidInputError, match=text):
        as_predictor(lambda X: answer, FORMAT)(images())


def test_the_number_of_classes_must_not_change():
    predictor = as_predictor(lambda X: np.full((len(X), len(X)), 1 / len(X)), FORMAT)
    predictor(images(3))
    with pytest.raises(InvalidInputError, match="4 classes, 3"):
        predictor(images(4))


def test_bad_arguments():
    with pytest.raises(InvalidInputError, match="predictor must be"):
        as_predictor(3, FORMAT)
    with pytest.raises(InvalidInputError, match="is the class Fraction; give an object"):
        as_predictor(Fraction, FORMAT)
    with pytest.raises(InvalidInputError, match="outputs"):
        as_predictor(three, FORMAT, "probabilities")
    with pytest.raises(InvalidInputError, match="n_classes"):
        as_predictor(three, FORMAT, n_classes=1)
