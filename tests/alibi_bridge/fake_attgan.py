"""A generator, a critic and a predictor whose workings are known, in AttGAN's clothes."""

import numpy as np
import torch

from alibi_bridge.formats import ImageFormat

NAMES = ("light", "stripe", "corner", "dot", "sex")
SIDE = 16
#: What the plugin registers.
ENGINES = ("gde3", "nsga2", "random", "smpso")


class FakeAttGAN:
    """Attribute j brightens patch j of an image; the code is what is left without them.

    The critic likes faint pictures of the pattern ``light``, and dislikes the others.
    """

    attributes = NAMES
    exclusive = ()
    dead_ = ()
    report_ = {"steps": 1}  # noqa: RUF012

    def __init__(self, exclusive=(), dead=()):
        self.exclusive = tuple(tuple(group) for group in exclusive)
        self.dead_ = list(dead)
        self.format = ImageFormat(SIDE, SIDE, 3)
        patterns = torch.zeros(len(NAMES), 3, SIDE, SIDE)
        for j in range(len(NAMES)):
            patterns[j, :, 3 * j : 3 * j + 3, :] = 1.0
        self.patterns = patterns
        generator = torch.Generator().manual_seed(0)
        self.mixing = torch.randn(3 * SIDE * SIDE, 8, generator=generator) / 30

    def encode(self, x):
        return x, x.mean(dim=(1, 2, 3))[:, None]

    def decode(self, z, a):
        moved = torch.einsum("nm,mchw->nchw", a.float() - 0.5, self.patterns)
        texture = 0.05 * torch.sin((z[0].flatten(1) @ self.mixing).sum(1))[:, None, None, None]
        return (0.3 * z[0] + texture + 0.6 * moved).clamp(-1, 1)

    def strength(self, x):
        return torch.einsum("nchw,mchw->nm", x, self.patterns) / self.patterns[0].sum()

    def critic(self, x):
        s = self.strength(x)
        return s[:, 0] - 2 * s[:, 1:].square().sum(1) + 0.1 * (x.flatten(1) @ self.mixing).sum(1)

    def classify(self, x):
        return 20 * self.strength(x)


def faces(n, seed=0):
    """Return images and their attributes: light is off, so that all are of class 0."""
    rng = np.random.default_rng(seed)
    A = rng.integers(0, 2, (n, len(NAMES)))
    A[:, 0] = 0
    X = np.full((n, SIDE, SIDE, 3), 0.5) + rng.normal(0, 0.02, (n, SIDE, SIDE, 3))
    for j in range(len(NAMES)):
        X[:, 3 * j : 3 * j + 3] += 0.3 * (A[:, j] - 0.5)[:, None, None, None]
    return X.clip(0, 1).astype(np.float32), A


class LightPredictor:
    """Class 1 where the patch of `column` is bright: a classifier with a known bias."""

    def __init__(self, column=0, slope=20.0):
        self.column = column
        self.slope = slope
        self.seen = []

    def __call__(self, X):
        self.seen.append(len(X))
        rows = slice(3 * self.column, 3 * self.column + 3)
        brightness = X[:, rows].astype(np.float64).mean(axis=(1, 2, 3))
        one = 1 / (1 + np.exp(-self.slope * (brightness - 0.5)))
        return np.column_stack([1 - one, one])
