"""Slopes of short curves, and their certainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fitting.maths.records import FloatArray

MAX_PAIRED = 256  # points whose pairs are looked at; more are thinned


@dataclass(frozen=True)
class Line:
    """Least squares y = level + slope (x - mean x), standard error of the slope included."""

    slope: float
    error: float
    span: float

    @property
    def change(self) -> float:
        """Return the fitted change from the first to the last x."""
        return self.slope * self.span

    @property
    def is_rising(self) -> bool:
        """Say whether the slope is positive by more than two standard errors."""
        return self.slope > 2 * self.error and self.slope > 0


def fit_line(x: FloatArray, y: FloatArray) -> Line | None:
    """Return the line through finite points; None below three points or without a spread of x."""
    ok = np.isfinite(x) & np.isfinite(y)
    x, y = x[ok].astype(np.float64), y[ok].astype(np.float64)
    if x.size < 3:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    spread = float(dx @ dx)
    if spread <= 0:
        return None
    slope = float(dx @ dy) / spread
    rest = dy - slope * dx
    error = math.sqrt(float(rest @ rest) / max(x.size - 2, 1) / spread)
    return Line(slope, error, float(x[-1] - x[0]))


def find_theil_sen_slope(x: FloatArray, y: FloatArray) -> float:
    """Return the median of the slopes between all pairs of points, NaN below two."""
    ok = np.isfinite(x) & np.isfinite(y)
    x, y = x[ok].astype(np.float64), y[ok].astype(np.float64)
    if x.size > MAX_PAIRED:
        keep = np.linspace(0, x.size - 1, MAX_PAIRED).astype(int)
        x, y = x[keep], y[keep]
    first, second = np.triu_indices(x.size, 1)
    dx = x[second] - x[first]
    usable = dx > 0
    if not usable.any():
        return math.nan
    return float(np.median((y[second] - y[first])[usable] / dx[usable]))


def find_noise(y: FloatArray) -> float:
    """Return the standard deviation of independent noise on a slow curve, robustly.

    sigma = 1.4826 * median |d - median d| / sqrt 2 for the first differences d.
    """
    if y.size < 4:
        return 0.0
    d = np.diff(y)
    return float(1.4826 * np.median(np.abs(d - np.median(d))) / math.sqrt(2))
