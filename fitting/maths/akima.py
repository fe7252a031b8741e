"""Best size of each budget from an Akima curve through the losses (Porian et al. 2024).

arXiv 2406.19146: the uncertainty comes from seed noise whose standard deviation is interpolated in
log loss from .005 at a loss of 3 and below to .1 at 6 and above.
"""

from __future__ import annotations

import numpy as np

from fitting.maths.types import FloatArray, Rows

MIN_POINTS = 4
N_SAMPLES = 2001
N_NOISE = 200
LOSSES, NOISES = np.log([3.0, 6.0]), np.log([0.005, 0.1])


def estimate_noise(loss: FloatArray) -> FloatArray:
    """Return the standard deviation of a loss over seeds.

    Parameters
    ----------
    loss : ndarray, nats per token

    Returns
    -------
    ndarray of the same shape, nats: log-interpolated from .005 at a loss of 3 to .1 at 6

    References
    ----------
    Porian et al. 2024, arXiv 2406.19146
    """
    noise: FloatArray = np.exp(np.interp(np.log(loss), LOSSES, NOISES))
    return noise


def find_akima_minima(
    rows: Rows, replicas: int = 0, seed: int = 0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the best size of each budget without the loss there.

    Parameters
    ----------
    rows, replicas, seed : as for `find_akima_optima`

    Returns
    -------
    log budgets (k,), log N* of each replica (B, k; NaN at the edge), and 1/sd^2 (k,)

    References
    ----------
    Porian et al. 2024, arXiv 2406.19146
    """
    log_c, sizes, _, weights = find_akima_optima(rows, replicas, seed)
    return log_c, sizes, weights


def find_akima_optima(
    rows: Rows, replicas: int = 0, seed: int = 0
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the best size of each budget and the loss there.

    Parameters
    ----------
    rows : n_params and flops, equal within a budget; loss in nats per token
    replicas : draws of seed noise; 0 takes the losses as they are, and B is then 1
    seed : of the noise

    Returns
    -------
    log budgets (k,), log N* and loss of each replica (B, k; NaN at the edge), and 1/sd^2 (k,) of
    log N* under the noise

    References
    ----------
    Porian et al. 2024, arXiv 2406.19146
    """
    budgets = np.unique(rows.columns["flops"])
    rng = np.random.default_rng(seed)
    columns, losses, spreads = [], [], []
    for budget in budgets:
        here = rows.columns["flops"] == budget
        x, first = np.unique(np.log(rows.columns["n_params"][here]), return_inverse=True)
        loss = np.bincount(first, rows.target[here]) / np.bincount(first)
        draws = rng.standard_normal((max(replicas, N_NOISE), x.size)) * estimate_noise(loss)
        noisy, least = _minimise(x, loss + draws)
        place, value = (noisy, least) if replicas else _minimise(x, loss[None, :])
        columns.append(place[: max(replicas, 1)])
        losses.append(value[: max(replicas, 1)])
        spreads.append(np.nanstd(noisy) if np.isfinite(noisy).sum() > 2 else np.nan)
    spread = np.array(spreads)
    usable = np.isfinite(spread) & (spread > 0)
    weights = np.where(usable, 1.0 / np.where(usable, spread, 1.0) ** 2, 0.0)
    return np.log(budgets), np.stack(columns, axis=1), np.stack(losses, axis=1), weights


def _minimise(x: FloatArray, losses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return place and value of the least of the Akima curve through each row; NaN at an end."""
    if x.size < MIN_POINTS:
        return np.full(losses.shape[0], np.nan), np.full(losses.shape[0], np.nan)
    from scipy.interpolate import Akima1DInterpolator

    grid = np.linspace(x[0], x[-1], N_SAMPLES)
    values = Akima1DInterpolator(x, losses.T)(grid)
    best = np.argmin(values, axis=0)
    inside = (best > 0) & (best < N_SAMPLES - 1)
    least = np.take_along_axis(values, best[None, :], axis=0)[0]
    return np.where(inside, grid[best], np.nan), np.where(inside, least, np.nan)
