"""Highest stable learning rate of a scale (DIAGNOSTICS D17)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.records import BoolArray, FloatArray, Record, Refusal

MAX_EXCESS_NATS = 0.1


@dataclass(frozen=True)
class StableLr(Record):
    """The staircase step of one scale.

    Parameters
    ----------
    lr : largest learning rate whose mean loss is within `max_excess` of the best
    best_lr : learning rate of the least mean loss
    steps_above_best : grid steps between the two
    at_grid_edge : the largest learning rate tried is still stable
    """

    lr: float
    best_lr: float
    steps_above_best: int
    at_grid_edge: bool
    max_excess: float


def find_stable_lr(
    lr: FloatArray, loss: FloatArray, healthy: BoolArray, max_excess: float = MAX_EXCESS_NATS
) -> StableLr | Refusal:
    """Find the largest learning rate with loss - l* < `max_excess` and every run healthy.

    Parameters
    ----------
    lr, loss : ndarray, shape (n,), mean loss per learning rate, ascending
    healthy : ndarray, shape (n,), no run at this learning rate diverged
    """
    usable = healthy & np.isfinite(loss)
    if not usable.any():
        return Refusal("too_few_points", "no learning rate of this size has a healthy run", "")
    best = int(np.flatnonzero(usable)[np.argmin(loss[usable])])
    stable = usable & (loss - loss[best] < max_excess)
    top = int(np.flatnonzero(stable)[-1])
    return StableLr(float(lr[top]), float(lr[best]), top - best, top == lr.size - 1, max_excess)
