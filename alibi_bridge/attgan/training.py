"""AttGAN's training: critic and generator in turn, stoppable and resumable at any step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from alibi_bridge.attgan.augment import mirrored, shifted
from alibi_bridge.attgan.exclusive import force_exclusive
from alibi_bridge.attgan.losses import Weights, attribute_loss, gradient_penalty
from alibi_bridge.attgan.networks import Architecture, Critic, Generator, placed
from alibi_bridge.averaging import RunningAverage
from alibi_bridge.saving import load_optimizer, load_state, optimizer_state, state_of
from alibi_bridge.seeds import seeded
from alibi_bridge.training import epoch_batches, precision
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["Schedule", "Trainer"]

Draw = Callable[[np.ndarray], tuple[torch.Tensor, np.ndarray]]


@dataclass(frozen=True)
class Schedule:
    """How the networks are trained; the defaults are the published ones.

    Parameters
    ----------
    batch_size : int
    critic_steps : int
        Critic updates before each update of the generator, each on a batch of its own.
    learning_rate : float
        Of Adam. Constant for half of the steps, then falling on a line towards 0.
    betas : tuple of float
        Of Adam.
    average : float
        Decay of a running average of the generator's weights, which is what is used in the end;
        0 (published) uses the last weights.
    shift : int
        Move the images that the critic sees at random by up to this many pixels (published: 0).
        Against edits that only the critic's own classifier notices: a small data set leads to
        them.
    mirror : bool
        Turn them left to right at random, for attributes that have no side. Published: no.
    mixed_precision : bool
        bfloat16 in the forward passes, where the device gains by it.
    judge_steps : int
        Least steps of the attribute classifier that measures the edits afterwards.
    weights : Weights

    Raises
    ------
    InvalidInputError
        A ``ValueError``: a value without meaning.
    """

    batch_size: int = 32
    critic_steps: int = 5
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    average: float = 0.0
    shift: int = 0
    mirror: bool = False
    mixed_precision: bool = False
    judge_steps: int = 600
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        for name, least in (
            ("batch_size", 2),
            ("critic_steps", 1),
            ("judge_steps", 1),
            ("shift", 0),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InvalidInputError(
                    f"{name} must be a whole number from {least} on, it is {value!r}"
                )
        for name in ("mirror", "mixed_precision"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(
                    f"{name} must be True or False, it is {getattr(self, name)!r}"
                )
        if not (_is_number(self.learning_rate) and 0 < self.learning_rate < 1):
            raise InvalidInputError(
                f"learning_rate must lie between 0 and 1, it is {self.learning_rate!r}"
            )
        if not _is_share(self.average):
            raise InvalidInputError(f"average must lie in [0, 1), it is {self.average!r}")
        pair = isinstance(self.betas, tuple | list) and len(self.betas) == 2
        if not pair or not all(map(_is_share, self.betas)):
            raise InvalidInputError(f"betas must be two numbers in [0, 1), they are {self.betas!r}")
        if not isinstance(self.weights, Weights):
            raise InvalidInputError(f"weights must be Weights(…), they are {self.weights!r}")
        for name, value in asdict(self.weights).items():
            if not (_is_number(value) and 0 <= value < float("inf")):
                raise InvalidInputError(f"weights: {name} must be 0 or more, it is {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters; JSON can write them."""
        return {**asdict(self), "betas": list(self.betas)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Schedule:
        """Return the schedule that :meth:`to_dict` wrote."""
        given = {**values, "betas": tuple(values["betas"]), "weights": Weights(**values["weights"])}
        return cls(**given)


class Trainer:
    """Two networks, their optimisers, and the number of the next step.

    A step is ``critic_steps`` critic updates and one generator update. Everything a step draws
    depends on the seed and its number alone, so a state that was saved and loaded goes on as if
    nothing had happened.

    Parameters
    ----------
    architecture : Architecture
    schedule : Schedule
    groups : sequence of column indices
        Exclusive attributes.
    device : torch.device
    random_state : int
    """

    def __init__(
        self,
        architecture: Architecture,
        schedule: Schedule,
        groups: Sequence[Sequence[int]],
        device: torch.device,
        random_state: int,
    ) -> None:
        self.schedule, self.groups = schedule, groups
        self.device, self.random_state = device, random_state
        with seeded(random_state, "init"):
            generator, critic = Generator(architecture), Critic(architecture)
        self.generator = placed(generator, device)
        self.critic = placed(critic, device)
        self.average = RunningAverage(self.generator, schedule.average)
        self.optimizers = {
            name: torch.optim.Adam(
                module.parameters(), lr=schedule.learning_rate, betas=schedule.betas
            )
            for name, module in (("generator", self.generator), ("critic", self.critic))
        }
        self.step = 0

    def run(
        self, draw: Draw, n: int, steps: int
    ) -> Iterator[tuple[int, dict[str, Any], dict[str, float]]]:
        """Train from the present step up to `steps`, and yield after each.

        Parameters
        ----------
        draw : callable
            Takes row numbers, returns images (float32 tensor in [−1, 1] on the device) and
            attributes (array of 0 and 1).
        n : int
            Number of training rows.
        steps : int
            Steps of the whole run, those done before included.

        Yields
        ------
        tuple
            Number of the step, its last batch, its losses.
        """
        each = self.schedule.critic_steps + 1
        batches = epoch_batches(
            n, self.schedule.batch_size, self.random_state, start_step=self.step * each
        )
        while self.step < steps:
            # At every step: a callback may have looked at the networks in evaluation mode.
            self.generator.train()
            self.critic.train()
            self._set_learning_rate(steps)
            losses: dict[str, float] = {}
            with seeded(self.random_state, "step", self.step):
                for _ in range(self.schedule.critic_steps):
                    losses.update(self._critic_update(*self._batch(draw, next(batches)[1])))
                sample = self._batch(draw, next(batches)[1])
                losses.update(self._generator_update(*sample))
            self._check(losses)
            self.step += 1
            self.average.follow(self.step)
            names = ("X", "a", "b")
            yield self.step - 1, dict(zip(names, sample, strict=True)), losses

    def state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Return everything that a later :meth:`load` needs: values for JSON, and tensors."""
        numbers: dict[str, Any] = {"step": self.step}
        tensors = {**state_of(self.generator, "generator."), **state_of(self.critic, "critic.")}
        if self.average:
            tensors.update(state_of(self.average.network, "averaged."))
        for name, optimizer in self.optimizers.items():
            numbers[name], more = optimizer_state(optimizer, f"adam.{name}.")
            tensors.update(more)
        return numbers, tensors

    def load(self, numbers: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Put back what :meth:`state` returned."""
        load_state(self.generator, tensors, "generator.")
        load_state(self.critic, tensors, "critic.")
        if self.average:
            load_state(self.average.network, tensors, "averaged.")
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, numbers[name], tensors, f"adam.{name}.")
        self.step = int(numbers["step"])

    def _batch(
        self, draw: Draw, index: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Images, their attributes a, and the attributes b to edit in: a's rows shuffled."""
        x, a = draw(index)
        order = torch.randperm(len(a)).numpy()
        b = force_exclusive(a[order], self.groups)
        x = x.contiguous(memory_format=torch.channels_last)
        return x, self._tensor(a), self._tensor(b)

    def _tensor(self, a: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(a, dtype=np.float32)).to(self.device)

    def _critic_update(self, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
        weights = self.schedule.weights
        mixed = self.schedule.mixed_precision
        with torch.no_grad(), precision(self.device, mixed):
            fake = self.generator(x, 2 * b - 1)
        fake = fake.float()
        with precision(self.device, mixed):
            real, fake = self._seen(x), self._seen(fake)
            real_value, logits = self.critic(real)
            fake_value = self.critic.value(fake)
        gap = real_value.float().mean() - fake_value.float().mean()
        known = attribute_loss(logits, a)
        penalty = gradient_penalty(self.critic, real, fake)
        loss = weights.penalty * penalty + weights.classifier * known - gap
        self._descend("critic", loss)
        return {
            "critic": float(loss.detach()),
            "gap": float(gap.detach()),
            "penalty": float(penalty.detach()),
            "classifier": float(known.detach()),
        }

    def _generator_update(
        self, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor
    ) -> dict[str, float]:
        weights = self.schedule.weights
        self.critic.requires_grad_(False)
        with precision(self.device, self.schedule.mixed_precision):
            z = self.generator.encode(x)
            again = self.generator.decode(z, 2 * a - 1)
            value, logits = self.critic(self._seen(self.generator.decode(z, 2 * b - 1)))
        copied = (again.float() - x).abs().mean()
        edit = attribute_loss(logits, b)
        loss = weights.reconstruction * copied + weights.edit * edit - value.float().mean()
        self._descend("generator", loss)
        self.critic.requires_grad_(True)
        return {
            "generator": float(loss.detach()),
            "reconstruction": float(copied.detach()),
            "edit": float(edit.detach()),
        }

    def _seen(self, x: torch.Tensor) -> torch.Tensor:
        """Return images as the critic gets to see them."""
        if self.schedule.mirror:
            x = mirrored(x)
        return shifted(x, self.schedule.shift) if self.schedule.shift else x

    def _descend(self, name: str, loss: torch.Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def _set_learning_rate(self, steps: int) -> None:
        share = min(1.0, 2 * (steps - self.step) / steps)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self.schedule.learning_rate * share

    def _check(self, losses: dict[str, float]) -> None:
        bad = [name for name, value in losses.items() if not np.isfinite(value)]
        if bad:
            raise InvalidInputError(
                f"training broke down at step {self.step}: {', '.join(bad)} is not a number; "
                f"lower learning_rate or raise batch_size"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1
