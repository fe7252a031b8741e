"""The isoFLOP profile of each budget: its parabola, its vertex, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.laws.isoflop import MIN_POINTS, find_vertices
from fitting.maths.records import Estimate, FloatArray, Record
from fitting.maths.rows import Rows
from fitting.maths.uncertainty import draw_counts, summarise

N_SAMPLES = 48


@dataclass(frozen=True)
class Profile(Record):
    """Loss against size at one budget.

    Parameters
    ----------
    flops : the budget
    n_points : distinct sizes
    used : the vertex counts: >= 4 sizes, curvature > 0, vertex strictly inside
    reason : why the vertex does not count, empty where it does
    n_params, n_tokens : the vertex, with the interval of a bootstrap over the budget's sizes
    loss : the parabola's loss at the vertex; NaN where it does not count
    x, y : samples of the parabola over its points; empty where it does not count
    """

    flops: float
    n_points: int
    used: bool
    reason: str
    n_params: Estimate
    n_tokens: Estimate
    loss: float
    x: FloatArray
    y: FloatArray


def draw_profiles(rows: Rows, replicas: int, seed: int) -> tuple[Profile, ...]:
    """Return the profile of each budget, ascending in compute.

    Parameters
    ----------
    rows : columns n_params, n_tokens and flops, the last equal within a budget; loss as target
    replicas : resamples of each vertex
    seed : of the resampling

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2 and figure 3
    """
    budgets = np.unique(rows.columns["flops"])
    return tuple(
        _draw_profile(rows.take(rows.columns["flops"] == budget), float(budget), replicas, seed)
        for budget in budgets
    )


def _draw_profile(rows: Rows, budget: float, replicas: int, seed: int) -> Profile:
    log_n, log_d = np.log(rows.columns["n_params"]), np.log(rows.columns["n_tokens"])
    counts = draw_counts(rows, replicas, seed)
    once = np.ones((1, rows.n))
    n_points = int(np.unique(log_n).size)
    n_star, d_star = (find_vertices(x, rows.target, once)[0][0] for x in (log_n, log_d))
    used = bool(np.isfinite(n_star))
    x, y, loss = np.empty(0), np.empty(0), np.nan
    if used:
        x, y, loss = _sample(log_n, rows.target, float(n_star))
    draws = [
        np.exp(find_vertices(z, rows.target, counts)[0]) if used and replicas else None
        for z in (log_n, log_d)
    ]
    return Profile(
        flops=budget,
        n_points=n_points,
        used=used,
        reason="" if used else _explain(log_n, rows.target, n_points),
        n_params=_summarise(float(np.exp(n_star)), draws[0], "parameters"),
        n_tokens=_summarise(float(np.exp(d_star)), draws[1], "tokens"),
        loss=loss,
        x=x,
        y=y,
    )


def _summarise(value: float, draws: FloatArray | None, unit: str) -> Estimate:
    """Summarise the replicas that have a vertex: those without one say nothing about its place."""
    if draws is None:
        return Estimate(value, None, None, unit, "no vertex")
    found = draws[np.isfinite(draws)]
    estimate = summarise(value, found, 0.95, unit, "")
    lost = 1.0 - found.size / draws.size
    if not lost:
        return estimate
    reason = f"{lost:.0%} of the replicas have no vertex; the interval is of the others"
    return Estimate(value, estimate.interval, estimate.standard_error, unit, reason)


def _sample(
    log_n: FloatArray, loss: FloatArray, vertex: float
) -> tuple[FloatArray, FloatArray, float]:
    """Return samples of the parabola through the points, and its loss at the vertex."""
    centre = float(log_n.mean())
    coefficients = np.polyfit(log_n - centre, loss, 2)
    grid = np.linspace(log_n.min(), log_n.max(), N_SAMPLES)
    drawn = np.polyval(coefficients, grid - centre).astype(np.float64)
    return np.exp(grid), drawn, float(np.polyval(coefficients, vertex - centre))


def _explain(log_n: FloatArray, loss: FloatArray, n_points: int) -> str:
    if n_points < MIN_POINTS:
        points = "1 size" if n_points == 1 else f"{n_points} sizes"
        return f"{points}; a parabola needs {MIN_POINTS}"
    best = int(np.argmin(loss))
    side = {int(np.argmin(log_n)): "smallest", int(np.argmax(log_n)): "largest"}.get(best)
    if side:
        return f"the {side} of {n_points} sizes has the least loss: the minimum lies outside"
    return f"the parabola through {n_points} sizes has no minimum inside them"
