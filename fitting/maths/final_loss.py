"""Final loss of a run: the one number that a loss curve contributes to a law.

Every estimator takes the logged steps and values of one metric and leaves non-finite values out;
their count is returned, for a run whose last value is not finite has no final loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fitting.maths.records import FloatArray, Record

DEFAULT_TAIL_FRACTION = 0.05


@dataclass(frozen=True)
class FinalLoss(Record):
    """The estimate with the settings that made it.

    Parameters
    ----------
    value : final loss in the unit of the metric; NaN where the curve ends non-finite or is empty
    estimator : name of the estimator
    tail_fraction : share of the step range that counts as the tail; None where none is used
    n_used : number of finite values that entered
    n_nonfinite : number of non-finite values of the whole curve
    first_step, last_step : range of the values used; None when there are none
    """

    value: float
    estimator: str
    tail_fraction: float | None
    n_used: int
    n_nonfinite: int
    first_step: float | None
    last_step: float | None


def estimate_last(steps: FloatArray, values: FloatArray, tail_fraction: float) -> float:
    """Return the value at the largest step.

    Parameters
    ----------
    steps : ndarray, shape (n,), optimizer steps in any order
    values : ndarray, shape (n,), the metric, finite
    tail_fraction : share in (0, 1] of the step range; unused

    Returns
    -------
    one value in the unit of the metric
    """
    return float(values[-1])


def estimate_tail_mean(steps: FloatArray, values: FloatArray, tail_fraction: float) -> float:
    """Return the mean over the last `tail_fraction` of the step range.

    Parameters
    ----------
    steps : ndarray, shape (n,), optimizer steps in any order
    values : ndarray, shape (n,), the metric, finite
    tail_fraction : share in (0, 1] of the step range

    Returns
    -------
    one value in the unit of the metric
    """
    return float(np.mean(_cut_tail(steps, values, tail_fraction)))


def estimate_tail_median(steps: FloatArray, values: FloatArray, tail_fraction: float) -> float:
    """Return the median over the last `tail_fraction` of the step range.

    Parameters
    ----------
    steps : ndarray, shape (n,), optimizer steps in any order
    values : ndarray, shape (n,), the metric, finite
    tail_fraction : share in (0, 1] of the step range

    Returns
    -------
    one value in the unit of the metric
    """
    return float(np.median(_cut_tail(steps, values, tail_fraction)))


def estimate_ema(steps: FloatArray, values: FloatArray, tail_fraction: float) -> float:
    """Return the debiased exponential moving average at the end of the curve.

    ``s_t = w s_(t-1) + (1 - w) v_t``, shown ``s_t / (1 - w^t)``; the decay w gives a mean age of
    `tail_fraction` of the number of points: ``w = 1 - 1 / max(1, tail_fraction * n)``.

    Parameters
    ----------
    steps : ndarray, shape (n,), optimizer steps in any order
    values : ndarray, shape (n,), the metric, finite
    tail_fraction : share in (0, 1] of the step range

    Returns
    -------
    one value in the unit of the metric

    References
    ----------
    Kingma and Ba 2015, arXiv 1412.6980, section 3 (bias correction)
    """
    decay = 1.0 - 1.0 / max(1.0, tail_fraction * values.size)
    if decay == 0.0:
        return float(values[-1])
    weights = decay ** np.arange(values.size - 1, -1, -1, dtype=np.float64)
    return float(np.sum(weights * values) / np.sum(weights))


def estimate_best(steps: FloatArray, values: FloatArray, tail_fraction: float) -> float:
    """Return the smallest value of the curve; meant for a held-out metric.

    Parameters
    ----------
    steps : ndarray, shape (n,), optimizer steps in any order
    values : ndarray, shape (n,), the metric, finite
    tail_fraction : share in (0, 1] of the step range; unused

    Returns
    -------
    one value in the unit of the metric
    """
    return float(np.min(values))


ESTIMATORS: dict[str, Callable[[FloatArray, FloatArray, float], float]] = {
    "last": estimate_last,
    "tail_mean": estimate_tail_mean,
    "tail_median": estimate_tail_median,
    "ema": estimate_ema,
    "best": estimate_best,
}
_USES_TAIL = ("tail_mean", "tail_median", "ema")


def estimate_final_loss(
    steps: FloatArray,
    values: FloatArray,
    estimator: str = "last",
    tail_fraction: float = DEFAULT_TAIL_FRACTION,
) -> FinalLoss:
    """Estimate the final loss of one curve.

    Parameters
    ----------
    steps : ndarray, shape (n,), optimizer steps in any order
    values : ndarray, shape (n,), the metric; may hold non-finite values
    estimator : a key of ``ESTIMATORS``
    tail_fraction : share in (0, 1] of the step range from the first to the last step

    Returns
    -------
    the value with its estimator and tail, or why there is none

    Raises
    ------
    ValueError
        For an unknown estimator, a tail fraction outside (0, 1] or arrays of unequal length.

    Notes
    -----
    A curve whose last value is not finite has no final loss under any estimator but ``best``:
    the average before a divergence is not where the run ended.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"{estimator!r} is no estimator; choose from {', '.join(ESTIMATORS)}")
    if not 0.0 < tail_fraction <= 1.0:
        raise ValueError(f"tail_fraction is {tail_fraction}; it must lie in (0, 1]")
    steps, values = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if steps.shape != values.shape or steps.ndim != 1:
        raise ValueError(f"steps have shape {steps.shape} and values {values.shape}")
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    finite = np.isfinite(values)
    tail = tail_fraction if estimator in _USES_TAIL else None
    n_nonfinite = int(np.sum(~finite))
    ended_badly = values.size > 0 and not finite[-1] and estimator != "best"
    if not finite.any() or ended_badly:
        return FinalLoss(np.nan, estimator, tail, 0, n_nonfinite, None, None)
    steps, values = steps[finite], values[finite]
    value = ESTIMATORS[estimator](steps, values, tail_fraction)
    used = _select_used(steps, values, estimator, tail_fraction)
    return FinalLoss(
        value, estimator, tail, used.size, n_nonfinite, float(used[0]), float(used[-1])
    )


def _cut_tail(steps: FloatArray, values: FloatArray, tail_fraction: float) -> FloatArray:
    return values[steps >= _find_tail_start(steps, tail_fraction)]


def _find_tail_start(steps: FloatArray, tail_fraction: float) -> float:
    return float(steps[-1] - tail_fraction * (steps[-1] - steps[0]))


def _select_used(
    steps: FloatArray, values: FloatArray, estimator: str, tail_fraction: float
) -> FloatArray:
    if estimator == "last":
        return steps[-1:]
    if estimator == "best":
        best = int(np.argmin(values))
        return steps[best : best + 1]
    if estimator == "ema":
        return steps
    return steps[steps >= _find_tail_start(steps, tail_fraction)]
