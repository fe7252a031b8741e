"""Fits of ``sum_k c_k factor_k exp(-sum_m nu_m log_km)`` for many replicas at once.

Start by variable projection on a grid of the nonlinear parameters, all replicas and nodes in
closed form; then a damped Newton iteration on the true (Huber) objective in the centred
logarithms, where amplitude and exponent are no longer collinear (LAWS 2.1, 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.separable_grid import GridMoments, solve_normal
from fitting.maths.separable_problem import SeparableProblem
from fitting.maths.types import BoolArray, FloatArray, IntArray

__all__ = [
    "GridMoments",
    "Polished",
    "SeparableProblem",
    "fit_point",
    "fit_replicas",
    "make_jacobian",
    "polish",
    "propose_steps",
    "solve_normal",
]

BLOCK = 250
N_POINT_STARTS = (8, 24)  # with one nonlinear parameter, and with more
RESIDUAL_FLOOR = 1e-12
PATIENCE = 6
NOISE_FREE = 1e-26


@dataclass(frozen=True)
class Polished:
    """Optima of many replicas.

    Parameters
    ----------
    theta : ndarray, shape (B, p), log coefficients and nonlinear parameters, centred
    objective : ndarray, shape (B,)
    iterations : largest number used
    converged : ndarray, shape (B,)
    """

    theta: FloatArray
    objective: FloatArray
    iterations: int
    converged: BoolArray


def fit_replicas(
    problem: SeparableProblem, counts: FloatArray, tolerance: float, max_iterations: int = 300
) -> Polished:
    """Fit every row of counts from a cold start.

    Parameters
    ----------
    problem : the law on fixed rows
    counts : ndarray, shape (B, n), how often each row counts in each replica
    tolerance : relative improvement that counts as none
    max_iterations : after which a replica counts as not converged

    Returns
    -------
    theta (B, p), objective (B,) and whether each replica settled

    References
    ----------
    Golub and Pereyra 2003, Inverse Problems 19, R1-R26 (variable projection)
    """
    nodes = GridMoments.build(problem)
    parts = []
    for first in range(0, counts.shape[0], BLOCK):
        block = counts[first : first + BLOCK] * problem.weights
        theta = nodes.find_starts(block)
        parts.append(polish(problem, block, theta, tolerance, max_iterations))
    return Polished(
        np.concatenate([part.theta for part in parts]),
        np.concatenate([part.objective for part in parts]),
        max(part.iterations for part in parts),
        np.concatenate([part.converged for part in parts]),
    )


def fit_point(problem: SeparableProblem, tolerance: float, max_iterations: int) -> Polished:
    """Fit once from the best nodes of the grid; the results of all starts, best first.

    An optimum with a negative exponent, a term that grows with its variable, comes last.

    Parameters
    ----------
    problem : the law on fixed rows
    tolerance, max_iterations : as for `fit_replicas`

    Returns
    -------
    theta and objective of every start, best first

    References
    ----------
    Golub and Pereyra 2003, Inverse Problems 19, R1-R26 (variable projection)
    """
    counts = np.ones((1, problem.target.size)) * problem.weights
    n_starts = N_POINT_STARTS[len(problem.form.nonlinear) > 1]
    theta = GridMoments.build(problem).list_starts(counts, n_starts)
    repeated = np.repeat(counts, theta.shape[0], axis=0)
    found = polish(problem, repeated, theta, tolerance, max_iterations)
    rising = np.any(found.theta[:, problem.n_terms :] <= 0.0, axis=1)
    order = np.lexsort((found.objective, rising))
    return Polished(
        found.theta[order], found.objective[order], found.iterations, found.converged[order]
    )


def polish(
    problem: SeparableProblem,
    counts: FloatArray,
    theta: FloatArray,
    tolerance: float,
    max_iterations: int,
) -> Polished:
    """Minimise the objective of every replica from theta.

    Each iteration tries the Newton step and the step of iteratively reweighted least squares,
    both with Levenberg-Marquardt damping, and keeps the better; only a lower objective is accepted.

    Parameters
    ----------
    problem : the law on fixed rows
    counts : ndarray, shape (B, n), counts times weights
    theta : ndarray, shape (B, p), starts
    tolerance, max_iterations : as for `fit_replicas`

    Returns
    -------
    theta (B, p), objective (B,) and whether each replica settled

    References
    ----------
    Huber and Ronchetti 2009, Robust Statistics, section 7.8 (reweighted least squares)
    """
    b = theta.shape[0]
    theta = theta.copy()
    terms = problem.evaluate_terms(theta)
    residuals = problem.read_residuals(terms.sum(axis=1))
    best = problem.score(residuals, counts)
    damping, quiet = np.full(b, 1e-3), np.zeros(b, dtype=np.int64)
    alive, iteration = np.arange(b), 0
    while alive.size and iteration < max_iterations:
        iteration += 1
        here = counts[alive]
        steps = propose_steps(problem, terms, residuals, here, damping[alive])
        with np.errstate(over="ignore", invalid="ignore"):
            moved, gained = _try_steps(problem, here, theta[alive], steps)
        improved = gained < best[alive]
        relative = (best[alive] - gained) / np.maximum(best[alive], 1e-300)
        quiet[alive] = np.where(improved & (relative > tolerance), 0, quiet[alive] + 1)
        rows = alive[improved]
        theta[rows], best[rows] = moved[improved], gained[improved]
        damping[alive] = np.where(
            improved,
            np.maximum(damping[alive] * 0.3, 1e-9),
            np.minimum(damping[alive] * 5.0, 1e6),
        )
        alive = alive[(quiet[alive] < PATIENCE) & (best[alive] > NOISE_FREE)]
        terms = problem.evaluate_terms(theta[alive])
        residuals = problem.read_residuals(terms.sum(axis=1))
    return Polished(theta, best, iteration, _is_settled(quiet, best))


def _is_settled(quiet: IntArray, best: FloatArray) -> BoolArray:
    settled: BoolArray = ((quiet >= PATIENCE) | (best <= NOISE_FREE)) & np.isfinite(best)
    return settled


def _try_steps(
    problem: SeparableProblem, counts: FloatArray, theta: FloatArray, steps: list[FloatArray]
) -> tuple[FloatArray, FloatArray]:
    moved, gained = theta, np.full(theta.shape[0], np.inf)
    for step in steps:
        candidate = theta + step
        residuals = problem.read_residuals(problem.evaluate_terms(candidate).sum(axis=1))
        score = problem.score(residuals, counts)
        better = score < gained
        moved = np.where(better[:, None], candidate, moved)
        gained = np.where(better, score, gained)
    return moved, gained


def propose_steps(
    problem: SeparableProblem,
    terms: FloatArray,
    residuals: FloatArray,
    counts: FloatArray,
    damping: FloatArray,
) -> list[FloatArray]:
    """Return the damped Newton step and the damped reweighted least-squares step.

    Parameters
    ----------
    problem : the law on fixed rows
    terms : ndarray, shape (B, k, n)
    residuals : ndarray, shape (B, n)
    counts : ndarray, shape (B, n), counts times weights
    damping : ndarray, shape (B,)

    Returns
    -------
    two ndarrays, shape (B, p)

    References
    ----------
    Moré 1978, The Levenberg-Marquardt algorithm, Lecture Notes in Mathematics 630
    """
    jacobian, share = make_jacobian(problem, terms)
    delta = problem.objective.delta
    pull, inside = residuals, np.ones_like(residuals)
    ratio = inside
    if delta is not None:
        size = np.maximum(np.abs(residuals), RESIDUAL_FLOOR)
        pull = np.clip(residuals, -delta, delta)
        inside = (size <= delta).astype(np.float64)
        ratio = np.minimum(1.0, delta / size)
    gradient = np.einsum("bpn,bn->bp", jacobian, counts * pull)
    reweighted = (jacobian * (counts * ratio)[:, None]) @ jacobian.transpose(0, 2, 1)
    bend = counts * pull
    level = counts * inside + (bend if problem.is_log else 0.0)
    newton = (jacobian * level[:, None]) @ jacobian.transpose(0, 2, 1)
    newton -= _curve_terms(problem, share * bend[:, None])
    for place in problem.frozen:
        gradient[:, place] = 0.0
        for hessian in (newton, reweighted):
            hessian[:, place, :] = hessian[:, :, place] = 0.0
            hessian[:, place, place] = 1.0
    return [_solve_damped(hessian, gradient, damping) for hessian in (newton, reweighted)]


def make_jacobian(problem: SeparableProblem, terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return d prediction / d theta (B, p, n) in the residual's space, and the terms' shares.

    Parameters
    ----------
    problem : the law on fixed rows
    terms : ndarray, shape (B, k, n)

    Returns
    -------
    ndarrays, shapes (B, p, n) and (B, k, n)
    """
    share = terms / terms.sum(axis=1, keepdims=True) if problem.is_log else terms
    k = problem.n_terms
    slopes = np.zeros((terms.shape[0], problem.n_params, terms.shape[2]))
    slopes[:, :k] = share
    for term, param in np.argwhere(np.any(problem.centred != 0.0, axis=2)):
        slopes[:, k + param] -= share[:, term] * problem.centred[term, param]
    return slopes, share


def _curve_terms(problem: SeparableProblem, weights: FloatArray) -> FloatArray:
    """Return sum_i sum_k weights_ki d_ki d_ki^T for the constant directions d; (B, p, p)."""
    p = problem.n_params
    total = np.zeros((weights.shape[0], p * p))
    for term, direction in enumerate(problem.directions):
        outer = direction[:, None] * direction[None, :]
        total += weights[:, term] @ outer.reshape(p * p, -1).T
    return total.reshape(-1, p, p)


def _solve_damped(hessian: FloatArray, gradient: FloatArray, damping: FloatArray) -> FloatArray:
    p = gradient.shape[1]
    diagonal = np.abs(np.einsum("bpp->bp", hessian))
    ridge = damping[:, None] * diagonal + 1e-14 * diagonal.max(axis=1, keepdims=True) + 1e-300
    system = hessian + ridge[:, :, None] * np.eye(p)
    try:
        step = np.linalg.solve(system, gradient[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        step = gradient / ridge
    return np.clip(np.where(np.isfinite(step), step, 0.0), -2.0, 2.0)
