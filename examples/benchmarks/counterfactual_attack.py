"""Our attacks, pymoo's NSGA-III one query at a time, and HopSkipJump, on the same rows and models.

    python examples/benchmarks/counterfactual_attack.py --data compas german --models gb nn svc

All in one process: CPU milliseconds per counterfactual, model rows, and the mean L2 norm rho on
min-max features. `evaluation` is the model alone on the very rows that the attack asked for, in
calls of 16,384 rows; `own_share` is our time beside it, divided by it. pymoo and HopSkipJump are
slow, so they get the first `--few` queries; ratios of rho compare the same queries. Prints JSON.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import common
import numpy as np
from art.attacks.evasion import HopSkipJump
from art.estimators.classification import SklearnClassifier
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.problem import Problem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.optimize import minimize
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from art_bridge.attack import UnconstrainedCounterfactual
from art_bridge.nsga3 import Reference
from art_bridge.reference_data import REFERENCE_DATA, load_reference_data
from art_bridge.survival import das_dennis

POPULATION, GENERATIONS = 100, 50
AT_ONCE = 16_384


def make_model(kind: str) -> Any:
    """Return an untrained model of the paper's kinds."""
    if kind == "gb":
        return GradientBoostingClassifier(n_estimators=100, random_state=0)
    if kind == "rf":
        return RandomForestClassifier(n_estimators=100, random_state=0)
    if kind == "svc":
        return SVC(probability=True, random_state=0)
    return MLPClassifier(
        (500, 500), learning_rate_init=1e-4, batch_size=128, max_iter=20, random_state=0
    )


class Setting:
    """One table with one trained model, and a count of the rows that the model was asked for."""

    def __init__(self, data: str, kind: str, queries: int) -> None:
        x_train, x_test, y_train, y_test = load_reference_data(data).split()
        self.x_train, self.y_train = x_train.astype(np.float32), y_train
        self.queries = x_test[:queries].astype(np.float32)
        model = make_model(kind).fit(self.x_train, y_train)
        self.classifier = SklearnClassifier(model, clip_values=(0, 1))
        self.accuracy = float((self.scores(x_test).argmax(axis=1) == y_test).mean())
        self.target = 1 - self.scores(self.queries).argmax(axis=1)
        self.rows = 0
        self.asked: list[np.ndarray] | None = None
        plain = self.classifier.predict

        def counting(x: np.ndarray, **keywords: Any) -> np.ndarray:
            self.rows += len(x)
            if self.asked is not None:
                self.asked.append(np.array(x))
            return plain(x, **keywords)

        self.classifier.predict = counting

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return class probabilities of rows rounded to float32."""
        return self.classifier.predict(np.asarray(x, dtype=np.float32))

    def measure(self, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the L2 norms of the changes, and which rows have the target class, strictly."""
        n = len(out)
        scores = self.scores(out)
        index = (np.arange(n), self.target[:n])
        wanted = scores[index].copy()
        scores[index] = -np.inf
        change = np.asarray(out, dtype=np.float64) - self.queries[:n]
        return np.linalg.norm(change, axis=1), wanted > scores.max(axis=1)

    def evaluation(self, call: Any, repeats: int) -> float:
        """Return CPU seconds of the model alone for the rows that a call asks for."""
        self.asked = []
        call(0)
        rows, self.asked = np.concatenate(self.asked), None
        start = time.process_time()
        for _ in range(repeats):
            for first in range(0, len(rows), AT_ONCE):
                self.scores(rows[first : first + AT_ONCE])
        return (time.process_time() - start) / repeats


class OneQuery(Problem):
    """The three objectives of one query as pymoo sees them."""

    def __init__(self, setting: Setting, i: int) -> None:
        super().__init__(n_var=setting.queries.shape[1], n_obj=3, xl=0.0, xu=1.0)
        self.setting, self.x, self.label = setting, setting.queries[i], int(setting.target[i])

    def _evaluate(self, u: np.ndarray, out: dict[str, Any], *args: Any, **keywords: Any) -> None:
        p = self.setting.scores(u)
        wrong = (p.argmax(axis=1) != self.label).astype(float)
        cost = np.maximum(0.0, 0.5 - p[:, self.label])
        out["F"] = np.column_stack([wrong, cost, np.linalg.norm(u - self.x, axis=1)])


def by_pymoo(setting: Setting, near: Reference, n: int, seed: int) -> np.ndarray:
    """Return the lexicographic best of pymoo's NSGA-III for each of the first n queries."""
    rng, out = np.random.default_rng(seed), setting.queries[:n].copy()
    starts = near.nearest(setting.queries[:n].astype(float), setting.target[:n], 100)
    for i in range(n):
        rows = starts[i][np.isfinite(starts[i][:, 0])]
        kind, first = rng.random(POPULATION), rng.random((POPULATION, out.shape[1]))
        first[kind < 0.125] = setting.queries[i]
        is_near = (kind >= 0.125) & (kind < 0.75)
        first[is_near] = rows[rng.integers(0, len(rows), is_near.sum())]
        algorithm = NSGA3(
            das_dennis(3, 10).copy(),
            pop_size=POPULATION,
            sampling=first,
            crossover=SBX(prob=0.6, eta=20),
            mutation=PM(prob=0.4, eta=20),
        )
        last = minimize(OneQuery(setting, i), algorithm, ("n_gen", GENERATIONS), seed=seed).pop
        costs = last.get("F")
        out[i] = last[np.lexsort((costs[:, 2], costs[:, 1], costs[:, 0]))[0]].X
    return out


def by_hop_skip_jump(setting: Setting, n: int, seed: int) -> np.ndarray:
    """Return ART's HopSkipJump with its defaults, which draws from NumPy's global stream."""
    np.random.seed(seed)
    return HopSkipJump(setting.classifier, verbose=False).generate(setting.queries[:n])


def by_ours(setting: Setting, mode: str, seed: int) -> np.ndarray:
    """Return our attack's rows for all queries."""
    attack = UnconstrainedCounterfactual(
        setting.classifier,
        setting.x_train,
        setting.y_train,
        mode=mode,
        pick="lexicographic" if mode == "faithful" else "closest",
        random_state=seed,
    )
    return attack.generate(setting.queries)


def run(setting: Setting, call: Any, n: int, seeds: int) -> dict[str, Any]:
    """Run a method with several seeds; norms are (seeds, n), not for printing."""
    cpu, rows, norms, valid = [], [], [], []
    for seed in range(seeds):
        setting.rows = 0
        start = time.process_time()
        out = call(seed)
        cpu.append((time.process_time() - start) / n)
        rows.append(setting.rows / n)
        norm, good = setting.measure(out)
        norms.append(norm)
        valid.append(good.mean())
    return {
        "queries": n,
        "seeds": seeds,
        "cpu_ms": 1e3 * float(np.mean(cpu)),
        "rows": float(np.mean(rows)),
        "rho": float(np.mean(norms)),
        "valid": float(np.mean(valid)),
        "norms": np.array(norms),
    }


def compare(setting: Setting, arguments: Any) -> dict[str, Any]:
    """Run all methods on one setting."""
    n, few = len(setting.queries), min(arguments.few, len(setting.queries))
    by_ours(setting, "fast", 0)  # warm up
    ours = {
        mode: run(setting, lambda seed, mode=mode: by_ours(setting, mode, seed), n, arguments.seeds)
        for mode in ("fast", "faithful")
    }
    right = setting.scores(setting.x_train).argmax(axis=1) == setting.y_train
    near = Reference(setting.x_train, np.where(right, setting.y_train, -1))
    theirs = {}
    if arguments.pymoo_seeds:
        theirs["pymoo"] = run(
            setting, lambda seed: by_pymoo(setting, near, few, seed), few, arguments.pymoo_seeds
        )
    if arguments.hsj_seeds:
        theirs["hop_skip_jump"] = run(
            setting, lambda seed: by_hop_skip_jump(setting, few, seed), few, arguments.hsj_seeds
        )
    for mode, mine in ours.items():
        alone = setting.evaluation(
            lambda seed, mode=mode: by_ours(setting, mode, seed), arguments.seeds
        )
        mine["evaluation_ms"] = 1e3 * alone / n
        mine["own_share"] = mine["cpu_ms"] / mine["evaluation_ms"] - 1
        for name, other in theirs.items():
            both = mine["norms"][:, :few].mean(), other["norms"].mean()
            mine[f"rho_over_{name}"] = float(both[0] / both[1])
            mine[f"times_faster_than_{name}"] = other["cpu_ms"] / mine["cpu_ms"]
    methods = {**ours, **theirs}
    for method in methods.values():
        del method["norms"]
    return {"accuracy": round(setting.accuracy, 3), **methods}


def main() -> None:
    """Run the benchmark."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Stochastic Optimizer")
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=["compas", "german"], choices=REFERENCE_DATA)
    parser.add_argument("--models", nargs="+", default=["gb"], choices=["gb", "rf", "nn", "svc"])
    parser.add_argument("--queries", type=int, default=120)
    parser.add_argument("--few", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pymoo-seeds", type=int, default=1, help="0 leaves pymoo out")
    parser.add_argument("--hsj-seeds", type=int, default=1, help="0 leaves HopSkipJump out")
    arguments = parser.parse_args()
    result = {
        data: {
            kind: compare(Setting(data, kind, arguments.queries), arguments)
            for kind in arguments.models
        }
        for data in arguments.data
    }
    common.emit({"benchmark": "counterfactual_attack", "results": result}, arguments.out)


if __name__ == "__main__":
    main()
