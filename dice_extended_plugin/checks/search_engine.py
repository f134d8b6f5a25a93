"""Checks of search engines: pymoo algorithms that take ``pop_size`` and ``sampling``."""

from __future__ import annotations

from typing import Any

import numpy as np

from dice_extended_plugin.checks.case import (
    Case,
    Check,
    Overrun,
    ensure,
    need,
    recommended,
    refuses,
    required,
)

__all__ = ["CHECKS"]

_POP, _VARS, _ROUNDS = 12, 3, 4
#: Engines may ask for a little more than a generation.
_MOST = 3 * _POP


def _problem() -> Any:
    """Two objectives on a box, with every point that is asked for on record."""
    from pymoo.core.problem import Problem

    class Box(Problem):
        def __init__(self) -> None:
            super().__init__(
                n_var=_VARS, n_obj=2, xl=np.array([0.0, -1.0, 2.0]), xu=np.array([1.0, 1.0, 2.5])
            )
            self.asked: list[np.ndarray] = []

        def _evaluate(self, x: np.ndarray, out: dict[str, Any], *args: Any, **more: Any) -> None:
            self.asked.append(np.array(x, dtype=float))
            share = (x - self.xl) / (self.xu - self.xl)
            out["F"] = np.column_stack([(share**2).sum(axis=1), ((share - 0.6) ** 2).sum(axis=1)])

    return Box()


def _starts() -> np.ndarray:
    box = _problem()
    draw = np.random.default_rng(4).random((_POP, _VARS))
    points: np.ndarray = box.xl + draw * (box.xu - box.xl)
    return points


def _run(case: Case, seed: int = 1, rounds: int = _ROUNDS, sampling: Any = None) -> Any:
    """Run some generations by ask and tell; return the problem and the algorithm."""
    need("pymoo")
    from pymoo.core.termination import NoTermination

    box = _problem()
    starts = _starts() if sampling is None else sampling
    engine = case.subject(pop_size=_POP, sampling=starts, **case.own["init"])
    engine.setup(box, seed=seed, termination=NoTermination())
    for _ in range(rounds):
        asked = engine.ask()
        if asked is None or not len(asked):
            break
        if len(asked) > _MOST:
            raise Overrun(f"pop_size={_POP}, and it asked for {len(asked)} points at once")
        engine.evaluator.eval(box, asked)
        engine.tell(infills=asked)
    return box, engine


@required
def check_class(case: Case) -> None:
    """Check that it is an algorithm of pymoo's."""
    need("pymoo")
    from pymoo.core.algorithm import Algorithm

    engine = case.subject(pop_size=_POP, sampling=_starts(), **case.own["init"])
    ensure(isinstance(engine, Algorithm), f"it makes a {type(engine).__name__}, no pymoo Algorithm")


@required
def check_result_type(case: Case) -> None:
    """Check that ``opt`` holds points with objectives, none of which dominates another."""
    _, engine = _run(case)
    ensure(engine.opt is not None and len(engine.opt), "opt is empty after four generations")
    F, X = engine.opt.get("F"), engine.opt.get("X")
    ensure(F.shape == (len(engine.opt), 2), f"objectives of opt have shape {F.shape}")
    ensure(X.shape == (len(engine.opt), _VARS), f"points of opt have shape {X.shape}")
    worse = (F[:, None] >= F[None]).all(axis=2) & (F[:, None] > F[None]).any(axis=2)
    ensure(not worse.any(), "a point of opt is dominated by another")


@required
def check_bounds_kept(case: Case) -> None:
    """Check that every point that it asks about lies in the box."""
    box, _ = _run(case)
    points = np.concatenate(box.asked)
    inside = ((points >= box.xl - 1e-12) & (points <= box.xu + 1e-12)).all(axis=1)
    ensure(inside.all(), f"it asked about {points[~inside][:1].tolist()}")


@required
def check_sampling(case: Case) -> None:
    """Check that it begins with the points that ``sampling`` gives, which it does not change."""
    starts = _starts()
    box, _ = _run(case, rounds=1, sampling=starts)
    ensure(np.array_equal(starts, _starts()), "the array given as sampling was changed")
    first = np.concatenate(box.asked)
    same = first.shape == starts.shape and np.allclose(
        np.sort(first, axis=0), np.sort(starts, axis=0)
    )
    ensure(same, "the first generation is not what sampling gave")


@required
def check_same_result_again(case: Case) -> None:
    """Check that equal seeds ask about the same points; another seed asks about others."""
    points = [np.concatenate(_run(case, seed)[0].asked) for seed in (1, 1, 2)]
    ensure(
        points[0].shape == points[1].shape and np.array_equal(points[0], points[1]),
        "equal seeds gave different points",
    )
    ensure(
        points[0].shape != points[2].shape or not np.array_equal(points[0], points[2]),
        "another seed gave the same points",
    )


@required
def check_budgets(case: Case) -> None:
    """Check that a generation is about ``pop_size`` points, so that budgets can be kept."""
    box, _ = _run(case, rounds=6)
    sizes = [len(points) for points in box.asked]
    ensure(max(sizes) <= _MOST, f"pop_size={_POP}, generations of {sizes}")


@recommended
def check_improves(case: Case) -> None:
    """Check that the best value of each objective is not lost in twenty generations."""
    box, engine = _run(case, rounds=20)
    start = _problem()
    out: dict[str, Any] = {}
    start._evaluate(box.asked[0], out)
    ensure(
        (engine.opt.get("F").min(axis=0) <= out["F"].min(axis=0) + 1e-12).all(),
        "the best points of the start were lost",
    )


@recommended
def check_global_generators(case: Case) -> None:
    """Check that NumPy's global random generator is left alone."""
    _run(case)  # pymoo compiles, or looks for its compiled parts, at first use
    before = np.random.get_state()
    _run(case)
    same = all(np.array_equal(a, b) for a, b in zip(before, np.random.get_state(), strict=True))
    ensure(same, "NumPy's global generator was used")


@recommended
def check_error_classes(case: Case) -> None:
    """Check that a population of no points is a ValueError."""
    refuses(lambda: case.subject(pop_size=0, **case.own["init"]), "pop_size=0")


CHECKS = tuple(value for value in list(globals().values()) if isinstance(value, Check))
