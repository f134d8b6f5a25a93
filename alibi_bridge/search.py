"""Search the attribute edits of many images in lock-step (Barredo-Arrieta and Del Ser, 2020)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral
from typing import Any, Literal

import numpy as np

from alibi_bridge.attributes import check_columns
from alibi_bridge.edit_scores import EditScorer, EncodedImage
from alibi_bridge.edit_space import EditSpace, checked_bound
from alibi_bridge.engines import check_engine_options, load_engine
from alibi_bridge.formats import ImageFormat
from alibi_bridge.predictors import as_predictor
from alibi_bridge.search_result import ImageFront, SearchResult
from alibi_bridge.search_run import ImageSearch
from alibi_bridge.seeds import check_random_state
from dice_extended_plugin.errors import InvalidInputError, did_you_mean
from dice_extended_plugin.streams import query_streams

__all__ = [
    "ImageFront",
    "SearchResult",
    "SearchSettings",
    "check_settings",
    "edit_space",
    "search",
    "with_changes",
]

_logger = logging.getLogger(__name__)
#: Separates the search's streams from others that are named by the same images.
_KEY = 5


@dataclass(frozen=True)
class SearchSettings:
    """How to search.

    Parameters
    ----------
    engine : str or callable, default "smpso"
        A registered ``search_engine``, or a pymoo algorithm class with ``pop_size`` and
        ``sampling``.
    engine_options : mapping, optional
        Further arguments for it, such as ``archive_size``.
    budget : int, default 10_000
        Images that the predictor may be asked about, per image; never exceeded. Some go to the
        image itself, its reconstruction, and the check of the chosen edit: as a whole, and with
        one attribute at a time taken back.
    pop_size : int, default 100
        Candidates per generation, and the largest front returned.
    target : str, optional
        The attribute that the predictor was trained on, if the networks know it.
    exclude_target : bool, default True
        Whether it stays as it is: changing a person's sex changes the sex a predictor sees.
    immutable : sequence of str, default ()
        Attributes that stay as they are.
    bounds : mapping of str to (float, float), optional
        Least and largest value of an attribute after the edit, within [0, 1].
    adversarial : {"probability", "log"}, default "probability"
        Form of f_adv.
    choose : {"knee", "crossing", "nearest"}, default "knee"
        Which successful point of the front is the counterfactual; "nearest" has the least f_att.
    allow_dead : bool, default False
        Whether to search with attributes whose edits the networks do not show.
    skip_misread_reconstructions : bool, default True
        Whether to leave out images that the predictor misreads when they are merely decoded: no
        attribute is to blame there.
    exact : bool, default True
        See :class:`alibi_bridge.edit_scores.EditScorer`.
    batch_size : int, default 32
        Images searched at a time.
    random_state : int, default 0
    """

    engine: Any = "smpso"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    budget: int = 10_000
    pop_size: int = 100
    target: str | None = None
    exclude_target: bool = True
    immutable: Sequence[str] = ()
    bounds: Mapping[str, tuple[float, float]] | None = None
    adversarial: Literal["probability", "log"] = "probability"
    choose: Literal["knee", "crossing", "nearest"] = "knee"
    allow_dead: bool = False
    skip_misread_reconstructions: bool = True
    exact: bool = True
    batch_size: int = 32
    random_state: int = 0

    def __post_init__(self) -> None:
        for name, least in (("budget", 1), ("pop_size", 4), ("batch_size", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise InvalidInputError(f"{name} must be a whole number from {least} on: {value!r}")
            object.__setattr__(self, name, int(value))  # JSON knows no NumPy integers
        for name, known in (
            ("adversarial", ("probability", "log")),
            ("choose", ("knee", "crossing", "nearest")),
        ):
            if getattr(self, name) not in known:
                raise InvalidInputError(f"{name} must be one of {known}: {getattr(self, name)!r}")
        if not isinstance(self.engine, str) and not callable(self.engine):
            raise InvalidInputError(
                f"engine must be a name or a pymoo algorithm class, got {self.engine!r}"
            )
        for name in ("engine_options", "bounds"):
            value = getattr(self, name)
            if not isinstance(value, Mapping) and not (value is None and name == "bounds"):
                raise InvalidInputError(f"{name} must be a dict, it is {value!r}")
        for name, pair in (self.bounds or {}).items():
            checked_bound(name, pair)
        if isinstance(self.immutable, str) or not isinstance(self.immutable, Iterable):
            raise InvalidInputError(f"immutable must be a list of names, not {self.immutable!r}")
        object.__setattr__(self, "random_state", check_random_state(self.random_state))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can write them."""
        values = asdict(self)
        if not isinstance(self.engine, str):
            values["engine"] = f"{self.engine.__module__}:{self.engine.__qualname__}"
        values["immutable"] = list(self.immutable)
        values["bounds"] = None
        if self.bounds is not None:
            values["bounds"] = {
                name: [float(value) for value in pair] for name, pair in self.bounds.items()
            }
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchSettings:
        """Return the settings that :meth:`to_dict` wrote.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: unknown settings or bad values. An engine must be a registered name:
            a file does not say what to import.
        """
        if not isinstance(values.get("engine"), str) or ":" in values["engine"]:
            raise InvalidInputError(f"engine must be a registered name: {values.get('engine')!r}")
        bounds = values.get("bounds")
        if bounds is not None:
            bounds = {name: tuple(pair) for name, pair in bounds.items()}
        changes = {**values, "immutable": tuple(values.get("immutable", ())), "bounds": bounds}
        return with_changes(None, changes)


def search(
    X: np.ndarray,
    predictor: Any,
    networks: Any,
    *,
    Y: Any = None,
    attributes: Any = None,
    outputs: Literal["scores", "labels", "logits"] = "scores",
    n_classes: int | None = None,
    format: ImageFormat | None = None,
    settings: SearchSettings | None = None,
    keep: Literal["front", "chosen", "none"] = "front",
    verbose: bool = False,
    **changes: Any,
) -> SearchResult:
    """Find believable attribute edits that change what a classifier sees.

    Parameters
    ----------
    X : ndarray of shape (n, *format.shape)
    predictor : object
        Whatever :func:`alibi_bridge.predictors.as_predictor` takes. Only its answers are read.
    networks : AttGAN or alike
        Trained: ``attributes``, ``encode``, ``decode``, ``critic``, ``classify``.
    Y : array-like of int, shape (n,) or (n, 1), optional
        True classes. Images that the predictor misreads are counted, not searched. Default: what
        the predictor says.
    attributes : array-like of 0 and 1, shape (n, m), optional
        The images' own attributes. Default: what the networks' classifier sees.
    outputs, n_classes
        As for ``as_predictor``.
    format : ImageFormat, optional
        Of `X` and of what the predictor takes. Default: that of the networks.
    settings : SearchSettings, optional
    keep : {"front", "chosen", "none"}, default "front"
        Which edited images to return.
    verbose : bool, default False
        Show a progress bar.
    **changes
        Single settings, instead of or on top of `settings`.

    Returns
    -------
    SearchResult

    Raises
    ------
    InvalidInputError
        A ``ValueError``: bad images, attributes or settings, a predictor with answers of another
        shape or NaN, dead attributes.
    """
    settings = with_changes(settings, changes)
    if keep not in ("front", "chosen", "none"):
        raise InvalidInputError(f"keep must be 'front', 'chosen' or 'none', it is {keep!r}")
    layout = _layout(format, networks.format)
    X = layout.check(X)
    space = edit_space(networks, settings)
    A = _attributes(attributes, len(X), networks.attributes)
    judge = as_predictor(predictor, layout, outputs, n_classes)
    labels = _labels(Y, len(X))
    engine = load_engine(settings.engine)
    check_engine_options(engine, settings.engine_options)
    scorer = EditScorer(networks, judge, settings.adversarial, settings.exact)
    fronts: list[ImageFront] = []
    with _bar(len(X) * settings.budget, verbose) as bar:
        for start in range(0, len(X), settings.batch_size):
            part = slice(start, start + settings.batch_size)
            encoded = scorer.encode(X[part], None if A is None else A[part])
            _check_classes(labels, encoded)
            known = [None] * len(encoded) if labels is None else list(labels[part])
            seeds = _seeds(encoded, settings.random_state)
            runs = [
                ImageSearch(image, space, scorer, engine, settings, seed, label)
                for image, seed, label in zip(encoded, seeds, known, strict=True)
            ]
            _in_lock_step(runs, scorer, bar)
            fronts += [run.finish(keep) for run in runs]
    result = SearchResult(fronts, tuple(networks.attributes), settings.to_dict())
    _logger.info("searched %d images: %s", len(X), result.counts())
    return result


def with_changes(settings: SearchSettings | None, changes: Mapping[str, Any]) -> SearchSettings:
    """Return settings with single ones changed.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: an unknown setting, or a bad value.
    """
    if settings is not None and not isinstance(settings, SearchSettings):
        raise InvalidInputError(f"settings must be SearchSettings(…), it is {settings!r}")
    known = SearchSettings.__dataclass_fields__
    for name in changes:
        if name not in known:
            raise InvalidInputError(
                f"unknown setting {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}"
            )
    return replace(settings or SearchSettings(), **changes)


def check_settings(
    attributes: Sequence[str], exclusive: Sequence[Sequence[str]], settings: SearchSettings
) -> EditSpace:
    """Return the edits of some attributes that the settings allow; needs no trained networks.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: unknown names, nothing to search, or a budget below one generation.
    """
    known = tuple(attributes)
    if settings.target is not None and settings.target not in known:
        raise InvalidInputError(
            f"target: there is no attribute {settings.target!r}; there are {', '.join(known)}. "
            f"Leave it out if the networks do not know the audited attribute"
        )
    held = list(settings.immutable)
    if settings.target is not None and settings.exclude_target:
        held.append(settings.target)
    space = EditSpace(known, exclusive, held, settings.bounds)
    least = settings.pop_size + len(space.free) + 3
    if settings.budget < least:
        raise InvalidInputError(
            f"budget={settings.budget} does not pay for one generation: with pop_size="
            f"{settings.pop_size} and {len(space.free)} attributes it must be {least} or more"
        )
    return space


def edit_space(networks: Any, settings: SearchSettings) -> EditSpace:
    """Return the edits that the settings allow with these networks.

    Raises
    ------
    InvalidInputError
        A ``ValueError``: as of :func:`check_settings`, or dead attributes that would be searched.
    """
    space = check_settings(networks.attributes, getattr(networks, "exclusive", ()) or (), settings)
    free = {space.attributes[j] for j in space.free}
    dead = [name for name in getattr(networks, "dead_", ()) or () if name in free]
    if dead and not settings.allow_dead:
        raise InvalidInputError(
            f"the networks do not show edits of {', '.join(dead)}: train them longer or on more "
            f"images, name these in immutable, or say allow_dead=True"
        )
    return space


def _in_lock_step(runs: Sequence[ImageSearch], scorer: EditScorer, bar: Any) -> None:
    """Run the searches, one generation of all at a time; finished ones leave."""
    active = [run for run in runs if run.active]
    while active:
        asked = [(run, run.ask()) for run in active]
        going = [(run, moves) for run, moves in asked if moves is not None]
        if not going:
            return
        found = scorer.score(
            [run.image for run, _ in going], [run.delta(moves) for run, moves in going]
        )
        for (run, moves), (F, proba) in zip(going, found, strict=True):
            run.tell(F, proba)
            bar.update(len(moves))
        active = [run for run, _ in going if run.active]


def _seeds(images: Sequence[EncodedImage], random_state: int) -> list[int]:
    """Return a seed per image, named by its content and attributes, not by its place."""
    if not images:
        return []
    rows = np.stack(
        [np.r_[image.x.numpy().ravel(), image.a].astype(np.float32) for image in images]
    )
    return [int(draw.integers(2**62)) for draw in query_streams(rows, random_state, _KEY)]


def _attributes(attributes: Any, n: int, names: Sequence[str]) -> np.ndarray | None:
    if attributes is None:
        return None
    check_columns(attributes, names)
    try:
        A = np.asarray(attributes, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"attributes must be 0 or 1: {error}") from error
    if A.shape != (n, len(names)):
        raise InvalidInputError(
            f"attributes has shape {A.shape}, expected ({n}, {len(names)}): {', '.join(names)}"
        )
    if not np.isin(A, (0.0, 1.0)).all():
        raise InvalidInputError("attributes must be 0 or 1")
    return A


def _layout(format: ImageFormat | None, trained: ImageFormat) -> ImageFormat:
    """Return the format of the images, if it differs from that of the networks in range only."""
    if format is None:
        return trained
    if (format.height, format.width, format.channels) != (
        trained.height,
        trained.width,
        trained.channels,
    ):
        raise InvalidInputError(
            f"format is of {format.height} x {format.width} pixels and {format.channels} channels, "
            f"the networks were trained on {trained.height} x {trained.width} and "
            f"{trained.channels}"
        )
    return format


def _labels(Y: Any, n: int) -> np.ndarray | None:
    if Y is None:
        return None
    labels = np.asarray(Y)
    if labels.shape == (n, 1):
        labels = labels[:, 0]
    if labels.shape != (n,) or labels.dtype.kind not in "iufb":
        raise InvalidInputError(
            f"Y must be a class number per image, shape ({n},), it is {labels.dtype} of shape "
            f"{labels.shape}"
        )
    if not np.isfinite(labels).all() or (labels != np.floor(labels)).any() or (labels < 0).any():
        raise InvalidInputError("Y must be class numbers from 0 on")
    return labels.astype(int)


def _check_classes(labels: np.ndarray | None, encoded: Sequence[EncodedImage]) -> None:
    """Refuse classes that the predictor does not have; its first answer tells how many it has."""
    if labels is None:
        return
    n_classes = len(encoded[0].proba)
    beyond = np.flatnonzero(labels >= n_classes)
    if len(beyond):
        raise InvalidInputError(
            f"Y has class {labels[beyond[0]]} at row {beyond[0]}; the predictor knows the classes "
            f"0 to {n_classes - 1}"
        )


def _bar(total: int, verbose: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, disable=not verbose, desc="counterfactuals", unit="image")
