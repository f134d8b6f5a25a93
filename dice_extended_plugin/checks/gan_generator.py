"""Checks of generators of the joint counterfactual GAN: networks that change images."""

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


def _answer(network: Any, x: Any, z: Any = None) -> Any:
    import torch

    with torch.no_grad():
        return network(x, x.new_zeros(len(x), network.noise_dim) if z is None else z)


def _image(network: Any, x: Any) -> Any:
    return _answer(network, x)[0]


@required
def check_class(case: Case) -> None:
    """Check that it is a torch module that names its ``noise_dim`` and ``extra_loss``."""
    network = made(case)
    dim = getattr(network, "noise_dim", None)
    ensure(isinstance(dim, int) and dim >= 0, f"noise_dim is {dim!r}, no length of a vector")
    ensure(hasattr(network, "extra_loss"), "it has no extra_loss (None, or a part of the loss)")


@required
def check_result_type(case: Case) -> None:
    """Check that it returns an image and class logits, for one channel and for three."""
    import torch

    for channels in (1, 3):
        x = images(channels=channels)
        x_hat, logits = _answer(disturbed(made(case, channels)), x)
        ensure(x_hat.shape == x.shape, f"images {tuple(x.shape)} became {tuple(x_hat.shape)}")
        ensure(logits.shape == (3, 2), f"logits of 3 images have shape {tuple(logits.shape)}")
        ensure(
            bool(torch.isfinite(x_hat).all() and torch.isfinite(logits).all()),
            "it returned NaN or infinity",
        )


@required
def check_begins_as_the_identity(case: Case) -> None:
    """Check that before training the counterfactual is the image, bit for bit."""
    import torch

    x = images()
    ensure(torch.equal(_image(made(case), x), x), "x̂ is not x before training")


@required
def check_range_kept(case: Case) -> None:
    """Check that counterfactuals stay in [−1, 1], however large the weights."""
    import torch

    network = disturbed(made(case))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= 20.0
    found = _image(network, images())
    ensure(float(found.abs().max()) <= 1.0, f"a pixel is {float(found.abs().max()):.3g}")


@required
def check_input_untouched(case: Case) -> None:
    """Check that the images it is given are not changed."""
    check_untouched(case, _image)


@required
def check_batch_splits(case: Case) -> None:
    """Check that an image by itself is changed as it is among others."""
    check_alone(case, _image, 1e-4)


@required
def check_same_result_again(case: Case) -> None:
    """Check that weights come from torch's generator, and equal z gives equal images."""
    import torch

    check_same_again(case)
    network, x = disturbed(made(case)), images()
    first, again = (_image(network, x) for _ in range(2))
    ensure(torch.equal(first, again), "with the same z it made another image")


@required
def check_saving(case: Case) -> None:
    """Check that its ``state_dict`` is all that it needs to answer the same."""
    check_state_is_all(case, lambda network: _image(network, images()))


@required
def check_noise(case: Case) -> None:
    """Check that another z gives another image, unless ``noise_dim`` is 0."""
    import torch

    network, x = disturbed(made(case)), images()
    if not network.noise_dim:
        return
    z = torch.randn(len(x), network.noise_dim, generator=torch.Generator().manual_seed(3))
    ensure(not torch.equal(_answer(network, x, z)[0], _answer(network, x)[0]), "z changes nothing")


@recommended
def check_global_generators(case: Case) -> None:
    """Check that with z given, in evaluation mode, torch's generator is left alone."""
    import torch

    network = disturbed(made(case))
    before = torch.get_rng_state()
    _answer(network, images())
    ensure(torch.equal(before, torch.get_rng_state()), "torch's global generator was used")


@recommended
def check_error_classes(case: Case) -> None:
    """Check that an image of two channels is a ValueError when it is made."""
    refuses(lambda: made(case, channels=2), "channels=2")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
