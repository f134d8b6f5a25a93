"""Running averages of weights."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch")

from torch.nn.utils.parametrizations import spectral_norm  # noqa: E402

from alibi_bridge.averaging import RunningAverage  # noqa: E402


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            spectral_norm(torch.nn.Linear(3, 4)), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
        )


def moved(live):
    with torch.no_grad():
        for parameter in live.parameters():
            parameter += 1.0
    live(torch.arange(15.0).reshape(5, 3))  # moves running statistics and singular vectors


def test_without_a_decay_the_network_itself_is_used():
    live = network()
    average = RunningAverage(live, 0.0)
    assert average.network is live and not average
    before = [p.clone() for p in live.parameters()]
    average.follow(1)
    assert all(torch.equal(a, b) for a, b in zip(before, live.parameters(), strict=True))


@pytest.mark.parametrize(("done", "decay"), [(1, 0.1), (9, 0.5), (10_000, 0.9)])
def test_it_follows_fast_at_first_and_then_by_its_decay(done, decay):
    live = network()
    average = RunningAverage(live, 0.9)
    before = {name: value.clone() for name, value in live.state_dict().items()}
    moved(live)
    average.follow(done)
    now = live.state_dict()
    for name, value in average.network.state_dict().items():
        if name.endswith(("._u", "._v")) or not value.is_floating_point():
            assert torch.equal(value, now[name]), name  # of length 1, as they have to be
        else:
            expected = decay * before[name] + (1 - decay) * now[name]
            torch.testing.assert_close(value, expected, msg=name)
    assert not torch.equal(before["1.running_mean"], now["1.running_mean"])


def test_the_network_in_training_is_left_alone():
    live = network()
    average = RunningAverage(live, 0.9)
    moved(live)
    before = {name: value.clone() for name, value in live.state_dict().items()}
    average.follow(3)
    assert all(torch.equal(value, before[name]) for name, value in live.state_dict().items())
