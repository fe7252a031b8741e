"""Where the search of a separable law starts: all replicas and nodes of a grid in closed form.

At each node of the nonlinear parameters the coefficients are a weighted linear least squares whose
moments, for all replicas and nodes, come from one product (LAWS 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np

from fitting.maths.separable_problem import SeparableProblem
from fitting.maths.types import BoolArray, FloatArray, IntArray

SINGULAR = -1.0  # what an undetermined coefficient reads as: no start has one


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
    """Solve many small symmetric positive systems by elimination; (k, k, ...) and (k, ...).

    Parameters
    ----------
    gram : ndarray, shape (k, k, ...)
    right : ndarray, shape (k, ...)

    Returns
    -------
    ndarray, shape (k, ...); NaN or infinite where a system is singular
    """
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
