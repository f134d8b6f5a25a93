"""The part of dice-extended that works inside Alibi: two auditors of image classifiers.

:class:`PlausibleCounterfactual` edits attributes of images until a classifier misreads them;
:class:`CounterfactualGAN` trains a classifier, a generator of counterfactuals and an uncertainty
score together. Importing this package loads neither alibi nor torch nor NumPy: every public name
below is imported from its module on first use (:pep:`562`), and only the two explainers need alibi.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alibi_bridge.attgan.model import AttGAN
    from alibi_bridge.attgan.report import DeadAttributesWarning
    from alibi_bridge.attgan.training import Schedule
    from alibi_bridge.audit import Audit, AuditComparison, audit_result, compare_audits
    from alibi_bridge.counterfactual_gan.model import JointGAN
    from alibi_bridge.cracks import CrackImages, draw_cracks
    from alibi_bridge.faces import procedural_faces
    from alibi_bridge.formats import ImageFormat
    from alibi_bridge.image_files import FolderSource, JpegSource
    from alibi_bridge.joint import CounterfactualGAN
    from alibi_bridge.plausible import PlausibleCounterfactual
    from alibi_bridge.predictors import as_predictor
    from alibi_bridge.saliency import compare_saliency
    from alibi_bridge.search import SearchSettings
    from alibi_bridge.search_result import SearchResult
    from alibi_bridge.smpso import SMPSO
    from alibi_bridge.target import TargetClassifier
    from alibi_bridge.uncertainty import fakeness_report

__all__ = [
    "SMPSO",
    "AttGAN",
    "Audit",
    "AuditComparison",
    "CounterfactualGAN",
    "CrackImages",
    "DeadAttributesWarning",
    "FolderSource",
    "ImageFormat",
    "JointGAN",
    "JpegSource",
    "PlausibleCounterfactual",
    "Schedule",
    "SearchResult",
    "SearchSettings",
    "TargetClassifier",
    "as_predictor",
    "audit_result",
    "compare_audits",
    "compare_saliency",
    "draw_cracks",
    "fakeness_report",
    "procedural_faces",
]

#: Public name -> the module it comes from, and the extra which that module needs.
_LAZY: dict[str, tuple[str, str | None]] = {
    "AttGAN": ("attgan.model", "torch"),
    "Audit": ("audit", None),
    "AuditComparison": ("audit", None),
    "CounterfactualGAN": ("joint", "alibi"),
    "CrackImages": ("cracks", None),
    "DeadAttributesWarning": ("attgan.report", "torch"),
    "FolderSource": ("image_files", "alibi"),
    "ImageFormat": ("formats", None),
    "JointGAN": ("counterfactual_gan.model", "torch"),
    "JpegSource": ("image_files", "alibi"),
    "PlausibleCounterfactual": ("plausible", "alibi"),
    "SMPSO": ("smpso", None),
    "Schedule": ("attgan.training", "torch"),
    "SearchResult": ("search_result", None),
    "SearchSettings": ("search", "torch"),
    "TargetClassifier": ("target", "torch"),
    "as_predictor": ("predictors", None),
    "audit_result": ("audit", None),
    "compare_audits": ("audit", None),
    "compare_saliency": ("saliency", None),
    "draw_cracks": ("cracks", None),
    "fakeness_report": ("uncertainty", None),
    "procedural_faces": ("faces", None),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    from dice_extended_plugin.registry import import_public

    globals()[name] = value = import_public(__name__, name, _LAZY)
    return value  # the next access does not come here again


def __dir__() -> list[str]:
    """List the lazy names beside those already loaded."""
    return sorted({*globals(), *__all__})
