"""Write the reproduction's tables and pictures, the paper's figures beside ours."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
#: Where results are kept, and the page that shows them.
RESULTS, PAGE = ROOT / "docs" / "results" / "robust_tabular", ROOT / "docs" / "robust_tabular.md"
STORE = "robust_tabular.json"
#: What ``examples/benchmarks/counterfactual_attack.py`` stored, beside the cells.
BENCHMARK = "counterfactual_attack.json"
NAMES = {"adult": "Adult", "credit": "Credit", "compas": "COMPAS", "german": "German"}
MODELS = ("NN", "GB", "SVM", "RF", "XGB")
#: R_overall, R_class of class 0, of class 1 (the paper's Table II).
PAPER_2 = {
    ("adult", "NN"): (0.143, 0.712, 1.405),
    ("adult", "GB"): (0.068, 1.837, 0.544),
    ("adult", "SVM"): (0.155, 0.713, 1.402),
    ("credit", "NN"): (0.218, 3.228, 0.310),
    ("credit", "GB"): (0.114, 4.118, 0.243),
    ("credit", "SVM"): (0.366, 2.919, 0.343),
    ("compas", "NN"): (0.215, 0.484, 2.066),
    ("compas", "GB"): (0.145, 0.254, 3.940),
    ("compas", "SVM"): (0.404, 0.309, 3.239),
    ("german", "NN"): (0.550, 1.829, 0.547),
    ("german", "GB"): (0.160, 3.641, 0.275),
    ("german", "SVM"): (0.852, 3.216, 0.311),
}
#: ρ, P, D_knn, T_exe of a neural network (Table III).
PAPER_3 = {
    ("adult", "lowprofool"): (0.073, 0.576, 0.087, 11.88),
    ("adult", "deepfool"): (0.065, 0.506, 0.085, 0.140),
    ("adult", "faithful"): (0.065, 0.504, 0.085, 2.828),
    ("credit", "lowprofool"): (0.296, 0.619, 0.331, 12.19),
    ("credit", "deepfool"): (0.138, 0.500, 0.223, 0.369),
    ("credit", "faithful"): (0.154, 0.507, 0.218, 3.279),
    ("compas", "lowprofool"): (0.136, 0.512, 0.074, 12.21),
    ("compas", "deepfool"): (0.134, 0.501, 0.073, 0.188),
    ("compas", "faithful"): (0.130, 0.502, 0.066, 3.349),
    ("german", "lowprofool"): (0.313, 0.505, 0.634, 14.02),
    ("german", "deepfool"): (0.311, 0.504, 0.633, 0.605),
    ("german", "faithful"): (0.343, 0.515, 0.625, 3.360),
}
#: R_class of the vulnerable class, original -> improved (Table IV).
PAPER_4 = {
    ("adult", "NN"): (0.711, 0.934),
    ("adult", "GB"): (0.529, 0.903),
    ("adult", "SVM"): (0.695, 0.720),
    ("credit", "NN"): (0.328, 0.870),
    ("credit", "GB"): (0.252, 0.824),
    ("credit", "SVM"): (0.343, 0.444),
    ("compas", "NN"): (0.511, 0.565),
    ("compas", "GB"): (0.258, 0.446),
    ("compas", "SVM"): (0.310, 0.334),
    ("german", "NN"): (0.482, 0.612),
    ("german", "GB"): (0.246, 0.729),
    ("german", "SVM"): (0.309, 0.365),
}
ATTACKS = {
    "faithful": "ours, faithful",
    "fast": "ours, fast",
    "deepfool": "DeepFool",
    "lowprofool": "LowProFool",
    "hopskipjump": "HopSkipJump",
}


#: Methods of the benchmark, in the table's order.
METHODS = {
    "fast": "ours, fast",
    "faithful": "ours, faithful",
    "pymoo": "pymoo's NSGA-III",
    "hop_skip_jump": "HopSkipJump",
}


def load_cells(store: Path) -> dict[str, dict[str, Any]]:
    """Return the stored cells by name."""
    return json.loads(store.read_text()) if store.exists() else {}


def render(out: Path) -> None:
    """Write the tables and the pictures of Figure 3; the docs page too for its own results."""
    cells = [{"cell": name, **cell} for name, cell in load_cells(out / STORE).items()]
    out.mkdir(parents=True, exist_ok=True)
    tables = {"table2": table2(cells), "table3": table3(cells), "table4": table4(cells)}
    if (out / BENCHMARK).exists():
        tables["benchmark"] = benchmark(json.loads((out / BENCHMARK).read_text()))
    text = "\n".join(f"## {name}\n\n{table}\n" for name, table in tables.items() if table)
    (out / "robust_tabular.md").write_text(text)
    if out == RESULTS:
        PAGE.write_text(filled(PAGE.read_text(), tables))
    for cell in of_part(cells, "figure3"):
        draw_curves(cell, out / f"figure3-{cell['data']}-{cell['strategy']}.png")


def filled(page: str, tables: dict[str, str]) -> str:
    """Return a page with the tables between its marks written afresh."""
    for name, table in tables.items():
        marks = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = page.partition(marks[0])
        _, _, after = rest.partition(marks[1])
        page = f"{before}{marks[0]}{table}\n{marks[1]}{after}"
    return page


def of_part(cells: Iterable[dict[str, Any]], part: str) -> list[dict[str, Any]]:
    """Return the cells of a table."""
    return [cell for cell in cells if cell["cell"].startswith(f"{part}-")]


def grouped(cells: list[dict[str, Any]], *keys: str) -> list[tuple[tuple[str, ...], list[Any]]]:
    """Group cells that differ in the seed only, in the paper's order."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for cell in cells:
        groups.setdefault(tuple(str(cell[key]) for key in keys), []).append(cell)
    places = [*NAMES, *MODELS, *ATTACKS, "paper", "smooth"]

    def order(item: tuple[tuple[str, ...], Any]) -> list[Any]:
        return [(places.index(k), "") if k in places else (len(places), k) for k in item[0]]

    return sorted(groups.items(), key=order)


def table2(cells: list[dict[str, Any]]) -> str:
    """Overall and class-wise robustness."""
    rows = []
    for key, group in grouped(of_part(cells, "table2"), "data", "model", "mode", "rows"):
        data, model, mode, share = key
        paper = PAPER_2.get((data, model))
        low, high = (np.mean([c["r_overall_interval"][end] for c in group]) for end in (0, 1))
        found = mean(group, "r_overall")
        rows.append(
            [
                NAMES[data],
                model,
                mode,
                f"{group[0]['n']} ({share})" if share.endswith("%") else str(group[0]["n"]),
                f"{mean(group, 'test_accuracy'):.3f}",
                f"{found:.3f} [{low:.3f}, {high:.3f}]",
                *(ratio(np.mean([c["r_class"][i] for c in group])) for i in (0, 1)),
                f"{paper[0]:.3f}" if paper else "",
                f"{paper[1]:.2f}, {paper[2]:.2f}" if paper else "",
                few_rows(group[0].get("tenth")),
            ]
        )
    head = ["data", "model", "mode", "rows", "accuracy", "R_overall (95 %)"]
    head += ["R⁰", "R¹", "paper R_overall", "paper R⁰, R¹", "R_overall, R⁰ of a tenth of the rows"]
    return markdown(head, rows)


def ratio(value: float) -> str:
    """Render a ratio of two margins."""
    return f"{value:.2f}" if value < 1000 else "> 1000"


def few_rows(tenth: dict[str, list[float]] | None) -> str:
    """Render the range of the two figures over draws of a tenth of the rows."""
    if tenth is None:
        return ""
    names = ("r_overall", "r_class_0")
    return ", ".join("–".join(map(ratio, tenth[name])) for name in names)


def table3(cells: list[dict[str, Any]]) -> str:
    """Metrics of the perturbations."""
    rows = []
    for key, group in grouped(of_part(cells, "table3"), "data", "model", "attack"):
        data, model, attack = key
        paper = PAPER_3.get((data, attack)) if model == "NN" else None
        rows.append(
            [
                NAMES[data],
                model,
                ATTACKS[attack],
                f"{mean(group, 'success'):.2f}",
                *(
                    f"{mean(group, name):.3f} ± {mean(group, f'{name}_std'):.2f}"
                    for name in ("rho", "P", "D_knn")
                ),
                f"{mean(group, 'T_exe'):.3f}",
                ", ".join(f"{value:g}" for value in paper) if paper else "",
            ]
        )
    head = ["data", "model", "attack", "found", "ρ ↓", "P", "D_knn ↓", "T_exe (s)"]
    return markdown([*head, "paper ρ, P, D_knn, T_exe"], rows)


def table4(cells: list[dict[str, Any]]) -> str:
    """Before and after hardening."""
    rows = []
    for key, group in grouped(of_part(cells, "table4"), "data", "model", "strategy", "trained"):
        data, model, strategy, trained = key
        weak = int(np.argmin(np.mean([c["before"]["r_class"] for c in group], axis=0)))
        paper = PAPER_4.get((data, model)) if strategy == "paper" else None

        def change(path: tuple[Any, ...], digits: int = 3, group: list[Any] = group) -> str:
            sides = [np.mean([dig(c[side], path) for c in group]) for side in ("before", "after")]
            return " → ".join(f"{value:.{digits}f}" for value in sides)

        rows.append(
            [
                NAMES[data],
                model,
                strategy,
                f"{int(trained):,}",
                str(group[0]["n"]),
                str(len(group)),
                str(weak),
                change(("r_class", weak), 2),
                change(("alpha", weak)),
                change(("beta", weak)),
                change(("r_overall",)),
                change(("test", "accuracy")),
                change(("test", "precision")),
                change(("test", "recall", weak)),
                f"{paper[0]:.2f} → {paper[1]:.2f}" if paper else "",
            ]
        )
    head = ["data", "model", "strategy", "learnt from", "test rows", "seeds", "class", "R_class"]
    head += [
        "α ↑",
        "β",
        "R_overall ↑",
        "accuracy",
        "precision",
        "recall of the class",
        "paper R_class",
    ]
    return markdown(head, rows)


def benchmark(stored: dict[str, Any]) -> str:
    """Render our attack in both modes, pymoo and HopSkipJump on the same rows."""
    rows = []
    for data, models in stored["results"].items():
        for model, found in models.items():
            for method, name in METHODS.items():
                if method not in found:
                    continue
                one = found[method]
                rows.append(
                    [
                        f"{NAMES[data]}, {model.upper()}",
                        name,
                        f"{one['queries']} × {one['seeds']}",
                        f"{one['valid']:.2f}",
                        f"{one['rows']:,.0f}",
                        f"{one['rho']:.4f}",
                        f"{one['cpu_ms']:.1f} ms",
                        *(
                            cell.format(one[key]) if key in one else ""
                            for key, cell in {
                                "evaluation_ms": "{:.1f} ms",
                                "own_share": "{:.1f}",
                                "rho_over_pymoo": "{:.3f}",
                                "times_faster_than_pymoo": "{:.0f} ×",
                                "rho_over_hop_skip_jump": "{:.2f}",
                            }.items()
                        ),
                    ]
                )
    head = ["data, model", "method", "rows × seeds", "valid", "model rows each", "ρ ↓", "CPU each"]
    head += ["model alone", "own / model", "ρ / pymoo", "speed / pymoo", "ρ / HopSkipJump"]
    return markdown(head, rows)


def dig(found: Any, path: tuple[Any, ...]) -> float:
    """Return a nested value."""
    for key in path:
        found = found[key]
    return float(found)


def mean(cells: list[dict[str, Any]], name: str) -> float:
    """Return the mean over the seeds; a missing number is NaN."""
    values = [cell[name] for cell in cells]
    return float(np.mean([math.nan if value is None else value for value in values]))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, "" without rows."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) if rows else ""


def draw_curves(cell: dict[str, Any], path: Path) -> None:
    """Draw one Figure 3."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 3.4), layout="constrained")
    ax = figure.subplots()
    colours: dict[str, str] = {}
    for name, rates in cell["rates"].items():
        attack, side = name.split(", ")
        colour = colours.setdefault(attack, f"C{len(colours)}")
        style = "-" if side == "original" else "--"
        label = f"{ATTACKS[attack]}; {side}"
        ax.plot(cell["epsilons"], rates, style, color=colour, label=label)
    ax.set(xlabel="ε", ylabel="success rate", title=f"{NAMES[cell['data']]}, {cell['strategy']}")
    figure.legend(loc="outside right upper")
    figure.savefig(path, dpi=90)
