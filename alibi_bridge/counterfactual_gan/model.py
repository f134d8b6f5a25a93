"""The joint counterfactual GAN without Alibi: fit, predict, generate, save, load."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from alibi_bridge.counterfactual_gan import checkpoints
from alibi_bridge.counterfactual_gan.inference import JointNetworks
from alibi_bridge.counterfactual_gan.inputs import check_training, holdout
from alibi_bridge.counterfactual_gan.names import (
    check_names,
    make_discriminator,
    make_generator,
)
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.counterfactual_gan.training import Trainer
from alibi_bridge.counterfactual_gan.watch import (
    Collapse,
    Look,
    ModeCollapseError,
    ModeCollapseWarning,
    find_collapse,
    look,
    not_finite,
)
from alibi_bridge.formats import ImageFormat
from alibi_bridge.saving import check_writable, load_bundle, load_state, save_bundle, state_of
from alibi_bridge.seeds import check_random_state, seeded
from alibi_bridge.training import Callback, Progress, pick_device
from alibi_bridge.untrusted import building, check_options
from dice_extended_plugin.options import check_integer

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["JointGAN"]

logger = logging.getLogger(__name__)


class JointGAN(JointNetworks):
    """A classifier that names fakes, and a generator of counterfactuals, trained together.

    Parameters
    ----------
    image_format : ImageFormat, optional
        Of the images; default: that of the first array fitted.
    generator, discriminator : str, optional
        The name of a registered ``gan_generator`` and ``gan_discriminator``
        (``dice-extended plugins`` lists them).
    generator_options, discriminator_options : mapping, optional
        Arguments of the two, such as ``{"width": 16}``.
    settings : Settings, optional
        How it is trained.
    device : str, optional
    random_state : int, optional

    Attributes
    ----------
    generator, discriminator : torch.nn.Module
        After :meth:`fit`: the chosen checkpoint. None before the image format is known.
    history : list of Look
        What validation showed.
    chosen : Look or None
        That of the checkpoint in use.
    collapse : Collapse or None
        What went wrong, if it did.
    """

    kind = "joint_gan"

    def __init__(
        self,
        image_format: ImageFormat | None = None,
        *,
        generator: str = "unet",
        discriminator: str = "cnn",
        generator_options: Mapping[str, Any] | None = None,
        discriminator_options: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        check_names(generator, discriminator)
        self.generator_name, self.discriminator_name = generator, discriminator
        self.generator_options = dict(generator_options or {})
        self.discriminator_options = dict(discriminator_options or {})
        self.settings = settings or Settings()
        self.device = pick_device(device)
        self.random_state = check_random_state(random_state)
        self.generator: Any = None
        self.discriminator: Any = None
        self.resolved: dict[str, Any] = {}
        self.image_format = image_format
        self.history: list[Look] = []
        self.chosen: Look | None = None
        self.collapse: Collapse | None = None
        if image_format is not None:
            self.generator, self.discriminator = self._new_networks(image_format)

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | float = 0.1,
        groups: np.ndarray | None = None,
        steps: int = 1000,
        callbacks: Iterable[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int = 500,
        resume: bool = True,
        verbose: bool = False,
    ) -> Self:
        """Train both networks, and keep those of the step that validation shows to be best.

        Parameters
        ----------
        X : ndarray of shape (n, height, width, channels)
            Images in the image format's layout and range.
        y : ndarray of shape (n,)
            0 or 1.
        validation : tuple of ndarray or float, optional
            Images and labels to choose the checkpoint by, or the share of `X` to set aside.
        groups : ndarray of shape (n,), optional
            What the images were cut from; a group is set aside whole or not at all.
        steps : int, optional
            Training steps, warm-up included.
        callbacks : iterable of callables, optional
            Each is called after each step as ``callback(step=, update=, model=, sample=,
            losses=)``; what it raises ends the training.
        checkpoint : path, optional
            A folder for the state of the training, written every `checkpoint_every` steps and at
            the end.
        checkpoint_every : int, optional
        resume : bool, optional
            Go on from `checkpoint` if it is there. The result is bit for bit that of a run without
            interruption.
        verbose : bool, optional
            Show a progress bar.

        Returns
        -------
        JointGAN
            Itself.

        Raises
        ------
        InvalidInputError
            Before training: one class only, labels other than 0 and 1, NaN, values out of range, a
            size that the networks cannot halve, fewer images than a batch, a damaged checkpoint or
            one of another run.
        ModeCollapseError
            Training failed and the settings say ``on_collapse="raise"``.
        """
        check_integer("checkpoint_every", checkpoint_every, 1)
        form, (X, y), (X_val, y_val) = self.prepare(
            X, y, validation=validation, groups=groups, steps=steps, checkpoint=checkpoint
        )
        steps = int(steps)
        generator, discriminator = self._new_networks(form)
        trainer = Trainer(
            generator, discriminator, self.settings, steps, y, self.device, self.random_state
        )
        run = {"steps": steps, "data": checkpoints.fingerprint(X, y, X_val, y_val)}
        self._begin(form)
        # So that callbacks can predict and generate with what there is.
        self.generator = trainer.averages["generator"].network
        self.discriminator = trainer.averages["discriminator"].network
        best: dict[str, Tensor] = {}
        if checkpoint is not None and resume and checkpoints.is_there(checkpoint):
            best = checkpoints.take_up(checkpoint, self, trainer, run)

        x_val = form.to_tensor(X_val, self.device)
        y_val_tensor = torch.as_tensor(y_val, device=self.device)
        labels = torch.as_tensor(y, device=self.device)
        listeners = list(callbacks)
        with Progress(steps, verbose, "joint GAN", trainer.step) as progress:
            while trainer.step < steps:
                rows = trainer.batches.rows(trainer.step)
                warming = trainer.warming
                x = form.to_tensor(X[rows], self.device)
                losses = trainer.advance(x, labels[rows])
                done = trainer.step
                if not all(isfinite(value) for value in losses.values()):
                    self._report(not_finite(done))
                    break
                if done % self.settings.validate_every == 0 or done == steps:
                    best = self._validate(trainer, x_val, y_val_tensor, best, not warming)
                if checkpoint is not None and (done % checkpoint_every == 0 or done == steps):
                    checkpoints.put_down(checkpoint, self, trainer, run, best)
                progress.update(done, losses)
                for callback in listeners:
                    callback(
                        step=done - 1,
                        update=0,
                        model=self,
                        sample={"rows": rows, "X": x, "y": y[rows]},
                        losses=losses,
                    )
        if best:
            load_state(self.generator, best, "generator.")
            load_state(self.discriminator, best, "discriminator.")
        self.generator.eval()
        self.discriminator.eval()
        return self

    def prepare(
        self,
        X: Any,
        y: Any,
        *,
        validation: Any = 0.1,
        groups: Any = None,
        steps: int = 1000,
        checkpoint: str | os.PathLike[str] | None = None,
        **_: Any,
    ) -> tuple[ImageFormat, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """Check what :meth:`fit` would be given, all of it, and train nothing.

        Returns
        -------
        tuple
            The image format; images and labels to train on; those to validate on.

        Raises
        ------
        InvalidInputError
            What :meth:`fit` refuses, checkpoints of other runs aside.
        """
        form = self.image_format or ImageFormat.of(X)
        X, y = check_training(form, X, y, self.settings.batch_size, steps)
        train, held = holdout(form, X, y, validation, groups, self.random_state)
        if checkpoint is not None:
            check_writable(checkpoint)
        return form, (X[train], y[train]), held

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the networks and every setting: JSON and safetensors, no code."""
        self._ready(None)
        save_bundle(path, self.kind, self.config(), self.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InvalidInputError
            The folder is missing or damaged, or holds the weights of another architecture.
        """
        config, tensors = load_bundle(path, cls.kind)
        return cls.rebuilt(config, tensors, device)

    def config(self) -> dict[str, Any]:
        """Return every setting and the history; JSON can write them."""
        return {
            **checkpoints.architecture(self),
            "history": [entry.to_dict() for entry in self.history],
            "chosen": None if self.chosen is None else self.chosen.to_dict(),
            "collapse": None if self.collapse is None else vars(self.collapse),
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights of both networks."""
        self._ready(None)
        return {
            **state_of(self.generator, "generator."),
            **state_of(self.discriminator, "discriminator."),
        }

    @classmethod
    def rebuilt(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], device: str = "auto"
    ) -> Self:
        """Return the model of :meth:`config` and :meth:`tensors`.

        Raises
        ------
        InvalidInputError
            They do not belong together.
        """
        what = "a joint GAN"
        with building(tensors, what):
            for part in ("generator_options", "discriminator_options"):
                check_options(config[part], f"{what}, {part}")
            made = cls(
                ImageFormat.from_dict(config["image_format"]),
                generator=config["generator"],
                discriminator=config["discriminator"],
                generator_options=config["generator_options"],
                discriminator_options=config["discriminator_options"],
                settings=Settings.from_dict(config["settings"]),
                device=device,
                random_state=config["random_state"],
            )
            made.take_history(config)
        load_state(made.generator, tensors, "generator.")
        load_state(made.discriminator, tensors, "discriminator.")
        return made

    def take_history(self, config: Mapping[str, Any]) -> None:
        """Put back what validation had shown, as :meth:`config` has it."""
        self.history = [Look(**entry) for entry in config["history"]]
        self.chosen = None if config["chosen"] is None else Look(**config["chosen"])
        self.collapse = None if config["collapse"] is None else Collapse(**config["collapse"])

    def _new_networks(self, form: ImageFormat) -> tuple[Any, Any]:
        size = (form.height, form.width)
        with seeded(self.random_state, "init"):
            generator = make_generator(
                self.generator_name, form.channels, size, self.generator_options
            )
            discriminator = make_discriminator(
                self.discriminator_name, form.channels, size, self.discriminator_options
            )
        # What rebuilds the same networks where the files of pretrained weights are not.
        self.resolved = {
            "generator_options": {
                **self.generator_options,
                **getattr(generator, "resolved_options", {}),
            },
            "discriminator_options": {
                **self.discriminator_options,
                **getattr(discriminator, "resolved_options", {}),
            },
        }
        return generator.to(self.device).eval(), discriminator.to(self.device).eval()

    def _begin(self, form: ImageFormat) -> None:
        self.image_format = form
        self.history, self.chosen, self.collapse = [], None, None

    def _validate(
        self,
        trainer: Trainer,
        x: Tensor,
        y: Tensor,
        best: dict[str, Tensor],
        trained_g: bool,
    ) -> dict[str, Tensor]:
        """Look at the networks; return the best weights so far."""
        networks = {name: average.network for name, average in trainer.averages.items()}
        g, d = networks["generator"], networks["discriminator"]
        entry = look(g, d, x, y, trainer.step, trained_g)
        self.history.append(entry)
        logger.info("joint GAN, step %d: %s", entry.step, entry)
        found = find_collapse(self.history, self.settings)
        if found is not None and self.collapse is None:
            self._report(found)
        score = entry.score(self.settings)
        if not isfinite(score):
            return best
        if self.chosen is None or score > self.chosen.score(self.settings):
            self.chosen = entry
            return {
                key: value.detach().clone()
                for name, network in networks.items()
                for key, value in state_of(network, f"{name}.").items()
            }
        return best

    def _report(self, found: Collapse) -> None:
        self.collapse = found
        if self.settings.on_collapse == "raise":
            raise ModeCollapseError(found.text)
        warnings.warn(found.text, ModeCollapseWarning, stacklevel=3)
