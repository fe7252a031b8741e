"""Straight lines and parabolas of a quantity against size, and where they cross a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fitting.maths.records import FloatArray

REPLICAS = 1000
SEED = 0
LEVEL = 0.8
MIN_SPARE = 2  # points beyond the parameters that an interval needs
AICC_SIZES = 6
MOST = 0.9  # of the replicas have to reach a limit for its interval
FARTHEST = 30.0  # log10 N beyond which a crossing says nothing


@dataclass(frozen=True)
class Trend:
    """log10 y = polynomial in log10 N.

    Parameters
    ----------
    degree : 1 or 2
    coefficients : ndarray, shape (degree + 1,), highest power first
    x, y : ndarray, log10 of what was fitted, ascending in x
    replicas : ndarray, shape (B, degree + 1), coefficients of a residual bootstrap; none where
        fewer than two points are left over
    """

    degree: int
    coefficients: FloatArray
    x: FloatArray
    y: FloatArray
    replicas: FloatArray

    def predict(self, n: float) -> float:
        """Return y at a size."""
        return float(10 ** np.polyval(self.coefficients, math.log10(n)))

    def predict_interval(self, n: float) -> tuple[float, float] | None:
        """Return the 80% prediction interval at a size: parameters and one new residual."""
        if not len(self.replicas):
            return None
        drawn = _evaluate(self.replicas, math.log10(n)) + self._draw_residuals()
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(10**low), float(10**high)

    def find_crossing(self, limit: float) -> float | None:
        """Return the size at which the rising fit reaches the limit, None where it never does."""
        found = float(_cross(self.coefficients, math.log10(limit))[0])
        return 10**found if math.isfinite(found) else None

    def find_crossing_interval(self, limit: float) -> tuple[float, float] | None:
        """Return the 80% interval of the crossing; None without replicas or where many miss it."""
        found = _cross(self.replicas, math.log10(limit))
        sizes = found[np.isfinite(found)]
        if not sizes.size or sizes.size < MOST * found.size:
            return None
        low, high = np.quantile(sizes, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(10**low), float(10**high)

    def _draw_residuals(self) -> FloatArray:
        rest = _scale_residuals(self.x, self.y, self.coefficients)
        return np.asarray(np.random.default_rng(SEED + 1).choice(rest, len(self.replicas)))


def fit_trend(n: FloatArray, y: FloatArray, degree: int | None = None) -> Trend | None:
    """Fit a line or a parabola to log10 y on log10 N; None for fewer points than parameters.

    Without a degree AICc chooses from six sizes on, and a line is fitted below.
    """
    order = np.argsort(n)
    x, v = np.log10(n[order]), np.log10(y[order])
    if degree is None:
        degree = _choose_degree(x, v)
    if x.size < degree + 1 or np.ptp(x) <= 0:
        return None
    coefficients = np.polyfit(x, v, degree)
    return Trend(degree, coefficients, x, v, _bootstrap(x, v, coefficients))


def _choose_degree(x: FloatArray, y: FloatArray) -> int:
    if x.size < AICC_SIZES:
        return 1
    scores = []
    for degree in (1, 2):
        rest = y - np.polyval(np.polyfit(x, y, degree), x)
        n, k = x.size, degree + 2
        rss = max(float(rest @ rest), 1e-300)
        scores.append(n * math.log(rss / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))
    return 1 + int(scores[1] < scores[0])


def _scale_residuals(x: FloatArray, y: FloatArray, coefficients: FloatArray) -> FloatArray:
    rest = y - np.polyval(coefficients, x)
    spare = x.size - len(coefficients)
    return np.asarray(rest * math.sqrt(x.size / max(spare, 1)), dtype=np.float64)


def _bootstrap(x: FloatArray, y: FloatArray, coefficients: FloatArray) -> FloatArray:
    p = len(coefficients)
    if x.size - p < MIN_SPARE:
        return np.empty((0, p))
    rest = _scale_residuals(x, y, coefficients)
    drawn = np.random.default_rng(SEED).choice(rest, (REPLICAS, x.size))
    again = np.polyval(coefficients, x)[None, :] + drawn
    return np.asarray(np.polyfit(x, again.T, p - 1).T, dtype=np.float64)


def _evaluate(replicas: FloatArray, x: float) -> FloatArray:
    powers = x ** np.arange(replicas.shape[1])[::-1]
    return np.asarray(replicas @ powers, dtype=np.float64)


def _cross(coefficients: FloatArray, level: float) -> FloatArray:
    """Return log10 N at which each row of coefficients rises through a level, NaN where none does.

    A parabola rises through it at (-b + sqrt(b^2 - 4 a (c - level))) / (2 a), whatever the sign
    of a.
    """
    rows = np.atleast_2d(coefficients)
    b, c = rows[:, -2], rows[:, -1] - level
    with np.errstate(divide="ignore", invalid="ignore"):
        line = np.where(b > 0, -c / b, np.nan)
        if rows.shape[1] == 2:
            found = line
        else:
            a = rows[:, 0]
            root = np.sqrt(b**2 - 4 * a * c)
            # the same root written twice: each form loses no digits for its sign of b
            curved = np.where(b > 0, -2 * c / (b + root), (root - b) / (2 * a))
            found = np.where(np.abs(a) > 1e-12, curved, line)
    return np.where(np.abs(found) < FARTHEST, found, np.nan)
