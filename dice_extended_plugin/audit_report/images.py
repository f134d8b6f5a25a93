"""What a report says about images: audits, fronts and saliency, given as finished results.

Results are read by their attributes, so that nothing of the Alibi bridge is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dice_extended_plugin.audit_report.png import as_bytes, data_uri, overlay, reduced
from dice_extended_plugin.errors import InvalidInputError
from dice_extended_plugin.options import check_integer

__all__ = ["ImageAudit", "image_section"]

#: Pictures along one front.
_STRIP = 9
#: Points of one front that show their picture when pointed at.
_SHOWN = 24
#: Longest sides of pictures that are tried in turn, until the pictures of a section weigh less than
#: this. They are shown at 88 to 112 pixels, and a screen may have two for each.
_SIDES = (224, 112, 88, 64, 48, 32)
_MOST_BYTES = 3_500_000


@dataclass(frozen=True, eq=False)
class ImageAudit:
    """Results about images to show in a report; every one is optional.

    Parameters
    ----------
    name : str
        Heading.
    audits : mapping of str to alibi_bridge.audit.Audit
        One per predictor, by its name.
    comparison : alibi_bridge.audit.AuditComparison, optional
        Of the first two audits.
    search : alibi_bridge.search_result.SearchResult, optional
        Fronts; with pictures where it was searched with ``keep="front"``.
    X : ndarray of shape (n, ...), optional
        The images that were searched, for `search`.
    explanation : optional
        What ``CounterfactualGAN.explain`` returned, with images: counterfactuals and saliency.
    saliency : alibi_bridge.saliency.SaliencyTable, optional
    class_names : sequence of str, optional
    value_range : (float, float), default (0, 1)
        Values of black and white.
    channels_last : bool, default True
    n_shown : int, default 4
        Fronts, and images with saliency, to show.

    Raises
    ------
    InvalidInputError
        Nothing to show, or `search` and `X` that do not belong together.
    """

    name: str = "Images"
    audits: Mapping[str, Any] = field(default_factory=dict)
    comparison: Any = None
    search: Any = None
    X: np.ndarray | None = None
    explanation: Any = None
    saliency: Any = None
    class_names: Sequence[str] | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    channels_last: bool = True
    n_shown: int = 4

    def __post_init__(self) -> None:
        check_integer("n_shown", self.n_shown, least=1)
        parts = (self.comparison, self.search, self.explanation, self.saliency)
        if not self.audits and all(part is None for part in parts):
            raise InvalidInputError(
                "an ImageAudit has nothing to show; give audits, search, explanation or saliency"
            )
        if self.search is not None and self.X is not None and len(self.X) != len(self.search):
            raise InvalidInputError(
                f"X has {len(self.X)} images, the search {len(self.search)}; give those searched"
            )
        if not self.value_range[0] < self.value_range[1]:
            raise InvalidInputError(f"value_range must be (black, white): {self.value_range}")


def image_section(audit: ImageAudit) -> dict[str, Any]:
    """Return what is shown of one audit, as plain values."""
    return {
        "name": audit.name,
        "classes": list(audit.class_names or ()),
        "audits": [_audit(name, one) for name, one in audit.audits.items()],
        "comparison": _comparison(audit),
        **_pictures(audit),
        "scores": _scores(audit.saliency),
    }


def _pictures(audit: ImageAudit) -> dict[str, Any]:
    """Return fronts and maps with pictures as large as the file can bear."""
    found: dict[str, Any] = {}
    for side in _SIDES:
        found = {"fronts": _fronts(audit, side), "saliency": _saliency(audit, side)}
        if len(str(found)) <= _MOST_BYTES:
            break
    return found


def _audit(name: str, audit: Any) -> dict[str, Any]:
    table = audit.to_frame()
    return {
        "predictor": str(name),
        "images": int(sum(audit.counts.values())),
        "counts": dict(audit.counts),
        "counterfactuals": len(audit.rows),
        "level": audit.level,
        "attributes": [
            {"attribute": str(attribute), **row}
            for attribute, row in zip(table.index, table.to_dict("records"), strict=True)
        ],
    }


def _comparison(audit: ImageAudit) -> dict[str, Any] | None:
    if audit.comparison is None:
        return None
    table = audit.comparison.to_frame()
    names = list(audit.audits)[:2] if len(audit.audits) >= 2 else ["first", "second"]
    return {
        "names": names,
        "pairs": len(audit.comparison.first),
        "left_out": int(audit.comparison.left_out),
        "attributes": [
            {"attribute": str(attribute), **row}
            for attribute, row in zip(table.index, table.to_dict("records"), strict=True)
        ],
    }


def _class_name(audit: ImageAudit, number: int) -> str:
    names = audit.class_names
    return names[number] if names is not None and number < len(names) else f"class {number}"


def _fronts(audit: ImageAudit, side: int) -> list[dict[str, Any]]:
    """Return the first fronts with a counterfactual, else the first of all."""
    if audit.search is None:
        return []
    fronts = audit.search.fronts
    order = sorted(range(len(fronts)), key=lambda i: (not fronts[i].ok, i))
    shown = [i for i in order if len(fronts[i])][: audit.n_shown]
    return [_front(audit, i, fronts[i], side) for i in sorted(shown)]


def _front(audit: ImageAudit, number: int, front: Any, side: int) -> dict[str, Any]:
    names = list(audit.search.attributes)
    strip = _spread(front, _STRIP) if front.images is not None else []
    pictured = {*strip, *_spread(front, _SHOWN)} if strip else set()
    return {
        "image": number + 1,
        "status": front.status,
        "reason": front.reason,
        "class": _class_name(audit, int(front.original_class)),
        "proba": float(front.original_proba[front.original_class]),
        "original": None if audit.X is None else _picture(audit, audit.X[number], side),
        "strip": strip,
        "points": [
            {
                "f_gan": float(front.F[row, 0]),
                "f_adv": float(front.proba[row, front.original_class]),
                "f_att": float(front.F[row, 2]),
                "class": _class_name(audit, int(front.classes[row])),
                "success": bool(front.successful[row]),
                "chosen": row == front.chosen,
                "moved": _moved(names, front.delta[row]),
                "picture": (_picture(audit, front.images[row], side) if row in pictured else None),
            }
            for row in range(len(front))
        ],
    }


def _spread(front: Any, n: int) -> list[int]:
    """Return places evenly along a front, the chosen one among them."""
    places = np.linspace(0, len(front) - 1, min(n, len(front))).round().astype(int).tolist()
    return sorted({*places, *([] if front.chosen is None else [int(front.chosen)])})


def _moved(names: list[str], delta: np.ndarray) -> list[dict[str, Any]]:
    """Return the attributes that moved most, three at most."""
    order = np.argsort(-np.abs(delta), kind="stable")[:3]
    return [
        {"attribute": names[j], "change": float(delta[j])} for j in order if abs(delta[j]) > 0.05
    ]


def _picture(audit: ImageAudit, image: Any, side: int) -> str:
    return data_uri(reduced(as_bytes(image, audit.value_range, audit.channels_last), side))


def _saliency(audit: ImageAudit, side: int) -> list[dict[str, Any]]:
    """Return images with their counterfactuals and maps."""
    data = getattr(audit.explanation, "data", audit.explanation)
    if data is None:
        return []
    if not isinstance(data, Mapping) or "saliency" not in data:
        raise InvalidInputError("explanation must be what CounterfactualGAN.explain returns")
    before, after = data["orig"], data["cf"]
    if before["X"] is None or after["X"] is None:
        raise InvalidInputError("the explanation has no images: explain with return_images=True")
    maps = np.asarray(data["saliency"]["normalised"])
    success = np.asarray(data["success"], dtype=bool)
    old, new = (np.asarray(part["class"]).reshape(-1).astype(int) for part in (before, after))
    return [
        {
            "image": i + 1,
            "from": _class_name(audit, int(old[i])),
            "to": _class_name(audit, int(new[i])),
            "success": bool(success[i]),
            "p_fake": float(np.asarray(data["cf_p_fake"])[i]) if "cf_p_fake" in data else None,
            "original": _picture(audit, before["X"][i], side),
            "counterfactual": _picture(audit, after["X"][i], side),
            "overlay": data_uri(overlay(reduced(maps[i], side))),
            "share": float((maps[i] > 0.5).mean()),
        }
        for i in range(min(audit.n_shown, len(maps)))
    ]


def _scores(table: Any) -> list[dict[str, Any]]:
    if table is None:
        return []
    return [{"map": str(name), **values} for name, values in table.rows.items()]
