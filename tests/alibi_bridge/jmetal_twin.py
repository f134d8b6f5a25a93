"""SMPSO of jMetalPy 1.7.0 on a problem of pymoo, without a trace on the global generators."""

import logging
import random

import numpy as np


def jmetal_smpso(problem, seed, evaluations, pop_size=100, archive_size=100, prob_var=None):
    """Return the objectives of jMetalPy's leaders."""
    from jmetal.algorithm.multiobjective.smpso import SMPSO
    from jmetal.core.problem import FloatProblem
    from jmetal.operator import PolynomialMutation
    from jmetal.util.archive import CrowdingDistanceArchive
    from jmetal.util.evaluator import Evaluator
    from jmetal.util.termination_criterion import StoppingByEvaluations

    class Twin(FloatProblem):
        def __init__(self):
            super().__init__()
            low, high = problem.bounds()
            self.lower_bound, self.upper_bound = list(low), list(high)
            self.obj_directions = [self.MINIMIZE] * problem.n_obj

        number_of_variables = lambda self: problem.n_var  # noqa: E731
        number_of_objectives = lambda self: problem.n_obj  # noqa: E731
        number_of_constraints = lambda self: 0  # noqa: E731
        name = lambda self: "twin"  # noqa: E731

        def evaluate(self, solution):
            raise AssertionError("solutions are evaluated together")

    class Together(Evaluator):
        def evaluate(self, solutions, _):
            F = problem.evaluate(np.array([s.variables for s in solutions]))
            for solution, objectives in zip(solutions, F, strict=True):
                solution.objectives = [float(value) for value in objectives]
            return solutions

    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    logging.disable(logging.CRITICAL)
    try:
        algorithm = SMPSO(
            Twin(),
            pop_size,
            PolynomialMutation(1 / problem.n_var if prob_var is None else prob_var, 20),
            CrowdingDistanceArchive(archive_size),
            termination_criterion=StoppingByEvaluations(evaluations),
            swarm_evaluator=Together(),
        )
        algorithm.run()
    finally:
        logging.disable(logging.NOTSET)
        random.setstate(states[0])
        np.random.set_state(states[1])
    return np.array([s.objectives for s in algorithm.result()])
