"""The joint GAN's training: D and G in turn, stoppable and resumable at any step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alibi_bridge.averaging import RunningAverage
from alibi_bridge.counterfactual_gan.batches import Batches, augment
from alibi_bridge.counterfactual_gan.generator import ResidualGenerator
from alibi_bridge.counterfactual_gan.hardening import extra_terms
from alibi_bridge.counterfactual_gan.losses import (
    balanced_weights,
    class_margin,
    cycle_weights,
    discriminator_loss,
    generator_loss,
    roughness,
    sparsity,
)
from alibi_bridge.counterfactual_gan.parts import standardise
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.saving import load_optimizer, load_state, optimizer_state, state_of
from alibi_bridge.seeds import seeded
from alibi_bridge.training import precision

__all__ = ["Trainer"]

#: How fast the pressure follows: without any flips it falls from 1 to 0 in 100 steps (with
#: `least_flips` at 0.5).
_PRESSING = 0.02


class Trainer:
    """Two networks, their optimisers, and the number of the next step.

    Everything that a step draws depends on the seed and the step's number, so a state that was
    saved and loaded goes on bit for bit as if nothing had happened.

    Parameters
    ----------
    generator : ResidualGenerator
    discriminator : torch.nn.Module
        Both are trained in place.
    settings : Settings
    steps : int
        Of the whole run; the learning rate's fall and the cycles' ramp depend on it.
    y : ndarray of int, shape (n,)
        Labels of the training images.
    device : torch.device
    random_state : int

    Attributes
    ----------
    averages : dict of str to RunningAverage
        Of ``"generator"`` and ``"discriminator"``.
    pressure : Tensor
        How much of G's penalties on changes counts, in [0, 1], see `Settings.least_flips`.
    step : int
        Steps done.
    """

    def __init__(
        self,
        generator: ResidualGenerator,
        discriminator: nn.Module,
        settings: Settings,
        steps: int,
        y: np.ndarray,
        device: torch.device,
        random_state: int,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.settings, self.steps = settings, steps
        self.device, self.random_state = device, random_state
        self.averages: dict[str, RunningAverage[Any]] = {
            name: RunningAverage(network, settings.average)
            for name, network in (("generator", generator), ("discriminator", discriminator))
        }
        self.batches = Batches(y, settings.batch_size, settings.balance, random_state)
        self.class_weights = self._weights(y)
        rates = {"generator": settings.learning_rate_g, "discriminator": settings.learning_rate_d}
        self.optimizers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), lr=rate, betas=settings.betas)
            for name, rate in rates.items()
        }
        self._rates = rates
        self.pressure = torch.ones((), device=device)
        self.step = 0

    def _weights(self, y: np.ndarray) -> Tensor | None:
        weights = self.settings.class_weights
        if weights is None:
            return None
        if weights == "balanced":
            weights = balanced_weights(y.tolist())
        return torch.tensor(weights, dtype=torch.float32, device=self.device)

    def advance(self, images: Tensor, y: Tensor) -> dict[str, float]:
        """Do one step on the rows of :attr:`batches` for :attr:`step`.

        Parameters
        ----------
        images : Tensor of shape (n, channels, H, W)
            The step's images in [−1, 1], on the device.
        y : Tensor of int64, shape (n,)

        Returns
        -------
        dict of str to float
            The losses.
        """
        with seeded(self.random_state, "step", self.step):
            self._set_rates()
            self.generator.train()
            self.discriminator.train()
            x = augment(images, self.settings.augmentation)
            found = self._classify(x, y) if self.warming else self._play(x, y)
        self.step += 1
        for average in self.averages.values():
            average.follow(self.step)
        # One transfer for all numbers: each alone would wait for the device.
        values = torch.stack([value.detach().float() for value in found.values()]).tolist()
        return dict(zip(found, values, strict=True))

    @property
    def warming(self) -> bool:
        """Whether D still learns the classes alone."""
        return self.step < self.settings.warmup

    def _classify(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        with precision(self.device, self.settings.mixed_precision):
            real = self.discriminator(self._with_noise(x), x)
            losses = {"D": discriminator_loss(real, y, None, self.class_weights, self._smooth)}
            if not self.settings.extras_start:
                losses |= extra_terms(self.discriminator, x, y, None, self.settings)
        self._update("discriminator", sum(losses.values(), x.new_zeros(())))
        # G learns them too: it can only turn an image whose class it knows. Its last layer is 0 and
        # gets no gradient here, so x̂ stays x.
        with precision(self.device, self.settings.mixed_precision):
            scores = self.generator(x)[1]
            known = self._g_class(scores, y)
            extra = self.generator.extra_loss
        self._update("generator", known if extra is None else known + extra)
        return {**losses, "G class": known}

    def _play(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        turn = self.step - self.settings.warmup
        with_g = turn % self.settings.g_every == 0
        losses: dict[str, Tensor] = {}
        with precision(self.device, self.settings.mixed_precision), torch.set_grad_enabled(with_g):
            x_hat, scores = self.generator(x)
            extra = self.generator.extra_loss
        if turn % self.settings.d_every == 0:
            losses |= self._update_discriminator(x, y, x_hat.detach())
        if with_g:
            losses |= self._update_generator(x, y, x_hat, scores, extra)
        return losses or {"D": x.new_zeros(())}

    def _update_discriminator(self, x: Tensor, y: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
        with precision(self.device, self.settings.mixed_precision):
            both = self.discriminator(self._with_noise(torch.cat([x, x_hat])), torch.cat([x, x]))
            real, fake = both.chunk(2)
            losses = {"D": discriminator_loss(real, y, fake, self.class_weights, self._smooth)}
            if self._risen(1.0) >= self.settings.extras_start:
                losses |= extra_terms(self.discriminator, x, y, fake, self.settings)
        self._update("discriminator", sum(losses.values(), x.new_zeros(())))
        return losses

    def _update_generator(
        self, x: Tensor, y: Tensor, x_hat: Tensor, scores: Tensor, extra: Tensor | None
    ) -> dict[str, Tensor]:
        settings = self.settings
        ramp = self._risen(settings.cycle_ramp)
        risen = settings.l1_start + (1 - settings.l1_start) * self._risen(settings.l1_ramp)
        price = risen * self.pressure
        frozen = list(self.discriminator.parameters())
        for parameter in frozen:
            parameter.requires_grad_(False)
        with precision(self.device, settings.mixed_precision):
            losses = {
                "G class": self._g_class(scores, y),
                "G L1": price * settings.l1_weight * sparsity(x, x_hat),
            }
            if settings.tv_weight:
                losses["G roughness"] = price * settings.tv_weight * roughness(x, x_hat)
            if extra is not None:
                losses["G quantisation"] = extra
            image = x_hat
            for index, weight in enumerate(
                cycle_weights(settings.cycles, settings.cycle_weight, ramp)
            ):
                if not weight:
                    continue
                if index:
                    image, _ = self.generator(image)
                name = "G" if not index else f"G pass {index + 1}"
                read = self.discriminator(self._with_noise(image), x)
                if not index:
                    self._press(read.detach(), y)
                losses[name] = (
                    settings.adversarial_weight
                    * weight
                    * generator_loss(read, y, index + 1, settings.objective)
                )
        self._update("generator", sum(losses.values(), x.new_zeros(())))
        for parameter in frozen:
            parameter.requires_grad_(True)
        return losses

    def _press(self, read: Tensor, y: Tensor) -> None:
        """Let the pressure follow the flips of this step, towards enough of them."""
        if self.settings.least_flips:
            flips = (class_margin(read, y) < 0).float().mean()
            moved = self.pressure + _PRESSING * (flips - self.settings.least_flips)
            self.pressure = moved.clamp(0.0, 1.0)

    def _g_class(self, scores: Tensor, y: Tensor) -> Tensor:
        loss = functional.cross_entropy(scores, y, weight=self.class_weights)
        return self.settings.class_weight * loss

    def _risen(self, share: float) -> float:
        """Return how far a ramp over this share of the steps has risen, in [0, 1]."""
        length = share * max(self.steps - self.settings.warmup, 1)
        return min(1.0, (self.step - self.settings.warmup) / length) if length else 1.0

    @property
    def _smooth(self) -> float:
        return self.settings.smoothing

    def _with_noise(self, x: Tensor) -> Tensor:
        if not self.settings.instance_noise:
            return x
        spread = standardise(x)[2].detach()
        return x + self.settings.instance_noise * spread * torch.randn_like(x)

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _set_rates(self) -> None:
        late = max(0.0, 3 * self.step / max(self.steps, 1) - 2)  # 0 until two thirds, then to 1
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._rates[name] * (1 - 0.5 * late)

    def state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return everything that a later run needs: numbers for JSON, and tensors."""
        numbers: dict[str, Any] = {"step": self.step, "optimizers": {}}
        tensors = {
            "pressure": self.pressure,
            **state_of(self.generator, "generator."),
            **state_of(self.discriminator, "discriminator."),
        }
        for name, average in self.averages.items():
            if average:
                tensors |= state_of(average.network, f"averaged.{name}.")
        for name, optimizer in self.optimizers.items():
            numbers["optimizers"][name], more = optimizer_state(optimizer, f"optimizer.{name}.")
            tensors |= more
        return numbers, tensors

    def restore(self, numbers: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` returned.

        Raises
        ------
        InvalidInputError
            It belongs to other networks.
        """
        load_state(self.generator, tensors, "generator.")
        load_state(self.discriminator, tensors, "discriminator.")
        for name, average in self.averages.items():
            if average:
                load_state(average.network, tensors, f"averaged.{name}.")
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, numbers["optimizers"][name], tensors, f"optimizer.{name}.")
        self.pressure = tensors["pressure"].to(self.device)
        self.step = int(numbers["step"])
