"""The compute frontier by every approach side by side: N*, D*, L* and tokens per parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.engine import fit_law
from fitting.maths.flops_per_token import FlopsPerToken
from fitting.maths.frontier import sort_fits, split_replicas
from fitting.maths.held_out import measure_size
from fitting.maths.registry import get_law
from fitting.maths.types import (
    BoolArray,
    Fit,
    FloatArray,
    Params,
    Record,
    Refusal,
    Rows,
    Settings,
    Split,
)
from fitting.maths.uncertainty import take_bands

APPROACHES = ("chinchilla_envelope", "isoflop", "chinchilla_parametric", "chinchilla_vpnls")
N_BUDGETS = 128
DECADES_AHEAD = 1.0
FlopsRange = tuple[float, float]


@dataclass(frozen=True)
class Band(Record):
    """A quantity over the budgets.

    Parameters
    ----------
    value : ndarray, shape (k,), the point estimate
    low, high : ndarrays, shape (k,), pointwise percentile interval; NaN without replicas
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Frontier(Record):
    """What one approach says over a range of budgets.

    Parameters
    ----------
    approach, law : its name among the approaches, and the slug of its law
    flops : ndarray, shape (k,), budgets in FLOPs, ascending
    n_params, n_tokens, tokens_per_parameter : optimum with band
    loss : in nats per token; None where the approach gives no loss
    decades_beyond : ndarray, shape (k,), log10 of the budget over the largest fitted compute, or
        of the least fitted compute over the budget below the data; <= 0 inside
    extrapolated : ndarray of bool, shape (k,), whether the budget lies outside the fitted compute
    reason : why there is no band; empty where there is one
    """

    approach: str
    law: str
    flops: FloatArray
    n_params: Band
    n_tokens: Band
    tokens_per_parameter: Band
    loss: Band | None
    decades_beyond: FloatArray
    extrapolated: BoolArray
    reason: str


@dataclass(frozen=True)
class FrontierComparison(Record):
    """The approaches over one range of budgets; their disagreement is model uncertainty.

    Parameters
    ----------
    flops : ndarray, shape (k,), budgets in FLOPs
    frontiers : one per approach that could be fitted
    refusals : approach -> why it says nothing
    n_params_ratio, n_tokens_ratio, tokens_per_parameter_ratio : ndarrays, shape (k,), largest over
        smallest of the approaches; 1 with a single one, NaN with none
    loss_gap : ndarray, shape (k,), largest minus smallest L*, in nats per token
    disjoint : ndarray of bool, shape (k,), whether the N* intervals of two approaches share nothing
    sentences : the disagreement in words
    """

    flops: FloatArray
    frontiers: tuple[Frontier, ...]
    refusals: Mapping[str, Refusal]
    n_params_ratio: FloatArray
    n_tokens_ratio: FloatArray
    tokens_per_parameter_ratio: FloatArray
    loss_gap: FloatArray
    disjoint: BoolArray
    sentences: tuple[str, ...]

    def get(self, approach: str) -> Frontier:
        """Return one approach's frontier.

        Parameters
        ----------
        approach : its name

        Returns
        -------
        the frontier

        Raises
        ------
        KeyError
            For an approach that was refused or not asked for.
        """
        return {frontier.approach: frontier for frontier in self.frontiers}[approach]


def fit_approaches(
    rows: Rows, curves: Rows | None = None, settings: Settings | None = None
) -> dict[str, Fit | Refusal]:
    """Fit every approach to the same runs.

    Parameters
    ----------
    rows : finished runs with n_params, n_tokens and, for approach 2, flops equal within a budget;
        loss in nats per token
    curves : rows along the loss curves for approach 1 (n_params, flops at the row, groups = run);
        None refuses it
    settings : replicas and seed; options are the laws' defaults

    Returns
    -------
    approach (slug of its law) -> fit or Refusal

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3
    """
    settings = replace(settings or Settings(), options={})
    no_curves = Refusal(
        "missing_input", "approach 1 needs the loss curves of the runs", "log the loss during runs"
    )
    found: dict[str, Fit | Refusal] = {}
    for slug in APPROACHES:
        data = curves if slug == "chinchilla_envelope" else rows
        found[slug] = no_curves if data is None else fit_law(get_law(slug), data, settings)
    return found


def compare_approaches(
    rows: Rows, curves: Rows | None = None, settings: Settings | None = None
) -> FrontierComparison:
    """Fit every approach and trace its frontier: the one call from runs to N*(C), D*(C), L*(C).

    Parameters
    ----------
    rows, curves, settings : as for `fit_approaches`

    Returns
    -------
    the approaches side by side on 128 budgets from the least compute of the data to ten times the
    largest

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3 and Table 2
    """
    ranges = {slug: measure_range(rows) for slug in APPROACHES}
    if curves is not None:
        ranges["chinchilla_envelope"] = measure_range(curves)
    return trace_frontiers(fit_approaches(rows, curves, settings), ranges)


def measure_range(rows: Rows) -> FlopsRange:
    """Return the least and largest compute of rows.

    Parameters
    ----------
    rows : with flops, or with n_params and n_tokens (C = 6 N D)

    Returns
    -------
    FLOPs of the smallest and the largest run; NaN where the rows have no compute

    References
    ----------
    Kaplan et al. 2020, arXiv 2001.08361, section 2.1 (C = 6 N D)
    """
    size = measure_size(rows)
    finite = np.empty(0) if size is None else size[np.isfinite(size) & (size > 0)]
    return (float(finite.min()), float(finite.max())) if finite.size else (np.nan, np.nan)


def trace_frontiers(
    fits: Mapping[str, Fit | Refusal],
    fitted: FlopsRange | Mapping[str, FlopsRange],
    budgets: FloatArray | None = None,
    level: float = 0.95,
    cost: FlopsPerToken | None = None,
) -> FrontierComparison:
    """Draw N*(C), D*(C), L*(C) and D*/N* of fits side by side, from their stored replicas.

    Parameters
    ----------
    fits : approach -> fit or refusal; a fit of a law without a compute-optimal split is refused
    fitted : least and largest compute of the fitted rows in FLOPs, for all or by approach
    budgets : ndarray, shape (k,), in FLOPs; None = 128 log-spaced from the least compute to ten
        times the largest
    level : nominal coverage of the bands
    cost : FLOPs per token at each size, where C is not 6 N D

    Returns
    -------
    one frontier per approach and how far they disagree at every budget

    Notes
    -----
    One relation between C, N and D serves every approach, so that they differ by their law alone.
    A band holds the noise of the runs within one approach; the disagreement of the approaches
    (another form, other points) is usually wider and is not in any band.

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3; Besiroglu et al. 2024, arXiv 2404.10102
    """
    usable, refusals = sort_fits(fits)
    ranges = {name: fitted[name] if isinstance(fitted, Mapping) else fitted for name in usable}
    if budgets is None:
        budgets = _choose_budgets(list(ranges.values()))
    found = tuple(
        trace_frontier(name, fit, ranges[name], budgets, level, cost)
        for name, fit in usable.items()
    )
    losses = [item.loss.value for item in found if item.loss is not None]
    gap = np.ptp(losses, axis=0) if losses else np.full(budgets.size, np.nan)
    disjoint = _find_disjoint([item.n_params for item in found], budgets.size)
    return FrontierComparison(
        flops=budgets,
        frontiers=found,
        refusals=refusals,
        n_params_ratio=_spread([item.n_params for item in found], budgets.size),
        n_tokens_ratio=_spread([item.n_tokens for item in found], budgets.size),
        tokens_per_parameter_ratio=_spread(
            [item.tokens_per_parameter for item in found], budgets.size
        ),
        loss_gap=gap,
        disjoint=disjoint,
        sentences=_describe(found, budgets, disjoint),
    )


def trace_frontier(
    approach: str,
    fit: Fit,
    fitted: FlopsRange,
    budgets: FloatArray,
    level: float = 0.95,
    cost: FlopsPerToken | None = None,
) -> Frontier:
    """Draw one approach's frontier.

    Parameters
    ----------
    approach : its name
    fit : of a law with a compute-optimal split
    fitted : least and largest compute of the fitted rows, in FLOPs
    budgets : ndarray, shape (k,), in FLOPs
    level : nominal coverage of the bands
    cost : FLOPs per token at each size; None = C is 6 N D

    Returns
    -------
    the frontier; its bands are NaN where the fit has no replicas

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3
    """
    point = {name: np.array([estimate.value]) for name, estimate in fit.params.items()}
    n_params, n_tokens, loss = _split(fit.law, point, budgets, cost)
    draws: tuple[FloatArray | None, ...] = (None, None, None)
    if fit.replica_params:
        draws = _split(fit.law, fit.replica_params, budgets, cost)
    ratio = None if draws[0] is None or draws[1] is None else draws[1] / draws[0]
    decades = np.log10(np.maximum(budgets / fitted[1], fitted[0] / budgets))
    reason = "" if fit.replica_params else next(iter(fit.params.values())).reason
    return Frontier(
        approach,
        fit.law,
        budgets,
        _make_band(n_params, draws[0], level),
        _make_band(n_tokens, draws[1], level),
        _make_band(n_tokens / n_params, ratio, level),
        None if loss is None else _make_band(loss, draws[2], level),
        decades,
        decades > 1e-9,
        reason,
    )


def _split(law: str, params: Params, budgets: FloatArray, cost: FlopsPerToken | None) -> Split:
    """Return N*, D* and L* of B parameters at k budgets, each of shape (B, k)."""
    if cost is not None:
        return cost.allocate(params, budgets)
    wide = {name: values[:, None] for name, values in params.items()}
    return split_replicas(law, wide, budgets)


def _make_band(value: FloatArray, draws: FloatArray | None, level: float) -> Band:
    if draws is None:
        empty = np.full(value.shape[1], np.nan)
        return Band(value[0], empty, empty)
    low, high = take_bands(draws, level)
    return Band(value[0], low, high)


def _choose_budgets(ranges: list[FlopsRange]) -> FloatArray:
    ends = [end for pair in ranges for end in pair if np.isfinite(end)]
    if not ends:
        return np.empty(0)
    return np.geomspace(min(ends), max(ends) * 10**DECADES_AHEAD, N_BUDGETS)


def _spread(bands: list[Band], n: int) -> FloatArray:
    if not bands:
        return np.full(n, np.nan)
    values = [band.value for band in bands]
    ratio: FloatArray = np.max(values, axis=0) / np.min(values, axis=0)
    return ratio


def _find_disjoint(bands: list[Band], n: int) -> BoolArray:
    """Return where the highest lower end lies above the lowest upper end."""
    known = [band for band in bands if np.any(np.isfinite(band.low))]
    if len(known) < 2:
        return np.zeros(n, dtype=np.bool_)
    lowest_high = np.min([band.high for band in known], axis=0)
    disjoint: BoolArray = np.max([band.low for band in known], axis=0) > lowest_high
    return disjoint


def _describe(
    found: tuple[Frontier, ...], budgets: FloatArray, disjoint: BoolArray
) -> tuple[str, ...]:
    """Say the disagreement at the largest fitted compute and at the end of the range."""
    if len(found) < 2 or budgets.size == 0:
        return ()
    beyond = np.max([item.decades_beyond for item in found], axis=0)
    inside = np.flatnonzero(beyond <= 1e-9)
    places = dict.fromkeys([*inside[-1:].tolist(), budgets.size - 1])
    return tuple(_describe_budget(found, budgets, disjoint, place) for place in places)


def _describe_budget(
    found: tuple[Frontier, ...], budgets: FloatArray, disjoint: BoolArray, place: int
) -> str:
    sizes = {item.approach: float(item.n_params.value[place]) for item in found}
    least, most = min(sizes, key=lambda n: sizes[n]), max(sizes, key=lambda n: sizes[n])
    decades = max(float(item.decades_beyond[place]) for item in found)
    where = f", {decades:.1f} decades beyond the data," if decades > 1e-9 else ""
    apart = "; their intervals share nothing" if disjoint[place] else ""
    return (
        f"at {budgets[place]:.3g} FLOPs{where} the best size is {sizes[least]:.3g} ({least}) to "
        f"{sizes[most]:.3g} ({most}): a factor {sizes[most] / sizes[least]:.3g}{apart}"
    )
