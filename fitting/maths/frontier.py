"""Points on the compute frontier: what the best run at each budget reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.allocation import predict_loss, split_budget
from fitting.maths.records import Estimate
from fitting.maths.types import BoolArray, Fit, FloatArray, IntArray, Record, Refusal
from fitting.maths.uncertainty import summarise


def find_octave_minima(flops: FloatArray, loss: FloatArray) -> IntArray:
    """Return the places of the least loss in each octave of compute, ascending in compute.

    Parameters
    ----------
    flops, loss : ndarray, shape (n_runs,), finite; flops positive, loss in nats per token

    Returns
    -------
    ndarray of int, shape (n_octaves,); octave k holds ``floor(log2(C / C_min)) = k``
    """
    octave = np.floor(np.log2(flops / flops.min()) + 1e-9).astype(np.int64)
    best = [
        np.flatnonzero(octave == number)[np.argmin(loss[octave == number])]
        for number in np.unique(octave)
    ]
    return np.array(best, dtype=np.int64)


def keep_falling(loss: FloatArray) -> BoolArray:
    """Return which points are lower than all points before them.

    Parameters
    ----------
    loss : ndarray, shape (n,), ascending in compute

    Returns
    -------
    ndarray of bool, shape (n,); the first finite point is always kept
    """
    before = np.concatenate([[np.inf], np.minimum.accumulate(loss)[:-1]])
    falling: BoolArray = loss < before
    return falling


def find_frontier(flops: FloatArray, loss: FloatArray) -> IntArray:
    """Return the places of the frontier points: octave minima that fall.

    Parameters
    ----------
    flops, loss : ndarray, shape (n_runs,), finite; flops positive

    Returns
    -------
    ndarray of int, ascending in compute

    Notes
    -----
    The points are minima, so a case bootstrap of them is wrong; ``saturating_power`` resamples
    the signs of its residuals instead.

    References
    ----------
    arXiv 2506.04598 (octave minimum and monotone filter)
    """
    places = find_octave_minima(flops, loss)
    kept: IntArray = places[keep_falling(loss[places])]
    return kept


@dataclass(frozen=True)
class Allocation(Record):
    """What one approach says about one budget.

    Parameters
    ----------
    approach : slug of the law
    flops : the budget
    n_params, n_tokens, loss : optimum with interval; loss is None where the law has none
    decades_beyond : log10 of the budget over the largest fitted one; <= 0 inside the data
    """

    approach: str
    flops: float
    n_params: Estimate
    n_tokens: Estimate
    loss: Estimate | None
    decades_beyond: float


@dataclass(frozen=True)
class Comparison(Record):
    """Approaches side by side at one budget, with the factor by which they disagree."""

    allocations: tuple[Allocation, ...]
    refusals: Mapping[str, Refusal]
    n_params_ratio: float
    n_tokens_ratio: float


def allocate(fit: Fit, flops: float, flops_max: float, level: float = 0.95) -> Allocation:
    """Return N*, D* and L* of a fit at a budget.

    Parameters
    ----------
    fit : of a law with parameters (A, B, alpha, beta, E), or with (a, log_n_factor)
    flops_max : largest compute among the fitted rows
    """
    point = {name: np.array([estimate.value]) for name, estimate in fit.params.items()}
    value = _split(point, flops)
    draws = _split(fit.replica_params, flops) if fit.replica_params else None
    decades = float(np.log10(flops / flops_max))
    n_params, n_tokens, loss = [
        None
        if middle is None
        else summarise(
            float(middle[0]),
            None if draws is None else draws[place],
            level,
            ("parameters", "tokens", "nats")[place],
            "the fit has no replicas",
        )
        for place, middle in enumerate(value)
    ]
    assert n_params is not None
    assert n_tokens is not None
    return Allocation(fit.law, flops, n_params, n_tokens, loss, decades)


def compare_allocations(
    fits: Mapping[str, Fit | Refusal], flops: float, flops_max: float
) -> Comparison:
    """Put the approaches side by side at one budget; their spread is model uncertainty.

    Parameters
    ----------
    fits : approach -> fit or refusal, such as of ``isoflop``, ``chinchilla_envelope`` and
        ``chinchilla_parametric``; refusals are handed on by name
    flops : the budget in FLOPs
    flops_max : largest compute among the fitted rows, in FLOPs

    Returns
    -------
    N*, D* and, where the law has one, L*, each with its interval; and the ratio of the largest
    to the smallest N* and D*, NaN where every approach refused

    Raises
    ------
    KeyError
        For a fit of a law without a compute-optimal allocation.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3 and Table 2
    """
    found = [allocate(fit, flops, flops_max) for fit in fits.values() if isinstance(fit, Fit)]
    refusals = {name: fit for name, fit in fits.items() if isinstance(fit, Refusal)}
    sizes = [item.n_params.value for item in found]
    tokens = [item.n_tokens.value for item in found]
    return Comparison(
        tuple(found),
        refusals,
        max(sizes) / min(sizes) if sizes else np.nan,
        max(tokens) / min(tokens) if tokens else np.nan,
    )


def _split(
    params: Mapping[str, FloatArray], flops: float
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    if "alpha" in params and "A" in params:
        n_params, n_tokens = split_budget(params, flops)
        return n_params, n_tokens, predict_loss(params, n_params, n_tokens)
    n_params = np.exp(params["log_n_factor"] + params["a"] * np.log(flops))
    n_tokens = np.exp(params["log_d_factor"] + params["b"] * np.log(flops))
    return n_params, n_tokens, None
