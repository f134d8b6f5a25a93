"""Alibi's explainer for believable attribute edits that change what a classifier sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from alibi_bridge.adapter import BridgeExplainer, Explanation
from alibi_bridge.explanation_data import RETURN_IMAGES, explanation_data
from alibi_bridge.predictors import check_answers
from alibi_bridge.search import SearchSettings, check_settings, search, with_changes
from alibi_bridge.search_result import SearchResult
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import torch
    from typing_extensions import Self

__all__ = ["PlausibleCounterfactual"]


class PlausibleCounterfactual(BridgeExplainer):
    """Audit an image classifier by plausible counterfactuals.

    An AttGAN edits the attributes of an image, a search of three objectives (believable to the
    critic, another class to the predictor, a small change) finds the edits worth seeing
    (Barredo-Arrieta and Del Ser, *Plausible counterfactuals: auditing deep learning classifiers
    with realistic adversarial examples*, 2020). Only the predictor's answers are read.

    Parameters
    ----------
    predictor : object, optional
        A function from images to scores, a torch module, a Keras model or a scikit-learn
        classifier; see :func:`alibi_bridge.predictors.as_predictor`.
    attributes : sequence of str, optional
        Names of the attributes that :meth:`fit` trains on; it then makes an AttGAN with the
        published defaults for images of the size it is given.
    networks : AttGAN, optional
        A trained one, or one made for :meth:`fit` to train, such as ``AttGAN.small(names)``.
    outputs : {"scores", "labels", "logits"}, default "scores"
        What the predictor answers.
    n_classes : int, optional
        Needed for labels of more than two classes.
    settings : SearchSettings, optional
        How to search.
    return_images : {True, "uint8", "cf", False}, default True
        Whether results hold the edited images as floats, as uint8 (a quarter of the JSON), only
        the counterfactuals and not the fronts, or none.
    verbose : bool, default False
        Show progress bars.
    **changes
        Single settings of :class:`alibi_bridge.search.SearchSettings`: ``engine="smpso"``,
        ``budget=10_000``, ``target=None``, ``exclude_target=True``, ``immutable=()``, ``bounds``,
        ``choose="knee"``, ``allow_dead=False``, ``random_state=0`` and others.

    Raises
    ------
    InvalidInputError
        A ``ValueError`` that names the argument.
    """

    kind: ClassVar[str] = "plausible counterfactual"

    def __init__(
        self,
        predictor: Any = None,
        attributes: Sequence[str] | None = None,
        networks: Any = None,
        *,
        outputs: Literal["scores", "labels", "logits"] = "scores",
        n_classes: int | None = None,
        settings: SearchSettings | None = None,
        return_images: bool | Literal["uint8", "cf"] = True,
        verbose: bool = False,
        **changes: Any,
    ) -> None:
        settings = with_changes(settings, changes)
        check_answers(outputs, n_classes)
        _check_return_images(return_images)
        if isinstance(attributes, str):
            raise InvalidInputError(f"attributes must be a list of names, not {attributes!r}")
        known = None if networks is None else _names_of(networks)
        if attributes is not None and known is not None and tuple(attributes) != known:
            raise InvalidInputError(
                f"attributes are {', '.join(attributes)}, but the networks know {', '.join(known)}"
            )
        names = known if attributes is None else tuple(attributes)
        if names is not None:
            check_settings(names, getattr(networks, "exclusive", ()), settings)
        params = {
            **settings.to_dict(),
            "attributes": None if names is None else list(names),
            "outputs": outputs,
            "n_classes": n_classes,
            "return_images": return_images,
            "verbose": verbose,
        }
        super().__init__(["blackbox"], ["local"], params, predictor)
        self.attributes = names
        self.networks = networks
        self.settings = settings
        self.outputs = outputs
        self.n_classes = n_classes
        self.return_images = return_images
        self.verbose = verbose

    @staticmethod
    def conformance() -> dict[str, dict[str, Any]]:
        """Return the keywords with which the conformance suite checks the class quickly."""
        from alibi_bridge.attgan import AttGAN
        from alibi_bridge.attgan.training import Schedule

        schedule = Schedule(critic_steps=1, judge_steps=20)
        networks = AttGAN.small(["bright", "striped"], 32, width=4, schedule=schedule)
        # Networks of one step show no edit; the search is what is checked.
        lenient = {"allow_dead": True, "skip_misread_reconstructions": False}
        quick = {"networks": networks, "budget": 60, "pop_size": 10}
        return {"init": {**quick, **lenient}, "fit": {"steps": 1}}

    def fit(self, X: Any = None, A: Any = None, *, networks: Any = None, **options: Any) -> Self:
        """Train the AttGAN, or take a trained one.

        Parameters
        ----------
        X : ndarray of shape (n, size, size, channels), or ImageSource, optional
            The images to train on.
        A : array-like of 0 and 1, shape (n, m), optional
            Their attributes; a source has its own.
        networks : AttGAN, optional
            A trained one, instead of training.
        **options
            For ``AttGAN.fit``: ``steps``, ``epochs``, ``validation``, ``callbacks``,
            ``checkpoint`` and others.

        Returns
        -------
        PlausibleCounterfactual
            Itself.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: nothing to train on, attributes without names, bad images.
        """
        if networks is not None:
            if X is not None or A is not None or options:
                raise InvalidInputError("give images to train on or trained networks, not both")
            self._take(networks)
        elif X is not None:
            made = self.networks or self._new_networks(X, options)
            self._check_search(made)
            self._take(made.fit(X, A, **{"verbose": self.verbose, **options}))
        self._trained()
        return self

    def explain(
        self,
        X: np.ndarray,
        Y: Any = None,
        attributes: Any = None,
        *,
        return_images: bool | Literal["uint8", "cf"] | None = None,
    ) -> Explanation:
        """Search counterfactuals of images.

        Parameters
        ----------
        X : ndarray of shape (n, height, width, channels), or channels first as trained
        Y : array-like of int, shape (n,) or (n, 1), optional
            True classes; what the predictor misreads is not explained. Default: its own answers.
        attributes : array-like of 0 and 1, shape (n, m), optional
            The images' attributes. Default: what the AttGAN's classifier sees.
        return_images : optional
            Instead of the explainer's own.

        Returns
        -------
        alibi.api.interfaces.Explanation
            Its data, with a row per image everywhere:

            * ``orig``: ``X``, ``class`` (n, 1), ``proba`` (n, K), ``attributes`` (n, m);
            * ``cf``: the chosen edit: ``X``, ``class``, ``proba``, ``attributes``. Without one,
              the row holds the original image, class and attributes, and ``success`` is False;
            * ``all``: per image the front, a list of dicts ``X``, ``delta``, ``attributes``,
              ``class``, ``proba``, ``f_gan``, ``f_adv``, ``f_att``, ``success``;
            * ``success`` bool (n,); ``status`` and ``reason``, lists of text or None;
            * ``delta``: per image a dict from attribute name to its change, or None;
            * ``needed``: per image the attributes without whose change the edit fails, or None;
            * ``f_gan``, ``f_adv``, ``f_att`` of the chosen edits, numbers or None;
            * ``chosen``, ``knee``, ``crossing``: places in ``all``, or None;
            * ``predictor_calls`` int (n,), ``hypervolume`` (n,), ``reference`` (n, 3);
            * ``orig_class``, ``orig_proba``: as in ``orig``; ``attribute_names``.
        """
        wanted = self.return_images if return_images is None else return_images
        _check_return_images(wanted)
        keep: Literal["front", "chosen", "none"] = "front"
        if wanted in ("cf", False):
            keep = "chosen" if wanted else "none"
        found = self.search(X, Y, attributes, keep=keep)
        return self._explanation(explanation_data(found, X, self.networks.format, wanted))

    def search(
        self,
        X: np.ndarray,
        Y: Any = None,
        attributes: Any = None,
        *,
        keep: Literal["front", "chosen", "none"] = "front",
        predictor: Any = None,
    ) -> SearchResult:
        """Search as :meth:`explain` does, and return the plain result.

        Parameters
        ----------
        X, Y, attributes
            As for :meth:`explain`.
        keep : {"front", "chosen", "none"}, default "front"
            Which images to keep.
        predictor : optional
            Another one, for this call.
        """
        networks = self._trained()
        judge = self.predictor if predictor is None else predictor
        if judge is None:
            raise InvalidInputError("there is no predictor: call reset_predictor(predictor)")
        return search(
            X,
            judge,
            networks,
            Y=Y,
            attributes=attributes,
            outputs=self.outputs,
            n_classes=self.n_classes,
            settings=self.settings,
            keep=keep,
            verbose=self.verbose,
        )

    def _new_networks(self, X: Any, options: Mapping[str, Any]) -> Any:
        from alibi_bridge.attgan import AttGAN
        from alibi_bridge.formats import ImageFormat

        names, layout = self.attributes, getattr(X, "format", None)
        if names is None and layout is not None:
            names = tuple(X.attributes)
        if names is None:
            raise InvalidInputError("name the attributes: PlausibleCounterfactual(attributes=[…])")
        if layout is None:
            layout = ImageFormat.of(
                X, options.get("value_range"), options.get("channels_last", True)
            )
        return AttGAN(
            names,
            size=layout.height,
            channels=layout.channels,
            random_state=self.settings.random_state,
        )

    def _check_search(self, networks: Any) -> None:
        """Refuse before a training what the search would refuse after it."""
        from alibi_bridge.engines import check_engine_options, load_engine

        check_settings(networks.attributes, getattr(networks, "exclusive", ()), self.settings)
        check_engine_options(load_engine(self.settings.engine), self.settings.engine_options)

    def _take(self, networks: Any) -> None:
        names = _names_of(networks)
        if self.attributes is not None and names != self.attributes:
            raise InvalidInputError(
                f"the networks know the attributes {', '.join(names)}, the explainer was made for "
                f"{', '.join(self.attributes)}"
            )
        check_settings(names, getattr(networks, "exclusive", ()), self.settings)
        self.networks, self.attributes = networks, names
        self.meta["params"]["attributes"] = list(names)

    def _trained(self) -> Any:
        if self.networks is None:
            raise InvalidInputError(
                "there are no networks: call fit(X, A) to train them, or fit(networks=trained)"
            )
        _ = self.networks.format  # raises where they are not trained
        return self.networks

    def _config(self) -> dict[str, Any]:
        settings = self.settings
        if not isinstance(settings.engine, str):
            raise InvalidInputError(
                "an explainer whose engine is a class cannot be saved: register it as a "
                "search_engine and give its name"
            )
        networks = None
        if self.networks is not None:
            if not hasattr(self.networks, "config"):
                raise InvalidInputError(
                    f"networks of type {type(self.networks).__name__} cannot be saved"
                )
            networks = self.networks.config()
        return {
            "attributes": None if self.attributes is None else list(self.attributes),
            "networks": networks,
            "settings": settings.to_dict(),
            "outputs": self.outputs,
            "n_classes": self.n_classes,
            "return_images": self.return_images,
            "verbose": self.verbose,
        }

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {} if self.networks is None else self.networks.tensors()

    @classmethod
    def _from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], predictor: Any
    ) -> Self:
        networks = None
        if config["networks"] is not None:
            from alibi_bridge.attgan import AttGAN

            networks = AttGAN.from_config(config["networks"], tensors)
        return cls(
            predictor,
            config["attributes"],
            networks,
            outputs=config["outputs"],
            n_classes=config["n_classes"],
            settings=SearchSettings.from_dict(config["settings"]),
            return_images=config["return_images"],
            verbose=config["verbose"],
        )


def _names_of(networks: Any) -> tuple[str, ...]:
    if not all(hasattr(networks, name) for name in ("attributes", "encode", "decode", "critic")):
        raise InvalidInputError(f"networks must be an AttGAN, they are {type(networks).__name__}")
    return tuple(networks.attributes)


def _check_return_images(value: Any) -> None:
    if value not in RETURN_IMAGES or isinstance(value, int) != isinstance(value, bool):
        raise InvalidInputError(
            f"return_images must be True, 'uint8', 'cf' or False, it is {value!r}"
        )
