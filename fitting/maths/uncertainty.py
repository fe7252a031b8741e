"""Resampling, intervals and profiles shared by all laws.

Percentile bootstrap: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fitting.maths.types import Estimate, FloatArray, Interval, Rows

MAX_FAILED_SHARE = 0.05


def draw_counts(rows: Rows, replicas: int, seed: int, within_groups: bool = False) -> FloatArray:
    """Draw how often each row counts in each replica of a case bootstrap.

    Parameters
    ----------
    rows : rows that share a cluster (checkpoints of a run) share one count
    replicas : number of replicas, B
    seed : of the draw
    within_groups : resample inside each group, so that no group ever vanishes

    Returns
    -------
    ndarray, shape (replicas, n)

    References
    ----------
    Efron 1979, Annals of Statistics 7(1), 1-26
    """
    rng = np.random.default_rng(seed)
    clusters = np.array(rows.clusters or rows.names())
    strata = np.array(rows.groups if within_groups and rows.groups else ("",) * rows.n)
    counts = np.zeros((replicas, rows.n))
    for stratum in np.unique(strata):
        inside = np.flatnonzero(strata == stratum)
        units, place = np.unique(clusters[inside], return_inverse=True)
        drawn = rng.multinomial(units.size, np.full(units.size, 1.0 / units.size), size=replicas)
        counts[:, inside] = drawn[:, place]
    return counts


def expand_counts(counts: FloatArray) -> np.ndarray:
    """Return the places of the rows that one replica's counts select, with repeats.

    Parameters
    ----------
    counts : ndarray, shape (n,), whole numbers

    Returns
    -------
    ndarray of int, shape (sum of the counts,)
    """
    return np.repeat(np.arange(counts.size), counts.astype(np.int64))


def take_interval(values: FloatArray, level: float = 0.95) -> Interval | None:
    """Return the percentile interval; None with too few finite replicas.

    Parameters
    ----------
    values : ndarray, shape (B,); NaN where a replica failed
    level : nominal coverage

    Returns
    -------
    the interval; None where more than 5 % of the replicas failed

    References
    ----------
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13
    """
    finite = values[np.isfinite(values)]
    if finite.size < max(2, (1 - MAX_FAILED_SHARE) * values.size):
        return None
    low, high = np.quantile(finite, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(low), float(high), level)


def summarise(
    value: float, replicas: FloatArray | None, level: float, unit: str, reason: str
) -> Estimate:
    """Return an estimate with interval and standard error where replicas allow.

    Parameters
    ----------
    value : the point estimate
    replicas : ndarray, shape (B,), or None
    level : nominal coverage
    unit : of the value
    reason : why there is no interval, where there are no replicas

    Returns
    -------
    the estimate; without an interval its reason says why

    References
    ----------
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13
    """
    if replicas is None or replicas.size == 0:
        return Estimate(value, None, None, unit, reason)
    interval = take_interval(replicas, level)
    if interval is None:
        failed = 1.0 - float(np.mean(np.isfinite(replicas)))
        return Estimate(value, None, None, unit, f"{failed:.0%} of the replicas failed")
    error = float(np.std(replicas[np.isfinite(replicas)], ddof=1))
    return Estimate(value, interval, error, unit, "")


def take_band(curves: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the pointwise percentile band of replicas of a curve, shape (B, n_x).

    Parameters
    ----------
    curves : ndarray, shape (B, n_x); rows with a value that is not finite are left out
    level : nominal coverage

    Returns
    -------
    low and high, ndarrays of shape (n_x,)

    References
    ----------
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13
    """
    usable = curves[np.all(np.isfinite(curves), axis=1)]
    if usable.shape[0] < 2:
        empty = np.full(curves.shape[1], np.nan)
        return empty, empty
    low, high = np.quantile(usable, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    return low, high


def take_bands(curves: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Return the percentile interval at each x by itself: a failed replica costs only where it is.

    Parameters
    ----------
    curves : ndarray, shape (B, n_x); NaN where a replica failed
    level : nominal coverage

    Returns
    -------
    low and high, ndarrays of shape (n_x,); NaN where more than 5 % of the replicas failed
    """
    finite = np.isfinite(curves)
    enough = finite.sum(axis=0) >= max(2, (1 - MAX_FAILED_SHARE) * curves.shape[0])
    low, high = np.full(curves.shape[1], np.nan), np.full(curves.shape[1], np.nan)
    if enough.any():
        ends = [0.5 - level / 2, 0.5 + level / 2]
        known = curves[:, enough]
        quantiles = np.quantile if finite[:, enough].all() else np.nanquantile
        low[enough], high[enough] = quantiles(known, ends, axis=0)
    return low, high


def stack_replicas(draws: Sequence[Mapping[str, float]]) -> dict[str, FloatArray]:
    """Turn one mapping per replica into one array per name; absent names become NaN.

    Parameters
    ----------
    draws : one mapping per replica

    Returns
    -------
    name -> ndarray, shape (B,)
    """
    names = sorted({name for draw in draws for name in draw})
    return {
        name: np.array([float(draw[name]) if name in draw else np.nan for draw in draws])
        for name in names
    }
