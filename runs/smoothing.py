"""Smoothing and averages of curves, over every point. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from runs.series import Curve, Floats

NEGLIGIBLE = 1e-18  # a weight below it changes no digit of a float64 sum
BANDS = ("minmax", "std", "stderr", "ci")
AGGREGATES = ("mean", "median")
# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom; 1.96 beyond.
T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
NORMAL_95 = 1.960


def smooth(y: Floats, beta: float) -> Floats:
    """Return the debiased exponential moving average over the finite values.

    m_t = sum_j beta^j y_(t-j) / sum_j beta^j over j = 0..t: the first value is not pulled towards
    zero. What is not finite stays where it is and has no part in the average.
    """
    is_finite = np.isfinite(y)
    known = y[is_finite]
    smoothed = y.copy()
    smoothed[is_finite] = _sum_back(known, beta) / _sum_back(np.ones_like(known), beta)
    return smoothed


def _sum_back(y: Floats, beta: float) -> Floats:
    """Return sum_j beta^j y_(t-j), by doubling the reach with each pass."""
    total, weight, reach = y.copy(), beta, 1
    while weight > NEGLIGIBLE and reach < y.size:
        total[reach:] = total[reach:] + weight * total[:-reach]
        weight, reach = weight * weight, 2 * reach
    return total


@dataclass(frozen=True)
class Average:
    """What several runs have in common at each x, and how far they lie apart.

    `n_runs` is how many of the `n_curves` count at each x; `n_nonfinite` how many points were left
    out.
    """

    x: Floats
    middle: Floats
    low: Floats
    high: Floats
    n_runs: Floats
    n_nonfinite: int
    n_curves: int

    def cut(self, window: tuple[float, float] | None) -> Average:
        """Return what lies inside a window of x."""
        if window is None:
            return self
        inside = (self.x >= window[0]) & (self.x <= window[1])
        columns = ("x", "middle", "low", "high", "n_runs")
        return replace(self, **{name: getattr(self, name)[inside] for name in columns})


def average(curves: Sequence[Curve], aggregate: str, band: str) -> Average:
    """Average curves at every x that any of them has.

    Between its own points a curve is interpolated linearly, beyond its ends it does not count.
    """
    x = np.unique(np.concatenate([curve.x for curve in curves]))
    table = np.stack([_interpolate(curve, x) for curve in curves])
    n_runs = np.isfinite(table).sum(axis=0).astype(np.float64)
    x, table, n_runs = x[n_runs > 0], table[:, n_runs > 0], n_runs[n_runs > 0]
    middle = np.nanmedian(table, axis=0) if aggregate == "median" else np.nanmean(table, axis=0)
    low, high = _find_band(table, middle, n_runs, band)
    n_nonfinite = sum(int((~np.isfinite(curve.y)).sum()) for curve in curves)
    return Average(x, middle, low, high, n_runs, n_nonfinite, len(curves))


def _interpolate(curve: Curve, x: Floats) -> Floats:
    is_finite = np.isfinite(curve.y)
    if not is_finite.any():
        return np.full(x.size, np.nan)
    return np.interp(x, curve.x[is_finite], curve.y[is_finite], left=np.nan, right=np.nan)


def _find_band(table: Floats, middle: Floats, n_runs: Floats, band: str) -> tuple[Floats, Floats]:
    if band == "minmax":
        return np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    squares = np.nansum((table - np.nanmean(table, axis=0)) ** 2, axis=0)
    spread = np.sqrt(squares / np.maximum(n_runs - 1, 1))
    if band != "std":
        spread = spread / np.sqrt(n_runs)
    if band == "ci":
        quantiles = np.array([0.0, *T_95, NORMAL_95])
        spread = spread * quantiles[np.minimum(n_runs - 1, len(T_95) + 1).astype(np.int64)]
    return middle - spread, middle + spread
