"""The loss along a compute frontier, ``L*(C) = L_inf + exp(log_l_factor) C^-l``, of all replicas.

Approaches 1 and 2 of Chinchilla find the best size of a budget and, with it, the loss there. A
power law with a constant through those losses gives them the L*(C) that approach 3 has by itself.
"""

from __future__ import annotations

import numpy as np

from fitting.maths.types import FloatArray, LawParam

MIN_BUDGETS_OF_LOSS, MIN_REPLICA_BUDGETS = 5, 4
GRID = np.geomspace(0.005, 1.5, 60)
N_STEPS = 40
GOLDEN_RATIO = 0.5 * (5.0**0.5 - 1.0)
LOSS_LINE_PARAMS = (
    LawParam("L_inf", "limit of L*(C)", "nats", lower=0.0, bound_has_meaning=True),
    LawParam("log_l_factor", "natural log of the factor of L* - L_inf"),
    LawParam("l", "exponent of L* - L_inf in C, with its sign turned"),
)


def fit_loss_lines(
    log_c: FloatArray, loss: FloatArray, grid: FloatArray = GRID, relative: bool = True
) -> dict[str, FloatArray]:
    """Fit a power law with a constant to the losses at the budgets of each replica.

    Parameters
    ----------
    log_c : ndarray, shape (k,), natural logarithm of the budgets in FLOPs
    loss : ndarray, shape (B, k), least loss at each budget in nats per token; NaN = no minimum
    grid : ndarray, ascending exponents at which the search starts
    relative : residuals relative to the loss; else in nats

    Returns
    -------
    L_inf (nats), log_l_factor and l, ndarrays of shape (B,); NaN where a replica has fewer than
    4 losses or they do not fall with compute

    Notes
    -----
    Least squares. The exponent is searched on the grid and refined by golden section; the constant
    is not negative.

    References
    ----------
    Henighan et al. 2020, arXiv 2010.14701 (power law with a constant)
    """
    z = log_c - log_c.mean()
    losses = np.where(np.isfinite(loss), loss, 0.0)
    scale = np.where(losses > 0.0, losses, 1.0) if relative else 1.0
    weights = np.where(losses > 0.0, 1.0 / scale**2, 0.0)

    def score(exponents: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _project(z, losses, weights, exponents)

    with np.errstate(all="ignore"):
        every = np.stack([score(np.full(len(losses), power))[0] for power in grid], axis=1)
        best = np.argmin(every, axis=1)
        low = np.log(grid[np.maximum(best - 1, 0)])
        high = np.log(grid[np.minimum(best + 1, grid.size - 1)])
        for _ in range(N_STEPS):
            left, right = high - GOLDEN_RATIO * (high - low), low + GOLDEN_RATIO * (high - low)
            falls = score(np.exp(left))[0] < score(np.exp(right))[0]
            low, high = np.where(falls, low, left), np.where(falls, right, high)
        exponent = np.exp(0.5 * (low + high))
        squares, constant, amplitude = score(exponent)
        factor = np.log(amplitude) + exponent * log_c.mean()
    usable = np.isfinite(squares) & ((weights > 0).sum(axis=1) >= MIN_REPLICA_BUDGETS)
    values = {"L_inf": constant, "log_l_factor": factor, "l": exponent}
    return {name: np.where(usable, value, np.nan) for name, value in values.items()}


def _project(
    z: FloatArray, loss: FloatArray, weights: FloatArray, exponents: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return sum of squares, constant and amplitude at one exponent per replica."""
    power = np.exp(-exponents[:, None] * z)
    total, first, second = (np.sum(weights * power**m, axis=1) for m in range(3))
    right, mixed = np.sum(weights * loss, axis=1), np.sum(weights * loss * power, axis=1)
    amplitude = (mixed - first * right / total) / (second - first**2 / total)
    constant = (right - amplitude * first) / total
    amplitude = np.where(constant < 0.0, mixed / second, amplitude)
    constant = np.maximum(constant, 0.0)
    residuals = loss - constant[:, None] - amplitude[:, None] * power
    squares = np.sum(weights * residuals**2, axis=1)
    return np.where(amplitude > 0.0, squares, np.inf), constant, amplitude
