"""The power law of the best learning rate against scale.

Exponents to expect: Everett et al. 2024, arXiv 2407.05872.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fitting.maths.lr_optima import LrOptimum
from fitting.maths.records import INTERNAL, BoolArray, FloatArray, Interval, Record, Refusal
from fitting.maths.types import Optimum, Rows

MIN_SCALES = 3
MIN_OCTAVES = 1.0
MAX_CENSORED_SHARE = 1.0 / 3.0


@dataclass(frozen=True)
class LrExponent(Record):
    """The power law ``lr* = scale_factor * n^exponent`` of one variant.

    Parameters
    ----------
    exponent : slope of log lr* against log n
    interval : None with a `reason`
    log_intercept : natural log of the factor
    n_scales, n_censored : scales in the line, and scales left out as censored
    x : 128 log-spaced n from the smallest to ten times the largest
    lr, low, high : line and band (NaN where there is no interval)
    extrapolated : True beyond the largest fitted n
    """

    exponent: float
    interval: Interval | None
    reason: str
    log_intercept: float
    resampling: str
    n_scales: int
    n_censored: int
    x: FloatArray
    lr: FloatArray
    low: FloatArray
    high: FloatArray
    extrapolated: BoolArray
    line_replicas: FloatArray = field(repr=False, metadata=INTERNAL)


def follow_power(
    column: str, role: str, key: str, size: Callable[[Rows], FloatArray] | None = None
) -> Optimum:
    """Return the optimum of a law ``exp(log_factor) x^exponent`` over scales.

    Parameters
    ----------
    column, role : where the procedure's table holds the optimum of a scale, and what it is
    key : column of the table with the scale x
    size : the scale of each row; None where the rows have a column `key` too

    Returns
    -------
    what `held_out` needs to withhold the largest scales and to predict them
    """

    def predict(params: Mapping[str, float], row: Mapping[str, object]) -> float:
        scale = float(str(row[key]))
        return float(np.exp(params["log_factor"]) * scale ** params["exponent"])

    read = size or (lambda rows: rows.columns[key])
    return Optimum(column, role, read, lambda row: float(str(row[key])), predict)


def fit_exponent(
    scale: Sequence[float], optima: Sequence[LrOptimum], seed: int = 0, x_max_factor: float = 10.0
) -> LrExponent | Refusal:
    """Fit the power law of the best learning rate against scale.

    Parameters
    ----------
    scale : parameters or width of each scale
    optima : of the same scales; censored ones are left out and counted
    seed : of the residual bootstrap where the optima carry no replicas
    x_max_factor : the curve is drawn to this multiple of the largest scale

    Returns
    -------
    exponent and factor with intervals and the sampled line, or a Refusal

    Notes
    -----
    The line is weighted by 1/se^2 when every optimum has a standard error above zero. Its interval
    comes from the optima's own replicas; without them from the residuals of at least four scales.
    """
    used = [place for place, optimum in enumerate(optima) if not optimum.censored]
    n_censored = len(optima) - len(used)
    refusal = _refuse_exponent([scale[place] for place in used], n_censored)
    if refusal is not None:
        return refusal
    n = np.array([scale[place] for place in used], dtype=np.float64)
    log_n, centre = np.log(n), float(np.mean(np.log(n)))
    log_lr = np.log([optima[place].lr for place in used])
    design = np.stack([np.ones_like(log_n), log_n - centre], axis=1)
    clouds = [optima[place].log_lr_replicas for place in used]
    replicas, weights, resampling, reason = None, np.ones_like(log_n), "none", ""
    if min(cloud.size for cloud in clouds) > 0:
        replicas, resampling = np.stack(clouds, axis=1), optima[used[0]].resampling
        if resampling == "seeds":
            weights = _weigh([optima[place].log_lr_variance for place in used])
    solver = np.linalg.pinv(design * np.sqrt(weights)[:, None]) * np.sqrt(weights)
    line = solver @ log_lr
    if replicas is None:
        replicas, reason = _resample_line(design @ line, log_lr, seed)
        resampling = "none" if replicas is None else "residuals of the line"
    lines = None if replicas is None else replicas @ solver.T
    x = np.geomspace(n.min(), x_max_factor * n.max(), 128)
    along = np.stack([np.ones_like(x), np.log(x) - centre], axis=1)
    low, high = _band(lines, along)
    return LrExponent(
        exponent=float(line[1]),
        interval=None if lines is None else _percentiles(lines[:, 1]),
        reason=reason,
        log_intercept=float(line[0] - line[1] * centre),
        resampling=resampling,
        n_scales=len(used),
        n_censored=n_censored,
        x=x,
        lr=np.exp(along @ line),
        low=low,
        high=high,
        extrapolated=x > n.max() * (1 + 1e-12),
        line_replicas=_uncentre(lines, centre),
    )


def _refuse_exponent(scale: Sequence[float], n_censored: int) -> Refusal | None:
    n_scales, total = len(scale), len(scale) + n_censored
    have = f"have {n_scales}" + (f" ({n_censored} at the grid edge)" if n_censored else "")
    if n_scales < MIN_SCALES:
        return Refusal(
            "too_few_groups",
            f"the LR* exponent needs >= {MIN_SCALES} sizes with an optimum inside the sweep; "
            + have,
            "widen the sweeps that end at their best LR, or train more sizes",
        )
    if n_censored > MAX_CENSORED_SHARE * total:
        return Refusal(
            "not_interior",
            f"{n_censored} of {total} sizes have their best LR at the grid edge, more than a third",
            "widen the sweeps that end at their best LR",
        )
    octaves = float(np.log2(max(scale) / min(scale)))
    if octaves < MIN_OCTAVES:
        return Refusal(
            "span",
            f"the sizes span a factor {2**octaves:.3g}; an exponent needs a factor of 2",
            "train sizes further apart",
        )
    return None


def _weigh(variances: Sequence[float]) -> FloatArray:
    variance = np.array(variances)
    if np.any(~(variance > 0.0)):
        return np.ones(variance.size)
    weights: FloatArray = variance.mean() / variance
    return weights


def _resample_line(
    predicted: FloatArray, log_lr: FloatArray, seed: int, replicas: int = 1000
) -> tuple[FloatArray | None, str]:
    n = log_lr.size
    if n < MIN_SCALES + 1:
        return None, f"no interval: 2 parameters on {n} points, and the optima have none either"
    residuals = log_lr - predicted
    dof = n - 2
    rng = np.random.default_rng(seed)
    sd = np.sqrt(np.sum(residuals**2) / dof)
    sds = sd * np.sqrt(dof / rng.chisquare(dof, size=(replicas, 1)))
    return predicted + rng.standard_normal((replicas, n)) * sds, ""


def _uncentre(lines: FloatArray | None, centre: float) -> FloatArray:
    """Return intercept at log n = 0 and slope of each replica, shape (B, 2)."""
    if lines is None:
        return np.empty((0, 2))
    return np.stack([lines[:, 0] - lines[:, 1] * centre, lines[:, 1]], axis=1)


def _band(lines: FloatArray | None, along: FloatArray) -> tuple[FloatArray, FloatArray]:
    if lines is None:
        nothing = np.full(along.shape[0], np.nan)
        return nothing, nothing
    low, high = np.quantile(np.exp(lines @ along.T), [0.025, 0.975], axis=0)
    return low, high


def _percentiles(values: FloatArray) -> Interval:
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(float(low), float(high))
