"""One descent of one chunk of queries: step, look, let the finished ones go (torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dice_extended_plugin.found import Budget, Found
from dice_extended_plugin.goals import goal_of
from dice_extended_plugin.objective import Objective, Queries
from dice_extended_plugin.options import GradientOptions
from dice_extended_plugin.space import FeatureSpace
from dice_extended_plugin.starts import random_starts
from dice_extended_plugin.targets import Target

__all__ = ["RESTARTS", "Descent", "Problem"]

#: Gradients are rounded to multiples of this; `gradient` says why.
_GRID = 2.0**-24
#: Steps between two looks at the rounded set; the best valid set seen is kept.
_CHECK_EVERY = 25
#: Steps without a better valid set after which a query that has all its counterfactuals stops; a
#: query still without them gets ten times as many.
_PATIENCE = 100
#: Further runs from random points for queries that lack counterfactuals.
RESTARTS = 1


@dataclass(frozen=True)
class Problem:
    """What to search.

    Parameters
    ----------
    x : ndarray of shape (Q, d)
        Encoded queries.
    space : FeatureSpace
        With the constraints of this call.
    target : Target
    objective : Objective
    total_CFs : int
        Counterfactuals per query, k.
    options : GradientOptions
        How to descend.
    budget : Budget
    random_state : int
        Seed of random starts. Each query draws from a stream of its own, made from the seed and
        its encoded values, so that neither its batch nor its position matters.
    like : Tensor
        Gives device and dtype.
    """

    x: np.ndarray
    space: FeatureSpace
    target: Target
    objective: Objective
    total_CFs: int
    options: GradientOptions
    budget: Budget
    random_state: int
    like: Tensor


class Descent:
    """Descents on one problem; what they find goes into `found`."""

    def __init__(self, problem: Problem, found: Found) -> None:
        self.x, self.space, self.target = problem.x, problem.space, problem.target
        self.objective, self.options = problem.objective, problem.options
        self.budget, self.random_state = problem.budget, problem.random_state
        self.like, self.found = problem.like, found
        self.optimizer = _OPTIMIZERS[self.options.optimizer]

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.as_tensor(array, device=self.like.device).to(self.like.dtype)

    def run(self, rows: np.ndarray, starts: np.ndarray) -> None:
        """Run the queries `rows` from `starts` (len(rows), k, d) until each has stopped."""
        lower, upper = self.space.bounds(self.x[rows])
        queries = Queries(
            self._tensor(self.x[rows]),
            self._tensor(lower),
            self._tensor(upper),
            goal_of(self.target, rows, self.like),
        )
        u = _clamp(self._tensor(starts), queries).requires_grad_(True)
        optimizer = self.optimizer([u], lr=self.options.learning_rate)
        before = torch.full((len(rows),), torch.inf, dtype=u.dtype, device=u.device)
        calm = torch.zeros(len(rows), dtype=torch.long, device=u.device)
        progress_at = np.zeros(len(rows), dtype=int)
        step = 0
        while len(rows):
            allowed = self.budget.affords(self.found.calls[rows], 2)
            loss = self._step(u, queries, optimizer)
            step += 1
            self.found.steps[rows] += 1
            self.found.calls[rows] += 1
            calm = torch.where((loss - before).abs() <= self.options.loss_diff_thres, calm + 1, 0)
            before = loss
            project = self.options.project_iter
            if project > 0 and step % project == 0:
                with torch.no_grad():
                    u.copy_(self._tensor(self._project(u, rows)))
            late = step >= self.options.min_iter
            settled = (calm >= self.options.loss_converge_maxiter).cpu().numpy() & late
            last = step >= self.options.max_iter or self.budget.out_of_time()
            due = last or step % _CHECK_EVERY == 0
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
        if self.options.tie_random:
            values = values + 1e-9 * random_starts(
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
        if self.space.ruled:
            x = self.x[query]
            valid &= self.space.legal(projected.reshape(len(query), -1), x).reshape(valid.shape)
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
        complete = np.full(len(settled), _PATIENCE)
        patience = np.where(whole, complete, 10 * complete)
        stop = np.full(len(settled), "", dtype=object)
        stop[late & (step - progress_at >= patience)] = "stalled"
        stop[settled & whole] = "converged"
        stop[~allowed] = "max_model_calls"
        if step >= self.options.max_iter:
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
        smaller = self.optimizer([fewer], lr=self.options.learning_rate)
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
