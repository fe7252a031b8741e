"""Fits of ``sum_k c_k factor_k exp(-sum_m nu_m log_km)`` for many replicas at once.

Start by variable projection on a grid of the nonlinear parameters, all replicas and nodes in
closed form; then a damped Newton iteration on the true (Huber) objective in the centred
logarithms, where amplitude and exponent are no longer collinear (LAWS 2.1, 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement, product

import numpy as np

from fitting.maths.types import BoolArray, FloatArray, IntArray, Objective, Separable, Terms

BLOCK = 250
N_POINT_STARTS = 24
RESIDUAL_FLOOR = 1e-12
PATIENCE = 6
NOISE_FREE = 1e-26
SINGULAR = -1.0  # what an undetermined coefficient reads as: no start has one


@dataclass(frozen=True)
class SeparableProblem:
    """A separable law on fixed rows.

    Parameters
    ----------
    form : the law's structure
    terms : factor and logs at the rows, not centred
    target : ndarray, shape (n,)
    objective : space and delta; least squares where delta is None
    weights : ndarray, shape (n,), weight of each row besides its count
    frozen : places in the search vector that keep their start, for profiles
    """

    form: Separable
    terms: Terms
    target: FloatArray
    objective: Objective
    weights: FloatArray
    frozen: tuple[int, ...] = ()

    @property
    def n_terms(self) -> int:
        """Return the number of linear coefficients."""
        return len(self.form.linear)

    @property
    def n_params(self) -> int:
        """Return the number of parameters."""
        return self.n_terms + len(self.form.nonlinear)

    @property
    def is_log(self) -> bool:
        """Whether residuals are taken in the logarithm."""
        return self.objective.space == "log"

    @cached_property
    def centres(self) -> FloatArray:
        """Return the means of the logs, shape (k, m)."""
        means: FloatArray = self.terms.logs.mean(axis=2)
        return means

    @cached_property
    def centred(self) -> FloatArray:
        """Return the logs with their means taken away, shape (k, m, n)."""
        centred: FloatArray = self.terms.logs - self.centres[:, :, None]
        return centred

    @cached_property
    def directions(self) -> FloatArray:
        """Return the derivative of each log term by each parameter, shape (k, p, n)."""
        k, n = self.n_terms, self.target.size
        own = np.zeros((k, k, n))
        own[np.arange(k), np.arange(k)] = 1.0
        return np.concatenate([own, -self.centred], axis=1)

    @cached_property
    def observed(self) -> FloatArray:
        """Return the target in the space of the residual."""
        return np.log(self.target) if self.is_log else self.target

    def evaluate_terms(self, theta: FloatArray) -> FloatArray:
        """Return each term at theta (B, p), shape (B, k, n)."""
        k = self.n_terms
        exponent = np.repeat(theta[:, :k, None], self.target.size, axis=2)
        for term, param in np.argwhere(np.any(self.centred != 0.0, axis=2)):
            exponent[:, term] -= theta[:, k + param, None] * self.centred[term, param]
        moving = [t for t in range(k) if np.any(self.centred[t] != 0.0)]
        still = [t for t in range(k) if t not in moving]
        exponent[:, still] = np.exp(exponent[:, still, :1])
        exponent[:, moving] = np.exp(exponent[:, moving])
        exponent *= self.terms.factor
        return exponent

    def read_residuals(self, total: FloatArray) -> FloatArray:
        """Return observed minus predicted in the residual's space; NaN where log fails."""
        if not self.is_log:
            return self.observed - total
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.observed - np.log(total)

    def score(self, residuals: FloatArray, counts: FloatArray) -> FloatArray:
        """Return the objective of each replica; infinite where a residual is not finite."""
        delta = self.objective.delta
        if delta is None:
            losses = 0.5 * residuals**2
        else:
            size = np.abs(residuals)
            inner = np.minimum(size, delta)
            losses = inner * (size - 0.5 * inner)
        total: FloatArray = np.einsum("bn,bn->b", counts, losses)
        return np.where(np.isfinite(total), total, np.inf)

    def read_params(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return the parameters, un-centred, name -> (B,)."""
        k = self.n_terms
        log_c = theta[:, :k] + theta[:, k:] @ self.centres.T
        linear = {
            name: np.exp(np.clip(log_c[:, place], -700.0, 700.0))
            for place, name in enumerate(self.form.linear)
        }
        nonlinear = {name: theta[:, k + m] for m, name in enumerate(self.form.nonlinear)}
        return {**linear, **nonlinear}


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
    counts : ndarray, shape (B, n), how often each row counts in each replica
    tolerance : relative improvement that counts as none
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
    """
    counts = np.ones((1, problem.target.size)) * problem.weights
    theta = GridMoments.build(problem).list_starts(counts, N_POINT_STARTS)
    repeated = np.repeat(counts, theta.shape[0], axis=0)
    found = polish(problem, repeated, theta, tolerance, max_iterations)
    rising = np.any(found.theta[:, problem.n_terms :] <= 0.0, axis=1)
    order = np.lexsort((found.objective, rising))
    return Polished(
        found.theta[order], found.objective[order], found.iterations, found.converged[order]
    )


@dataclass(frozen=True)
class GridMoments:
    """The projected linear least squares at all grid nodes, as one product per pair of terms."""

    problem: SeparableProblem
    nodes: FloatArray
    products: dict[tuple[int, int], tuple[FloatArray, IntArray]]
    cross: dict[int, tuple[FloatArray, IntArray]]

    @classmethod
    def build(cls, problem: SeparableProblem) -> GridMoments:
        """Evaluate the basis at every node; pairs that share no parameter are not repeated."""
        grids = problem.form.grids
        nodes = np.array(list(product(*grids)), dtype=np.float64)
        relevant = np.any(problem.centred != 0.0, axis=2)
        products, cross = {}, {}
        for one in range(problem.n_terms):
            cross[one] = cls._tabulate(problem, nodes, relevant, (one,))
        for one, other in combinations_with_replacement(range(problem.n_terms), 2):
            products[one, other] = cls._tabulate(problem, nodes, relevant, (one, other))
        return cls(problem, nodes, products, cross)

    @staticmethod
    def _tabulate(
        problem: SeparableProblem, nodes: FloatArray, relevant: BoolArray, terms: tuple[int, ...]
    ) -> tuple[FloatArray, IntArray]:
        used = np.any(relevant[list(terms)], axis=0)
        shown = np.where(used, nodes, nodes[0])
        distinct, place = np.unique(shown, axis=0, return_inverse=True)
        exponent = -distinct @ sum(problem.centred[term] for term in terms)
        factor = np.prod(problem.terms.factor[list(terms)], axis=0)
        return factor * np.exp(exponent), place.reshape(-1)

    def find_starts(self, counts: FloatArray) -> FloatArray:
        """Return the best node of each replica with its coefficients, shape (B, p)."""
        coefficients, score = self._score_nodes(counts)
        best = np.argmax(score, axis=1)
        chosen = coefficients[:, np.arange(best.size), best].T
        return np.concatenate([self._log_positive(chosen), self.nodes[best]], axis=1)

    def list_starts(self, counts: FloatArray, n_starts: int) -> FloatArray:
        """Return the best nodes of one set of counts (1, n), with their coefficients."""
        coefficients, score = self._score_nodes(counts)
        best = np.argsort(-score[0], kind="stable")[:n_starts]
        chosen = coefficients[:, 0, best].T
        return np.concatenate([self._log_positive(chosen), self.nodes[best]], axis=1)

    def _score_nodes(self, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coefficients (k, B, nodes) and what each node explains (B, nodes)."""
        y, k = self.problem.target, self.problem.n_terms
        weights = counts / y**2 if self.problem.is_log else counts
        gram = np.empty((k, k, counts.shape[0], self.nodes.shape[0]))
        for (one, other), (values, place) in self.products.items():
            gram[one, other] = gram[other, one] = (weights @ values.T)[:, place]
        right = np.empty((k, counts.shape[0], self.nodes.shape[0]))
        for one, (values, place) in self.cross.items():
            right[one] = ((weights * y) @ values.T)[:, place]
        coefficients = solve_normal(gram, right)
        gain = np.sum(coefficients * right, axis=0)
        positive = np.all(coefficients > 0.0, axis=0)
        score = np.where(positive, gain, -np.inf)
        none = ~positive.any(axis=1)
        score[none] = np.where(np.isfinite(gain[none]), gain[none], -np.inf)
        return coefficients, score

    def _log_positive(self, coefficients: FloatArray) -> FloatArray:
        scale = np.abs(self.problem.target).mean() / np.abs(self.problem.terms.factor).mean(axis=1)
        floored = np.where(coefficients > 1e-6 * scale, coefficients, 1e-2 * scale)
        logs: FloatArray = np.log(floored)
        return logs


def solve_normal(gram: FloatArray, right: FloatArray) -> FloatArray:
    """Solve many small symmetric positive systems by elimination; (k, k, ...) and (k, ...)."""
    k = right.shape[0]
    left, solution = gram.copy(), right.copy()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for pivot in range(k):
            for row in range(pivot + 1, k):
                ratio = left[row, pivot] / left[pivot, pivot]
                left[row, pivot:] -= ratio * left[pivot, pivot:]
                solution[row] -= ratio * solution[pivot]
        for row in reversed(range(k)):
            for later in range(row + 1, k):
                solution[row] -= left[row, later] * solution[later]
            solution[row] /= left[row, row]
    return np.where(np.isfinite(solution), solution, SINGULAR)


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
    """Return the damped Newton step and the damped reweighted least-squares step."""
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
    """Return d prediction / d theta (B, p, n) in the residual's space, and the terms' shares."""
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
