"""Write the reproduction's tables and curves, the paper's figures beside ours."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from alibi_bridge.metrics import MEASURES, PAPER

ROOT = Path(__file__).resolve().parents[2]
#: Where results are kept, and the page that shows them.
RESULTS = ROOT / "docs" / "results" / "counterfactual_gan"
PAGE = ROOT / "docs" / "counterfactual_gan.md"
STORE = "counterfactual_gan.json"
DATA = {"real": "real cracks", "dark": "procedural, dark", "bright": "procedural, bright"}
GENERATORS = {"unet": "U-Net", "swin_unet": "Swin U-Net"}
DISCRIMINATORS = {
    "cnn": "small CNN",
    "resnet3": "ResNet-3",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "swin": "Swin",
    "hybrid": "Hybrid",
}
NAMES = {**DATA, **GENERATORS, **DISCRIMINATORS}
#: FID of all images against their own counterfactuals (Table 1), of class 0 and 1 (Table 3).
PAPER_FID = {
    ("unet", 0): {"resnet3": (0.086, 0.177, 0.176), "resnet18": (0.205, 0.302, 0.293)},
    ("unet", 1): {
        "resnet3": (0.064, 0.171, 0.169),
        "resnet18": (0.049, 0.182, 0.165),
        "resnet50": (0.168, 0.272, 0.269),
    },
    ("swin_unet", 0): {
        "resnet3": (0.072, 0.192, 0.178),
        "resnet18": (0.162, 0.211, 0.254),
        "resnet50": (0.139, 0.251, 0.285),
        "hybrid": (0.021, 0.178, 0.159),
    },
    ("swin_unet", 1): {
        "resnet3": (0.073, 0.189, 0.168),
        "resnet18": (0.043, 0.157, 0.164),
        "resnet50": (0.114, 0.174, 0.321),
        "swin": (0.021, 0.163, 0.183),
        "hybrid": (0.016, 0.139, 0.132),
    },
}
#: Accuracy, F1 on apples (Table 2).
PAPER_TWIN = {
    "resnet18": (0.932, 0.946),
    "resnet50": (0.937, 0.949),
    "swin": (0.978, 0.983),
    "hybrid": (0.980, 0.984),
    "unet": (0.924, 0.942),
    "swin_unet": (0.980, 0.983),
}
PAPER_JOINT = {
    "resnet18": (0.836, 0.853),
    "resnet50": (0.866, 0.885),
    "swin": (0.952, 0.963),
    "hybrid": (0.979, 0.983),
    "unet": (0.919, 0.936),
    "swin_unet": (0.979, 0.983),
}
#: Pearson of p_fake with the loss of G, of D (Table 4).
PAPER_PEARSON = {
    ("unet", "resnet3"): (-0.014, -0.003),
    ("unet", "resnet18"): (-0.011, 0.071),
    ("unet", "resnet50"): (0.007, 0.197),
    ("unet", "hybrid"): (0.062, 0.118),
    ("swin_unet", "resnet3"): (0.011, 0.169),
    ("swin_unet", "resnet18"): (0.012, 0.060),
    ("swin_unet", "resnet50"): (0.003, 0.130),
    ("swin_unet", "swin"): (0.067, 0.064),
    ("swin_unet", "hybrid"): (0.073, 0.100),
}
#: IoU, F1, accuracy on concrete (Table 5).
PAPER_IOU = {
    "Grad-CAM": (0.206, 0.341, 0.954),
    ("ceiling", "unet"): (0.780, 0.976, 0.975),
    ("ceiling", "swin_unet"): (0.825, 0.982, 0.981),
    "unet": (0.622, 0.964, 0.971),
    "swin_unet": (0.720, 0.974, 0.976),
}

Cells = list[dict[str, Any]]


def load_cells(store: Path) -> dict[str, dict[str, Any]]:
    """Return the stored cells by name."""
    return json.loads(store.read_text()) if store.exists() else {}


def render(out: Path) -> None:
    """Write the tables and the curves; the docs page too for its own results."""
    cells = list(load_cells(out / STORE).values())
    tables = {name: make(cells) for name, make in TABLES.items()}
    out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(f"## {name}\n\n{table}\n" for name, table in tables.items() if table)
    (out / "counterfactual_gan.md").write_text(text)
    if out == RESULTS and PAGE.exists():
        PAGE.write_text(filled(PAGE.read_text(), tables))


def filled(page: str, tables: dict[str, str]) -> str:
    """Return a page with the tables between its marks written afresh."""

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return f"<!-- begin {name} -->\n{tables[name]}\n<!-- end {name} -->"

    return re.sub(r"<!-- begin (\w+) -->.*?<!-- end \1 -->", fill, page, flags=re.DOTALL)


# -- choosing cells -------------------------------------------------------------------------------


def of_kind(cells: Iterable[dict[str, Any]], kind: str) -> Cells:
    """Return the cells of a kind: joint, twin, ceiling."""
    return [cell for cell in cells if cell["kind"] == kind]


def grouped(cells: Cells, *keys: str) -> list[tuple[tuple[Any, ...], Cells]]:
    """Group cells that differ in the seed only, in the paper's order."""
    groups: dict[tuple[Any, ...], Cells] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.get(key) for key in keys), []).append(cell)
    places = list(NAMES)

    def order(item: tuple[tuple[Any, ...], Any]) -> list[Any]:
        return [places.index(k) if k in places else k for k in item[0]]

    return sorted(groups.items(), key=order)


def dig(found: Any, *path: Any) -> float:
    """Return a nested number, NaN where it is missing."""
    for key in path:
        found = found[key] if isinstance(found, list) else (found or {}).get(key)
    return math.nan if found is None else float(found)


def spread(cells: Cells, *path: Any, digits: int = 3) -> str:
    """Return mean ± standard deviation over the seeds."""
    values = np.array([dig(cell, *path) for cell in cells])
    values = values[np.isfinite(values)]
    if not len(values):
        return "–"
    text = f"{values.mean():.{digits}f}"
    return text if len(values) == 1 else f"{text} ± {values.std(ddof=1):.{digits}f}"


def start(key: tuple[Any, ...]) -> list[str]:
    """Return a row's data, network names and training."""
    return [f"{DATA[key[0]]}, {key[1]} px", *(NAMES.get(part, str(part)) for part in key[2:])]


def pair(values: tuple[float, ...] | None) -> str:
    """Return the paper's numbers."""
    return ", ".join(f"{value:.3f}" for value in values) if values else ""


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, "" without rows."""
    lines = [head, ["---"] * len(head), *([c.replace("|", "\\|") for c in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if rows else ""


JOINT = ("data", "size", "generator", "discriminator", "training", "cycles")
HEAD = ["data", "G", "D", "training", "cycles"]


# -- the tables -----------------------------------------------------------------------------------


def table1(cells: Cells) -> str:
    """FID of counterfactuals and real images of the same class, mean of both classes."""
    rows = []
    for key, group in grouped(of_kind(cells, "joint"), *JOINT):
        paper = PAPER_FID.get((key[2], key[5]), {}).get(key[3])

        def both(what: str, group: Cells = group) -> str:
            pseudo = [
                {"x": np.mean([dig(c, "FID", f"class {k}", what) for k in (0, 1)])} for c in group
            ]
            return spread(pseudo, "x", digits=2)

        rows.append(
            [
                *start(key),
                str(len(group)),
                *(both(what) for what in ("counterfactual", "unchanged", "floor")),
                spread(group, "flips"),
                spread(group, "flips and real"),
                spread(group, "L1"),
                pair(paper[:1] if paper else None),
            ]
        )
    head = [
        *HEAD,
        "seeds",
        "FID(features) ↓",
        "unchanged",
        "floor",
        "flips ↑",
        "and real ↑",
        "L1 ↓",
    ]
    return markdown([*head, "paper, other features"], rows)


def table3(cells: Cells) -> str:
    """FID by set."""
    rows = []
    for key, group in grouped(of_kind(cells, "joint"), *JOINT):
        paper = PAPER_FID.get((key[2], key[5]), {}).get(key[3])
        parts = [spread(group, "FID", "full", digits=2)]
        for c in (0, 1):
            parts += [
                spread(group, "FID", f"class {c}", what, digits=2)
                for what in ("counterfactual", "unchanged", "floor")
            ]
        rows.append([*start(key), *parts, pair(paper)])
    head = [*HEAD, "full ↓", "class 0 ↓", "unchanged", "floor", "class 1 ↓", "unchanged", "floor"]
    return markdown([*head, "paper: full, und., dam."], rows)


def table2(cells: Cells) -> str:
    """Classification: twins, then D and G."""
    names = ("accuracy", "F1", "precision", "recall")
    rows = []
    for key, group in grouped(of_kind(cells, "twin"), "data", "size", "network"):
        scores = [spread(group, "scores", name) for name in names]
        paper = pair(PAPER_TWIN.get(key[2]))
        row = [start(key)[0], f"{NAMES[key[2]]}, alone", "", "", str(len(group))]
        rows.append([*row, *scores, paper])
    for key, group in grouped(of_kind(cells, "joint"), *JOINT):
        for who, place in (("D", 3), ("G", 2)):
            scores = [spread(group, who, name) for name in names]
            other = NAMES[key[2 if who == "D" else 3]]
            name = f"{who}: {NAMES[key[place]]} (with {other})"
            row = [start(key)[0], name, str(key[4]), str(key[5]), str(len(group))]
            rows.append([*row, *scores, pair(PAPER_JOINT.get(key[place]))])
    head = ["data", "network", "training", "cycles", "seeds"]
    head += ["accuracy ↑", "F1 ↑", "precision ↑", "recall ↑", "paper accuracy, F1"]
    return markdown(head, rows)


def table4(cells: Cells) -> str:
    """p_fake as doubt."""
    rows = []
    for key, group in grouped(of_kind(cells, "joint"), *JOINT):
        columns = ["Pearson(NLL, p_fake)", "Pearson(NLL, p_fake), as printed", "AUROC misread"]
        columns += ["AUROC noise 0.1", "AUROC noise 0.2", "AUROC PGD 0.015", "AUROC PGD 0.03"]
        rows.append(
            [
                *start(key),
                str(len(group)),
                spread(group, "Pearson G", digits=2),
                *(spread(group, "fakeness", name, digits=2) for name in columns),
                pair(PAPER_PEARSON.get((key[2], key[3]))),
            ]
        )
    head = [*HEAD, "seeds", "r, loss of G ↑", "r, loss of D ↑", "r, as printed", "AUROC misread ↑"]
    head += ["noise 0.1 ↑", "noise 0.2 ↑", "PGD 0.015 ↑", "PGD 0.03 ↑", "paper r of G, D"]
    return markdown(head, rows)


#: The maps of one joint training, as the cells name them.
MAPS = (
    *("|x − x̂|", "|x − x̂|, blurred 5x5"),
    *("|x − x̂|, mean of 8 views", "taken out, mean of 8 views"),
)


def table5(cells: Cells) -> str:
    """Saliency against masks; every block of data begins with the baselines."""
    rows: list[list[str]] = []
    for (data, size), block in grouped(cells, "data", "size"):
        joint, twins = of_kind(block, "joint"), of_kind(block, "twin")
        first = f"{DATA[data]}, {size} px"
        every = joint or twins or block
        for name in ("all pixels", "darkness", "darkness, blurred 5x5"):
            rows.append(saliency_row(first, name, every[:1], name))
        cams = [cell for cell in twins if "saliency best layer" in cell]
        for key, group in grouped(cams, "network"):
            who = f"{NAMES[key[0]]}, alone"
            rows.append(
                saliency_row(first, f"Grad-CAM of {who}", group, "Grad-CAM", PAPER_IOU["Grad-CAM"])
            )
            best = [{"saliency": {"Grad-CAM": cell["saliency best layer"]}} for cell in group]
            rows.append(saliency_row(first, f"Grad-CAM, best layer, {who}", best, "Grad-CAM"))
        for key, group in grouped(joint, *JOINT[2:]):
            who = f"{NAMES[key[0]]} with {NAMES[key[1]]}, {key[2]}, {key[3]} cycles"
            for name in MAPS:
                if name not in group[0].get("saliency", {}):
                    continue
                paper = PAPER_IOU.get(key[0]) if name == "|x − x̂|" else None
                rows.append(saliency_row(first, f"{name}: {who}", group, name, paper))
        for key, group in grouped(of_kind(block, "ceiling"), "network"):
            paper = PAPER_IOU.get(("ceiling", key[0]))
            who = f"{NAMES[key[0]]}, trained on masks"
            rows.append(saliency_row(first, who, group, "supervised", paper))
    head = ["data", "map", "seeds", "IoU ↑", "95 % (crops)", "F1 ↑", "precision ↑", "recall ↑"]
    return markdown([*head, "accuracy ↑", "paper IoU, F1, accuracy"], rows)


def saliency_row(data: str, name: str, group: Cells, which: str, paper: Any = None) -> list[str]:
    """Return one row of Table 5."""
    low, high = (
        np.mean([dig(cell, "saliency", which, end) for cell in group])
        for end in ("IoU_low", "IoU_high")
    )
    return [
        data,
        name,
        str(len(group)),
        spread(group, "saliency", which, "IoU"),
        f"[{low:.3f}, {high:.3f}]" if low < high else "",
        *(spread(group, "saliency", which, k) for k in ("F1", "precision", "recall", "accuracy")),
        pair(paper),
    ]


def robustness(cells: Cells) -> str:
    """F1 under attacks: D and G beside their twins."""
    rows = []

    def add(
        key: tuple[Any, ...], who: str, training: str, cycles: str, group: Cells, curves: str
    ) -> None:
        clean = [c for c in group if curves in c]
        if not clean:
            return
        f1 = [spread(clean, curves, "pgd", "F1", i, digits=2) for i in range(3)]
        worst = [f"{1 - worst_case(clean, curves, i):.2f}" for i in range(3)]
        if not all("masking" in c[curves] for c in clean):
            worst = ["–"] * 3
        gaps = excess(clean, curves)
        rows.append(
            [
                f"{DATA[key[0]]}, {key[1]} px",
                *(who, training, cycles, str(len(clean))),
                spread(clean, curves, "noise", "F1", 0, digits=2),
                *f1,
                *worst,
                gaps,
                spread(clean, curves, "noise", "F1", 4, digits=2),
            ]
        )

    for key, group in grouped(of_kind(cells, "twin"), "data", "size", "network"):
        add(key, f"{NAMES[key[2]]}, alone", "", "", group, "curves")
    for key, group in grouped(of_kind(cells, "joint"), *JOINT):
        for who, place, other in (("D", 3, 2), ("G", 2, 3)):
            name = f"{who}: {NAMES[key[place]]} (with {NAMES[key[other]]})"
            add(key, name, str(key[4]), str(key[5]), group, f"{who} curves")
    head = ["data", "network", "training", "cycles", "seeds", "F1 clean", "F1 PGD 0.005 ↑"]
    head += ["0.015 ↑", "0.03 ↑", "worst accuracy 0.005 ↑", "0.015 ↑", "0.03 ↑"]
    return markdown([*head, "more fooled than by PGD", "F1 noise 0.2"], rows)


def worst_case(group: Cells, curves: str, place: int) -> float:
    """Return the share fooled by any attack, mean over the seeds."""
    return float(np.mean([dig(c, curves, "masking", "fooled by any", place) for c in group]))


def excess(group: Cells, curves: str) -> str:
    """Return the largest excess of each other attack over PGD, mean over the seeds."""
    found: dict[str, list[float]] = {}
    for cell in group:
        for name, value in (cell[curves].get("masking") or {}).get("excess", {}).items():
            found.setdefault(name, []).append(value)
    return ", ".join(f"{name} {np.mean(values):+.2f}" for name, values in found.items()) or "–"


def cost(cells: Cells) -> str:
    """What each training took."""
    rows = []
    for key, group in grouped(of_kind(cells, "joint"), *JOINT):
        device = ", ".join(sorted({c["machine"]["device"] for c in group}))
        rows.append(
            [
                *start(key),
                str(len(group)),
                str(group[0]["steps"]),
                spread(group, "step", digits=0),
                spread(group, "cpu_seconds", digits=0),
                device,
                str(sum(bool(c.get("collapsed")) for c in group)),
            ]
        )
    head = [*HEAD, "seeds", "steps", "kept at step", "CPU seconds", "device", "collapsed"]
    return markdown(head, rows)


#: Maps that know no model, in joint_gan_cracks.py.
WITHOUT_MODEL = ("darkness", "darkness_blurred", "brightness")


def defaults(_: Cells) -> str:
    """The defaults and presets, as joint_gan_cracks.py measures them; a file per run."""
    rows = []
    for path in sorted(RESULTS.glob("defaults_*.json")):
        found = json.loads(path.read_text())
        changes = found["settings"]["settings"]
        what = {"real": "real cracks", "dark": "drawn cracks", "bright": "drawn bright cracks"}
        label = f"{what[found['settings']['data']]}, {found['settings']['size']} px"
        with_changes = ", ".join(f"{k}={v}" for k, v in changes.items()) or "defaults"
        for preset in ("hardened", "fine"):
            if found["settings"].get(preset):
                with_changes = preset
        names = ("iou", "iou_blurred", "iou_8_views", "iou_8_views_blurred")
        names += ("iou_removed", "iou_8_views_removed", "accuracy", "flips", "pearson")
        numbers = [
            f"{found['mean'][n]:.3f} ± {found['spread'][n]:.3f}"
            for n in (*names, "auroc_noise_0.2")
        ]
        rows.append(
            [
                label,
                with_changes,
                str(len(found["seeds"])),
                f"{found['mean']['cpu_seconds']:.0f} s",
                ", ".join(f"{found['mean'][name]:.3f}" for name in WITHOUT_MODEL),
                *numbers,
                *beside_the_twin(found["seeds"]),
            ]
        )
    head = ["data", "settings", "seeds", "CPU", "darkness, blurred darkness, brightness"]
    head += ["IoU raw ↑", "IoU blurred ↑", "IoU of 8 views ↑", "8 views blurred ↑"]
    head += ["taken out ↑", "8 views, taken out ↑", "D accuracy ↑", "flips ↑"]
    head += ["r of p_fake and loss", "AUROC noise 0.2 ↑", "twin's accuracy"]
    return markdown([*head, "F1 under PGD 0.005, 0.015, 0.03: D ↑", "twin"], rows)


def beside_the_twin(seeds: list[dict[str, Any]]) -> list[str]:
    """Accuracy of the twin, F1 of D and of the twin under PGD; dashes where none was trained."""
    if "twin_pgd_f1" not in seeds[0]:
        return ["–", "–", "–"]
    accuracy = [row["twin_pgd_accuracy"][0] for row in seeds]
    under = []
    for name in ("pgd_f1", "twin_pgd_f1"):
        values = np.array([row[name][1:] for row in seeds])
        pairs = zip(values.mean(axis=0), values.std(axis=0), strict=True)
        under.append(", ".join(f"{mean:.2f} ± {spread:.2f}" for mean, spread in pairs))
    return [f"{np.mean(accuracy):.3f} ± {np.std(accuracy):.3f}", *under]


def measures(_: Cells) -> str:
    """How to read each measure."""
    rows = [
        [
            measure.heading,
            f"{measure.low:g} to {measure.high:g}".replace("inf", "∞"),
            measure.chance,
            measure.summary,
            measure.reference.replace(PAPER, "the paper"),
        ]
        for measure in MEASURES.values()
    ]
    return markdown(["measure", "range", "without skill", "what", "reference"], rows)


TABLES: dict[str, Callable[[Cells], str]] = {
    "table1": table1,
    "table2": table2,
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "robustness": robustness,
    "cost": cost,
    "measures": measures,
    "defaults": defaults,
}
