"""AttGAN as one object: fit, encode, decode, score, save and load."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alibi_bridge.attgan import checkpoints, networks
from alibi_bridge.attgan.classifier import train_judge
from alibi_bridge.attgan.data import check_source, drawer, split_source
from alibi_bridge.attgan.exclusive import group_indices
from alibi_bridge.attgan.losses import Weights
from alibi_bridge.attgan.networks import Architecture, Critic, Generator
from alibi_bridge.attgan.report import DeadAttributesWarning, edit_report
from alibi_bridge.attgan.training import Schedule, Trainer
from alibi_bridge.formats import ImageFormat
from alibi_bridge.images import as_source
from alibi_bridge.saving import check_writable, load_bundle, load_state, save_bundle, state_of
from alibi_bridge.seeds import check_random_state
from alibi_bridge.training import Callback, Progress, pick_device
from alibi_bridge.untrusted import building, from_settings
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["AttGAN"]

_KIND = "attgan"


class AttGAN:
    """Edit the binary attributes of images.

    A generator encodes an image x to z and decodes z with attributes b to an image that has them
    and is else like x (He et al., *AttGAN: facial attribute editing by only changing what you
    want*, IEEE TIP 28(11), 2019). The defaults are the published ones; :meth:`small` is for a CPU.

    Parameters
    ----------
    attributes : sequence of str
        Names of the attributes, in the order of the columns of A.
    size : {32, 64, 128}, default 64
        Height and width of the images.
    channels : {1, 3}, default 3
    width : int, default 64
        Channels of the first layers.
    depth : int, optional
        Layers that halve the image. Default: down to 4 x 4 pixels.
    shortcuts, injections : int, default 1
        How many layers of the decoder get the encoder's features, and the attributes once more.
    exclusive : sequence of sequences of str, default ()
        Groups of attributes of which at most one is on, such as hair colours.
    schedule : Schedule, optional
        How it is trained.
    dead_below : float, default 0.6
        Attributes with a lower edit accuracy, or a lower mean of it over the two directions, are
        called dead. A generator that draws the same whatever it is told has a mean of 0.5.
    random_state : int, default 0
    device : str, default "auto"

    Attributes
    ----------
    report_ : dict
        What held-out images showed after :meth:`fit`; see
        :func:`alibi_bridge.attgan.report.edit_report`.
    dead_ : list of str
        Attributes whose edits do not show.
    format : ImageFormat
        Of the images it was fitted on.
    """

    def __init__(
        self,
        attributes: Sequence[str],
        size: int = 64,
        channels: int = 3,
        width: int = 64,
        depth: int | None = None,
        *,
        shortcuts: int = 1,
        injections: int = 1,
        exclusive: Sequence[Sequence[str]] = (),
        schedule: Schedule | None = None,
        dead_below: float = 0.6,
        random_state: int = 0,
        device: str = "auto",
    ) -> None:
        names = _checked_names(attributes)
        number = isinstance(dead_below, int | float) and not isinstance(dead_below, bool)
        if not number or not 0 <= dead_below <= 1:
            raise InvalidInputError(f"dead_below must lie in [0, 1], it is {dead_below!r}")
        if schedule is not None and not isinstance(schedule, Schedule):
            raise InvalidInputError(f"schedule must be a Schedule(…), it is {schedule!r}")
        self.attributes = names
        self.architecture = Architecture(
            size, channels, len(names), width, depth, shortcuts, injections
        )
        self._groups = group_indices(exclusive, names)
        self.exclusive = tuple(tuple(group) for group in exclusive)
        self.schedule = Schedule() if schedule is None else schedule
        self.dead_below = dead_below
        self.random_state = check_random_state(random_state)
        self.device = device
        self._generator: Generator | None = None
        self._critic: Critic | None = None
        self._format: ImageFormat | None = None
        self.report_: dict[str, Any] = {}

    @classmethod
    def small(cls, attributes: Sequence[str], size: int = 32, **changes: Any) -> AttGAN:
        """Return one for small images and a CPU: minutes instead of days.

        Narrow networks, one critic step per generator step, a larger learning rate with a running
        average of the weights, and more weight on the edits; else as published.

        Parameters
        ----------
        attributes : sequence of str
        size : {32, 64, 128}, default 32
        **changes
            Other arguments of the class; they win.
        """
        schedule = Schedule(
            critic_steps=1, learning_rate=1e-3, average=0.99, weights=Weights(edit=30.0)
        )
        return cls(attributes, size, **{"width": 16, "schedule": schedule, **changes})

    def fit(
        self,
        X: Any,
        A: Any = None,
        *,
        validation: Any = 0.1,
        steps: int | None = None,
        epochs: int | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 500,
        resume: bool = True,
        verbose: bool = False,
        value_range: tuple[float, float] | None = None,
        channels_last: bool = True,
    ) -> AttGAN:
        """Train the networks, then measure them on held-out images.

        Parameters
        ----------
        X : ndarray of shape (n, size, size, channels), or ImageSource
        A : array-like of 0 and 1, shape (n, m), optional
            Not with a source, which has its own.
        validation : float, tuple or ImageSource, default 0.1
            Share of the rows to hold out, or other images: a pair (X, A) or a source.
        steps : int, optional
            Updates of the generator.
        epochs : int, optional
            Passes over the training rows instead; default, as published: 60.
        callbacks : sequence of callable
            Called after each step with ``step``, ``update``, ``model``, ``sample`` (X, a, b as
            tensors) and ``losses``, as Alibi's CFRL does. An exception ends the training.
        checkpoint : path, optional
            A folder for the state of the training. If it holds one of the same training, that is
            taken up again, and the result is the same, bit by bit, as without the interruption,
            on the same machine with as many threads. Checkpoints of another version may be refused.
        checkpoint_every : int, default 500
            Steps between two checkpoints.
        resume : bool, default True
            Whether to take up the training that `checkpoint` holds; else it is overwritten.
        verbose : bool, default False
            Show a progress bar with the losses.
        value_range, channels_last
            Of the array `X`; see :class:`alibi_bridge.images.ArraySource`.

        Returns
        -------
        AttGAN
            Itself, in evaluation mode: what an image becomes does not depend on its batch.

        Warns
        -----
        DeadAttributesWarning
            Some attributes hardly change when edited.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: bad images or attributes, a checkpoint that is damaged or of another
            training, losses that are not numbers.
        """
        _check_run(callbacks, checkpoint_every)
        as_images = partial(
            as_source,
            attributes=self.attributes,
            value_range=value_range,
            channels_last=channels_last,
        )
        source = as_images(X, A)
        check_source(source, self.attributes, self.architecture, "X")
        train, held_out = split_source(source, validation, as_images, self.random_state)
        check_source(held_out, self.attributes, self.architecture, "validation")
        steps = self._steps(len(train), steps, epochs)
        device = pick_device(self.device)
        trainer = Trainer(self.architecture, self.schedule, self._groups, device, self.random_state)
        save: Callable[[], None] = _nothing
        if checkpoint is not None:
            check_writable(checkpoint)
            folder = Path(checkpoint)
            run = {**self._settings(), "steps": steps, **checkpoints.fingerprint(train)}
            if resume:
                checkpoints.resume(trainer, folder, run)
            save = partial(checkpoints.save, trainer, folder, run)

        before = self._generator, self._critic, self._format
        self._generator, self._critic, self._format = (
            trainer.average.network,
            trainer.critic,
            train.format,
        )
        draw = drawer(train, device)
        try:
            with Progress(steps, verbose, "AttGAN", trainer.step) as progress:
                for step, sample, losses in trainer.run(draw, len(train), steps):
                    if (step + 1) % checkpoint_every == 0 or step + 1 == steps:
                        save()
                    progress.update(step + 1, losses)
                    for callback in callbacks:
                        callback(
                            step=step,
                            update=self.schedule.critic_steps,
                            model=self,
                            sample=sample,
                            losses=losses,
                        )
            self._set_eval()
            judge = train_judge(
                draw,
                len(train),
                self.architecture,
                device,
                self.random_state,
                steps=self.schedule.judge_steps,
                verbose=verbose,
            )
            report = edit_report(
                trainer.average.network,
                trainer.critic,
                judge,
                drawer(held_out, device),
                len(held_out),
                self.attributes,
                self._groups,
                self.random_state,
                self.dead_below,
            )
        except BaseException:
            # Half-trained networks are not a fitted model.
            self._generator, self._critic, self._format = before
            raise
        self.report_ = {**report, "steps": steps}
        self._warn_of_dead()
        return self

    @property
    def dead_(self) -> list[str]:
        """Attributes whose edits do not show."""
        return list(self.report_.get("dead", {}))

    @property
    def format(self) -> ImageFormat:
        """Layout and range of the images it was fitted on."""
        self._need_fit()
        assert self._format is not None
        return self._format

    @property
    def generator(self) -> Generator:
        """The encoder and decoder, as a torch module."""
        self._need_fit()
        assert self._generator is not None
        return self._generator

    @property
    def critic_network(self) -> Critic:
        """The critic and the GAN's own attribute classifier, as a torch module."""
        self._need_fit()
        assert self._critic is not None
        return self._critic

    @torch.no_grad()
    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return z of images (n, C, H, W) in [−1, 1]: tensors with a row per image."""
        return self._evaluating(self.generator).encode(self._channels_last(x))

    @torch.no_grad()
    def decode(self, z: Sequence[torch.Tensor], a: torch.Tensor) -> torch.Tensor:
        """Return images (n, C, H, W) in [−1, 1] of z with attributes `a` (n, m) in [0, 1]."""
        device = z[0].device
        b = 2 * a.to(device=device, dtype=torch.float32) - 1
        return self._evaluating(self.generator).decode(z, b)

    @torch.no_grad()
    def critic(self, x: torch.Tensor) -> torch.Tensor:
        """Return the critic's value (n,) of images; the larger, the more like a real one."""
        return self._evaluating(self.critic_network).value(self._channels_last(x))

    @torch.no_grad()
    def classify(self, x: torch.Tensor) -> torch.Tensor:
        """Return the attribute logits (n, m) of images by the GAN's own classifier."""
        logits: torch.Tensor = self._evaluating(self.critic_network)(self._channels_last(x))[1]
        return logits

    @staticmethod
    def repeat(z: Sequence[torch.Tensor], k: int) -> tuple[torch.Tensor, ...]:
        """Return each row of z `k` times in a row: many edits of one image, encoded once."""
        return networks.repeat(z, k)

    @staticmethod
    def rows(z: Sequence[torch.Tensor], index: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the rows `index` of z."""
        return networks.rows(z, index)

    def edit(self, X: Any, A: Any, batch_size: int = 256) -> np.ndarray:
        """Return images with other attributes.

        Parameters
        ----------
        X : ndarray of shape (n, *format.shape)
        A : array-like of shape (n, m)
            The attributes they shall have, in [0, 1].
        batch_size : int, default 256

        Returns
        -------
        ndarray of float32, shape (n, *format.shape)
            In ``format.value_range``.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: not fitted, images of another kind, attributes out of range.
        """
        X = self.format.check(X)
        wanted = np.asarray(A, dtype=np.float32)
        if wanted.shape != (len(X), len(self.attributes)):
            raise InvalidInputError(
                f"A has shape {wanted.shape}, expected {(len(X), len(self.attributes))}"
            )
        if not ((wanted >= 0) & (wanted <= 1)).all():
            raise InvalidInputError("A must lie in [0, 1]")
        device = next(self.generator.parameters()).device
        edited = np.empty((len(X), *self.format.shape), dtype=np.float32)
        for start in range(0, len(X), batch_size):
            part = slice(start, start + batch_size)
            z = self.encode(self.format.to_tensor(X[part], device))
            edited[part] = self.format.to_array(self.decode(z, torch.as_tensor(wanted[part])))
        return edited

    def config(self) -> dict[str, Any]:
        """Return everything but the weights; JSON can write it."""
        return {
            **self._settings(),
            "dead_below": self.dead_below,
            "format": self.format.to_dict(),
            "report": self.report_,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the weights of both networks by name."""
        return {
            **state_of(self.generator, "generator."),
            **state_of(self.critic_network, "critic."),
        }

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        device: str = "auto",
    ) -> AttGAN:
        """Return the model that :meth:`config` and :meth:`tensors` describe.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: they do not fit each other.
        """
        what = "an AttGAN"
        with from_settings(what):
            sizes = {
                name: value
                for name, value in config["architecture"].items()
                if name != "attributes"
            }
            model = cls(
                config["attributes"],
                **sizes,
                exclusive=config["exclusive"],
                schedule=Schedule.from_dict(config["schedule"]),
                dead_below=config["dead_below"],
                random_state=config["random_state"],
                device=device,
            )
            model._format = _checked_format(config["format"], model.architecture)
            model.report_ = dict(config["report"])
            unknown = set(dict(model.report_.get("dead", {}))) - set(model.attributes)
            if unknown:
                raise InvalidInputError(f"{what}: its report names other attributes: {unknown}")
        place = pick_device(device)
        with building(tensors, what):
            generator, critic = Generator(model.architecture), Critic(model.architecture)
        load_state(generator, tensors, "generator.")
        load_state(critic, tensors, "critic.")
        model._generator = networks.placed(generator, place)
        model._critic = networks.placed(critic, place)
        model._set_eval()
        return model

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a folder, as JSON and safetensors."""
        save_bundle(path, _KIND, self.config(), self.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> AttGAN:
        """Return the model of a folder that :meth:`save` wrote.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: a file is missing, damaged or of another kind.
        """
        return cls.from_config(*load_bundle(path, _KIND), device=device)

    def _steps(self, n: int, steps: int | None, epochs: int | None) -> int:
        if steps is not None and epochs is not None:
            raise InvalidInputError("give steps or epochs, not both")
        if n < self.schedule.batch_size:
            raise InvalidInputError(
                f"there are {n} training images, a batch has {self.schedule.batch_size}; give "
                f"more images or a smaller batch_size"
            )
        if steps is None:
            number = isinstance(epochs, int | float) and not isinstance(epochs, bool)
            if epochs is not None and not (number and 0 < epochs < float("inf")):
                raise InvalidInputError(f"epochs must be a number above 0, it is {epochs!r}")
            per_step = self.schedule.batch_size * (self.schedule.critic_steps + 1)
            steps = max(1, int((60 if epochs is None else epochs) * n // per_step))
        if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 1:
            raise InvalidInputError(f"steps must be a whole number from 1 on, it is {steps!r}")
        return int(steps)

    def _settings(self) -> dict[str, Any]:
        """Return what the networks and their training depend on, beside the images."""
        return {
            "attributes": list(self.attributes),
            "exclusive": [list(group) for group in self.exclusive],
            "architecture": self.architecture.to_dict(),
            "schedule": self.schedule.to_dict(),
            "random_state": self.random_state,
        }

    def _warn_of_dead(self) -> None:
        dead = self.report_["dead"]
        if dead:
            listed = "; ".join(f"{name}: {reason}" for name, reason in dead.items())
            warnings.warn(
                f"{len(dead)} of {len(self.attributes)} attributes are dead: {listed}",
                DeadAttributesWarning,
                stacklevel=3,
            )

    def _need_fit(self) -> None:
        if self._generator is None or self._critic is None or self._format is None:
            raise InvalidInputError("this AttGAN is not trained: call fit(X, A), or load one")

    def _set_eval(self) -> None:
        for network in (self.generator, self.critic_network):
            network.eval().requires_grad_(False)

    @staticmethod
    def _evaluating(network: Any) -> Any:
        # A callback may ask in the middle of the training, which sets its mode again.
        return network.eval()

    def _channels_last(self, x: torch.Tensor) -> torch.Tensor:
        device = next(self.generator.parameters()).device
        return x.to(device).contiguous(memory_format=torch.channels_last)


def _checked_names(attributes: Any) -> tuple[str, ...]:
    names = () if isinstance(attributes, str) or attributes is None else tuple(attributes)
    if (
        not names
        or not all(isinstance(name, str) for name in names)
        or len(set(names)) < len(names)
    ):
        raise InvalidInputError(
            f"attributes must be a list of one or more different names, got {attributes!r}"
        )
    return names


def _check_run(callbacks: Any, checkpoint_every: Any) -> None:
    """Raise InvalidInputError for what the training would stumble over after its first step."""
    whole = isinstance(checkpoint_every, int) and not isinstance(checkpoint_every, bool)
    if not whole or checkpoint_every < 1:
        raise InvalidInputError(
            f"checkpoint_every must be a whole number from 1 on, it is {checkpoint_every!r}"
        )
    listed = isinstance(callbacks, Sequence)
    if not listed or not all(callable(callback) for callback in callbacks):
        raise InvalidInputError(f"callbacks must be a list of functions, got {callbacks!r}")


def _checked_format(values: Any, architecture: Architecture) -> ImageFormat:
    """Return the format of a saved model, if its networks can take such images."""
    found = ImageFormat.from_dict(values)
    if (found.height, found.width, found.channels) != (
        architecture.size,
        architecture.size,
        architecture.channels,
    ):
        raise InvalidInputError(
            f"an AttGAN: its images have {found.height} x {found.width} pixels and "
            f"{found.channels} channels, its networks are for {architecture.size} x "
            f"{architecture.size} and {architecture.channels}: the file is damaged"
        )
    return found


def _nothing() -> None:
    """Save no checkpoint."""
