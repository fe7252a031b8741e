"""A parametric law over compute and size as a grid, with the edge of what the runs support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.allocation import predict_loss
from fitting.maths.flops_per_token import FlopsPerToken
from fitting.maths.records import BoolArray, FloatArray, Record
from fitting.maths.types import Fit, Rows

N_GRID = 49
N_EDGE, N_FINE = 241, 4001  # budgets and sizes of the edge, so fine that no step is seen
SUPPORT = 10.0  # a cell has a colour while N and D are within this factor of the fitted range
LIMITS = 3.0  # the grid reaches this factor beyond the fitted sizes and budgets


@dataclass(frozen=True)
class Surface(Record):
    """Predicted loss over budgets and sizes.

    Parameters
    ----------
    flops : ndarray, shape (m,), budgets
    n_params : ndarray, shape (k,), sizes
    loss : ndarray, shape (k, m); NaN where N or D is beyond ten times the fitted range, but for
        the nodes next to the edge, which an interpolation up to it needs
    edge_flops : ndarray, shape (j,), budgets that have a supported size
    edge_low, edge_high : ndarrays, shape (j,), the least and the largest supported size of each
    """

    flops: FloatArray
    n_params: FloatArray
    loss: FloatArray
    edge_flops: FloatArray
    edge_low: FloatArray
    edge_high: FloatArray


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
    shown = np.where(_reach_neighbours(supported), loss, np.nan)
    return Surface(budgets, sizes, shown, *_trace_edge(cost, rows, (sizes, budgets)))


def _trace_edge(
    cost: FlopsPerToken, rows: Rows, grid: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return budgets with the least and the largest supported size of each, within the grid."""
    fine = np.geomspace(grid[0][0], grid[0][-1], N_FINE)
    flops = np.geomspace(grid[1][0], grid[1][-1], N_EDGE)
    near_n = _is_near(fine, rows.columns["n_params"])
    tokens = flops[None, :] / cost.evaluate(fine)[:, None]
    supported = near_n[:, None] & _is_near(tokens, rows.columns["n_tokens"])
    known = supported.any(axis=0)
    low = fine[supported.argmax(axis=0)]
    high = fine[N_FINE - 1 - supported[::-1].argmax(axis=0)]
    return flops[known], low[known], high[known]


def _reach_neighbours(cells: BoolArray) -> BoolArray:
    """Return the nodes that are set or touch one that is, corners among them."""
    padded = np.pad(cells, 1)
    rows, columns = cells.shape
    shifts = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    reached: BoolArray = np.logical_or.reduce(shifts)
    return reached


def _is_near(values: FloatArray, fitted: FloatArray) -> BoolArray:
    near: BoolArray = (values >= fitted.min() / SUPPORT) & (values <= fitted.max() * SUPPORT)
    return near
