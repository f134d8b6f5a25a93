"""The data of an Alibi explanation, from the result of a search. Does not import alibi."""

from __future__ import annotations

from typing import Any

import numpy as np

from alibi_bridge.formats import ImageFormat
from alibi_bridge.objectives import OBJECTIVES
from alibi_bridge.search_result import ImageFront, SearchResult

__all__ = ["RETURN_IMAGES", "explanation_data"]

#: What a user may ask for.
RETURN_IMAGES = (True, "uint8", "cf", False)


def explanation_data(
    result: SearchResult, X: np.ndarray, format: ImageFormat, images: Any = True
) -> dict[str, Any]:
    """Return the data of an explanation; its keys are those of ``PlausibleCounterfactual.explain``.

    Parameters
    ----------
    result : SearchResult
    X : ndarray of shape (n, *format.shape)
    format : ImageFormat
    images : {True, "uint8", "cf", False}, default True
        As for the explainer.
    """
    fronts = result.fronts

    def picture(image: np.ndarray) -> np.ndarray:
        return _as_bytes(image, format) if images == "uint8" else image

    X = format.check(X)
    original: dict[str, Any] = {"X": picture(X) if images else None}
    original["class"] = np.array([[f.original_class] for f in fronts], dtype=int).reshape(-1, 1)
    original["proba"] = _stack([f.original_proba for f in fronts])
    original["attributes"] = _stack([f.attributes for f in fronts], len(result.attributes))

    cf: dict[str, Any] = {"X": None}
    if images:
        cf["X"] = picture(_edited(fronts, X))
    cf["class"], cf["proba"], cf["attributes"] = (
        original[key].copy() for key in ("class", "proba", "attributes")
    )
    for i, front in enumerate(fronts):
        if front.ok:
            cf["class"][i] = front.classes[front.chosen]
            cf["proba"][i] = front.proba[front.chosen]
            cf["attributes"][i] += front.delta[front.chosen]
    data: dict[str, Any] = {
        "orig": original,
        "cf": cf,
        "all": [_points(front, picture) for front in fronts],
        "success": result.success,
        "status": [front.status for front in fronts],
        "reason": [front.reason for front in fronts],
        "delta": [_by_name(front, result.attributes) for front in fronts],
        "needed": [_needed(front, result.attributes) for front in fronts],
        "predictor_calls": np.array([front.calls for front in fronts], dtype=int),
        "hypervolume": np.array([front.hypervolume for front in fronts]),
        "reference": _stack([front.reference for front in fronts], len(OBJECTIVES)),
        "orig_class": original["class"],
        "orig_proba": original["proba"],
        "attribute_names": list(result.attributes),
    }
    for column, name in enumerate(OBJECTIVES):
        data[name] = [float(f.F[f.chosen, column]) if f.ok else None for f in fronts]
    for name in ("chosen", "knee", "crossing"):
        data[name] = [getattr(front, name) for front in fronts]
    return data


def _points(front: ImageFront, picture: Any) -> list[dict[str, Any]]:
    return [
        {
            "X": None if front.images is None else picture(front.images[row]),
            "delta": front.delta[row],
            "attributes": front.attributes + front.delta[row],
            "class": int(front.classes[row]),
            "proba": front.proba[row],
            **{name: float(front.F[row, column]) for column, name in enumerate(OBJECTIVES)},
            "success": bool(front.successful[row]),
        }
        for row in range(len(front))
    ]


def _by_name(front: ImageFront, names: tuple[str, ...]) -> dict[str, float] | None:
    if not front.ok or front.chosen is None:
        return None
    return {
        name: float(value) for name, value in zip(names, front.delta[front.chosen], strict=True)
    }


def _needed(front: ImageFront, names: tuple[str, ...]) -> list[str] | None:
    if not front.ok:
        return None
    return [name for name, needed in zip(names, front.needed, strict=True) if needed]


def _edited(fronts: list[ImageFront], X: np.ndarray) -> np.ndarray:
    edited = X.astype(np.float32)
    for i, front in enumerate(fronts):
        if front.ok and front.image is not None:
            edited[i] = front.image
    return edited


def _as_bytes(image: np.ndarray, format: ImageFormat) -> np.ndarray:
    low, high = format.value_range
    scaled = (image.astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(scaled).clip(0, 255).astype(np.uint8)


def _stack(rows: list[np.ndarray], width: int = 0) -> np.ndarray:
    return np.stack(rows) if rows else np.empty((0, width))
