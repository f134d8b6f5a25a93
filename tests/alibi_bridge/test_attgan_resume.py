"""A training that was interrupted, wherever, ends as one that was not, bit by bit."""

from __future__ import annotations

import shutil
import warnings

import pytest

torch = pytest.importorskip("torch")

from alibi_bridge.attgan import AttGAN, DeadAttributesWarning, Schedule  # noqa: E402
from alibi_bridge.attgan import model as module  # noqa: E402
from alibi_bridge.faces import procedural_faces  # noqa: E402
from alibi_bridge.images import ArraySource  # noqa: E402
from dice_extended_plugin.errors import InvalidInputError  # noqa: E402

FACES = procedural_faces(40, random_state=7)
STEPS, EVERY = 7, 3


class Stop(BaseException):
    """Not an Exception: like KeyboardInterrupt, it may come at any time."""


class Source(ArraySource):
    """Stops at the `after`-th batch, in the middle of a step."""

    after = -1

    def batch(self, indices):
        if self.after == 0:
            raise Stop
        self.after -= 1
        return super().batch(indices)


def model(**changes):
    schedule = Schedule(batch_size=4, critic_steps=2, average=0.9, judge_steps=1)
    return AttGAN(FACES.names, 32, width=4, **{"schedule": schedule, **changes})


def fit(gan, folder, source=None, **settings):
    source = source or Source(FACES.images, FACES.attributes, FACES.names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeadAttributesWarning)
        return gan.fit(
            source, **{"steps": STEPS, "checkpoint": folder, "checkpoint_every": EVERY, **settings}
        )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return fit(model(), None)


def assert_same(one, other):
    first, second = one.tensors(), other.tensors()
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    assert one.report_ == other.report_


def test_checkpoints_change_nothing(tmp_path, whole):
    assert_same(fit(model(), tmp_path / "checkpoint"), whole)


@pytest.mark.parametrize("last", range(STEPS))
def test_stopped_after_a_step(tmp_path, whole, last):
    def stop(step, **_):
        if step == last:
            raise Stop

    stopped = model()
    with pytest.raises(Stop):
        fit(stopped, tmp_path / "checkpoint", callbacks=[stop])
    with pytest.raises(InvalidInputError, match="not trained"):
        stopped.save(tmp_path / "model")
    seen = []
    resumed = fit(model(), tmp_path / "checkpoint", callbacks=[lambda step, **_: seen.append(step)])
    assert_same(resumed, whole)
    done = STEPS if last == STEPS - 1 else (last + 1) // EVERY * EVERY
    assert seen == list(range(done, STEPS)), "what was done is not done again"


# One batch is read for the fingerprint of the data, then three for each step, then some for the
# attribute classifier.
@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 11, 14, 21, 23, 25])
def test_stopped_in_the_middle_of_anything(tmp_path, whole, after):
    source = Source(FACES.images, FACES.attributes, FACES.names)
    source.after = after
    with pytest.raises(Stop):
        fit(model(), tmp_path / "checkpoint", source)
    assert_same(fit(model(), tmp_path / "checkpoint"), whole)


def test_stopped_again_and_again(tmp_path, whole):
    for after in (12, 6, 14):
        source = Source(FACES.images, FACES.attributes, FACES.names)
        source.after = after
        with pytest.raises(Stop):
            fit(model(), tmp_path / "checkpoint", source)
    assert_same(fit(model(), tmp_path / "checkpoint"), whole)


@pytest.mark.parametrize("moment", ["before the moves", "between the moves", "after the moves"])
def test_stopped_while_writing(tmp_path, whole, monkeypatch, moment):
    from alibi_bridge import saving

    real, count = saving._swap, []

    def swap(new, place):
        count.append(1)
        if len(count) < 2:
            return real(new, place)
        if moment == "between the moves":
            place.rename(saving._aside(place))
        if moment == "after the moves":
            real(new, place)
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(saving, "_swap", swap)
        with pytest.raises(Stop):
            fit(model(), tmp_path / "checkpoint")
    seen = []
    note = [lambda step, **_: seen.append(step)]
    assert_same(fit(model(), tmp_path / "checkpoint", callbacks=note), whole)
    assert seen[0] == (6 if moment == "after the moves" else 3)


def test_stopped_while_measuring(tmp_path, whole, monkeypatch):
    def stop(*_, **__):
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(module, "edit_report", stop)
        with pytest.raises(Stop):
            fit(model(), tmp_path / "checkpoint")
    seen = []
    note = [lambda step, **_: seen.append(step)]
    assert_same(fit(model(), tmp_path / "checkpoint", callbacks=note), whole)
    assert not seen, "all steps were done"


def test_begin_anew(tmp_path, whole):
    fit(model(), tmp_path / "checkpoint")
    seen = []
    note = [lambda step, **_: seen.append(step)]
    assert_same(fit(model(), tmp_path / "checkpoint", resume=False, callbacks=note), whole)
    assert seen == list(range(STEPS))


@pytest.mark.parametrize(
    ("gan", "settings", "text"),
    [
        ({}, {"steps": 9}, "steps"),
        ({"random_state": 1}, {}, "random_state, data"),
        ({"depth": 2}, {}, "architecture"),
        ({"schedule": Schedule(batch_size=4, critic_steps=1, judge_steps=1)}, {}, "schedule"),
        ({"exclusive": [["hat", "bangs"]]}, {}, "exclusive"),
        ({}, {"validation": 0.2}, "images, data"),
        ({}, {"other": True}, "data"),
    ],
)
def test_the_checkpoint_of_another_training(tmp_path, gan, settings, text):
    fit(model(), tmp_path / "checkpoint", steps=3 if "steps" not in settings else STEPS)
    settings = {"steps": 3, **settings}
    source = None
    if settings.pop("other", False):
        other = procedural_faces(40, random_state=8)
        source = Source(other.images, other.attributes, other.names)
    with pytest.raises(InvalidInputError, match=f"another training: its {text} differ"):
        fit(model(**gan), tmp_path / "checkpoint", source, **settings)


@pytest.mark.parametrize("row", [0, 13, 22])
def test_one_other_label_is_another_training(tmp_path, monkeypatch, row):
    from alibi_bridge.attgan import checkpoints

    monkeypatch.setattr(checkpoints, "_LOOKED_AT", 2)
    held_out = FACES.images[:4], FACES.attributes[:4]
    fit(model(), tmp_path / "checkpoint", validation=held_out)
    A = FACES.attributes.copy()
    A[row, 3] = 1 - A[row, 3]
    with pytest.raises(InvalidInputError, match="its data differ"):
        source = Source(FACES.images, A, FACES.names)
        fit(model(), tmp_path / "checkpoint", source, validation=held_out)


def test_a_damaged_checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    fit(model(), folder)
    weights = folder / "weights.safetensors"
    blob = weights.read_bytes()
    weights.write_bytes(blob[:-10])
    with pytest.raises(InvalidInputError, match="damaged"):
        fit(model(), folder)
    weights.unlink()
    with pytest.raises(InvalidInputError, match="cannot be read"):
        fit(model(), folder)
    shutil.rmtree(folder)
    fit(model(), None).save(folder)
    with pytest.raises(InvalidInputError, match="holds a 'attgan'"):
        fit(model(), folder)
