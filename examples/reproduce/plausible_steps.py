"""The steps of the plausible-counterfactuals experiments; each returns JSON values."""

from __future__ import annotations

import argparse
import os
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from plausible_data import Faces

from alibi_bridge.attgan import AttGAN, Schedule
from alibi_bridge.audit import audit_result, compare_audits
from alibi_bridge.fronts import hypervolume
from alibi_bridge.search import search
from alibi_bridge.target import TargetClassifier
from dice_extended_plugin.errors import InvalidInputError

ENGINES = ("smpso", "nsga2", "gde3", "random")
PREDICTORS = ("biased", "fair")


@dataclass
class Run:
    """Faces, settings, and what the steps make once."""

    faces: Faces
    arguments: argparse.Namespace
    folder: Path

    @cached_property
    def predictors(self) -> dict[str, TargetClassifier]:
        """The two predictors, trained in seconds and so not stored."""
        options = {"random_state": self.arguments.seed, "device": self.arguments.device}
        faces = self.faces
        return {
            "biased": TargetClassifier(**options).fit(faces.images, faces.labels),
            "fair": TargetClassifier(**options).fit(*faces.fair),
        }

    @cached_property
    def networks(self) -> AttGAN:
        """The AttGAN, trained or taken up from its folder."""
        faces, arguments = self.faces, self.arguments
        model = AttGAN.small(
            faces.names,
            arguments.size,
            width=arguments.width,
            exclusive=faces.exclusive,
            schedule=schedule(faces.schedule),
            random_state=arguments.seed,
            device=arguments.device,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the figures name the dead attributes
            return model.fit(
                faces.images,
                faces.attributes,
                validation=(faces.test[0], faces.test[1]),
                steps=arguments.steps,
                checkpoint=self.folder / f"checkpoint_{arguments.width}_{arguments.steps}",
            )

    @cached_property
    def audited(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Test images that both predictors read right: an audit of a mistake audits nothing."""
        images, attributes, labels = self.faces.test
        right = np.ones(len(images), dtype=bool)
        for predictor in self.predictors.values():
            right &= (predictor.predict(images) > 0.5) == labels
        rows = np.flatnonzero(right)[: self.arguments.audited]
        return images[rows], attributes[rows], labels[rows]

    @cached_property
    def audits(self) -> dict[str, Any]:
        """Each predictor's audit: the least edit that flips the class.

        At the knee, what only pleases the critic moves as well.
        """
        return {
            name: audit_result(self.search(name, slice(None)), points="nearest")
            for name in PREDICTORS
        }

    def search(self, predictor: str, rows: slice | np.ndarray, **changes: Any) -> Any:
        """Search edits of audited images."""
        images, attributes, labels = self.audited
        arguments = self.arguments
        settings = {
            "budget": arguments.budget,
            "random_state": arguments.seed,
            "target": self.faces.target,
            "allow_dead": True,  # the figures name them, and moving them brings nothing
            "keep": "none",
            **changes,
        }
        return search(
            images[rows],
            self.predictors[predictor],
            self.networks,
            Y=labels[rows],
            attributes=attributes[rows],
            **settings,
        )


def schedule(changes: dict[str, Any]) -> Schedule:
    """Return the small preset's schedule with the data's own changes."""
    known = AttGAN.small(("any",)).schedule
    changes = dict(changes)
    weights = replace(known.weights, edit=changes.pop("edit", known.weights.edit))
    return replace(known, weights=weights, **changes)


def predictors_step(run: Run) -> dict[str, Any]:
    """Accuracy of the predictors, and by the attribute under suspicion."""
    images, attributes, labels = run.faces.test
    suspect = attributes[:, run.faces.names.index(run.faces.suspect)] == 1
    found = {}
    for name, predictor in run.predictors.items():
        right = (predictor.predict(images) > 0.5) == labels
        found[name] = {"accuracy": float(right.mean()), "rows": len(right)}
        for label, part in (("with", suspect), ("without", ~suspect)):
            found[name][f"accuracy_{label}_{run.faces.suspect}"] = float(right[part].mean())
    return found


def attgan_step(run: Run) -> dict[str, Any]:
    """Train the AttGAN; what held-out faces showed."""
    began = time.process_time()
    report = run.networks.report_
    return {"cpu_seconds": round(time.process_time() - began, 1), **report}


def engines_step(run: Run) -> dict[str, Any]:
    """Mean hypervolume of each engine at equal calls, one reference point per image."""
    arguments = run.arguments
    rows = slice(0, arguments.images)
    fronts = {
        engine: [
            run.search("biased", rows, engine=engine, random_state=arguments.seed + number).fronts
            for number in range(arguments.runs)
        ]
        for engine in ENGINES
    }
    everyone = [front for runs in fronts.values() for found in runs for front in found]
    volumes: dict[str, list[float]] = {engine: [] for engine in ENGINES}
    for image in range(len(fronts["random"][0])):
        references = [
            found[image].reference
            for runs in fronts.values()
            for found in runs
            if len(found[image].F)
        ]
        if not references:
            continue
        reference = np.max(references, axis=0)
        for engine, runs in fronts.items():
            volumes[engine] += [hypervolume(found[image].F, reference) for found in runs]
    return {
        "engines": {
            engine: {
                "mean": float(np.mean(values)),
                "sd": float(np.std(values)),
                "runs": len(values),
                "against_random": float(np.mean(np.array(values) / np.array(volumes["random"]))),
            }
            for engine, values in volumes.items()
        },
        "most_calls": int(max(front.calls for front in everyone)),
    }


def audit_step(run: Run) -> dict[str, Any]:
    """Which attributes flip each predictor, and the difference between the two."""
    try:
        comparison = compare_audits(run.audits["biased"], run.audits["fair"]).to_dict()
    except InvalidInputError as error:  # too few images have a counterfactual under both
        comparison = {"reason": str(error)}
    return {
        **{name: found.to_dict() for name, found in run.audits.items()},
        "fair_minus_biased": comparison,
        "images": len(run.audited[0]),
        "dead": list(run.networks.dead_),
    }


def pictures_step(run: Run) -> dict[str, Any]:
    """Draw strips, fronts and curves of the first images with a counterfactual, and the audit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from alibi_bridge import pictures

    run.folder.mkdir(parents=True, exist_ok=True)
    found = run.search("biased", slice(0, 20), keep="front")
    form = run.networks.format
    drawn = []
    for row in np.flatnonzero(found.success)[:3]:
        front, original = found.fronts[row], run.audited[0][row]
        for name, draw in {
            "strip": lambda f=front, o=original: pictures.plot_strip(f, o, form),
            "front": lambda f=front: pictures.plot_front(f),
            "pairs": lambda f=front: pictures.plot_front_pairs(f),
            "curves": lambda f=front: pictures.plot_curves(f),
        }.items():
            draw()
            drawn.append(f"{name}_{row}.png")
            plt.savefig(run.folder / drawn[-1], dpi=110, bbox_inches="tight")
            plt.close("all")
    ax = None
    for name, found in run.audits.items():
        ax = found.plot(ax=ax, label=name)
    drawn.append("audit.png")
    plt.savefig(run.folder / drawn[-1], dpi=110, bbox_inches="tight")
    plt.close("all")
    return {"drawn": drawn}


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    names = ("dice-extended", "torch", "pymoo", "numpy")
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in names},
    }


PLAN: dict[str, Callable[[Run], dict[str, Any]]] = {
    "predictors": predictors_step,
    "attgan": attgan_step,
    "engines": engines_step,
    "audit": audit_step,
    "pictures": pictures_step,
}
