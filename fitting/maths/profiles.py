"""The isoFLOP profile of each budget: its parabola, its vertex, and why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.laws.isoflop import MIN_POINTS, find_vertices
from fitting.maths.records import Estimate, FloatArray, Record
from fitting.maths.rows import Rows
from fitting.maths.uncertainty import MAX_FAILED_SHARE, draw_counts, summarise

N_SAMPLES = 48
N_COEFFICIENTS = 3


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
    vertices = [
        _resample(z, rows.target, counts if used else counts[:0], seed) for z in (log_n, log_d)
    ]
    return Profile(
        flops=budget,
        n_points=n_points,
        used=used,
        reason="" if used else _explain(log_n, rows.target, n_points),
        n_params=_summarise(float(np.exp(n_star)), vertices[0], "parameters"),
        n_tokens=_summarise(float(np.exp(d_star)), vertices[1], "tokens"),
        loss=loss,
        x=x,
        y=y,
    )


def _resample(
    x: FloatArray, loss: FloatArray, counts: FloatArray, seed: int
) -> tuple[FloatArray, str]:
    """Return replicas of the vertex, and how they were made.

    Cases are resampled; where a budget has so few sizes that too many resamples lose its minimum,
    the residuals of the parabola are, as for the best learning rate (LAWS section 1.3).
    """
    if not counts.size:
        return np.empty(0), "no vertex"
    cases = find_vertices(x, loss, counts)[0]
    spare = np.unique(x).size - N_COEFFICIENTS
    if np.mean(np.isfinite(cases)) >= 1 - MAX_FAILED_SHARE or spare < 1:
        return np.exp(cases), ""
    z = (x - x.mean()) / x.std()
    design = np.vander(z, N_COEFFICIENTS, increasing=True)
    solve = np.linalg.pinv(design)
    fitted = design @ (solve @ loss)
    residuals = (loss - fitted) * np.sqrt(x.size / spare)
    drawn = np.random.default_rng(seed).choice(residuals, size=(counts.shape[0], x.size))
    _, slope, curvature = solve @ (fitted + drawn - drawn.mean(axis=1, keepdims=True)).T
    with np.errstate(all="ignore"):
        vertex = -slope / (2.0 * curvature)
    inside = (curvature > 0) & (vertex > z.min()) & (vertex < z.max())
    found = np.exp(x.mean() + x.std() * np.where(inside, vertex, np.nan))
    return found, "few sizes: interval from the residuals of the parabola"


def _summarise(value: float, resampled: tuple[FloatArray, str], unit: str) -> Estimate:
    draws, how = resampled
    estimate = summarise(value, draws, 0.95, unit, how)
    reason = how if estimate.interval is not None else estimate.reason
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
