"""D6 of a study: where the gradient's RMS will meet Adam's epsilon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.diagnose.logit_forecast import average_by_size
from fitting.maths.diagnose.scale_trend import fit_trend
from fitting.maths.records import FloatArray, Record, Refusal

MIN_SIZES = 3
FURTHEST = 100.0  # times the largest size: a crossing beyond it is not printed
DRAWN = 25


@dataclass(frozen=True)
class EpsilonTrend(Record):
    """Gradient RMS against size at one learning rate and variant.

    Parameters
    ----------
    slope : decades of RMS per decade of N
    crossing : size at which the line meets epsilon; None where that is further than two decades
    """

    lr: float
    variant: str
    metric: str
    epsilon: float
    sizes: FloatArray
    values: FloatArray
    slope: float
    crossing: float | None
    sentence: str
    x: FloatArray
    y: FloatArray


@dataclass(frozen=True)
class GradientGroup:
    """The runs of one learning rate and variant: size, gradient RMS, and their epsilon."""

    lr: float
    variant: str
    metric: str
    epsilon: float
    n: FloatArray
    rms: FloatArray


def fit_epsilon_trend(group: GradientGroup) -> EpsilonTrend | Refusal:
    """Fit a line to log RMS on log N and find where it meets epsilon."""
    sizes, values = average_by_size(group.n, group.rms)
    if len(sizes) < MIN_SIZES:
        sentence = f"needs {MIN_SIZES} sizes with gradient RMS, has {len(sizes)}"
        return Refusal("too_few_points", sentence, "log grad.rms.* at more sizes")
    trend = fit_trend(sizes, values, degree=1)
    assert trend is not None
    slope, level = (float(value) for value in trend.coefficients)
    largest = float(sizes[-1])
    crossing = 10 ** ((np.log10(group.epsilon) - level) / slope) if slope < 0 else None
    if crossing is not None and not largest < crossing <= FURTHEST * largest:
        crossing = None
    ratio = float(values[-1]) / group.epsilon
    where = f"they meet at N = {crossing:.2g}" if crossing else "they do not meet within 2 decades"
    text = f"At LR {group.lr:g} gradient RMS is {ratio:.3g}x Adam's epsilon at N = {largest:.3g}"
    grid = np.geomspace(sizes[0], 10 * largest, DRAWN)
    return EpsilonTrend(
        group.lr,
        group.variant,
        group.metric,
        group.epsilon,
        sizes,
        values,
        slope,
        None if crossing is None else float(crossing),
        f"{text} (slope {slope:.2f}); {where}.",
        grid,
        np.asarray(10 ** np.polyval(trend.coefficients, np.log10(grid)), dtype=np.float64),
    )
