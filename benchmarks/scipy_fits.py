"""The same fits by scipy's multi-start L-BFGS-B: the usual way, for comparison.

The objective is the same, its gradient analytic and its tolerances tight: at the default tolerances
L-BFGS-B stops early and the comparison would be with a wrong answer. Jobs that would take hours are
measured on a part of their replicas and scaled; the table says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from fitting.maths.lr_points import LrPoints
from fitting.maths.second_opinion import evaluate_objective
from fitting.maths.separable import SeparableProblem
from fitting.maths.types import FloatArray

TIGHT = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 1000}
SCALE = 1e3  # the objective is about 1e-3; its unit decides when L-BFGS-B stops
REACHED = 1e-6


@dataclass(frozen=True)
class Search:
    """What a multi-start found: its least objective and the share of starts that reach it."""

    objective: float
    share: float


def search(problem: SeparableProblem, n_starts: int, seed: int = 0) -> Search:
    """Minimise a separable law from random starts of the published kind.

    Exponents come from {0, .5, .. 2}, the constant near the least observation and the amplitudes
    from {0, 5, .. 25} in the logarithm, as in epoch-research/analyzing-chinchilla@9225883.
    """
    rng, found = np.random.default_rng(seed), []
    for _ in range(n_starts):
        amplitudes = rng.choice([0.0, 5.0, 10.0, 15.0, 20.0, 25.0], problem.n_terms)
        amplitudes[0] = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0])
        exponents = rng.choice([0.0, 0.5, 1.0, 1.5, 2.0], problem.n_params - problem.n_terms)
        theta = np.concatenate([amplitudes - problem.centres @ exponents, exponents])
        found.append(minimise(problem, theta))
    least = min(found)
    return Search(least, float(np.mean(np.array(found) < least * (1 + REACHED))))


def minimise(problem: SeparableProblem, theta: FloatArray) -> float:
    """Return the objective that one start reaches."""

    def scaled(vector: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = evaluate_objective(problem, vector)
        return SCALE * value, SCALE * gradient

    best = minimize(scaled, theta, jac=True, method="L-BFGS-B", options=TIGHT)
    return float(best.fun) / SCALE


def search_replicas(problem: SeparableProblem, counts: FloatArray, n_starts: int) -> FloatArray:
    """Return the least objective of each row of counts, every one from many starts."""
    return np.array(
        [
            search(replace(problem, weights=problem.weights * row), n_starts, place).objective
            for place, row in enumerate(counts)
        ]
    )


def find_vertices(points: LrPoints, replicas: int, noise: float, n_starts: int = 4) -> FloatArray:
    """Return log lr* of noisy parabolas through one scale's points, each by L-BFGS-B."""
    x = np.log(points.lr) - np.log(points.lr).mean()
    rng, found = np.random.default_rng(0), []
    for _ in range(replicas):
        y = points.loss + noise * rng.standard_normal(x.size)
        tries = [_fit_parabola(x, y, start) for start in rng.standard_normal((n_starts, 3))]
        best = min(tries, key=lambda item: item[0])[1]
        found.append(-best[1] / (2 * best[2]))
    return np.array(found)


def _fit_parabola(x: FloatArray, y: FloatArray, start: FloatArray) -> tuple[float, FloatArray]:
    powers = x[None, :] ** np.arange(3)[:, None]

    def squares(c: FloatArray) -> tuple[float, FloatArray]:
        miss = c @ powers - y
        return float(miss @ miss), 2.0 * powers @ miss

    found = minimize(squares, start, jac=True, method="L-BFGS-B", options=TIGHT)
    return float(found.fun), found.x
