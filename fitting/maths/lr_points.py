"""Runs of one scale and variant, gathered into one point per learning rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.records import BoolArray, FloatArray, Record

SAME_LR = 1e-6


@dataclass(frozen=True)
class LrPoints(Record):
    """Means over the stable runs at each learning rate, ascending.

    Parameters
    ----------
    lr, loss : learning rate and mean final loss
    n_seeds : runs behind each mean
    squares : sum of squared deviations from the mean at each learning rate
    diverged_lr : learning rates at which every run diverged
    """

    lr: FloatArray
    loss: FloatArray
    n_seeds: FloatArray
    squares: FloatArray
    diverged_lr: FloatArray

    def diverged_beyond(self, side: str) -> float | None:
        """Return the nearest fully diverged learning rate beyond the low or high end."""
        if side == "high":
            above = self.diverged_lr[self.diverged_lr > self.lr[-1]]
            return float(above.min()) if above.size else None
        below = self.diverged_lr[self.diverged_lr < self.lr[0]]
        return float(below.max()) if below.size else None


def gather_points(lr: FloatArray, loss: FloatArray, diverged: BoolArray) -> LrPoints:
    """Average the stable runs at each learning rate.

    Parameters
    ----------
    lr, loss : ndarray, shape (n,), finished runs of one scale and variant
    diverged : ndarray, shape (n,); these runs are left out of the means

    Returns
    -------
    learning rates, ascending, with mean, spread and number of the runs at each
    """
    lr = unify_lr(lr)
    stable = ~diverged
    levels, place = np.unique(lr[stable], return_inverse=True)
    count: FloatArray = np.bincount(place, minlength=levels.size).astype(np.float64)
    mean = np.bincount(place, weights=loss[stable], minlength=levels.size) / count
    deviation = (loss[stable] - mean[place]) ** 2
    summed = np.bincount(place, weights=deviation, minlength=levels.size)
    squares = np.asarray(summed, dtype=np.float64)
    lost: FloatArray = np.setdiff1d(np.unique(lr[diverged]), levels)
    return LrPoints(levels, mean, count, squares, lost)


def unify_lr(lr: FloatArray) -> FloatArray:
    """Give learning rates that agree to one part in a million the same value.

    Parameters
    ----------
    lr : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
    """
    if lr.size == 0:
        return lr
    levels = np.unique(lr)
    starts = np.concatenate([[True], np.diff(levels) > SAME_LR * levels[1:]])
    firsts = levels[starts]
    unified: FloatArray = firsts[np.cumsum(starts)[np.searchsorted(levels, lr)] - 1]
    return unified


def count_points(n: int) -> str:
    """Return "1 point" or "n points".

    Parameters
    ----------
    n : number

    Returns
    -------
    the words
    """
    return "1 point" if n == 1 else f"{n} points"
