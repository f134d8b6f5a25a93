"""Image formats, seeds, training helpers: what both auditors stand on."""

import numpy as np
import pytest

from alibi_bridge.formats import ImageFormat
from alibi_bridge.seeds import check_random_state, numpy_stream, seeded
from alibi_bridge.training import Progress, epoch_batches, pick_device
from dice_extended_plugin.errors import InvalidInputError

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("value_range", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_images_survive_the_way_in_and_out(channels, channels_last, value_range):
    fmt = ImageFormat(6, 4, channels, value_range, channels_last)
    low, high = value_range
    X = np.random.default_rng(0).uniform(low, high, (5, *fmt.shape)).astype(np.float32)
    kept = X.copy()
    tensor = fmt.to_tensor(fmt.check(X))
    assert tensor.shape == (5, channels, 6, 4)
    assert tensor.dtype == torch.float32
    assert tensor.min() >= -1
    assert tensor.max() <= 1
    np.testing.assert_allclose(fmt.to_array(tensor), X, atol=1e-6 * (high - low))
    np.testing.assert_array_equal(X, kept)


def test_black_and_white_of_bytes_are_minus_one_and_one():
    X = np.zeros((2, 4, 4, 3), np.uint8)
    X[1] = 255
    fmt = ImageFormat.of(X)
    assert fmt.value_range == (0.0, 255.0)
    tensor = fmt.to_tensor(fmt.check(X))
    assert (tensor[0] == -1).all()
    assert (tensor[1] == 1).all()


def test_a_format_survives_its_description():
    fmt = ImageFormat(8, 9, 3, (-1, 1), False)
    assert ImageFormat.from_dict(fmt.to_dict()) == fmt
    with pytest.raises(InvalidInputError, match="image format"):
        ImageFormat.from_dict({"height": 3})


FMT = ImageFormat(6, 4, 3)


@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.zeros((2, 3, 6, 4)), "channels seem to be first"),
        (np.zeros((6, 4, 3)), "first dimension of 1"),
        (np.zeros((2, 4, 6, 3)), r"expected \(n, 6, 4, 3\)"),
        (np.full((2, 6, 4, 3), 255.0), "value_range"),
        (np.full((2, 6, 4, 3), -1.0), "value_range"),
        (np.full((2, 6, 4, 3), np.nan), "NaN or infinite values in 2 images"),
        (np.full((2, 6, 4, 3), np.inf), "NaN or infinite"),
        (np.full((2, 6, 4, 3), "a"), "not numbers"),
        (np.full((2, 6, 4, 3), None), "not numbers"),
        (np.zeros((2, 6, 4, 3), complex), "complex"),
        (np.full((2, 6, 4, 3), 128, np.uint8), "value_range"),
    ],
)
def test_wrong_images_are_named(X, text):
    with pytest.raises(InvalidInputError, match=text):
        FMT.check(X)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_images_scaled_to_one_are_not_taken_for_black_ones(dtype):
    bytes_format = ImageFormat(6, 4, 3, (0.0, 255.0))
    X = np.zeros((2, 6, 4, 3), dtype)
    assert (bytes_format.check(X) == 0).all()  # black is black
    X[1, 0, 0, 0] = 1
    with pytest.raises(InvalidInputError, match=r"from 0 to 1 only.*scaled to \[0, 1\]"):
        bytes_format.check(X)
    X[0, 0, 0, 0] = 2
    bytes_format.check(X)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ImageFormat.of(np.zeros((2, 3, 8, 8))), "channels_last"),
        (lambda: ImageFormat.of(np.zeros((8, 8, 3))), "four dimensions"),
        (lambda: ImageFormat(8, 8, 3, (1.0, 0.0)), "value of black"),
        (lambda: ImageFormat(8, 8, 3, (0.0, np.nan)), "value of black"),
        (lambda: ImageFormat(8, 8, 3, (0.0,)), "value of black"),
        (lambda: ImageFormat(8, 8, 3, 255), "value of black"),
        (lambda: ImageFormat(8, 8, 3, ("a", "b")), "value of black"),
        (lambda: ImageFormat(0, 8, 3), "empty"),
    ],
)
def test_a_wrong_format_is_refused(make, text):
    with pytest.raises(InvalidInputError, match=text):
        make()


def test_a_stream_depends_on_the_seed_and_its_purpose_only():
    draw = {key: numpy_stream(0, *key).random(3) for key in [("a",), ("b",), ("a", 1), (1, "a")]}
    values = np.array(list(draw.values()))
    assert len(np.unique(values)) == values.size
    np.testing.assert_array_equal(numpy_stream(0, "a").random(3), draw[("a",)])
    assert not np.array_equal(numpy_stream(1, "a").random(3), draw[("a",)])


def test_seeding_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    with seeded(3, "step", 7):
        first = torch.rand(4)
        torch.rand(9)
    with seeded(3, "step", 7):
        again = torch.rand(4)
    with seeded(3, "step", 8):
        other = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("wrong", [-1, 1.5, "0", None, True])
def test_a_seed_is_a_whole_number(wrong):
    with pytest.raises(InvalidInputError, match="random_state"):
        check_random_state(wrong)
    assert check_random_state(np.int64(4)) == 4


def test_batches_can_begin_at_any_step():
    def take(start, count):
        batches = epoch_batches(10, 3, 5, start)
        return [(step, rows.tolist()) for step, rows in (next(batches) for _ in range(count))]

    whole = take(0, 12)
    assert [step for step, _ in whole] == list(range(12))
    assert take(7, 5) == whole[7:]
    for epoch in range(4):  # three full batches an epoch, no row twice
        rows = [row for _, batch in whole[3 * epoch : 3 * epoch + 3] for row in batch]
        assert len(set(rows)) == 9
    assert whole[0][1] != whole[3][1]


@pytest.mark.parametrize(("n", "size"), [(2, 3), (0, 1), (5, 0)])
def test_a_batch_needs_its_rows(n, size):
    with pytest.raises(InvalidInputError, match="batch_size"):
        next(epoch_batches(n, size, 0))


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda")
    with pytest.raises(InvalidInputError, match="nowhere"):
        pick_device("nowhere")


def test_progress_is_silent_unless_asked(capsys):
    for verbose in (False, True):
        with Progress(4, verbose, "train", start=2) as progress:
            progress.update(4, {"loss": 1.0})
        assert bool(capsys.readouterr().err) is verbose
