"""Best learning rate of one scale, from a parabola in log lr through the best points.

Optima from parabolas in the logarithm of the learning rate: LAWS, lr_optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from fitting.maths.lr_points import LrPoints, count_points
from fitting.maths.parabola import Parabola, fit_parabola, minimise_replicas, vary_vertex
from fitting.maths.records import INTERNAL, FloatArray, Interval, Record, Refusal

MIN_POINTS = 3
N_SAMPLES = 64


@dataclass(frozen=True)
class LrOptimum(Record):
    """The best learning rate of one scale.

    Parameters
    ----------
    lr : vertex of the parabola; the best rate tried where the optimum is censored
    interval : None with a `reason`, or one-sided where the optimum is censored
    censored : "low" or "high" where the best rate is the lowest or highest usable one, else ""
    sentence : what was found, in words
    resampling : what the interval rests on: "seeds", "residuals" or "none"
    loss : loss at the optimum
    point_lr, point_loss, point_seeds : means over seeds that the parabola runs through
    curve_lr, curve_loss : the parabola sampled over its points only
    log_lr_variance : variance of log lr by propagation of the noise; NaN = unknown
    """

    lr: float
    interval: Interval | None
    reason: str
    censored: str
    sentence: str
    resampling: str
    loss: float
    point_lr: FloatArray
    point_loss: FloatArray
    point_seeds: FloatArray
    curve_lr: FloatArray
    curve_loss: FloatArray
    log_lr_variance: float = np.nan
    log_lr_replicas: FloatArray = field(
        default_factory=lambda: np.empty(0), repr=False, metadata=INTERNAL
    )


def find_optimum(
    points: LrPoints, neighbours: int = 2, replicas: int = 1000, seed: int = 0
) -> LrOptimum | Refusal:
    """Find the best learning rate of one scale.

    Parameters
    ----------
    points : means over seeds per learning rate, diverged runs already left out
    neighbours : points on each side of the best that enter the parabola
    replicas : number of replicas of the interval
    seed : of the replicas

    Returns
    -------
    the optimum with its interval, censored where it lies at the edge, or a Refusal

    Notes
    -----
    The noise of a mean comes from the spread over seeds where runs were repeated, else from the
    residuals of the parabola, which then also count the misfit of the parabola as noise. Both
    variances are estimated from few degrees of freedom, so each replica also draws the variance
    (a Student t in effect). A parabola through three points without repeats has no interval.
    """
    if points.lr.size < MIN_POINTS:
        return Refusal(
            "too_few_points",
            f"needs >= {MIN_POINTS} LRs with a finished, stable run; have {points.lr.size}",
            "train this size at more learning rates around the best one",
        )
    best = int(np.argmin(points.loss))
    if best in (0, points.lr.size - 1):
        return _censor(points, best)
    near = slice(max(0, best - neighbours), best + neighbours + 1)
    x, y, seeds = np.log(points.lr[near]), points.loss[near], points.n_seeds[near]
    parabola = fit_parabola(x, y, seeds)
    if not parabola.is_minimum_inside:
        return Refusal(
            "not_interior",
            f"the parabola through {x.size} LRs has no minimum between them "
            f"(curvature {parabola.curvature:.3g}, vertex at {np.exp(parabola.vertex):.3g})",
            "train at learning rates closer to the best one, or repeat with other seeds",
        )
    optimum = _describe(points, near, parabola)
    sd, dof, resampling = _estimate_noise(points, near, parabola)
    if resampling == "none" or replicas == 0:
        return optimum
    rng = np.random.default_rng(seed)
    sds = sd * np.sqrt(dof / rng.chisquare(dof, size=(replicas, 1)))
    noise = rng.standard_normal((replicas, x.size)) * sds / np.sqrt(seeds)
    log_lr = minimise_replicas(parabola, parabola.evaluate(x) + noise, seeds)
    return replace(
        optimum,
        interval=_bound(log_lr, x),
        reason="",
        resampling=resampling,
        log_lr_variance=sd**2 * vary_vertex(parabola, seeds),
        log_lr_replicas=log_lr,
    )


def _censor(points: LrPoints, best: int) -> LrOptimum:
    side = "low" if best == 0 else "high"
    beside = float(points.lr[1] if side == "low" else points.lr[-2])
    lr = float(points.lr[best])
    beyond = points.diverged_beyond(side)
    if beyond is not None:
        interval = Interval(min(beside, beyond), max(beside, beyond), 1.0)
        word = f"the next LR, {beyond:.3g}, diverged: the optimum lies before it"
    else:
        infinite = np.inf if side == "high" else 0.0
        low, high = min(beside, infinite), max(beside, infinite)
        interval = Interval(low, high, 1.0, side == "low", side == "high")
        word = "at grid edge, interval one-sided"
    place = "lowest" if side == "low" else "highest"
    return LrOptimum(
        lr=lr,
        interval=interval,
        reason="",
        censored=side,
        sentence=f"the best LR {lr:.3g} is the {place} stable one of {points.lr.size}; {word}",
        resampling="none",
        loss=float(points.loss[best]),
        point_lr=points.lr,
        point_loss=points.loss,
        point_seeds=points.n_seeds,
        curve_lr=np.empty(0),
        curve_loss=np.empty(0),
    )


def _describe(points: LrPoints, near: slice, parabola: Parabola) -> LrOptimum:
    along = np.linspace(parabola.x.min(), parabola.x.max(), N_SAMPLES)
    lr = float(np.exp(parabola.vertex))
    return LrOptimum(
        lr=lr,
        interval=None,
        reason=f"no interval: {count_points(parabola.x.size)} without repeats leave a parabola "
        "no residual degrees of freedom",
        censored="",
        sentence=f"the best LR is {lr:.3g}, from a parabola through {parabola.x.size} LRs",
        resampling="none",
        loss=float(parabola.evaluate(np.array([parabola.vertex]))[0]),
        point_lr=points.lr[near],
        point_loss=points.loss[near],
        point_seeds=points.n_seeds[near],
        curve_lr=np.exp(along),
        curve_loss=parabola.evaluate(along),
    )


def _estimate_noise(points: LrPoints, near: slice, parabola: Parabola) -> tuple[float, int, str]:
    """Return the standard deviation of one run, its degrees of freedom and where it is from."""
    seed_dof = int(np.sum(points.n_seeds[near] - 1))
    if seed_dof > 0:
        return float(np.sqrt(np.sum(points.squares[near]) / seed_dof)), seed_dof, "seeds"
    if parabola.dof > 0:
        sd = float(np.sqrt(np.sum(parabola.residuals() ** 2) / parabola.dof))
        return sd, parabola.dof, "residuals"
    return np.nan, 0, "none"


def _bound(log_lr: FloatArray, x: FloatArray) -> Interval:
    low, high = np.quantile(log_lr, [0.025, 0.975])
    tolerance = 1e-9 * (x.max() - x.min())
    return Interval(
        float(np.exp(low)),
        float(np.exp(high)),
        low_open=bool(low <= x.min() + tolerance),
        high_open=bool(high >= x.max() - tolerance),
    )
