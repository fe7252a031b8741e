"""Two ladders of runs against each other: crossing and difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.predict import evaluate_curve, evaluate_curve_replicas
from fitting.maths.records import Interval
from fitting.maths.registry import get_law
from fitting.maths.types import Fit, FloatArray, HeldOut, IntArray, Record, Refusal
from fitting.maths.uncertainty import take_band

N_SAMPLES = 1000  # 200 a decade at five decades: the crossing is refined, a gain interpolated
N_BAND = 128
CLEAR_SHARE, ANY_SHARE = 0.95, 0.5
DECADE = 10.0


@dataclass(frozen=True)
class Crossing(Record):
    """Where two fitted curves meet.

    Parameters
    ----------
    flops : crossing of the point estimates; NaN where they do not meet or meet several times
    median, interval : over replicas that cross exactly once
    one_sided : only the share, not both ends, may be quoted (50 to 95 % of replicas cross once)
    share_once, share_none, share_several : shares of the replicas
    extrapolated : more than one decade beyond the largest fitted compute
    """

    flops: float
    median: float
    interval: Interval | None
    one_sided: bool
    share_once: float
    share_none: float
    share_several: float
    extrapolated: bool


@dataclass(frozen=True)
class LadderComparison(Record):
    """Two variants over their common compute.

    Parameters
    ----------
    flops, difference, low, high : second minus first with its band (lower is better)
    verdict : in words; claims a winner only where the band excludes 0
    winner, winner_above : "first", "second" or "" at the largest compute, and from which on
    crossing : or why there is none
    held_out : largest held-out errors of the two
    """

    flops: FloatArray
    difference: FloatArray
    low: FloatArray
    high: FloatArray
    verdict: str
    winner: str
    winner_above: float
    crossing: Crossing | Refusal
    held_out: tuple[float, float]


def find_crossing(
    first: Fit, second: Fit, flops_min: float, flops_max: float
) -> Crossing | Refusal:
    """Find where two fits of one variable meet.

    Parameters
    ----------
    first, second : fits of one variable, with replicas
    flops_min, flops_max : range of the fitted data of both; the search goes from a tenth of the
        least to a hundred times the largest

    Returns
    -------
    the crossing in FLOPs with interval and the shares of replicas that cross never, once and
    several times; or a Refusal where fewer than half cross once

    Notes
    -----
    Replicas of the two fits are independent and paired in their order. A crossing inside the data
    is robust although the asymptotes are not.

    References
    ----------
    Xiao 2024, arXiv 2409.15156
    """
    grid = np.geomspace(flops_min / 10, flops_max * 100, N_SAMPLES)
    point = evaluate_curve(second, grid) - evaluate_curve(first, grid)
    crossing = _refine(first, second, grid, point)
    if not first.replica_params or not second.replica_params:
        return Refusal("no_replicas", "a crossing needs replicas of both fits", "fit with replicas")
    once, share_none, share_several = _cross_replicas(first, second, grid)
    share_once = 1.0 - share_none - share_several
    if share_once < ANY_SHARE:
        return Refusal(
            "no_crossing",
            f"no significant crossing: {share_once:.0%} of the replicas cross once, "
            f"{share_none:.0%} never, {share_several:.0%} several times",
            "more runs, or runs at larger compute",
        )
    low, high = np.quantile(once, [0.025, 0.975])
    middle = float(np.exp(np.median(once)))
    return Crossing(
        flops=crossing,
        median=middle,
        interval=Interval(float(np.exp(low)), float(np.exp(high))),
        one_sided=share_once < CLEAR_SHARE,
        share_once=share_once,
        share_none=share_none,
        share_several=share_several,
        extrapolated=middle > DECADE * flops_max,
    )


def cross_replicas(first: Fit, second: Fit, flops_min: float, flops_max: float) -> FloatArray:
    """Return log C of each pair of replicas that cross exactly once; NaN for the others.

    Parameters
    ----------
    first, second : fits of one variable, with replicas
    flops_min, flops_max : range of the fitted data of both, in FLOPs

    Returns
    -------
    ndarray, shape (B,), natural logarithm of FLOPs

    References
    ----------
    Xiao 2024, arXiv 2409.15156
    """
    grid = np.geomspace(flops_min / 10, flops_max * 100, N_SAMPLES)
    a, b = _pair(evaluate_curve_replicas(first, grid), second, grid)
    return _cross_each(b - a, grid)[0]


def compare_ladders(
    first: Fit, second: Fit, flops_min: float, flops_max: float
) -> LadderComparison | Refusal:
    """Compare two variants, each a ladder of sizes with its own fit.

    Parameters
    ----------
    first, second : fits of one law with the same options; both with replicas for a band
    flops_min, flops_max : compute that the fitted rows span, in the unit of the law's variable

    Returns
    -------
    second minus first over compute with its band, the crossing, both held-out errors and a
    verdict; or a Refusal where the ladders are too short or fitted differently

    Notes
    -----
    Only a band that excludes 0 gives a verdict. Beyond `flops_max` it is an extrapolation.

    References
    ----------
    Xiao 2024, arXiv 2409.15156 (crossover of ladders)
    """
    if first.n < len(get_law(first.law).params) or second.n < len(get_law(second.law).params):
        return Refusal("too_few_points", "one reference scale alone is never a comparison", "")
    if dict(first.options) != dict(second.options) or first.law != second.law:
        return Refusal(
            "different_settings",
            "the two ladders were fitted with different laws or options",
            "fit both with the same settings",
        )
    grid = np.geomspace(flops_min, flops_max * DECADE, N_BAND)
    difference = evaluate_curve(second, grid) - evaluate_curve(first, grid)
    empty = np.full(N_BAND, np.nan)
    low, high = empty, empty
    if first.replica_params and second.replica_params:
        a, b = _pair(evaluate_curve_replicas(first, grid), second, grid)
        low, high = take_band(b - a)
    verdict, winner, winner_above = _judge(grid, low, high)
    return LadderComparison(
        flops=grid,
        difference=difference,
        low=low,
        high=high,
        verdict=verdict,
        winner=winner,
        winner_above=winner_above,
        crossing=find_crossing(first, second, flops_min, flops_max),
        held_out=(_read_error(first), _read_error(second)),
    )


def _judge(grid: FloatArray, low: FloatArray, high: FloatArray) -> tuple[str, str, float]:
    """Return the verdict, the winner at the largest compute, and where its lead begins."""
    if np.any(np.isnan(low) | np.isnan(high)):
        return "no band: the fits have no replicas", "", np.nan
    for name, ahead in (("second", high < 0.0), ("first", low > 0.0)):
        if ahead[-1]:
            start = float(grid[0] if ahead.all() else grid[np.flatnonzero(~ahead)[-1] + 1])
            return f"the {name} is better above C = {start:.3g}", name, start
    return "no difference beyond the noise at the largest compute", "", np.nan


def _read_error(fit: Fit) -> float:
    return fit.held_out.max_error if isinstance(fit.held_out, HeldOut) else np.nan


def _pair(a: FloatArray, second: Fit, grid: FloatArray) -> tuple[FloatArray, FloatArray]:
    b = evaluate_curve_replicas(second, grid)
    n = min(a.shape[0], b.shape[0])
    return a[:n], b[:n]


def _cross_replicas(first: Fit, second: Fit, grid: FloatArray) -> tuple[FloatArray, float, float]:
    """Return log C of the replicas that cross once, and the shares that cross never or often."""
    a, b = _pair(evaluate_curve_replicas(first, grid), second, grid)
    gap = b - a
    where, n_crossings = _cross_each(gap[np.all(np.isfinite(gap), axis=1)], grid)
    once = where[n_crossings == 1]
    return once, float(np.mean(n_crossings == 0)), float(np.mean(n_crossings > 1))


def _cross_each(gap: FloatArray, grid: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return log C of each row's only crossing (NaN where it is not one), and their numbers."""
    change = np.signbit(gap[:, 1:]) != np.signbit(gap[:, :-1])
    n_crossings = change.sum(axis=1)
    place, rows = np.argmax(change, axis=1), np.arange(gap.shape[0])
    left, right = gap[rows, place], gap[rows, place + 1]
    log_c = np.log(grid)
    with np.errstate(all="ignore"):
        where = log_c[place] + (log_c[place + 1] - log_c[place]) * left / (left - right)
    return np.where(n_crossings == 1, where, np.nan), n_crossings


def _refine(first: Fit, second: Fit, grid: FloatArray, gap: FloatArray) -> float:
    from scipy.optimize import brentq

    places = np.flatnonzero(np.signbit(gap[1:]) != np.signbit(gap[:-1]))
    if places.size != 1:
        return float("nan")

    def difference(log_c: float) -> float:
        x = np.array([np.exp(log_c)])
        return float((evaluate_curve(second, x) - evaluate_curve(first, x))[0])

    low, high = np.log(grid[places[0]]), np.log(grid[places[0] + 1])
    return float(np.exp(brentq(difference, low, high, xtol=1e-12)))
