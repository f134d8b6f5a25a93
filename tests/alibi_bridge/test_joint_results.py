"""What the joint GAN's results say: maps of the change, and the way in which class 1 goes."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from alibi_bridge.counterfactual_gan.results import saliency_of  # noqa: E402
from alibi_bridge.counterfactual_gan.watch import look  # noqa: E402


class Eraser(torch.nn.Module):
    """A generator that lifts the darkest pixel of each image and dims the others a bit."""

    noise_dim = 1

    def __init__(self, lift):
        super().__init__()
        self.lift = lift

    def forward(self, x, z):
        dark = x == x.amin(dim=(1, 2, 3), keepdim=True)
        return x + torch.where(dark, self.lift, -0.02 * self.lift), torch.zeros(len(x), 2)


class Blind(torch.nn.Module):
    """A discriminator that knows nothing."""

    def forward(self, x):
        return torch.zeros(len(x), 3)


def pictures(n=6, size=8, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (n, size, size, 3)).astype(np.float32)


@pytest.mark.parametrize(("lift", "sign"), [(0.5, 1), (-0.5, -1)])
def test_the_way_follows_few_strong_changes_not_many_faint_ones(lift, sign):
    x = torch.from_numpy(pictures().transpose(0, 3, 1, 2)[:, :1].copy())
    y = torch.tensor([0, 0, 0, 1, 1, 1])
    entry = look(Eraser(lift), Blind(), x, y, 1, True)
    assert sign * entry.way > 0.95
    # In all, more is changed the other way.
    assert np.sign(lift) != np.sign((Eraser(lift)(x, None)[0] - x).sum().item())
    assert look(Eraser(lift), Blind(), x, y, 1, False).way == 0
    assert look(Eraser(0.0), Blind(), x, y, 1, True).way == 0


def test_what_is_removed_is_the_part_that_goes_one_way():
    x = pictures()
    change = np.zeros_like(x)
    change[:, 2, 2], change[:, 5, 5] = 0.4, -0.3
    up, down, both = (saliency_of(x, x + change, 3, sigma=0.0, way=way) for way in (1, -1, 0))
    for found in (up, down, both):
        np.testing.assert_array_equal(found.raw, up.raw)
        assert found.removed.dtype == np.float32
    np.testing.assert_allclose(up.removed + down.removed, up.raw, atol=1e-6)
    assert (up.removed[:, 2, 2] > 0.39).all() and (up.removed[:, 5, 5] == 0).all()
    assert (down.removed[:, 5, 5] > 0.29).all() and (down.removed[:, 2, 2] == 0).all()
    np.testing.assert_array_equal(both.removed, both.blurred)


def test_the_blur_comes_before_the_sign():
    """Speckle in both ways cancels; an edge beside a line does not add to it."""
    x = np.zeros((1, 32, 32, 1), np.float32)
    speckle = np.where(np.indices((32, 32)).sum(axis=0) % 2, 0.2, -0.2)[None, ..., None]
    found = saliency_of(x, x + speckle.astype(np.float32), 3, sigma=1.0, way=1)
    assert found.blurred.min() > 0.19
    assert found.removed[:, 4:-4, 4:-4].max() < 0.005
