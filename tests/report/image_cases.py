"""Results about images, made by hand: an audit, a front of six edits, maps of saliency."""

from __future__ import annotations

import numpy as np

from alibi_bridge.audit import audit_result, compare_audits
from alibi_bridge.saliency import SaliencyTable
from alibi_bridge.search_result import ImageFront, SearchResult
from dice_extended_plugin.audit_report import ImageAudit

NAMES = ("glasses", "light <i>", "hat")


def front(number, ok=True, pictures=True):
    """Return a front whose edits 3 to 5 change the class; the chosen one is edit 4."""
    rng = np.random.default_rng(number)
    delta = np.zeros((6, 3))
    delta[:, 1] = np.linspace(0, 1, 6)
    delta[:, 0] = 0.1 * rng.random(6)
    own = np.linspace(0.9, 0.1, 6) if ok else np.full(6, 0.9)
    proba = np.column_stack([own, 1 - own])
    F = np.column_stack([np.linspace(-0.5, 0.5, 6), own, np.linalg.norm(delta, axis=1)])
    images = rng.random((6, 8, 8, 3)).astype(np.float32)
    return ImageFront(
        status="ok" if ok else "none",
        reason=None if ok else "no edit within the budget changed the class",
        original_class=0,
        original_proba=np.array([0.9, 0.1]),
        attributes=np.zeros(3),
        delta=delta,
        F=F,
        proba=proba,
        reference=np.ones(3),
        calls=10,
        chosen=4 if ok else None,
        undone=np.array([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]) if ok else None,
        images=images if pictures else None,
    )


def search(n=6):
    return SearchResult([front(i, ok=i != 1) for i in range(n)], NAMES, {})


def explanation(n=3):
    rng = np.random.default_rng(1)
    maps = np.zeros((n, 8, 8))
    maps[:, 2:4, 2:4] = 1.0
    images = rng.random((n, 8, 8, 3)).astype(np.float32)
    return {
        "orig": {"X": images, "class": np.zeros((n, 1), int)},
        "cf": {"X": 1 - images, "class": np.ones((n, 1), int)},
        "saliency": {"normalised": maps},
        "success": np.ones(n, bool),
        "cf_p_fake": np.full(n, 0.25),
    }


def scores():
    names = ("IoU", "IoU_low", "IoU_high", "precision", "recall")

    def row(iou, low=np.nan, high=np.nan):
        return dict(zip(names, (iou, low, high, iou, iou), strict=True))

    rows = {
        "all pixels": row(0.05),
        "darkness": row(0.2, 0.15, 0.25),
        "darkness, blurred 5x5": row(0.3, 0.25, 0.35),
        "Grad-CAM": row(np.nan),
        "GAN": row(0.5, 0.42, 0.58),
    }
    return SaliencyTable(rows, {})


def image_audit(**changes):
    found = search()
    audits = {"first": audit_result(found), "second": audit_result(search())}
    given = {
        "name": "Faces",
        "audits": audits,
        "comparison": compare_audits(*audits.values()),
        "search": found,
        "X": np.random.default_rng(2).random((6, 8, 8, 3)),
        "explanation": explanation(),
        "saliency": scores(),
        "class_names": ["sad", "glad"],
    }
    return ImageAudit(**{**given, **changes})
