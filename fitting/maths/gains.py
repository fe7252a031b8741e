"""Compute-equivalent gain: how much more compute one ladder needs for the loss of another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.compare import DECADE, N_SAMPLES
from fitting.maths.predict import evaluate_curve, evaluate_curve_replicas
from fitting.maths.records import BoolArray, FloatArray, Interval, Record, Refusal
from fitting.maths.results import Fit
from fitting.maths.uncertainty import take_bands, take_interval

N_GAINS = 48


@dataclass(frozen=True)
class Gain(Record):
    """Compute-equivalent gain: how much more compute the reference needs for the same loss.

    Parameters
    ----------
    flops : compute of the new variant
    gain : C'/C with f_ref(C') = f_new(C)
    interval : over paired replicas
    """

    flops: float
    gain: float
    interval: Interval | None


@dataclass(frozen=True)
class GainLine(Record):
    """Compute-equivalent gain over a range of compute.

    Parameters
    ----------
    flops : ndarray, shape (k,), compute of the new variant
    gain : ndarray, shape (k,); NaN where the reference reaches the loss only more than a decade
        outside its data
    low, high : ndarrays, shape (k,), pointwise interval over paired replicas; NaN without one
    extrapolated : ndarray of bool, shape (k,), the reference needs a compute outside its data
    """

    flops: FloatArray
    gain: FloatArray
    low: FloatArray
    high: FloatArray
    extrapolated: BoolArray


def measure_gain(
    reference: Fit, new: Fit, flops: float, reference_range: tuple[float, float]
) -> Gain | Refusal:
    """Return the compute-equivalent gain of the new variant at a compute.

    Parameters
    ----------
    reference, new : fits of one variable
    flops : compute of the new variant, in FLOPs
    reference_range : least and largest compute of the reference's data, in FLOPs

    Returns
    -------
    the gain C'/C with f_ref(C') = f_new(C) and its interval, or a Refusal where C' lies more than a
    decade outside the reference's data

    References
    ----------
    Davidson et al. 2023, arXiv 2312.07413
    """
    low, high = reference_range
    grid = np.geomspace(low / DECADE, high * DECADE, N_SAMPLES)
    target = float(evaluate_curve(new, np.array([flops]))[0])
    curve = evaluate_curve(reference, grid)
    if not curve[-1] <= target <= curve[0]:
        side = "below" if target < curve[-1] else "above"
        return Refusal(
            "extrapolated",
            f"the reference reaches a loss of {target:.4g} only more than a decade {side} its data "
            f"({low:.3g} to {high:.3g})"
            if side == "above"
            else f"the reference does not reach a loss of {target:.4g} within a decade of its data "
            f"({low:.3g} to {high:.3g})",
            "train the reference further",
        )
    gain = _invert(curve, grid, target) / flops
    draws = None
    if reference.replica_params and new.replica_params:
        draws = draw_gains(reference, new, flops, reference_range)
    return Gain(flops, gain, None if draws is None else take_interval(draws))


def trace_gain(
    reference: Fit,
    new: Fit,
    flops_range: tuple[float, float],
    reference_range: tuple[float, float],
) -> GainLine | Refusal:
    """Trace the compute-equivalent gain of the new variant over its own compute.

    Parameters
    ----------
    reference, new : fits of one variable
    flops_range : least and largest compute of the new variant, in FLOPs
    reference_range : least and largest compute of the reference's data, in FLOPs

    Returns
    -------
    C'/C with f_ref(C') = f_new(C) at 48 budgets with its band, or a Refusal where the reference
    reaches none of the losses within a decade of its data

    References
    ----------
    Davidson et al. 2023, arXiv 2312.07413
    """
    low, high = reference_range
    grid = np.geomspace(low / DECADE, high * DECADE, N_SAMPLES)
    flops = np.geomspace(*flops_range, N_GAINS)
    gain = _invert_line(evaluate_curve(reference, grid), grid, evaluate_curve(new, flops)) / flops
    if not np.any(np.isfinite(gain)):
        return Refusal(
            "extrapolated",
            "the reference reaches none of these losses within a decade of its data "
            f"({low:.3g} to {high:.3g} FLOPs)",
            "train both over a common range of losses",
        )
    empty = np.full(N_GAINS, np.nan)
    band = (empty, empty)
    if reference.replica_params and new.replica_params:
        curves = evaluate_curve_replicas(reference, grid)
        targets = evaluate_curve_replicas(new, flops)
        n = min(curves.shape[0], targets.shape[0])
        draws = np.array([_invert_line(curves[i], grid, targets[i]) for i in range(n)])
        band = take_bands(draws / flops)
    needed = gain * flops
    return GainLine(flops, gain, *band, ~((needed >= low) & (needed <= high)))


def _invert(curve: FloatArray, grid: FloatArray, target: float) -> float:
    return float(np.exp(np.interp(-target, -curve, np.log(grid))))


def _invert_line(curve: FloatArray, grid: FloatArray, targets: FloatArray) -> FloatArray:
    """Return the compute at which a falling curve reaches each loss; NaN where it does not."""
    if not np.all(np.isfinite(curve)) or curve[0] <= curve[-1]:
        return np.full(targets.size, np.nan)
    found = np.exp(np.interp(-targets, -curve, np.log(grid)))
    inside: FloatArray = np.where((targets <= curve[0]) & (targets >= curve[-1]), found, np.nan)
    return inside


def draw_gains(
    reference: Fit, new: Fit, flops: float, reference_range: tuple[float, float]
) -> FloatArray:
    """Return the compute-equivalent gain of each pair of replicas.

    Parameters
    ----------
    reference, new, flops, reference_range : as for `measure_gain`

    Returns
    -------
    ndarray, shape (B,); NaN where a replica of the reference does not reach the loss

    References
    ----------
    Davidson et al. 2023, arXiv 2312.07413
    """
    low, high = reference_range
    grid = np.geomspace(low / DECADE, high * DECADE, N_SAMPLES)
    curves = evaluate_curve_replicas(reference, grid)
    targets = evaluate_curve_replicas(new, np.array([flops]))[:, 0]
    n = min(curves.shape[0], targets.size)
    gains = np.full(n, np.nan)
    for row in range(n):
        if curves[row, -1] <= targets[row] <= curves[row, 0]:
            gains[row] = _invert(curves[row], grid, float(targets[row])) / flops
    return gains
