"""The joint counterfactual GAN as an Alibi explainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from alibi_bridge.adapter import BridgeExplainer, Explanation
from alibi_bridge.counterfactual_gan.model import JointGAN
from alibi_bridge.counterfactual_gan.multiclass import OneAgainstBackground
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.formats import ImageFormat
from alibi_bridge.predictors import as_predictor
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

__all__ = ["CounterfactualGAN"]


class CounterfactualGAN(BridgeExplainer):
    """Train a classifier, a generator of counterfactuals and an uncertainty score together.

    Parameters
    ----------
    predictor : callable, optional
        Another model, from images to class probabilities, that the counterfactuals are put to as
        well. By default the GAN explains its own discriminator.
    image_format : ImageFormat, optional
        Default: that of the first images fitted.
    generator, discriminator : str, optional
        ``"unet"``, ``"swin_unet"``; ``"cnn"``, ``"resnet3"``, ``"resnet18"``, ``"resnet50"``,
        ``"swin"``, ``"hybrid"``.
    generator_options, discriminator_options : mapping, optional
    settings : Settings, optional
        How to train.
    background : int, optional
        For more than two classes: the label that each other class is compared with.
    device : str, optional
    random_state : int, optional

    Attributes
    ----------
    model : JointGAN or OneAgainstBackground
        The networks; see there for histories and reports of collapse.
    """

    kind: ClassVar[str] = "counterfactual_gan"

    def __init__(
        self,
        predictor: Any = None,
        *,
        image_format: ImageFormat | None = None,
        generator: str = "unet",
        discriminator: str = "cnn",
        generator_options: Mapping[str, Any] | None = None,
        discriminator_options: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        background: int | None = None,
        device: str = "auto",
        random_state: int = 0,
    ) -> None:
        options: dict[str, Any] = {
            "image_format": image_format,
            "generator": generator,
            "discriminator": discriminator,
            "generator_options": dict(generator_options or {}),
            "discriminator_options": dict(discriminator_options or {}),
            "settings": settings or Settings(),
            "device": device,
            "random_state": random_state,
        }
        self.model: Any = (
            JointGAN(**options)
            if background is None
            else OneAgainstBackground(background, **options)
        )
        shown = {
            **options,
            "settings": options["settings"].to_dict(),
            "image_format": None if image_format is None else image_format.to_dict(),
            "background": background,
        }
        super().__init__(["whitebox"], ["local"], shown, predictor)

    @staticmethod
    def conformance() -> dict[str, dict[str, Any]]:
        """Return the keywords with which the conformance suite checks the class quickly."""
        narrow = {"generator_options": {"width": 4}, "discriminator_options": {"width": 8}}
        settings = Settings.paper(batch_size=8, warmup=4, validate_every=4, cycles=1)
        return {"init": {**narrow, "settings": settings}, "fit": {"steps": 8}}

    def fit(self, X: np.ndarray, y: np.ndarray | None = None, **keywords: Any) -> Self:
        """Train on images and labels.

        Parameters
        ----------
        X : ndarray of shape (n, *image)
        y : ndarray of shape (n,)
            0 and 1, or with `background` any whole numbers.
        **keywords
            As of :meth:`~alibi_bridge.counterfactual_gan.model.JointGAN.fit`: ``validation``,
            ``groups``, ``steps``, ``callbacks``, ``checkpoint``, ``resume``, ``verbose``.

        Returns
        -------
        CounterfactualGAN
            Itself.

        Raises
        ------
        InvalidInputError
            See :meth:`~alibi_bridge.counterfactual_gan.model.JointGAN.fit`.
        """
        if y is None:
            raise InvalidInputError("fit needs labels: fit(X, y)")
        self.model.fit(X, y, **keywords)
        self.meta["params"]["image_format"] = self._format().to_dict()
        return self

    def explain(
        self,
        X: np.ndarray,
        *,
        cycles: int | None = None,
        noise_state: int | None = None,
        views: int = 1,
        sigma: float = 1.0,
        batch_size: int = 64,
        return_images: bool = True,
        **keywords: Any,
    ) -> Explanation:
        """Return counterfactuals of images with what D and G read.

        Parameters
        ----------
        X : ndarray of shape (n, *image)
        cycles, views, sigma, batch_size
            See :meth:`~alibi_bridge.counterfactual_gan.model.JointGAN.generate`.
        noise_state : int, optional
            Seed of G's noise; default: noise 0.
        return_images : bool, optional
            Leave ``orig.X``, ``cf.X`` and the cycles' images out to keep the JSON small.
        **keywords
            With a background: ``target``, the classes to turn background images into.

        Returns
        -------
        Explanation
            ``orig`` {X, class, proba}, ``cf`` {X, class, proba}, ``target`` (n, 1), ``condition``
            (None), ``saliency`` {raw, blurred, normalised, removed}, ``p_fake``, ``cf_p_fake``,
            ``d_class``, ``g_class``, ``g_proba``, ``success`` (the class is another), ``real`` (D
            does not find the counterfactual fake), ``cycles`` {X, class}. Probabilities are p0 and
            p1 divided by their sum. With a predictor of its own, class, proba and success are the
            predictor's.

        Raises
        ------
        InvalidInputError
            Not fitted yet, images of another format.
        """
        X = np.asarray(X)
        found = self.model.generate(
            X,
            cycles=cycles,
            random_state=noise_state,
            views=views,
            sigma=sigma,
            batch_size=batch_size,
            **keywords,
        )
        orig, cf, success = (
            _given_real(found.probabilities),
            _given_real(found.cf_probabilities),
            found.success,
        )
        if self.predictor is not None:
            score = as_predictor(self.predictor, self._format())
            orig, cf = score(X), score(found.counterfactual)
            success = orig.argmax(axis=1) != cf.argmax(axis=1)
        images = {
            "orig": X.astype(np.float32),
            "cf": found.counterfactual,
            "cycles": np.stack(found.cycles, axis=1),
        }
        if not return_images:
            images = dict.fromkeys(images)
        names = self._labels()
        aim = _target(found, orig.shape[1])
        return self._explanation(
            {
                "orig": {"X": images["orig"], "class": orig.argmax(axis=1)[:, None], "proba": orig},
                "cf": {"X": images["cf"], "class": cf.argmax(axis=1)[:, None], "proba": cf},
                "target": aim[:, None],
                "condition": None,
                "labels": names,
                "saliency": {
                    "raw": found.saliency.raw,
                    "blurred": found.saliency.blurred,
                    "normalised": found.saliency.normalised,
                    "removed": found.saliency.removed,
                },
                "p_fake": found.p_fake,
                "cf_p_fake": found.cf_probabilities[:, -1],
                "d_class": found.d_class,
                "g_class": found.g_class,
                "g_proba": found.g_probabilities,
                "success": success,
                "real": found.real,
                "cycles": {"X": images["cycles"], "class": found.cycle_class},
            }
        )

    def as_art_classifier(self) -> Any:
        """Return D over its two classes as ART's ``PyTorchClassifier``.

        Raises
        ------
        InvalidInputError
            There is one D per class; take ``explainer.model.models[label]``.
        """
        if isinstance(self.model, OneAgainstBackground):
            raise InvalidInputError(
                "there is one discriminator per class: use model.models[label].as_art_classifier()"
            )
        return self.model.as_art_classifier()

    def _format(self) -> ImageFormat:
        models = getattr(self.model, "models", None)
        one = self.model if models is None else next(iter(models.values()))
        found: ImageFormat = one.image_format
        return found

    def _labels(self) -> list[int]:
        return list(getattr(self.model, "labels", [0, 1]))

    def _config(self) -> dict[str, Any]:
        return {"params": self.meta["params"], "model": self.model.config()}

    def _tensors(self) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = self.model.tensors()
        return found

    @classmethod
    def _from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], predictor: Any
    ) -> Self:
        many = "models" in config["model"]
        kind: Any = OneAgainstBackground if many else JointGAN
        model = kind.rebuilt(config["model"], tensors)
        made = cls(predictor, background=config["model"].get("background"))
        made.model = model
        made.meta["params"].update(config["params"])
        return made


def _given_real(probabilities: np.ndarray) -> np.ndarray:
    """Class probabilities of an image that is not fake."""
    classes = probabilities[:, :-1]
    found: np.ndarray = classes / np.maximum(classes.sum(axis=1, keepdims=True), 1e-12)
    return found


def _target(found: Any, classes: int) -> np.ndarray:
    """Return the class that each counterfactual aims at."""
    if classes == 2:
        return np.asarray(1 - found.d_class)
    return np.where(
        found.d_class > 0, 0, np.where(found.g_class > 0, found.g_class, found.cf_class)
    )
