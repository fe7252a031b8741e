"""Points on the compute frontier: what the best run at each budget reached.

Octave minima and the monotone filter: arXiv 2506.04598. Splits of a budget: Hoffmann et al. 2022,
arXiv 2203.15556.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.records import Estimate
from fitting.maths.registry import get_law, list_laws
from fitting.maths.types import (
    BoolArray,
    Fit,
    FloatArray,
    IntArray,
    Params,
    Record,
    Refusal,
    Split,
)
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
    tokens_per_parameter : D*/N* with interval, from the same replicas
    """

    approach: str
    flops: float
    n_params: Estimate
    n_tokens: Estimate
    loss: Estimate | None
    decades_beyond: float
    tokens_per_parameter: Estimate | None = None

    @property
    def is_extrapolated(self) -> bool:
        """Whether the budget lies beyond the fitted data."""
        return self.decades_beyond > 0.0


@dataclass(frozen=True)
class Comparison(Record):
    """Approaches side by side at one budget, with the factor by which they disagree.

    Parameters
    ----------
    allocations : one per approach that fits
    refusals : approach -> why it says nothing
    n_params_ratio, n_tokens_ratio : largest over smallest N* and D*; NaN where all refused
    """

    allocations: tuple[Allocation, ...]
    refusals: Mapping[str, Refusal]
    n_params_ratio: float
    n_tokens_ratio: float


def allocate(fit: Fit, flops: float, flops_max: float, level: float = 0.95) -> Allocation:
    """Return N*, D*, L* and D*/N* of a fit at a budget.

    Parameters
    ----------
    fit : of a law with a compute-optimal split
    flops : the budget in FLOPs
    flops_max : largest compute among the fitted rows, in FLOPs
    level : nominal coverage of the intervals

    Returns
    -------
    the optimum in parameters, tokens and nats per token, each with its interval where the fit
    has replicas

    Raises
    ------
    ValueError
        For a fit of a law without a split; `refuse_allocation` asks first.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3
    """
    refusal = refuse_allocation(fit)
    if refusal is not None:
        raise ValueError(refusal.sentence)
    point = {name: np.array([estimate.value]) for name, estimate in fit.params.items()}
    value = split_replicas(fit.law, point, np.array(flops))
    draws: Split | tuple[None, None, None] = (None, None, None)
    if fit.replica_params:
        draws = split_replicas(fit.law, fit.replica_params, np.array(flops))

    def give(middle: FloatArray, spread: FloatArray | None, unit: str) -> Estimate:
        return summarise(float(middle[0]), spread, level, unit, "the fit has no replicas")

    ratio = None if draws[0] is None or draws[1] is None else draws[1] / draws[0]
    return Allocation(
        fit.law,
        flops,
        give(value[0], draws[0], "parameters"),
        give(value[1], draws[1], "tokens"),
        None if value[2] is None else give(value[2], draws[2], "nats"),
        float(np.log10(flops / flops_max)),
        give(value[1] / value[0], ratio, "tokens/parameter"),
    )


def refuse_allocation(fit: Fit) -> Refusal | None:
    """Refuse a fit of a law that says nothing about how to split a budget.

    Parameters
    ----------
    fit : any

    Returns
    -------
    None for a law with a split, such as ``isoflop``; else a Refusal that names those that have one
    """
    if get_law(fit.law).allocate is not None:
        return None
    able = ", ".join(slug for slug, law in list_laws().items() if law.allocate is not None)
    return Refusal(
        "unsupported",
        f"{get_law(fit.law).title} says nothing about the size that is best for a budget",
        f"use one of {able}",
    )


def split_replicas(slug: str, params: Params, flops: FloatArray) -> Split:
    """Return N*, D* and L* of parameters by the law's own split of a budget.

    Parameters
    ----------
    slug : of a law with a split
    params : name -> ndarray that broadcasts against `flops`, such as (B, 1) against (k,)
    flops : budgets in FLOPs

    Returns
    -------
    N* in parameters, D* in tokens, L* in nats per token (None where the law has none), each of the
    broadcast shape
    """
    split = get_law(slug).allocate
    assert split is not None
    with np.errstate(all="ignore"):
        return split(params, flops)


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
    to the smallest N* and D*, NaN where every approach refused. A fit of a law without a
    compute-optimal split stands among the refusals.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3 and Table 2
    """
    usable, refusals = sort_fits(fits)
    found = [allocate(fit, flops, flops_max) for fit in usable.values()]
    sizes = [item.n_params.value for item in found]
    tokens = [item.n_tokens.value for item in found]
    return Comparison(
        tuple(found),
        refusals,
        max(sizes) / min(sizes) if sizes else np.nan,
        max(tokens) / min(tokens) if tokens else np.nan,
    )


def sort_fits(
    fits: Mapping[str, Fit | Refusal],
) -> tuple[dict[str, Fit], dict[str, Refusal]]:
    """Part the fits that can split a budget from the refusals.

    Parameters
    ----------
    fits : approach -> fit or refusal

    Returns
    -------
    the fits with a compute-optimal split, and approach -> Refusal for all others
    """
    usable: dict[str, Fit] = {}
    refusals: dict[str, Refusal] = {}
    for name, fit in fits.items():
        refusal = fit if isinstance(fit, Refusal) else refuse_allocation(fit)
        if refusal is not None:
            refusals[name] = refusal
        elif isinstance(fit, Fit):
            usable[name] = fit
    return usable, refusals
