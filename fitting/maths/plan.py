"""Which next run would shrink an interval most, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.predict import evaluate_replicas
from fitting.maths.types import Columns, Fit, FloatArray, Record, Refusal


@dataclass(frozen=True)
class NextRun(Record):
    """One candidate run.

    Parameters
    ----------
    place : place among the candidates
    sd_before, sd_after : standard deviation of the quantity before and after this run
    flops : cost; NaN where the candidates have none
    """

    place: int
    sd_before: float
    sd_after: float
    flops: float

    @property
    def reduction(self) -> float:
        """Return the share of the standard deviation that the run takes away."""
        return 1.0 - self.sd_after / self.sd_before


def rank_next_runs(
    fit: Fit, quantity: FloatArray, candidates: Columns, noise: float
) -> tuple[NextRun, ...] | Refusal:
    """Rank candidate runs by how much they would shrink a quantity's spread, best first.

    Parameters
    ----------
    fit : with replicas
    quantity : ndarray, shape (B,), the quantity in the same replicas, such as a derived one
    candidates : role -> ndarray, shape (m,), inputs of the possible runs
    noise : relative standard deviation of one run's loss, from repeats with other seeds

    Notes
    -----
    A linear-Gaussian update on the replicas: observing y with noise s takes
    ``cov(q, y)^2 / (var(y) + s^2)`` off the variance of q. Exact for linear laws; for others good
    while the run does not change the picture.
    """
    if not fit.replica_params:
        return Refusal("no_replicas", "planning needs replicas of the fit", "fit with replicas")
    predicted = evaluate_replicas(fit, candidates)
    usable = np.isfinite(quantity) & np.all(np.isfinite(predicted), axis=1)
    q, y = quantity[usable], predicted[usable]
    dq, dy = q - q.mean(), y - y.mean(axis=0)
    before = float(np.var(q))
    shared = dq @ dy / q.size
    spent = (noise * y.mean(axis=0)) ** 2
    after = before - shared**2 / (np.var(y, axis=0) + spent)
    cost = _read_cost(candidates, y.shape[1])
    runs = [
        NextRun(place, before**0.5, float(max(after[place], 0.0)) ** 0.5, float(cost[place]))
        for place in range(y.shape[1])
    ]
    return tuple(sorted(runs, key=lambda run: run.sd_after))


def _read_cost(candidates: Columns, n: int) -> FloatArray:
    if "flops" in candidates:
        return candidates["flops"]
    if {"n_params", "n_tokens"} <= set(candidates):
        return 6.0 * candidates["n_params"] * candidates["n_tokens"]
    return np.full(n, np.nan)
