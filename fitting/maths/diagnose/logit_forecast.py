"""D5: at which size attention logits will reach the limit, from an early step of smaller runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fitting.maths.diagnose.scale_trend import Trend, fit_trend
from fitting.maths.diagnose.verdict import OK, UNKNOWN, WARN
from fitting.maths.records import FloatArray, Record, Refusal

LIMIT = 1e4
MIN_SIZES = 3
DASHED_SIZES = 5  # from here on a parabola is drawn beside the line
EARLY_SHARE, EARLY_STEPS = 0.02, 100
DECADE = 10.0
DRAWN = 25


@dataclass(frozen=True)
class LogitForecast(Record):
    """The forecast of one learning rate and variant.

    Parameters
    ----------
    sizes, values : ndarray, shape (n_sizes,), geometric means of the repeats of a size
    excluded : sizes that are above the limit at this step already, left out of the fit
    crossing, low, high : size at which the fit reaches the limit, with its 80% interval
    held_out : predicted over measured at the largest size, fitted without it
    held_out_low, held_out_high : its 80% prediction interval over the measured value
    x, y, y_low, y_high : the drawn line with its prediction interval, NaN where there is none
    """

    lr: float
    variant: str
    step: int
    sizes: FloatArray
    values: FloatArray
    excluded: tuple[float, ...]
    degree: int
    slope: float
    crossing: float | None
    low: float | None
    high: float | None
    ratio: float | None
    held_out: float | None
    held_out_low: float | None
    held_out_high: float | None
    is_extrapolation: bool
    severity: str
    sentence: str
    x: FloatArray
    y: FloatArray
    y_low: FloatArray
    y_high: FloatArray


def choose_step(total_steps: FloatArray) -> int:
    """Return the early step of a study: 2% of its longest run, 100 at least.

    References
    ----------
    Wortsman et al. 2023, Fig 9: step 2,000 of 100,000.
    """
    known = total_steps[np.isfinite(total_steps)]
    longest = float(known.max()) if known.size else 0.0
    return max(EARLY_STEPS, round(EARLY_SHARE * longest))


@dataclass(frozen=True)
class Group:
    """The runs of one learning rate and variant: size and largest logit at the step."""

    lr: float
    variant: str
    n: FloatArray
    logit: FloatArray


def forecast_logits(
    group: Group, step: int, target: float | None = None, limit: float = LIMIT
) -> LogitForecast | Refusal:
    """Forecast the size at which the largest attention logit reaches the limit.

    Parameters
    ----------
    target : size that the study is for; a crossing below it is a warning
    limit : logit whose reaching is forecast

    Returns
    -------
    LogitForecast, or a Refusal for fewer than three sizes

    Notes
    -----
    Three to five sizes: a line. From six AICc chooses between line and parabola. A parabola
    through three points only interpolates and is never offered.
    """
    sizes, values = average_by_size(group.n, group.logit)
    is_low = values <= limit
    excluded = tuple(float(size) for size in sizes[~is_low])
    if int(is_low.sum()) < MIN_SIZES:
        has = f"has {int(is_low.sum())}"
        sentence = f"needs {MIN_SIZES} sizes below {limit:g} at step {step}, {has}"
        return Refusal("too_few_points", sentence, "run more sizes at this learning rate")
    sizes, values = sizes[is_low], values[is_low]
    trend = fit_trend(sizes, values)
    assert trend is not None
    crossing = trend.find_crossing(limit)
    largest = float(sizes[-1])
    interval = trend.find_crossing_interval(limit)
    is_far = crossing is None or crossing > DECADE * largest
    ratio = crossing / largest if crossing is not None else None
    is_reached = target is not None and crossing is not None and target >= crossing
    held_out = _hold_out(sizes, values)
    return LogitForecast(
        group.lr,
        group.variant,
        step,
        sizes,
        values,
        excluded,
        trend.degree,
        float(np.polyval(np.polyder(trend.coefficients), trend.x[-1])),
        crossing,
        interval[0] if interval else None,
        interval[1] if interval else None,
        ratio,
        held_out.ratio,
        held_out.low,
        held_out.high,
        is_far,
        WARN if is_reached else OK if target is not None else UNKNOWN,
        _describe(group, trend, interval, held_out, limit),
        *_sample(trend, np.geomspace(sizes[0], DECADE * largest, DRAWN)),
    )


def _sample(
    trend: Trend, grid: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return sizes, the line over them, and its prediction interval."""
    bands = [trend.predict_interval(float(n)) or (math.nan, math.nan) for n in grid]
    line = np.array([trend.predict(float(n)) for n in grid])
    return grid, line, np.array([low for low, _ in bands]), np.array([high for _, high in bands])


def average_by_size(n: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the sizes and the geometric mean of each; what is not positive is left out."""
    ok = np.isfinite(n) & np.isfinite(y) & (n > 0) & (y > 0)
    sizes, place = np.unique(n[ok], return_inverse=True)
    logs = np.bincount(place, np.log10(y[ok])) / np.bincount(place) if sizes.size else np.empty(0)
    return sizes, np.asarray(10**logs, dtype=np.float64)


@dataclass(frozen=True)
class HeldOutLogit:
    """The largest size as the smaller ones put it, with its 80% interval, over the measured."""

    ratio: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """Say by how much the smaller sizes miss the largest, and whether the interval holds it."""
        if self.ratio is None:
            return ""
        error = f"; hold-out error {100 * (self.ratio - 1):+.0f}%"
        if self.low is None or self.high is None:
            return f"{error}, interval unknown"
        place = "inside" if self.low <= 1.0 <= self.high else "outside"
        return f"{error}, the largest size is {place} its 80% interval"


def _hold_out(sizes: FloatArray, values: FloatArray) -> HeldOutLogit:
    if len(sizes) <= MIN_SIZES:
        return HeldOutLogit()
    smaller = fit_trend(sizes[:-1], values[:-1])
    if smaller is None:
        return HeldOutLogit()
    n, measured = float(sizes[-1]), float(values[-1])
    low, high = smaller.predict_interval(n) or (math.nan, math.nan)
    known = math.isfinite(low) and math.isfinite(high)
    return HeldOutLogit(
        smaller.predict(n) / measured,
        low / measured if known else None,
        high / measured if known else None,
    )


def _describe(
    group: Group,
    trend: Trend,
    interval: tuple[float, float] | None,
    held_out: HeldOutLogit,
    limit: float,
) -> str:
    largest = float(10 ** trend.x[-1])
    crossing = trend.find_crossing(limit)
    if crossing is None:
        return f"At LR {group.lr:g} attention logits do not grow with size{held_out.text}."
    if crossing > 1e3 * largest:
        far = f"attention logits stay below {limit:g} far beyond these sizes"
        return f"At LR {group.lr:g} {far}{held_out.text}."
    known = f"80% {interval[0]:.2g} to {interval[1]:.2g}" if interval else "interval unknown"
    label = ", an extrapolation" if crossing > DECADE * largest else ""
    return (
        f"At LR {group.lr:g} attention logits reach {limit:g} at N = {crossing:.2g} ({known}), "
        f"{crossing / largest:.2g}x the largest run{label}{held_out.text}."
    )
