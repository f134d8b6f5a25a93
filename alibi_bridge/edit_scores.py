"""Edited images and what the critic and the predictor say of them, in one batched call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from alibi_bridge.formats import ImageFormat
from alibi_bridge.objectives import f_adv, f_att, f_gan
from alibi_bridge.predictors import Predictor
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["EditScorer", "EncodedImage"]


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """One image, ready to be edited.

    Attributes
    ----------
    x : torch.Tensor of shape (1, C, H, W)
        In [−1, 1], on the CPU.
    z : tuple of torch.Tensor
        Its code, a first dimension of 1.
    a : ndarray of float, shape (m,)
        Its attributes.
    critic : float
        D(x).
    proba : ndarray of shape (K,)
        What the predictor says of x.
    original_class : int
        Its most probable class.
    """

    x: torch.Tensor
    z: tuple[torch.Tensor, ...]
    a: np.ndarray
    critic: float
    proba: np.ndarray
    original_class: int


class EditScorer:
    """Decode, judge and classify edits of images.

    Parameters
    ----------
    networks : AttGAN or alike
        ``encode``, ``decode``, ``critic``.
    predictor : Predictor
        Its format is that of the images.
    adversarial : {"probability", "log"}
    exact : bool, default True
        True: the edits of an image go through the networks and the predictor by themselves, so
        that their scores are the same to the last bit whatever other images are searched. False:
        those of all images go together, which is faster on a GPU; float32 sums then depend on the
        size of the batch.
    max_batch : int, default 1024
        Images in one call.
    """

    def __init__(
        self,
        networks: Any,
        predictor: Predictor,
        adversarial: str = "probability",
        exact: bool = True,
        max_batch: int = 1024,
    ) -> None:
        self.networks = networks
        self.predictor = predictor
        self.adversarial = adversarial
        self.exact = exact
        self.max_batch = max_batch

    @property
    def format(self) -> ImageFormat:
        """Of the images."""
        return self.predictor.format

    def encode(self, X: np.ndarray, A: np.ndarray | None = None) -> list[EncodedImage]:
        """Encode and classify images; one predictor image each.

        Parameters
        ----------
        X : ndarray of shape (n, *format.shape)
        A : ndarray of shape (n, m), optional
            Default: what the networks' own attribute classifier sees.
        """
        encoded: list[EncodedImage] = []
        size = 1 if self.exact else self.max_batch
        for start in range(0, len(X), size):
            part = slice(start, start + size)
            x = self.format.to_tensor(X[part])
            with torch.no_grad():
                z = tuple(self.networks.encode(x))
                critic = _numbers(self.networks.critic(x), "critic")
            proba = self.predictor(np.asarray(X[part]))
            a = self._guess(x) if A is None else np.asarray(A[part], dtype=float)
            for i in range(len(x)):
                own = tuple(part[i : i + 1] for part in z)
                encoded.append(
                    EncodedImage(
                        x[i : i + 1], own, a[i], critic[i], proba[i], int(proba[i].argmax())
                    )
                )
        return encoded

    def score(
        self, images: Sequence[EncodedImage], deltas: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return objectives and probabilities of edits.

        Parameters
        ----------
        images : sequence of EncodedImage
        deltas : sequence of ndarray of shape (n_i, m)
            The edits of each image.

        Returns
        -------
        list of (F, proba)
            Per image its objectives, (n_i, 3), and class probabilities, (n_i, K).
        """
        if self.exact:
            found = [
                self._together([one], [delta]) for one, delta in zip(images, deltas, strict=True)
            ]
        else:
            found = [self._together(images, deltas)]
        critic = np.concatenate([values for values, _ in found])
        proba = np.concatenate([values for _, values in found])
        results, start = [], 0
        for image, delta in zip(images, deltas, strict=True):
            part = slice(start, start + len(delta))
            start += len(delta)
            F = np.column_stack(
                [
                    f_gan(image.critic, critic[part]),
                    f_adv(proba[part], image.original_class, self.adversarial),  # type: ignore[arg-type]
                    f_att(delta),
                ]
            )
            results.append((F, proba[part]))
        return results

    def images(self, image: EncodedImage, delta: np.ndarray) -> np.ndarray:
        """Return the edited images themselves, float32 in the user's layout and range."""
        parts = [self.format.to_array(edited) for edited, _ in self._decoded([image], [delta])]
        return np.concatenate(parts) if parts else np.empty((0, *self.format.shape), np.float32)

    def _together(
        self, images: Sequence[EncodedImage], deltas: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        critics, probas = [], []
        for edited, critic in self._decoded(images, deltas, judge=True):
            critics.append(critic)
            probas.append(self.predictor(self.format.to_array(edited)))
        return np.concatenate(critics), np.concatenate(probas)

    def _decoded(
        self, images: Sequence[EncodedImage], deltas: Sequence[np.ndarray], judge: bool = False
    ) -> Any:
        """Yield (edited images, critic values) in batches."""
        owner = np.repeat(np.arange(len(images)), [len(delta) for delta in deltas])
        a = np.stack([image.a for image in images])
        b = np.clip(a[owner] + np.concatenate(deltas), 0.0, 1.0)
        for start in range(0, len(owner), self.max_batch):
            part = slice(start, start + self.max_batch)
            with torch.no_grad():
                z = _rows(images, owner[part])
                edited = self.networks.decode(z, torch.from_numpy(b[part]).float())
                critic = _numbers(self.networks.critic(edited), "critic") if judge else np.empty(0)
            yield edited, critic

    def _guess(self, x: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            logits = self.networks.classify(x).double().cpu().numpy()
        a = (logits > 0).astype(float)
        place = {name: column for column, name in enumerate(self.networks.attributes)}
        for group in getattr(self.networks, "exclusive", ()):
            columns = [place[name] for name in group]
            best = logits[:, columns].argmax(axis=1)
            a[:, columns] *= np.arange(len(columns)) == best[:, None]
        return a


def _rows(images: Sequence[EncodedImage], owner: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Return the codes of candidates; those of one image are a view."""
    if len(images) == 1:
        return tuple(part.expand(len(owner), *part.shape[1:]) for part in images[0].z)
    present, counts = np.unique(owner, return_counts=True)
    repeats = torch.from_numpy(counts)
    codes = []
    for level in range(len(images[0].z)):
        stacked = torch.cat([images[i].z[level] for i in present])
        codes.append(stacked.repeat_interleave(repeats.to(stacked.device), dim=0))
    return tuple(codes)


def _numbers(values: torch.Tensor, what: str) -> np.ndarray:
    numbers: np.ndarray = values.reshape(len(values), -1)[:, 0].double().cpu().numpy()
    if not np.isfinite(numbers).all():
        raise InvalidInputError(
            f"the networks' {what} returned NaN or infinity: their training failed, or the weights "
            f"are damaged"
        )
    return numbers
