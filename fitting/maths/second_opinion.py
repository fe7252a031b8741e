"""A second optimiser looks at the point estimate (LAWS 2.5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fitting.maths.fitters import Estimated, Fitter, SeparableFitter
from fitting.maths.separable import GridMoments, SeparableProblem, make_jacobian
from fitting.maths.types import FloatArray

N_RESTARTS = 4


def add_second_opinion(fitter: Fitter, estimated: Estimated) -> Estimated:
    """Record how L-BFGS-B from a generic start compares, for separable laws.

    The relative gap is (second - first) / first: negative means that the first missed a minimum.

    Parameters
    ----------
    fitter : of the law on its rows
    estimated : what the first optimiser found

    Returns
    -------
    the same estimate with the gap; unchanged for laws that are not separable
    """
    reached = estimated.point.objective
    if not isinstance(fitter, SeparableFitter) or reached < 1e-20:
        return estimated
    gap = (minimise_again(fitter.make_problem()) - reached) / reached
    return replace(estimated, convergence=replace(estimated.convergence, second_optimiser_gap=gap))


def minimise_again(problem: SeparableProblem) -> float:
    """Return the least objective that L-BFGS-B reaches from the middle of the grid.

    The objective is scaled to order one (its usual 1e-3 stops the optimiser at once), the gradient
    is analytic, and each restart forgets the curvature that a kink of the Huber loss had spoilt.
    NaN where it ends at a negative exponent, which is another law.

    Parameters
    ----------
    problem : the law on its rows

    Returns
    -------
    the objective

    References
    ----------
    Besiroglu et al. 2024, arXiv 2404.10102 (early-stopped optimiser of a published fit)
    """
    from scipy.optimize import minimize

    middle = np.array([float(np.median(grid)) for grid in problem.form.grids])
    nodes = GridMoments.build(problem)
    nearest = np.argmin(np.abs(nodes.nodes - middle).sum(axis=1))
    alone = GridMoments(
        problem,
        nodes.nodes[[nearest]],
        {pair: (v, p[[nearest]]) for pair, (v, p) in nodes.products.items()},
        {term: (v, p[[nearest]]) for term, (v, p) in nodes.cross.items()},
    )
    counts = problem.weights[None, :]
    theta = alone.find_starts(counts)[0]
    start, _ = evaluate_objective(problem, theta)
    scale = 1e3 / start if start > 0 else 1.0

    def scaled(vector: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = evaluate_objective(problem, vector)
        return value * scale, gradient * scale

    options = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 2000, "maxfun": 4000, "maxls": 50}
    best = start
    for _ in range(N_RESTARTS):
        found = minimize(scaled, theta, jac=True, method="L-BFGS-B", options=options)
        theta, previous, best = found.x, best, min(best, float(found.fun) / scale)
        if best >= previous * (1 - 1e-12):
            break
    return float("nan") if np.any(theta[problem.n_terms :] <= 0.0) else best


def evaluate_objective(problem: SeparableProblem, theta: FloatArray) -> tuple[float, FloatArray]:
    """Return the objective and its gradient at one theta (p,).

    Parameters
    ----------
    problem : the law on its rows
    theta : ndarray, shape (p,), centred log coefficients, then exponents

    Returns
    -------
    objective and its gradient (p,); a huge value where the prediction is not finite
    """
    with np.errstate(over="ignore", invalid="ignore"):
        terms = problem.evaluate_terms(theta[None, :])
        residuals = problem.read_residuals(terms.sum(axis=1))
        value = float(problem.score(residuals, problem.weights[None, :])[0])
    if not np.isfinite(value):
        return 1e30, np.zeros(theta.size)
    jacobian, _ = make_jacobian(problem, terms)
    delta = problem.objective.delta
    pull = residuals[0] if delta is None else np.clip(residuals[0], -delta, delta)
    return value, -(jacobian[0] @ (problem.weights * pull))
