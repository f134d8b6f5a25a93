"""More than two classes: one joint GAN for each class against the background.

The paper (section 5) proposes this: a class is best explained by what sets it apart from nothing
special, such as a defect from sound material.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from alibi_bridge.counterfactual_gan.losses import FAKE
from alibi_bridge.counterfactual_gan.model import JointGAN
from alibi_bridge.counterfactual_gan.results import Generated, Saliency
from alibi_bridge.saving import load_bundle, save_bundle
from alibi_bridge.untrusted import from_settings
from dice_extended_plugin.errors import InvalidInputError

__all__ = ["OneAgainstBackground"]


class OneAgainstBackground:
    """Joint GANs that share a background class.

    Parameters
    ----------
    background : int
        The label that every other class is compared with.
    **options
        Of every :class:`~alibi_bridge.counterfactual_gan.model.JointGAN`.

    Attributes
    ----------
    labels : list of int
        The background, then the other classes in order; the classes below are places in it.
    models : dict of int to JointGAN
        By label.
    """

    kind = "joint_gans"

    def __init__(self, background: int, **options: Any) -> None:
        JointGAN(**options)  # refuses what it does not know, before there are images
        self.background, self.options = background, options
        self.models: dict[int, JointGAN] = {}

    @property
    def labels(self) -> list[int]:
        """The background and the other classes."""
        return [self.background, *self.models]

    def fit(
        self,
        X: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | float = 0.1,
        groups: np.ndarray | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        **keywords: Any,
    ) -> OneAgainstBackground:
        """Train one model per class on its images and the background's.

        Parameters
        ----------
        X : ndarray of shape (n, *image)
        y : ndarray of int, shape (n,)
            Any whole numbers, `background` among them.
        validation, groups, checkpoint, **keywords
            As of :meth:`JointGAN.fit`; each model has a folder of its own in `checkpoint`.

        Raises
        ------
        InvalidInputError
            No background image, no other class, or what :meth:`JointGAN.fit` refuses.
        """
        y = _whole(y, len(X))
        others = sorted(set(y.tolist()) - {self.background})
        if not others or not (y == self.background).any():
            raise InvalidInputError(
                f"y must hold the background ({self.background}) and another class, it holds "
                f"{sorted(set(y.tolist()))}"
            )
        if isinstance(validation, (tuple, list)):
            validation = (np.asarray(validation[0]), _whole(validation[1], len(validation[0])))
        tasks: dict[int, tuple[JointGAN, dict[str, Any]]] = {}
        for label in others:
            rows = np.isin(y, (self.background, label))
            held: Any = validation
            if isinstance(validation, tuple):
                kept = np.isin(validation[1], (self.background, label))
                held = (validation[0][kept], (validation[1][kept] == label).astype(np.int64))
            task = {
                "X": np.asarray(X)[rows],
                "y": (y[rows] == label).astype(np.int64),
                "validation": held,
                "groups": None if groups is None else np.asarray(groups)[rows],
                "checkpoint": None if checkpoint is None else os.path.join(checkpoint, str(label)),
                **keywords,
            }
            tasks[label] = JointGAN(**self.options), task
        for label, (model, task) in tasks.items():  # before any of them is trained
            try:
                model.prepare(**task)
            except InvalidInputError as error:
                raise InvalidInputError(f"class {label} against the background: {error}") from error
        self.models = {label: model.fit(**task) for label, (model, task) in tasks.items()}
        return self

    def predict(self, X: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Return probabilities (n, classes + 1): the classes of :attr:`labels`, then fake.

        Each model gives the odds of its class against the background; fake is the p_fake of the
        model of the likeliest class.
        """
        return self._joined([model.predict(X, batch_size) for model in self._fitted()])

    def generate(
        self, X: np.ndarray, *, target: np.ndarray | None = None, **keywords: Any
    ) -> Generated:
        """Return counterfactuals: images of a class without it, background images with a class.

        Parameters
        ----------
        X : ndarray of shape (n, *image)
        target : ndarray of int, shape (n,), optional
            For images read as background: label to turn them into. Default: the likeliest.
        **keywords
            As of :meth:`JointGAN.generate`.

        Returns
        -------
        Generated
            Classes are places in :attr:`labels`; the probabilities have classes + 1 columns, those
            of G's head the background and the class compared with it.
        """
        models = self._fitted()
        found = [model.generate(X, **keywords) for model in models]
        joined = self._joined([one.probabilities for one in found])
        d_class = joined[:, :-1].argmax(axis=1)
        use = np.where(d_class > 0, d_class, 1 + joined[:, 1:-1].argmax(axis=1)) - 1
        if target is not None:
            wanted = _whole(target, len(X), "target")
            unknown = sorted(set(wanted.tolist()) - set(self.models))
            if unknown:
                raise InvalidInputError(f"target holds {unknown}; classes are {list(self.models)}")
            places = np.array([self.labels.index(label) - 1 for label in wanted], dtype=np.int64)
            use = np.where(d_class > 0, use, places)
        rows = np.arange(len(use))

        def pick(name: str) -> np.ndarray:
            return np.stack([getattr(one, name) for one in found])[use, rows]

        image = pick("counterfactual")
        cf_read = self.predict(image)
        cf_class = cf_read[:, :-1].argmax(axis=1)
        aim = np.where(d_class > 0, 0, use + 1)
        maps = {
            f.name: np.stack([getattr(one.saliency, f.name) for one in found])[use, rows]
            for f in dataclasses.fields(Saliency)
            if f.name != "sigma"
        }
        passes = range(len(found[0].cycles))
        own = (use + 1)[:, None]  # a model's class 1 is this place in the labels
        return Generated(
            counterfactual=image,
            saliency=Saliency(**maps, sigma=found[0].saliency.sigma),
            probabilities=joined,
            cf_probabilities=cf_read,
            g_probabilities=pick("g_probabilities"),
            d_class=d_class,
            cf_class=cf_class,
            g_class=np.where(pick("g_class") == 1, use + 1, 0),
            p_fake=joined[:, -1],
            success=cf_class == aim,
            real=pick("real"),
            cycles=tuple(np.stack([one.cycles[k] for one in found])[use, rows] for k in passes),
            cycle_class=np.where(pick("cycle_class") == 1, own, 0),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write every model into one folder of JSON and safetensors."""
        save_bundle(path, self.kind, self.config(), self.tensors())

    @classmethod
    def load(cls, path: str | os.PathLike[str], device: str = "auto") -> OneAgainstBackground:
        """Read what :meth:`save` wrote."""
        return cls.rebuilt(*load_bundle(path, cls.kind), device=device)

    def config(self) -> dict[str, Any]:
        """Return every setting; JSON can write it."""
        models = {str(label): model.config() for label, model in self.models.items()}
        return {"background": self.background, "models": models}

    def tensors(self) -> dict[str, Any]:
        """Return the weights of every model."""
        return {
            f"{label}/{name}": value
            for label, model in self.models.items()
            for name, value in model.tensors().items()
        }

    @classmethod
    def rebuilt(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Any], device: str = "auto"
    ) -> OneAgainstBackground:
        """Return what :meth:`config` and :meth:`tensors` describe."""
        with from_settings("a joint GAN per class"):
            made = cls(config["background"])
            for label, values in config["models"].items():
                start = f"{label}/"
                own = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
                made.models[int(label)] = JointGAN.rebuilt(values, own, device)
        return made

    def _fitted(self) -> Iterable[JointGAN]:
        if not self.models:
            raise InvalidInputError("the model has no networks yet: call fit(X, y) first")
        return self.models.values()

    def _joined(self, read: list[np.ndarray]) -> np.ndarray:
        odds = [np.ones(len(read[0]))]
        odds += [one[:, 1] / np.maximum(one[:, 0].astype(float), 1e-12) for one in read]
        shares = np.stack(odds, axis=1)
        shares /= shares.sum(axis=1, keepdims=True)
        rows = np.arange(len(shares))
        fake = np.stack([one[:, FAKE] for one in read])[shares[:, 1:].argmax(axis=1), rows]
        return np.column_stack([shares * (1 - fake)[:, None], fake]).astype(np.float32)


def _whole(y: Any, n: int, name: str = "y") -> np.ndarray:
    labels = np.asarray(y)
    if labels.shape != (n,) or labels.dtype.kind not in "iub":
        raise InvalidInputError(f"{name} must hold one whole number per image, ({n},)")
    return labels.astype(np.int64)
