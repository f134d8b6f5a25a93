"""Networks on disk: what was saved comes back, everything else is refused with its reason."""

import json

import numpy as np
import pytest

from alibi_bridge import saving
from alibi_bridge.saving import (
    CONFIG,
    WEIGHTS,
    load_bundle,
    load_optimizer,
    load_state,
    optimizer_state,
    save_bundle,
    state_of,
)
from dice_extended_plugin.errors import InvalidInputError

torch = pytest.importorskip("torch")


def network(width=3):
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width))


def test_what_was_saved_comes_back(tmp_path):
    tied = torch.arange(3.0)
    tensors = {"a": tied, "same memory": tied, "view": torch.ones(4, 2).T, "array": np.arange(2)}
    for round_ in range(2):  # the second replaces the first
        save_bundle(tmp_path / "x", "thing", {"round": round_, "list": [1, None]}, tensors)
    config, loaded = load_bundle(tmp_path / "x", "thing")
    assert config == {"round": 1, "list": [1, None]}
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(loaded[name], torch.as_tensor(value))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.fixture
def saved(tmp_path):
    save_bundle(tmp_path / "x", "thing", {"a": 1}, state_of(network()))
    return tmp_path / "x"


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda p: flip(p / WEIGHTS, -1), "damaged"),
        (lambda p: (p / WEIGHTS).write_bytes((p / WEIGHTS).read_bytes()[:-4]), "damaged"),
        (lambda p: (p / WEIGHTS).write_bytes(b""), "damaged"),
        (lambda p: (p / WEIGHTS).unlink(), "cannot be read"),
        (lambda p: (p / CONFIG).unlink(), "cannot be read"),
        (lambda p: (p / CONFIG).write_text("{"), "not JSON"),
        (lambda p: (p / CONFIG).write_bytes(b"\xff\xfe"), "not JSON"),
        (lambda p: (p / CONFIG).write_text("[" * 100_000), "not JSON"),
        (lambda p: (p / CONFIG).write_text("[1]"), "not written by"),
        (lambda p: (p / CONFIG).write_text('{"kind": "thing"}'), "not written by"),
    ],
)
def test_a_damaged_folder_is_refused(saved, spoil, text):
    spoil(saved)
    with pytest.raises(InvalidInputError, match=text):
        load_bundle(saved, "thing")


def test_weights_that_are_no_safetensors_are_refused_even_with_a_right_hash(saved):
    import hashlib

    content = b"\x80\x04 a pickle, perhaps"
    (saved / WEIGHTS).write_bytes(content)
    head = json.loads((saved / CONFIG).read_text())
    head["sha256"] = hashlib.sha256(content).hexdigest()
    (saved / CONFIG).write_text(json.dumps(head))
    with pytest.raises(InvalidInputError, match="not a safetensors file"):
        load_bundle(saved, "thing")


def test_a_folder_of_another_kind_or_format_is_refused(saved):
    with pytest.raises(InvalidInputError, match="'thing', not a 'other'"):
        load_bundle(saved, "other")
    head = json.loads((saved / CONFIG).read_text())
    (saved / CONFIG).write_text(json.dumps({**head, "format": 99}))
    with pytest.raises(InvalidInputError, match="format 99"):
        load_bundle(saved, "thing")


def test_a_file_that_is_too_large_is_not_read(saved, monkeypatch):
    monkeypatch.setattr(saving, "MAX_WEIGHTS_BYTES", 10)
    with pytest.raises(InvalidInputError, match="more than 10 is refused"):
        load_bundle(saved, "thing")


def test_a_missing_folder_and_one_that_cannot_be_made(tmp_path):
    with pytest.raises(InvalidInputError, match=r"^\S*config.json cannot be read: No such file"):
        load_bundle(tmp_path / "none", "network")
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot be written"):
        save_bundle(tmp_path / "file" / "model", "network", {}, {})


def test_other_peoples_files_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="other files"):
        save_bundle(tmp_path, "thing", {}, {})
    with pytest.raises(InvalidInputError, match="is a file"):
        save_bundle(tmp_path / "notes.txt", "thing", {}, {})
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("wrong", [{"a": np.float64("nan")}, {"a": object()}])
def test_settings_that_json_cannot_hold_lose_nothing(saved, wrong):
    with pytest.raises(InvalidInputError, match="cannot be saved"):
        save_bundle(saved, "thing", wrong, {})
    assert load_bundle(saved, "thing")[0] == {"a": 1}


def test_an_interrupted_write_leaves_the_old_folder(saved, monkeypatch):
    rename, calls = saving.Path.rename, []

    def dies_on_the_second(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(saving.Path, "rename", dies_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        save_bundle(saved, "thing", {"a": 2}, {})
    monkeypatch.undo()
    assert load_bundle(saved, "thing")[0] == {"a": 1}
    save_bundle(saved, "thing", {"a": 3}, {})
    assert load_bundle(saved, "thing")[0] == {"a": 3}


def test_a_state_goes_in_whole_or_not_at_all():
    source, target = network(), network()
    load_state(target, {"other.x": torch.ones(1), **state_of(source, "net.")}, "net.")
    for name, value in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("0.weight"), "0.weight are missing"),
        (lambda s: s.update(extra=torch.ones(1)), "extra are not of this architecture"),
        (lambda s: s.update({"0.bias": torch.ones(9)}), r"shape \(9,\)"),
        (lambda s: s.update({"0.bias": torch.full((3,), float("nan"))}), "NaN"),
        (lambda s: s.update({"0.bias": torch.ones(3, dtype=torch.int64)}), "holds torch.int64"),
    ],
)
def test_weights_of_another_network_change_nothing(change, text):
    state = {name: value + 1 for name, value in state_of(network()).items()}
    change(state)
    target = network()
    kept = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(InvalidInputError, match=text):
        load_state(target, state)
    for name, value in target.state_dict().items():
        assert torch.equal(value, kept[name])


def steps(net, optimizer, count):
    for step in range(count):
        optimizer.zero_grad()
        (net(torch.tensor([[1.0, 2.0], [0.5, float(step)]])) ** 2).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["Adam", "SGD"])
def test_an_optimiser_goes_on_where_it_stopped(tmp_path, kind):
    def make(net):
        return getattr(torch.optim, kind)(net.parameters(), lr=0.1)

    through, stopped = network(), network()
    stopped.load_state_dict(through.state_dict())
    optimizer, first = make(through), make(stopped)
    steps(through, optimizer, 3)
    steps(stopped, first, 3)
    numbers, tensors = optimizer_state(first, "adam.")
    save_bundle(tmp_path / "x", "run", {"adam": numbers}, {**state_of(stopped, "net."), **tensors})

    config, tensors = load_bundle(tmp_path / "x", "run")
    resumed = network()
    load_state(resumed, tensors, "net.")
    second = make(resumed)
    load_optimizer(second, config["adam"], tensors, "adam.")
    steps(through, optimizer, 3)
    steps(resumed, second, 3)
    for name, value in through.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


def test_the_state_of_another_optimiser_is_refused():
    net = network()
    optimizer = torch.optim.Adam(net.parameters())
    steps(net, optimizer, 1)
    numbers, tensors = optimizer_state(optimizer, "")
    other = torch.optim.Adam(network(5).parameters())
    with pytest.raises(InvalidInputError, match="other parameters"):
        load_optimizer(other, numbers, tensors, "")
