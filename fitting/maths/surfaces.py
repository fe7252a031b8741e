"""A parametric law over compute and size as a grid, blank where no run supports it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.allocation import predict_loss
from fitting.maths.flops_per_token import FlopsPerToken
from fitting.maths.records import BoolArray, FloatArray, Record
from fitting.maths.types import Fit, Rows

N_GRID = 49
SUPPORT = 10.0  # a cell has a colour while N and D are within this factor of the fitted range
LIMITS = 3.0  # the grid reaches this factor beyond the fitted sizes and budgets


@dataclass(frozen=True)
class Surface(Record):
    """Predicted loss over budgets and sizes.

    Parameters
    ----------
    flops : ndarray, shape (m,), budgets
    n_params : ndarray, shape (k,), sizes
    loss : ndarray, shape (k, m); NaN where N or D is beyond ten times the fitted range
    """

    flops: FloatArray
    n_params: FloatArray
    loss: FloatArray


def draw_surface(fit: Fit, cost: FlopsPerToken, rows: Rows) -> Surface:
    """Return the fitted surface around the runs.

    Parameters
    ----------
    fit : of a law with (E, A, B, alpha, beta)
    cost : FLOPs per token at each size; it turns C and N into D
    rows : what was fitted, with n_params, n_tokens and flops

    Returns
    -------
    predicted loss in nats on a grid of 49 sizes and 49 budgets

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, figure 4
    """
    n, d, c = (rows.columns[role] for role in ("n_params", "n_tokens", "flops"))
    sizes = np.geomspace(n.min() / LIMITS, n.max() * LIMITS, N_GRID)
    budgets = np.geomspace(c.min() / LIMITS, c.max() * SUPPORT, N_GRID)
    grid_n, grid_c = np.meshgrid(sizes, budgets, indexing="ij")
    grid_d = grid_c / cost.evaluate(grid_n)
    params = {name: np.array(estimate.value) for name, estimate in fit.params.items()}
    loss = predict_loss(params, grid_n, grid_d)
    supported = _is_near(grid_n, n) & _is_near(grid_d, d)
    return Surface(budgets, sizes, np.where(supported, loss, np.nan))


def _is_near(values: FloatArray, fitted: FloatArray) -> BoolArray:
    near: BoolArray = (values >= fitted.min() / SUPPORT) & (values <= fitted.max() * SUPPORT)
    return near
