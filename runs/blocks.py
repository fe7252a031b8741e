"""Points as arrays: which of two at one step counts, and what a series comes to. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Steps = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Distinct:
    """Points without those that a later one at the same step replaces, by step.

    Parameters
    ----------
    steps : strictly increasing
    values : shape (n_metrics, n_steps)
    repeated, overwritten : per metric, how many lost to an equal value and to another one
    """

    steps: Steps
    values: Values
    repeated: NDArray[np.int64]
    overwritten: NDArray[np.int64]


@dataclass(frozen=True)
class Statistics:
    """One number a metric for each question about its values; extremes are of finite values."""

    n: int
    minimum: Values
    maximum: Values
    total: Values
    n_nan: NDArray[np.int64]
    n_posinf: NDArray[np.int64]
    n_neginf: NDArray[np.int64]

    def count_finite(self) -> list[int]:
        """Return the number of finite values of each metric."""
        found: list[int] = (self.n - self.n_nan - self.n_posinf - self.n_neginf).tolist()
        return found


def is_increasing(steps: Steps) -> bool:
    """Say whether each step is higher than the one before it."""
    return bool((steps[1:] > steps[:-1]).all())


def find_distinct(steps: Steps, values: Values) -> Distinct:
    """Order points by step; of several at one step the last in the given order counts."""
    n_metrics = values.shape[0]
    if is_increasing(steps):
        none = np.zeros(n_metrics, dtype=np.int64)
        return Distinct(steps, values, none, none)
    order = np.argsort(steps, kind="stable")
    ordered, shuffled = steps[order], values[:, order]
    keep = np.append(ordered[1:] != ordered[:-1], True)
    kept = np.flatnonzero(keep)
    losers = np.flatnonzero(~keep)
    winners = kept[np.searchsorted(kept, losers)]
    lost, won = shuffled[:, losers], shuffled[:, winners]
    same = (lost.view(np.int64) == won.view(np.int64)) | (np.isnan(lost) & np.isnan(won))
    repeated = same.sum(axis=1)
    return Distinct(ordered[kept], shuffled[:, kept], repeated, len(losers) - repeated)


def compute_statistics(values: Values) -> Statistics:
    """Summarise each row; no row may be empty."""
    finite = np.isfinite(values)
    n_metrics, n = values.shape
    if finite.all():
        none = np.zeros(n_metrics, dtype=np.int64)
        low, high, counted = values.min(axis=1), values.max(axis=1), values
        n_nan = n_posinf = n_neginf = none
    else:
        low = np.where(finite, values, np.inf).min(axis=1)
        high = np.where(finite, values, -np.inf).max(axis=1)
        counted = np.where(finite, values, 0.0)
        n_nan = np.isnan(values).sum(axis=1)
        n_posinf = (values == np.inf).sum(axis=1)
        n_neginf = (values == -np.inf).sum(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        total = counted.sum(axis=1)
    return Statistics(n, low, high, total, n_nan, n_posinf, n_neginf)
