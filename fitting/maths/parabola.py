"""Least-squares parabolas through a minimum, for many replicas at once.

Weighted least squares (Draper and Smith 1998, Applied Regression Analysis, chapter 9).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.records import FloatArray, Record

N_COEFFICIENTS = 3


@dataclass(frozen=True)
class Parabola(Record):
    """``y = c0 + c1 z + c2 z^2`` with ``z = (x - centre) / spread``.

    Parameters
    ----------
    coefficients : ndarray, shape (3,)
    centre, spread : of the fitted x; fitting centred values keeps the system well conditioned
    x, y : the fitted points
    """

    coefficients: FloatArray
    centre: float
    spread: float
    x: FloatArray
    y: FloatArray

    @property
    def curvature(self) -> float:
        """Return the second derivative."""
        return float(2.0 * self.coefficients[2] / self.spread**2)

    @property
    def vertex(self) -> float:
        """Return the x of the extremum; infinite for a straight line."""
        if self.coefficients[2] == 0.0:
            return float("inf")
        return float(self.centre - self.spread * self.coefficients[1] / (2 * self.coefficients[2]))

    @property
    def is_minimum_inside(self) -> bool:
        """Whether the curvature is positive and the vertex strictly between the points."""
        inside = float(self.x.min()) < self.vertex < float(self.x.max())
        return bool(self.coefficients[2] > 0.0 and inside)

    @property
    def dof(self) -> int:
        """Return the residual degrees of freedom."""
        return int(self.x.size - N_COEFFICIENTS)

    def evaluate(self, x: FloatArray) -> FloatArray:
        """Return y at x."""
        return _design(x, self.centre, self.spread) @ self.coefficients

    def residuals(self) -> FloatArray:
        """Return y minus the fit."""
        return self.y - self.evaluate(self.x)


def fit_parabola(x: FloatArray, y: FloatArray, weights: FloatArray | None = None) -> Parabola:
    """Fit a parabola by weighted least squares.

    Parameters
    ----------
    x, y : ndarray, shape (n,), at least three distinct x
    weights : ndarray, shape (n,), of the squared residual: 1 / variance

    Returns
    -------
    coefficients in centred x, the vertex and whether it is a minimum inside the points

    Raises
    ------
    ValueError
        For fewer than three distinct x: the system is singular.
    """
    if np.unique(x).size < N_COEFFICIENTS:
        raise ValueError(f"a parabola needs 3 distinct x, here are {np.unique(x).size}")
    centre, spread = float(np.mean(x)), float(np.std(x))
    solver = _make_solver(x, centre, spread, weights)
    return Parabola(solver @ y, centre, spread, x, y)


def minimise_replicas(
    fitted: Parabola, y: FloatArray, weights: FloatArray | None = None
) -> FloatArray:
    """Return the minimiser, over the fitted range, of the parabola through each row of y.

    It is the vertex where that is a minimum inside the points, else the lower end: a replica
    always has an answer, and answers at an end say that the data do not bound the optimum there.

    Parameters
    ----------
    fitted : the point estimate; gives x
    y : ndarray, shape (B, n)
    weights : ndarray, shape (n,), of the squared residual; None = 1

    Returns
    -------
    ndarray, shape (B,), in the unit of x
    """
    solver = _make_solver(fitted.x, fitted.centre, fitted.spread, weights)
    c = y @ solver.T
    ends = np.array([fitted.x.min(), fitted.x.max()])
    convex = c[:, 2] > 0.0
    vertex = -c[:, 1] / np.where(convex, 2.0 * c[:, 2], 1.0) * fitted.spread + fitted.centre
    at_ends = c @ _design(ends, fitted.centre, fitted.spread).T
    lower_end = np.where(at_ends[:, 0] <= at_ends[:, 1], ends[0], ends[1])
    return np.where(convex, np.clip(vertex, ends[0], ends[1]), lower_end)


def vary_vertex(fitted: Parabola, weights: FloatArray) -> float:
    """Return the variance of the vertex for unit noise of variance 1 / weight in each point.

    Parameters
    ----------
    fitted : the parabola
    weights : ndarray, shape (n,), of the squared residual

    Returns
    -------
    variance, in the squared unit of x per unit of noise
    """
    solver = _make_solver(fitted.x, fitted.centre, fitted.spread, weights)
    _, c1, c2 = fitted.coefficients
    gradient = np.array([0.0, -0.5 / c2, 0.5 * c1 / c2**2]) * fitted.spread
    return float(np.sum((gradient @ solver) ** 2 / weights))


def _design(x: FloatArray, centre: float, spread: float) -> FloatArray:
    z = (x - centre) / spread
    return np.stack([np.ones_like(z), z, z**2], axis=1)


def _make_solver(
    x: FloatArray, centre: float, spread: float, weights: FloatArray | None
) -> FloatArray:
    design = _design(x, centre, spread)
    root = np.ones_like(x) if weights is None else np.sqrt(weights)
    return np.linalg.pinv(design * root[:, None]) * root
