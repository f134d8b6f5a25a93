"""Checks of discriminators of the joint counterfactual GAN: classifiers that name fakes."""

from __future__ import annotations

from typing import Any

from dice_extended_plugin.checks.case import Case, Check, ensure, recommended, refuses, required
from dice_extended_plugin.checks.images import (
    check_alone,
    check_same_again,
    check_state_is_all,
    check_untouched,
    disturbed,
    images,
    made,
)

__all__ = ["CHECKS"]


def _answer(network: Any, x: Any, like: Any = None) -> Any:
    import torch

    with torch.no_grad():
        return network(x) if like is None else network(x, like)


@required
def check_class(case: Case) -> None:
    """Check that it is a torch module."""
    made(case)


@required
def check_result_type(case: Case) -> None:
    """Check that it returns three logits of each image, for one channel and for three."""
    import torch

    for channels in (1, 3):
        logits = _answer(disturbed(made(case, channels)), images(channels=channels))
        ensure(logits.shape == (3, 3), f"logits of 3 images have shape {tuple(logits.shape)}")
        ensure(bool(torch.isfinite(logits).all()), "it returned NaN or infinity")


@required
def check_outputs(case: Case) -> None:
    """Check that ``outputs=2`` makes its twin, a plain classifier of two classes."""
    found = _answer(made(case, outputs=2), images())
    ensure(found.shape == (3, 2), f"with outputs=2 the logits have shape {tuple(found.shape)}")


@required
def check_units_of_another(case: Case) -> None:
    """Check that ``network(x, x)`` is ``network(x)``: the second names the units to read in."""
    import torch

    network, x = disturbed(made(case)), images()
    gap = float((_answer(network, x, x) - _answer(network, x)).abs().max())
    ensure(gap < 1e-5, f"read in its own units an image has other logits, by {gap:.2g}")
    ensure(bool(torch.isfinite(_answer(network, x, images().flip(0))).all()), "NaN or infinity")


@required
def check_input_untouched(case: Case) -> None:
    """Check that the images it is given are not changed."""
    check_untouched(case, _answer)


@required
def check_batch_splits(case: Case) -> None:
    """Check that an image by itself is read as it is among others."""
    check_alone(case, _answer, 1e-3)


@required
def check_same_result_again(case: Case) -> None:
    """Check that weights come from torch's generator, and an image is read alike twice."""
    import torch

    check_same_again(case)
    network, x = disturbed(made(case)), images()
    ensure(torch.equal(_answer(network, x), _answer(network, x)), "read twice, logits differ")


@required
def check_saving(case: Case) -> None:
    """Check that its ``state_dict`` is all that it needs to answer the same."""
    check_state_is_all(case, lambda network: _answer(network, images()))


@required
def check_gradients(case: Case) -> None:
    """Check that gradients reach the image: G learns by them, and attacks need them."""
    import torch

    x = images().requires_grad_(True)
    disturbed(made(case))(x)[:, 0].sum().backward()
    reached = x.grad is not None and bool(torch.isfinite(x.grad).all())
    ensure(reached and float(x.grad.abs().sum()) > 0, "no gradient reaches the image")


@recommended
def check_light_and_contrast(case: Case) -> None:
    """Check that a darker or paler copy of an image is read as the image."""
    network, x = made(case), images()
    gap = float((_answer(network, 0.7 * x + 0.05) - _answer(network, x)).abs().max())
    ensure(gap < 0.05, f"logits of a paler copy differ by {gap:.2g}")


@recommended
def check_error_classes(case: Case) -> None:
    """Check that an image of two channels is a ValueError when it is made."""
    refuses(lambda: made(case, channels=2), "channels=2")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
