"""N*, D*, D*/N* and loss of every approach over a range of budgets, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.allocation import allocate_lines
from fitting.maths.flops_per_token import FlopsPerToken
from fitting.maths.records import BoolArray, FloatArray, Record, Refusal
from fitting.maths.types import Fit
from fitting.maths.uncertainty import take_interval

N_BUDGETS = 48


@dataclass(frozen=True)
class Band(Record):
    """A line over the budgets with its percentile band; NaN where there is none."""

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Frontier(Record):
    """What one approach says over a range of budgets.

    Parameters
    ----------
    approach : slug of the law
    flops : ndarray, shape (m,), budgets, ascending
    n_params, n_tokens, tokens_per_parameter : ``D* = C / (FLOPs per token at N*)``
    loss : None where the law gives no loss
    extrapolated : ndarray, shape (m,), beyond the largest fitted budget
    decades_beyond : ndarray, shape (m,), log10 of the budget over the largest fitted one
    """

    approach: str
    flops: FloatArray
    n_params: Band
    n_tokens: Band
    tokens_per_parameter: Band
    loss: Band | None
    extrapolated: BoolArray
    decades_beyond: FloatArray


def draw_frontiers(
    fits: Mapping[str, Fit | Refusal],
    cost: FlopsPerToken,
    fitted: tuple[float, float],
    x_max_factor: float = 10.0,
) -> tuple[Frontier, ...]:
    """Return the frontier of every approach that was fitted, on one range of budgets.

    Parameters
    ----------
    fits : approach -> fit of a law with (E, A, B, alpha, beta), or with (a, log_n_factor)
    cost : FLOPs per token at each size; it turns C and N* into D*
    fitted : smallest and largest fitted budget, in FLOPs
    x_max_factor : budgets reach this multiple of the largest

    Notes
    -----
    One relation between C, N and D serves every approach, so that they differ by their law alone.
    The spread between them is model uncertainty; no interval contains it.
    """
    low, high = fitted
    flops = np.geomspace(low, x_max_factor * high, N_BUDGETS)
    return tuple(
        evaluate_frontier(fit, name, cost, flops, high)
        for name, fit in fits.items()
        if isinstance(fit, Fit)
    )


def evaluate_frontier(
    fit: Fit, approach: str, cost: FlopsPerToken, flops: FloatArray, largest: float
) -> Frontier:
    """Return the frontier of one fit at budgets.

    Parameters
    ----------
    fit : of a law with (E, A, B, alpha, beta), or with (a, log_n_factor)
    approach : the name it is shown under
    cost : FLOPs per token at each size
    flops : ndarray, shape (m,), budgets
    largest : largest fitted budget, for the mark of extrapolation
    """
    point = {name: np.array([item.value]) for name, item in fit.params.items()}
    with np.errstate(all="ignore"):  # a replica may lose a term; its NaN is left out of the band
        middle = _solve(point, cost, flops)
        draws = _solve(fit.replica_params, cost, flops) if fit.replica_params else None
    bands = [
        None if value is None else _take_band(value[0], None if draws is None else draws[place])
        for place, value in enumerate(middle)
    ]
    n_params, n_tokens, ratio, loss = bands
    assert n_params is not None
    assert n_tokens is not None
    assert ratio is not None
    decades = np.log10(flops / largest)
    beyond = decades > 1e-9
    return Frontier(approach, flops, n_params, n_tokens, ratio, loss, beyond, decades)


def _solve(
    params: Mapping[str, FloatArray], cost: FlopsPerToken, flops: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray | None]:
    """Return N*, D*, D*/N* and the loss, each of shape (B, m)."""
    if "alpha" in params and "A" in params:
        n_params, n_tokens = cost.split(params, flops)
        terms = {name: values[:, None] for name, values in params.items()}
        loss: FloatArray | None = (
            terms["E"]
            + terms["A"] * n_params ** -terms["alpha"]
            + terms["B"] * n_tokens ** -terms["beta"]
        )
        return n_params, n_tokens, n_tokens / n_params, loss
    wide = {name: values[:, None] for name, values in params.items()}
    n_params, _, line = allocate_lines(wide, flops[None, :])
    n_tokens = flops / cost.evaluate(n_params)
    return n_params, n_tokens, n_tokens / n_params, line


def _take_band(value: FloatArray, draws: FloatArray | None) -> Band:
    low, high = np.full(value.size, np.nan), np.full(value.size, np.nan)
    if draws is not None:
        for place in range(value.size):
            interval = take_interval(draws[:, place])
            if interval is not None:
                low[place], high[place] = interval.low, interval.high
    return Band(value, low, high)
