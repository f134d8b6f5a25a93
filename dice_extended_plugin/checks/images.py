"""Small images and small networks, for the checks of the joint GAN's parts."""

from __future__ import annotations

from typing import Any

from dice_extended_plugin.checks.case import Case, ensure, need

__all__ = [
    "SIZE",
    "check_alone",
    "check_same_again",
    "check_state_is_all",
    "check_untouched",
    "disturbed",
    "images",
    "made",
]

#: Height and width of the suite's images, in pixels.
SIZE = (32, 32)


def images(n: int = 3, channels: int = 3) -> Any:
    """Return images (n, channels, 32, 32) in [−1, 1]."""
    need("torch")
    import torch

    stream = torch.Generator().manual_seed(0)
    return torch.rand(n, channels, *SIZE, generator=stream) * 1.6 - 0.8


def made(case: Case, channels: int = 3, seed: int = 0, **options: Any) -> Any:
    """Return the network, its weights drawn with a seed of torch's, in evaluation mode."""
    need("torch")
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = case.subject(channels, SIZE, **{**case.own["init"], **options})
    ensure(
        isinstance(network, torch.nn.Module),
        f"it makes a {type(network).__name__}, no torch.nn.Module",
    )
    return network.eval()


def disturbed(network: Any) -> Any:
    """Return the network with other weights, as training would leave it, none of them zero."""
    import torch

    stream = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=stream)
    return network


def check_untouched(case: Case, answer: Any) -> None:
    """Raise if ``answer(network, x)`` changes x."""
    import torch

    x = images()
    answer(disturbed(made(case)), x)
    ensure(torch.equal(x, images()), "the images were changed in place")


def check_alone(case: Case, answer: Any, most: float) -> None:
    """Raise if an image by itself and among others gets answers that differ by `most`."""
    import torch

    network, x = disturbed(made(case)), images(4)
    together, apart = answer(network, x), [answer(network, one[None]) for one in x]
    gap = float((together - torch.cat(apart)).abs().max())
    ensure(gap < most, f"alone and among others, answers differ by up to {gap:.2g}")


def check_same_again(case: Case) -> None:
    """Raise unless weights are drawn from torch's generator and from nothing else."""
    import torch

    first, again, other = (made(case, seed=seed).state_dict() for seed in (0, 0, 1))
    same = all(torch.equal(first[name], again[name]) for name in first)
    ensure(same, "with one seed of torch its weights differ from one time to the next")
    ensure(
        any(not torch.equal(first[name], other[name]) for name in first),
        "another seed of torch gives the same weights",
    )


def check_state_is_all(case: Case, answer: Any) -> None:
    """Raise unless a second network with the first one's state answers as the first one."""
    import torch

    first, second = disturbed(made(case)), made(case, seed=1)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    with torch.no_grad():
        same = torch.equal(answer(first), answer(second))
    ensure(same, "a network with the same state_dict answers otherwise: not all of it is saved")
