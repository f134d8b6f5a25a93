"""What a trained pair of networks says about images: the joint GAN without its training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from alibi_bridge.counterfactual_gan.losses import FAKE
from alibi_bridge.counterfactual_gan.results import Generated, saliency_of
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.counterfactual_gan.watch import Look
from alibi_bridge.formats import ImageFormat
from alibi_bridge.seeds import check_random_state
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.options import check_integer, check_number
from dice_extended_plugin.streams import query_streams

__all__ = ["JointNetworks"]

#: Share of the strong changes that must go one way before the other counts as an artefact.
_CLEAR_WAY = 0.3


class JointNetworks:
    """A generator and a discriminator in use.

    Attributes
    ----------
    generator, discriminator : torch.nn.Module or None
    image_format : ImageFormat or None
    settings : Settings
    device : torch.device
    chosen : Look or None
        What validation showed at the step that was kept.
    """

    generator: Any
    discriminator: Any
    image_format: ImageFormat | None
    settings: Settings
    device: torch.device
    chosen: Look | None = None

    def predict(self, X: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Return D's probabilities of class 0, class 1 and fake.

        Parameters
        ----------
        X : ndarray of shape (n, *image)
        batch_size : int, optional
            Changes nothing but memory and time.

        Returns
        -------
        ndarray of float32, shape (n, 3)
        """
        form, X = self._ready(X)
        check_integer("batch_size", batch_size, 1)
        parts = [
            self._probabilities(form.to_tensor(X[k : k + batch_size], self.device))
            for k in range(0, len(X), batch_size)
        ]
        return torch.cat(parts).cpu().numpy() if parts else np.empty((0, 3), np.float32)

    def generate(
        self,
        X: np.ndarray,
        *,
        cycles: int | None = None,
        random_state: int | None = None,
        views: int = 1,
        sigma: float = 1.0,
        batch_size: int = 64,
    ) -> Generated:
        """Return counterfactuals, saliency, classes and p_fake.

        Parameters
        ----------
        X : ndarray of shape (n, *image)
        cycles : int, optional
            Further passes of G on its own counterfactuals; default: as trained.
        random_state : int, optional
            Draws G's noise; each image has its own. Default: noise 0, the typical counterfactual.
        views : int, optional
            Average the change over this many flips and turns of the image (1, 2, 4 or 8 of the
            square's; images that are not square have 4). Steadier changes for as many passes.
        sigma : float, optional
            Blur of the saliency in pixels.
        batch_size : int, optional
            Changes nothing but memory and time.

        Returns
        -------
        Generated

        Raises
        ------
        InvalidInputError
            No networks yet, no images or images of another format, settings without meaning.
        """
        form, X = self._ready(X)
        if not len(X):
            raise InvalidInputError("X holds no images")
        cycles = self.settings.cycles if cycles is None else cycles
        check_integer("cycles", cycles, 0)
        check_integer("batch_size", batch_size, 1)
        check_number("sigma", sigma, least=0)
        passes = 1 + cycles
        turns = _turns(views, form.height == form.width)
        z = np.zeros((passes, len(X), self.generator.noise_dim), np.float32)
        if random_state is not None:
            # Named by the image, not by its place: alone or in a batch it gets the same.
            flat = X.reshape(len(X), -1).astype(np.float64)
            for row, stream in enumerate(query_streams(flat, check_random_state(random_state))):
                z[:, row] = stream.normal(size=z[:, row].shape)
        chains: list[list[Tensor]] = [[] for _ in range(passes)]
        reads: list[list[Tensor]] = [[] for _ in range(passes + 1)]
        scores = []
        with torch.no_grad():
            for start in range(0, len(X), batch_size):
                part = slice(start, start + batch_size)
                image = form.to_tensor(X[part], self.device)
                reads[0].append(self._probabilities(image))
                for k in range(passes):
                    noise = torch.as_tensor(z[k, part], device=self.device)
                    image, logits = self._turned(image, noise, turns)
                    chains[k].append(image)
                    reads[k + 1].append(self._probabilities(image))
                    if not k:
                        scores.append(logits.softmax(dim=1))
        images = [form.to_array(torch.cat(chain)) for chain in chains]
        read = [torch.cat(part).cpu().numpy() for part in reads]
        g = torch.cat(scores).cpu().numpy()
        classes = [p[:, :FAKE].argmax(axis=1) for p in read]
        axis = 3 if form.channels_last else 1
        return Generated(
            counterfactual=images[0],
            saliency=saliency_of(X, images[0], axis, sigma, self._way()),
            probabilities=read[0],
            cf_probabilities=read[1],
            g_probabilities=g,
            d_class=classes[0],
            cf_class=classes[1],
            g_class=g.argmax(axis=1),
            p_fake=read[0][:, FAKE],
            success=classes[1] == 1 - classes[0],
            real=read[1].argmax(axis=1) != FAKE,
            cycles=tuple(images),
            cycle_class=np.stack(classes[1:], axis=1),
        )

    def as_art_classifier(self) -> Any:
        """Return ART's ``PyTorchClassifier`` of D's two classes, in the user's layout and range.

        Gradients flow through it. Its two outputs are the logits of p0 and p1; softmax gives
        p0 / (p0 + p1).
        """
        from alibi_bridge.counterfactual_gan.art_view import art_classifier

        self._ready(None)
        assert self.image_format is not None
        return art_classifier(self.discriminator, self.image_format, self.device)

    def detector_module(self) -> torch.nn.Module:
        """Return D as a module from images in the user's layout and range to (n, 3) logits.

        For detectors of fakes, such as ``art_bridge.detector.FakenessDetector``.
        """
        from alibi_bridge.counterfactual_gan.art_view import UserView

        self._ready(None)
        assert self.image_format is not None
        return UserView(self.discriminator, self.image_format, outputs=3).eval()

    def _ready(self, X: Any) -> tuple[ImageFormat, np.ndarray]:
        if self.image_format is None or self.generator is None:
            raise InvalidInputError("the model has no networks yet: call fit(X, y) first")
        form = self.image_format
        self.generator.eval()
        self.discriminator.eval()
        return form, np.empty(0) if X is None else form.check(X)

    def _way(self) -> int:
        """Return which way class 1 is taken out, or 0 where both ways occur."""
        way = 0.0 if self.chosen is None else self.chosen.way
        return 0 if abs(way) < _CLEAR_WAY else int(np.sign(way))

    def _probabilities(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            found: Tensor = self.discriminator(x).float().softmax(dim=1)
        return found

    def _turned(self, x: Tensor, z: Tensor, turns: list[int]) -> tuple[Tensor, Tensor]:
        """Return G's mean counterfactual and logits over flips and turns of the images."""
        images, logits = [], []
        for turn in turns:
            image, score = self.generator(_turn(x, turn), z)
            images.append(_turn_back(image, turn))
            logits.append(score)
        if len(turns) == 1:
            return images[0], logits[0]
        return torch.stack(images).mean(dim=0), torch.stack(logits).mean(dim=0)


def _turns(views: int, square: bool) -> list[int]:
    if isinstance(views, bool) or views not in (1, 2, 4, 8):
        raise InvalidInputError(f"views must be 1, 2, 4 or 8, it is {views!r}")
    return list(range(min(views, 8 if square else 4)))


def _turn(x: Tensor, turn: int) -> Tensor:
    """Flip to the right (bit 0), downwards (bit 1), over the diagonal (bit 2)."""
    x = x.flip(3) if turn & 1 else x
    x = x.flip(2) if turn & 2 else x
    return x.transpose(2, 3).contiguous() if turn & 4 else x


def _turn_back(x: Tensor, turn: int) -> Tensor:
    x = x.transpose(2, 3) if turn & 4 else x
    x = x.flip(2) if turn & 2 else x
    return x.flip(3) if turn & 1 else x
