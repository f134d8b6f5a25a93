"""Algorithm 2 as an ART trainer: retrain until the class margins are balanced, or larger."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from art.defences.trainer import Trainer

from art_bridge.border import class_index
from art_bridge.choice import Candidate, Floors, measure
from art_bridge.inputs import as_rows, predict, require_classifier
from art_bridge.refit import make_refit
from art_bridge.settings import Settings
from art_bridge.strategies import Recipe, Situation, find_strategy
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CounterfactualMarginTrainer"]

logger = logging.getLogger(__name__)


class CounterfactualMarginTrainer(Trainer):
    """Harden a classifier against small changes of its input, whatever the classifier is.

    Works on everything of ART that predicts and can be trained again; no gradient is needed. The
    classifier given is never changed: :meth:`get_classifier` returns a new one.

    Parameters
    ----------
    classifier : art classifier
        What to harden. It is copied and trained afresh.
    vulnerable_class : int or "auto", default "auto"
        Class whose margin is to grow; "auto": the class of the lowest R_class, in every round.
    strategy : {"paper", "smooth"} or callable, default "paper"
        ``"paper"`` is Algorithm 2, which moves the boundary from one class toward the other.
        ``"smooth"`` removes ragged parts of the boundary, which enlarges the margins of both
        classes (:class:`~art_bridge.strategies.Smooth`). A callable takes a
        :class:`~art_bridge.strategies.Situation` and yields recipes.
    choose_by : {"balance", "margin"}, optional
        Of the candidates above the floors, take the one with the least |log R_class|, or the one
        with the largest α of the vulnerable class. Default: "balance" for the paper's strategy,
        else "margin".
    expansion : "auto", float or sequence of float, default "auto"
        λ of Algorithm 2; "auto" tries seven values in [0, 1] that add a seventh, two sevenths
        and so on of the points with η ≤ 1. The authors' code has seven evenly spaced values.
    n_neighbors : int, default 5
        K of η.
    probability_cap : float, optional
        Only rows whose highest score is at most this get boundary counterfactuals; the authors'
        code has 0.65, the paper none.
    accuracy_drop : float, default 0.01
        Largest loss of accuracy that a candidate may have, as a share in [0, 1].
    recall_drop : float or None, default None
        Largest loss of recall that any class may have; None: no such floor.
    keep_overall : bool, default True
        Whether R_overall may not fall.
    max_rounds : int, default 3
        Each round starts from the candidate chosen before it. Stops early when no candidate is
        better or |log R_class| of the class is at most `balance_tolerance` (for "balance").
    balance_tolerance : float, default 0.05
    validation_size : float, default 0.25
        Share of the rows held out to choose by, unless ``fit`` gets `validation_data`.
    max_analysis_rows : int or None, default 400
        Validation rows (drawn once) on which margins are measured.
    attack, analysis_attack : callable, optional
        ``f(classifier, x_train, y_train)`` returns a targeted ART attack: for boundary points, and
        for measuring margins. Default: :class:`~art_bridge.attack.BoundaryCounterfactual` and
        :class:`~art_bridge.attack.UnconstrainedCounterfactual`.
    attack_params : dict, optional
        Further arguments of the default attacks.
    refit : callable, optional
        ``refit(x, y)`` with float32 rows and class numbers returns a trained ART classifier, for
        what ART cannot clone (LightGBM, BlackBoxClassifier).
    norm : {1, 2, np.inf, "inf"}, default 2
    random_state : int, default 0
    verbose : bool, default False

    Attributes
    ----------
    candidates : DataFrame
        One row per model that was tried, also the refused ones: round, settings, accuracy,
        precision, recall, R_overall, α, β and R_class of every class, ``refused`` (reason, "" if
        it stands above the floors) and ``chosen``.

    References
    ----------
    Rasouli and Yu, Algorithm 2. λ is chosen there by eye, on the test rows; here on held-out
    training rows, by |log R_class| under floors.
    """

    def __init__(
        self,
        classifier: Any,
        vulnerable_class: int | Literal["auto"] = "auto",
        *,
        strategy: Any = "paper",
        choose_by: Literal["balance", "margin"] | None = None,
        expansion: Any = "auto",
        n_neighbors: int = 5,
        probability_cap: float | None = None,
        accuracy_drop: float = 0.01,
        recall_drop: float | None = None,
        keep_overall: bool = True,
        max_rounds: int = 3,
        balance_tolerance: float = 0.05,
        validation_size: float = 0.25,
        max_analysis_rows: int | None = 400,
        attack: Callable[..., Any] | None = None,
        analysis_attack: Callable[..., Any] | None = None,
        attack_params: dict[str, Any] | None = None,
        refit: Callable[[np.ndarray, np.ndarray], Any] | None = None,
        norm: float | str = 2,
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        require_classifier(classifier, CounterfactualMarginTrainer)
        super().__init__(classifier)
        self.settings = Settings(
            vulnerable_class=vulnerable_class,
            strategy=strategy,
            choose_by=choose_by or ("balance" if strategy == "paper" else "margin"),
            expansion=expansion,
            n_neighbors=n_neighbors,
            probability_cap=probability_cap,
            floors=Floors(accuracy_drop, recall_drop, keep_overall),
            max_rounds=max_rounds,
            balance_tolerance=balance_tolerance,
            validation_size=validation_size,
            max_analysis_rows=max_analysis_rows,
            norm=norm,
            random_state=random_state,
        )
        self._makers = (attack, analysis_attack)
        self._attack_params = dict(attack_params or {})
        self._classifier: Any = classifier
        self._refit = refit
        self._verbose = verbose
        self._tried: list[Candidate] = []

    @staticmethod
    def conformance() -> dict[str, dict[str, Any]]:
        """Return the keywords with which the conformance suite checks the class quickly."""
        search = {"population": 8, "generations": 3, "max_rows": 60}
        quick = {"max_rounds": 1, "max_analysis_rows": 6, "expansion": [0.5]}
        return {"init": {**quick, "attack_params": search}}

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        validation_data: tuple[np.ndarray, np.ndarray] | None = None,
        **kwargs: Any,
    ) -> None:
        """Harden the classifier.

        The model "before" is a fresh copy trained on the training part, as every candidate is, so
        that nothing is measured on rows it was trained on.

        Parameters
        ----------
        x : ndarray of shape (n, d)
            Finite numbers; never written to.
        y : ndarray of shape (n,) or (n, C)
            Class numbers or one-hot rows.
        validation_data : tuple of ndarray, optional
            Rows and labels to choose by; then all of `x` is trained on.
        **kwargs
            Passed to the classifier's ``fit``, for example ``nb_epochs`` and ``batch_size``.

        Raises
        ------
        InvalidInputError
            A ``ValueError``: rows that are not finite, labels out of range, one class only, a
            class that is never predicted, a classifier that cannot be trained again.
        """
        rows = as_rows(x, "x")
        n_classes = predict(self._classifier, rows[:1]).shape[1]
        labels = class_index(y, len(rows), n_classes, "y")
        if len(np.unique(labels)) < 2:
            raise InvalidInputError(f"y holds class {labels[0]} only: there is no boundary")
        wanted = self.settings.vulnerable_class
        if wanted != "auto" and not 0 <= wanted < n_classes:
            raise InvalidInputError(f"vulnerable_class={wanted}: classes are 0 to {n_classes - 1}")
        train = make_refit(
            self._classifier, self._refit, n_classes, self.settings.random_state, **kwargs
        )
        part = self._split(rows, labels, validation_data, n_classes)

        first = self._try(Recipe(part.x, part.y), train, part, n_classes, round_=0)
        if self.settings.vulnerable_class == "auto":
            _ = first.report.vulnerable_class  # says which class is never predicted
        tried, current = [first], first
        for number in range(1, self.settings.max_rounds + 1):
            found = self._round(number, current, first, train, part, n_classes)
            tried.extend(found)
            better = self._best([current, *(one for one in found if not one.refused)])
            if better is current:
                break
            current = better
        self._tried, self._classifier = tried, current.classifier
        for one in tried:
            one.chosen = one is current
        if current is first:
            logger.warning("no candidate is better and above the floors; see candidates")

    @property
    def candidates(self) -> pd.DataFrame:
        """Every model that was tried, with its figures."""
        import pandas as pd

        return pd.DataFrame([one.record() for one in self._fitted()])

    def report(self) -> pd.DataFrame:
        """Return the figures before and after, on the validation rows.

        Returns
        -------
        DataFrame
            Indexed by figure: accuracy, precision and recall (weighted by class, as the paper's
            Table IV), r_overall, and recall, alpha, beta, r_class of each class; columns
            ``before``, ``after``, ``change``.
        """
        import pandas as pd

        tried = self._fitted()
        before = tried[0].figures()
        after = next(one for one in tried if one.chosen).figures()
        table = pd.DataFrame({"before": before, "after": after})
        return table.assign(change=table["after"] - table["before"])

    def _fitted(self) -> list[Candidate]:
        if not self._tried:
            raise InvalidInputError("nothing has been trained yet: call fit(x, y)")
        return self._tried

    def _split(self, rows: np.ndarray, labels: np.ndarray, given: Any, n_classes: int) -> _Part:
        """Return training and validation rows; margins are measured on `analysed` of the latter."""
        rng = np.random.default_rng(self.settings.random_state)
        if given is None:
            held = _stratified(labels, self.settings.validation_size, rng)
            x, y, x_val, y_val = rows[~held], labels[~held], rows[held], labels[held]
        else:
            x, y = rows, labels
            x_val = as_rows(given[0], "validation_data[0]", rows.shape[1])
            y_val = class_index(given[1], len(x_val), n_classes, "validation_data[1]")
        most = self.settings.max_analysis_rows or len(x_val)
        analysed = np.sort(rng.permutation(len(x_val))[:most])
        return _Part(x, y, x_val, y_val, analysed)

    def _round(
        self,
        number: int,
        current: Candidate,
        first: Candidate,
        train: Callable[[np.ndarray, np.ndarray], Any],
        part: _Part,
        n_classes: int,
    ) -> list[Candidate]:
        """Return the candidates of one round, empty if the classes are balanced already."""
        chosen = self.settings
        vulnerable = (
            current.report.vulnerable_class
            if chosen.vulnerable_class == "auto"
            else int(chosen.vulnerable_class)
        )
        balanced = abs(np.log(current.report.r_class[vulnerable])) <= chosen.balance_tolerance
        if chosen.choose_by == "balance" and balanced:
            return []
        situation = Situation(
            current.classifier,
            part.x,
            part.y,
            n_classes,
            vulnerable,
            lambda: self._attack(0, current.classifier, part.x, part.y),
            chosen.expansion,
            chosen.n_neighbors,
            chosen.probability_cap,
            chosen.order,
            chosen.random_state + number,
            current.x,
            current.y,
        )
        found = []
        for recipe in find_strategy(chosen.strategy)(situation):
            one = self._try(recipe, train, part, n_classes, number, vulnerable)
            if not one.refused:
                one.refused = chosen.floors.refuse(one, first)
            logger.info("round %d, %s: %s", number, dict(recipe.settings), one.refused or "stands")
            found.append(one)
        return found

    def _try(
        self,
        recipe: Recipe,
        train: Callable[[np.ndarray, np.ndarray], Any],
        part: _Part,
        n_classes: int,
        round_: int,
        vulnerable: int | None = None,
    ) -> Candidate:
        if missing := sorted(set(part.y) - set(recipe.y)):
            return Candidate.without_model(
                recipe, round_, vulnerable, f"no row is labelled {missing[0]}"
            )
        classifier = train(recipe.x, recipe.y)
        attack = self._attack(1, classifier, part.x, part.y)
        return measure(
            classifier, recipe, part.x_val, part.y_val, part.analysed, attack, round_, vulnerable
        )

    def _attack(self, which: int, classifier: Any, x: np.ndarray, y: np.ndarray) -> Any:
        """Return the attack for boundary points (0) or for measuring (1)."""
        maker = self._makers[which]
        if maker is not None:
            return maker(classifier, x, y)
        from art_bridge.attack import BoundaryCounterfactual, UnconstrainedCounterfactual

        return (BoundaryCounterfactual, UnconstrainedCounterfactual)[which](
            classifier,
            x,
            y,
            targeted=True,
            norm=self.settings.norm,
            random_state=self.settings.random_state,
            verbose=self._verbose,
            **self._attack_params,
        )

    def _best(self, candidates: list[Candidate]) -> Candidate:
        """Return the first of the best; the candidate in force stands first and wins ties."""
        latest = candidates[-1]
        vulnerable = latest.vulnerable
        if vulnerable is None:
            return candidates[0]
        if self.settings.choose_by == "balance":
            return min(candidates, key=lambda one: one.imbalance(vulnerable))
        return max(candidates, key=lambda one: one.margin(vulnerable))


@dataclass(frozen=True)
class _Part:
    """Rows to train on and rows to choose by."""

    x: np.ndarray
    y: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    analysed: np.ndarray


def _stratified(labels: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Return which rows are held out: the same share of every class, one row of each at least.

    Raises
    ------
    InvalidInputError
        If a class has one row only.
    """
    held = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == label))
        if len(mine) < 2:
            raise InvalidInputError(f"class {label} has one row: none can be held out")
        held[mine[: min(max(round(size * len(mine)), 1), len(mine) - 1)]] = True
    return held
