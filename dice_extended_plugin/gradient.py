"""One batched optimiser for all queries and counterfactuals (torch).

Every step costs one forward and one backward pass over queries x counterfactuals x noise draws.
Queries do not influence each other: a query leaves the batch when it has converged, and the result
for it is the same in any batch. That holds because each query's numbers go through the same
operations in double precision, and because gradients are rounded before they are used, which
removes the last-digit differences between batch shapes before a step could amplify them.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dice_extended_plugin.objective import Objective, Queries
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.targets import ClassTarget

__all__ = ["Budget", "Found", "Settings", "optimise"]

logger = logging.getLogger(__name__)

#: Gradients are rounded to multiples of this; see the module's docstring.
_GRID = 2.0**-24
#: A set must be better by this to replace another: the same set met twice is not progress.
_LEAST_GAIN = 1e-9
_RESTART_STREAM = 21


@dataclass(frozen=True)
class Settings:
    """How to descend; names and defaults are dice-ml's where it has them.

    Parameters
    ----------
    total_CFs : int
        Counterfactuals per query, k.
    algorithm : {"DiverseCF", "RandomInitCF"}
        One set of k, or k independent searches from random starts.
    optimizer : str
        "pytorch:adam" or "pytorch:rmsprop".
    learning_rate, min_iter, max_iter, project_iter, loss_diff_thres, loss_converge_maxiter
        As in dice-ml.
    init_near_query_instance : bool
        Start at the query (shifted by 0.01 per counterfactual) or at random permitted points.
    tie_random : bool
        Break ties between levels at random (by the seed) instead of taking the first.
    check_every : int, default 25
        Steps between two looks at the rounded set; the best valid set seen is kept.
    patience : int, default 100
        Steps without a better valid set after which a query that has k counterfactuals stops; a
        query still without them gets ten times as many.
    restarts : int, default 1
        Further runs from random points for queries that lack counterfactuals.
    """

    total_CFs: int
    algorithm: str = "DiverseCF"
    optimizer: str = "pytorch:adam"
    learning_rate: float = 0.05
    min_iter: int = 500
    max_iter: int = 5000
    project_iter: int = 0
    loss_diff_thres: float = 1e-5
    loss_converge_maxiter: int = 1
    init_near_query_instance: bool = True
    tie_random: bool = False
    check_every: int = 25
    patience: int = 100
    restarts: int = 1


@dataclass
class Budget:
    """What a search may spend.

    Parameters
    ----------
    max_seconds : float or None
        Wall time of the whole call.
    max_model_calls : int or None
        Model calls each query may take part in, whatever else is in its batch.
    """

    max_seconds: float | None = None
    max_model_calls: int | None = None
    started: float = field(default_factory=time.monotonic)

    def out_of_time(self) -> bool:
        """Tell whether the seconds are spent."""
        return self.max_seconds is not None and time.monotonic() - self.started >= self.max_seconds

    def steps_left(self, calls: np.ndarray, per_step: float) -> np.ndarray:
        """Tell which queries may take part in another step."""
        if self.max_model_calls is None:
            return np.ones(len(calls), dtype=bool)
        return calls + per_step <= self.max_model_calls


@dataclass
class Found:
    """What a search found, for Q queries.

    Parameters
    ----------
    u : ndarray of shape (Q, k, d)
        Rows that can be written down; undefined where not valid.
    valid : ndarray of bool, shape (Q, k)
    loss : ndarray of shape (Q,)
        Objective of the kept set; inf if there is none.
    steps, calls : ndarray of int, shape (Q,)
        Descent steps and model calls the query took part in.
    stopped : ndarray of str, shape (Q,)
        "converged", "stalled", "max_iter", "max_model_calls", "max_seconds" or "" (not begun).
    """

    u: np.ndarray
    valid: np.ndarray
    loss: np.ndarray
    steps: np.ndarray
    calls: np.ndarray
    stopped: np.ndarray

    @classmethod
    def nothing(cls, n: int, k: int, d: int) -> Found:
        """Make the result of a search not begun."""
        return cls(
            u=np.zeros((n, k, d)),
            valid=np.zeros((n, k), dtype=bool),
            loss=np.full(n, np.inf),
            steps=np.zeros(n, dtype=int),
            calls=np.zeros(n, dtype=int),
            stopped=np.full(n, "", dtype=object),
        )

    def offer(
        self, index: np.ndarray, u: np.ndarray, valid: np.ndarray, loss: np.ndarray
    ) -> np.ndarray:
        """Keep offered sets that are better: more counterfactuals, then a lower objective.

        A slot of a kept set that is no counterfactual takes the last one seen in that slot.
        Returns which of the offered sets were kept.
        """
        count, known = valid.sum(1), self.valid[index].sum(1)
        loss = np.where(np.isfinite(loss), loss, np.finfo(float).max)
        whole = (count > known) | ((count == known) & (loss < self.loss[index] - _LEAST_GAIN))
        fill = ~whole[:, None] & valid & ~self.valid[index]
        keep_old = whole[:, None] & ~valid & self.valid[index]
        take = (whole[:, None] | fill) & ~keep_old
        self.u[index] = np.where(take[..., None], u, self.u[index])
        self.valid[index] |= valid
        self.loss[index] = np.where(whole, loss, self.loss[index])
        return whole | fill.any(1)


def optimise(
    x: np.ndarray,
    space: FeatureSpace,
    target: ClassTarget,
    objective: Objective,
    settings: Settings,
    budget: Budget,
    random_state: int,
    like: Tensor,
    max_rows: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> Found:
    """Search counterfactuals for all queries.

    Parameters
    ----------
    x : ndarray of shape (Q, d)
        Encoded queries.
    space : FeatureSpace
        With the constraints of this call.
    target : ClassTarget
    objective : Objective
    settings : Settings
    budget : Budget
    random_state : int
        Seed of random starts. Each query draws from a stream of its own, made from the seed and
        its encoded values, so that neither its batch nor its position matters.
    like : Tensor
        Gives device and dtype.
    max_rows : int
        Most rows in one model call; queries are worked through in chunks of that size.
    progress : callable, optional
        Told the number of queries finished.
    """
    k = settings.total_CFs
    if settings.algorithm == "RandomInitCF":
        return _independent(
            x, space, target, objective, settings, budget, random_state, like, max_rows, progress
        )
    found = Found.nothing(len(x), k, x.shape[1])
    size = max(1, max_rows // (k * objective.rows_per_counterfactual))
    for start in range(0, len(x), size):
        rows = np.arange(start, min(start + size, len(x)))
        starts = _starts(x[rows], space, settings, k, random_state)
        run = _Run(x, space, target, objective, settings, budget, random_state, like, found)
        run.descend(rows, starts)
        for again in range(settings.restarts):
            short = rows[~found.valid[rows].all(1) & (found.stopped[rows] != "max_seconds")]
            if len(short) == 0 or budget.out_of_time():
                break
            run.descend(short, _random_starts(x[short], space, k, random_state, 1 + again))
        if progress is not None:
            progress(len(rows))
    return found


def _independent(
    x: np.ndarray,
    space: FeatureSpace,
    target: ClassTarget,
    objective: Objective,
    settings: Settings,
    budget: Budget,
    random_state: int,
    like: Tensor,
    max_rows: int,
    progress: Callable[[int], object] | None,
) -> Found:
    """RandomInitCF: k searches of one counterfactual each, in the same batch."""
    k = settings.total_CFs
    starts = _random_starts(x, space, k, random_state, 0).reshape(-1, 1, x.shape[1])
    many, owner = np.repeat(x, k, axis=0), np.repeat(np.arange(len(x)), k)
    found = Found.nothing(len(many), 1, x.shape[1])
    size = max(k, max_rows // objective.rows_per_counterfactual // k * k)
    for start in range(0, len(many), size):
        rows = np.arange(start, min(start + size, len(many)))
        run = _Run(
            many, space, target[owner], objective, settings, budget, random_state, like, found
        )
        run.descend(rows, starts[rows])
        if progress is not None:
            progress(len(rows) // k)
    by_query = (len(x), k)
    return Found(
        u=found.u.reshape(*by_query, -1),
        valid=found.valid.reshape(by_query),
        loss=found.loss.reshape(by_query).mean(1),
        steps=found.steps.reshape(by_query).max(1),
        calls=found.calls.reshape(by_query).max(1),
        stopped=found.stopped.reshape(by_query)[:, 0],
    )


class _Run:
    """One descent of one chunk; writes what it finds into `found`."""

    def __init__(
        self,
        x: np.ndarray,
        space: FeatureSpace,
        target: ClassTarget,
        objective: Objective,
        settings: Settings,
        budget: Budget,
        random_state: int,
        like: Tensor,
        found: Found,
    ) -> None:
        self.x, self.space, self.target, self.objective = x, space, target, objective
        self.settings, self.budget, self.like, self.found = settings, budget, like, found
        self.random_state = random_state
        self.optimizer = _OPTIMIZERS[settings.optimizer]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self.like.device).to(self.like.dtype)

    def descend(self, rows: np.ndarray, starts: np.ndarray) -> None:
        """Run the queries `rows` from `starts` (len(rows), k, d) until each has stopped."""
        lower, upper = self.space.bounds(self.x[rows])
        queries = Queries(
            self._tensor(self.x[rows]),
            self._tensor(lower),
            self._tensor(upper),
            torch.as_tensor(self.target.index[rows], device=self.like.device).long(),
            self._tensor(self.target.aim()[rows]),
        )
        u = _clamp(self._tensor(starts), queries).requires_grad_(True)
        optimizer = self.optimizer([u], lr=self.settings.learning_rate)
        before = torch.full((len(rows),), torch.inf, dtype=u.dtype, device=u.device)
        calm = torch.zeros(len(rows), dtype=torch.long, device=u.device)
        progress_at = np.zeros(len(rows), dtype=int)
        step = 0
        while len(rows):
            allowed = self.budget.steps_left(self.found.calls[rows], 2)
            loss = self._step(u, queries, optimizer)
            step += 1
            self.found.steps[rows] += 1
            self.found.calls[rows] += 1
            calm = torch.where((loss - before).abs() <= self.settings.loss_diff_thres, calm + 1, 0)
            before = loss
            project = self.settings.project_iter
            if project > 0 and step % project == 0:
                with torch.no_grad():
                    u.copy_(self._tensor(self._project(u, rows)))
            late = step >= self.settings.min_iter
            settled = (calm >= self.settings.loss_converge_maxiter).cpu().numpy() & late
            last = step >= self.settings.max_iter or self.budget.out_of_time()
            due = last or step % self.settings.check_every == 0
            # A query is looked at when its turn has come, never because a neighbour stopped.
            who = np.flatnonzero(settled | ~allowed | due)
            if len(who) == 0:
                continue
            better, whole = self._look(u, queries, rows, who)
            progress_at[who[better]] = step
            stop = np.full(len(rows), "", dtype=object)
            stop[who] = self._reasons(
                step, late, settled[who], whole, progress_at[who], allowed[who]
            )
            leaving = stop != ""
            if leaving.any():
                self.found.stopped[rows[leaving]] = stop[leaving]
                stay = np.flatnonzero(~leaving)
                rows, progress_at = rows[stay], progress_at[stay]
                keep = torch.as_tensor(stay, device=u.device)
                queries, before, calm = queries[keep], before[keep], calm[keep]
                u, optimizer = self._shrink(u, optimizer, keep)

    def _step(self, u: Tensor, queries: Queries, optimizer: torch.optim.Optimizer) -> Tensor:
        terms, _ = self.objective.terms(u, queries)
        loss = self.objective.loss(terms)
        (gradient,) = torch.autograd.grad(loss.sum(), u)
        u.grad = torch.round(gradient.nan_to_num_(0.0, 0.0, 0.0) / _GRID).mul_(_GRID)
        optimizer.step()
        with torch.no_grad():
            u.copy_(_clamp(u, queries))
        return loss.detach()

    def _project(self, u: Tensor, rows: np.ndarray) -> np.ndarray:
        x = self.x[rows]
        lower, upper = self.space.bounds(x)
        values = u.detach().cpu().numpy().astype(np.float64)
        if self.settings.tie_random:
            values = values + 1e-9 * _random_starts(
                x, self.space, values.shape[1], self.random_state, 99
            )
        return self.space.project(values, x[:, None], lower[:, None], upper[:, None])

    def _look(
        self, u: Tensor, queries: Queries, rows: np.ndarray, who: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Round the sets of the queries `who`, ask the model once, keep what is better."""
        index = torch.as_tensor(who, device=u.device)
        u, queries, rows = u.detach()[index], queries[index], rows[who]
        projected = self._project(u, rows)
        with torch.no_grad():
            terms, scores = self.objective.terms(self._tensor(projected), queries)
            value = self.objective.preference(terms).cpu().numpy().astype(np.float64)
        flat = scores.reshape(-1, scores.shape[-1]).cpu().numpy().astype(np.float64)
        query = np.repeat(rows, projected.shape[1])
        valid = self.target.met(flat, query).reshape(projected.shape[:2])
        self.found.calls[rows] += 1
        return self.found.offer(rows, projected, valid, value), valid.all(1)

    def _reasons(
        self,
        step: int,
        late: bool,
        settled: np.ndarray,
        whole: np.ndarray,
        progress_at: np.ndarray,
        allowed: np.ndarray,
    ) -> np.ndarray:
        """Why each query stops now; "" where it goes on."""
        complete = np.full(len(settled), self.settings.patience)
        patience = np.where(whole, complete, 10 * complete)
        stop = np.full(len(settled), "", dtype=object)
        stop[late & (step - progress_at >= patience)] = "stalled"
        stop[settled & whole] = "converged"
        stop[~allowed] = "max_model_calls"
        if step >= self.settings.max_iter:
            stop[stop == ""] = "max_iter"
        if self.budget.out_of_time():
            stop[stop == ""] = "max_seconds"
        return stop

    def _shrink(
        self, u: Tensor, optimizer: torch.optim.Optimizer, keep: Tensor
    ) -> tuple[Tensor, torch.optim.Optimizer]:
        """Take finished queries out of the batch, their optimiser state with them."""
        fewer = u.detach()[keep].requires_grad_(True)
        state = {
            name: value[keep] if value.ndim else value for name, value in optimizer.state[u].items()
        }
        smaller = self.optimizer([fewer], lr=self.settings.learning_rate)
        smaller.state[fewer] = state
        return fewer, smaller


_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "pytorch:adam": torch.optim.Adam,
    "pytorch:rmsprop": torch.optim.RMSprop,
}


def _clamp(u: Tensor, queries: Queries) -> Tensor:
    return torch.maximum(
        torch.minimum(u, queries.upper.unsqueeze(1)), queries.lower.unsqueeze(1)
    ).detach()


def _starts(
    x: np.ndarray, space: FeatureSpace, settings: Settings, k: int, random_state: int
) -> np.ndarray:
    if not settings.init_near_query_instance:
        return _random_starts(x, space, k, random_state, 0)
    return x[:, None, :] + 0.01 * np.arange(k)[:, None]


def _random_starts(
    x: np.ndarray, space: FeatureSpace, k: int, random_state: int, run: int
) -> np.ndarray:
    """Uniform permitted points, (n, k, d), from a stream that only the query's values name."""
    lower, upper = space.bounds(x)
    draws = np.empty((len(x), k, x.shape[1]))
    for i, row in enumerate(x + 0.0):  # + 0.0: -0.0 and 0.0 are one value
        name = int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little")
        seed = np.random.SeedSequence(random_state, spawn_key=(_RESTART_STREAM, run, name))
        draws[i] = np.random.default_rng(seed).uniform(size=draws.shape[1:])
    return lower[:, None] + draws * (upper - lower)[:, None]
