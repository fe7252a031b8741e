"""Multi-power law: loss along a schedule with a power law for every change of the rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.schedules import WARMUP, read_schedules, read_warmup, review_schedules
from fitting.maths.types import (
    FloatArray,
    IntArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Point,
    Procedure,
    Refusal,
    Rows,
)

LOWER = np.array([0.05, -7.0, 0.05, 0.0])
UPPER = np.array([1.5, 7.0, 3.0, 1.5])
STARTS = [
    np.array([0.5, log_c, beta, gamma])
    for log_c in (-1.0, 1.0)
    for beta in (0.3, 0.6, 1.0)
    for gamma in (0.4, 0.7)
]
COARSE_BINS, COARSE_ROWS, N_POLISHED = 80, 30, 2


@dataclass(frozen=True)
class ScheduleSums:
    """What the law needs of one schedule at some of its steps.

    Parameters
    ----------
    s1 : ndarray, shape (n,), summed rate at the rows
    change, rate, before : ndarray, shape (k,), changes of the rate (pooled), the rate after each,
        and the summed rate before it
    """

    s1: FloatArray
    change: FloatArray
    rate: FloatArray
    before: FloatArray

    def gain(self, log_c: float, beta: float, gamma: float) -> FloatArray:
        """Return ``sum_k change_k G(rate_k^-gamma S_k)`` with ``G(x) = 1 - (1 + C x)^-beta``."""
        reach = np.maximum(self.s1[:, None] - self.before[None, :], 0.0)
        reach *= np.exp(log_c) * self.rate**-gamma
        total: FloatArray = -np.expm1(-beta * np.log1p(reach)) @ self.change
        return total


def make_sums(schedule: FloatArray, steps: IntArray, bins: int) -> ScheduleSums:
    """Sum a schedule; runs of changes of one sign are pooled into at most `bins` in all.

    Parameters
    ----------
    schedule : ndarray, shape (n_steps,), learning rate of every step
    steps : ndarray of int, at which the loss is known
    bins : most changes of the rate that are kept apart

    Returns
    -------
    the sums that the law needs at those steps

    References
    ----------
    Luo et al. 2025, arXiv 2503.12811; thu-yao-01-luo/MultiPowerLaw@8da9f19
    """
    s1 = np.cumsum(schedule)
    change = np.diff(schedule, prepend=0.0)
    where = np.flatnonzero((change != 0.0) & (schedule > 0.0))
    before = np.concatenate([[0.0], s1[:-1]])[where]
    change, rate = change[where], schedule[where]
    if where.size == 0:
        return ScheduleSums(s1[steps], np.zeros(1), np.ones(1), np.zeros(1))
    width = max(1, int(np.ceil(where.size / bins)))
    turn = np.concatenate([[True], np.diff(np.sign(change)) != 0])
    start = np.maximum.accumulate(np.where(turn, np.arange(where.size), 0))
    chunk = np.cumsum(turn | ((np.arange(where.size) - start) % width == 0)) - 1
    weight = np.abs(change)
    total = np.bincount(chunk, weights=weight)
    pooled_rate = np.bincount(chunk, weights=weight * rate) / total
    pooled_before = np.bincount(chunk, weights=weight * before) / total
    pooled_change = np.asarray(np.bincount(chunk, weights=change), dtype=np.float64)
    return ScheduleSums(s1[steps], pooled_change, pooled_rate, pooled_before)


@dataclass(frozen=True)
class _Problem:
    """The rows of all curves, ready for evaluation."""

    sums: tuple[ScheduleSums, ...]
    loss: FloatArray

    def basis(self, shape: FloatArray) -> FloatArray:
        """Return (1, S1^-alpha, gain) at every row for (alpha, log C, beta, gamma)."""
        alpha, log_c, beta, gamma = shape
        s1 = np.concatenate([part.s1 for part in self.sums])
        gain = np.concatenate([part.gain(log_c, beta, gamma) for part in self.sums])
        return np.stack([np.ones_like(s1), s1**-alpha, gain], axis=1)

    def project(self, shape: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the best (L0, A, B) >= 0 and the log residuals."""
        from scipy.optimize import nnls

        basis = self.basis(shape)
        scale = np.abs(basis).max(axis=0) + 1e-300
        linear, _ = nnls(basis / scale / self.loss[:, None], np.ones_like(self.loss))
        predicted = np.maximum(basis @ (linear / scale), 1e-12)
        return linear / scale, np.log(self.loss) - np.log(predicted)


def _gather(rows: Rows, warmup: int | None, bins: int, thin: int) -> _Problem | Refusal:
    schedules = read_schedules(rows, warmup)
    if isinstance(schedules, Refusal):
        return schedules
    sums, losses = [], []
    for name, places in rows.split_groups().items():
        steps = rows.columns["step"][places].astype(np.int64)
        inside = places[steps < schedules[name].size]
        chosen = inside
        if thin and inside.size > thin:
            chosen = inside[np.unique(np.linspace(0, inside.size - 1, thin).astype(np.int64))]
        at = rows.columns["step"][chosen].astype(np.int64)
        sums.append(make_sums(schedules[name], at, bins))
        losses.append(rows.target[chosen])
    return _Problem(tuple(sums), np.concatenate(losses))


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Search the four shape parameters from twelve starts; project the linear ones out."""
    from scipy.optimize import least_squares

    warmup, bins = read_warmup(options), int(str(options["bins"]))
    delta = float(str(options["delta"]))
    coarse = _gather(rows, warmup, COARSE_BINS, COARSE_ROWS)
    fine = _gather(rows, warmup, bins, 0)
    if isinstance(coarse, Refusal):
        return coarse
    if isinstance(fine, Refusal):
        return fine

    def minimise(
        problem: _Problem, start: FloatArray, tolerance: float
    ) -> tuple[float, FloatArray]:
        found = least_squares(
            lambda shape: problem.project(shape)[1],
            np.clip(start, LOWER + 1e-9, UPPER - 1e-9),
            bounds=(LOWER, UPPER),
            loss="huber",
            f_scale=delta,
            xtol=tolerance,
            ftol=tolerance,
            gtol=tolerance,
            max_nfev=60,
        )
        return float(found.cost), np.asarray(found.x)

    tried = sorted((minimise(coarse, start, 1e-6) for start in STARTS), key=lambda item: item[0])
    cost, shape = min(
        (minimise(fine, start, 1e-12) for _, start in tried[:N_POLISHED]), key=lambda item: item[0]
    )
    linear, _ = fine.project(shape)
    names = ("L0", "A", "B", "alpha", "C", "beta", "gamma")
    values = [*linear, shape[0], np.exp(shape[1]), shape[2], shape[3]]
    params = {name: float(value) for name, value in zip(names, values, strict=True)}
    warnings = ("C, beta and gamma trade off: judge by the held-out curves, not by parameters",)
    return Point(params, objective=cost, warnings=warnings)


def predict_rows(params: Mapping[str, float], rows: Rows, options: Options) -> FloatArray:
    """Return the predicted loss of every row from its curve's schedule."""
    schedules = read_schedules(rows, read_warmup(options))
    predicted = np.full(rows.n, np.nan)
    if isinstance(schedules, Refusal):
        return predicted
    for name, places in rows.split_groups().items():
        steps = rows.columns["step"][places].astype(np.int64)
        inside = steps < schedules[name].size
        predicted[places[inside]] = predict_schedule(params, schedules[name], steps[inside])
    return predicted


def predict_schedule(
    params: Mapping[str, float], schedule: FloatArray, steps: IntArray, bins: int = 1000
) -> FloatArray:
    """Return the predicted loss at steps of a schedule.

    Parameters
    ----------
    params : L0, A, B, alpha, C, beta, gamma
    schedule : ndarray, shape (n_steps,), learning rate of every step
    steps : ndarray of int below n_steps
    bins : as for `make_sums`

    Returns
    -------
    ndarray of the shape of steps, loss

    References
    ----------
    Luo et al. 2025, arXiv 2503.12811; thu-yao-01-luo/MultiPowerLaw@8da9f19
    """
    sums = make_sums(schedule, steps, bins)
    gain = sums.gain(float(np.log(params["C"])), params["beta"], params["gamma"])
    predicted: FloatArray = (
        params["L0"] + params["A"] * sums.s1 ** -params["alpha"] + params["B"] * gain
    )
    return predicted


def drop_rateless(rows: Rows, options: Options) -> Rows | Refusal:
    """Leave out rows at or beyond the end of their schedule.

    Parameters
    ----------
    rows : step, groups = curve, with schedules or logged rates
    options : all options of the law

    Returns
    -------
    the rows inside their schedules, or a Refusal without any rate
    """
    schedules = read_schedules(rows, read_warmup(options))
    if isinstance(schedules, Refusal):
        return schedules
    inside = np.zeros(rows.n, dtype=np.bool_)
    for name, places in rows.split_groups().items():
        steps = rows.columns["step"][places].astype(np.int64)
        inside[places] = (steps < schedules[name].size) & (steps > 0)
    return rows.take(inside)


LAW = Law(
    slug="multi_power",
    title="Multi-power law of schedules",
    formula="L(t) = L0 + A S1^-alpha + B sum_k (lr_k - lr_(k-1)) G(lr_k^-gamma S_k(t)), "
    "G(x) = 1 - (1 + C x)^-beta",
    tex=r"L(t) = L_0 + A S_1^{-\alpha} + B \sum_k (\eta_k - \eta_{k-1})\,"
    r"G(\eta_k^{-\gamma} S_k(t))",
    inputs=(
        LawInput("step", "t", "optimizer step, from 0", positive=False, octaves=1.0),
        LawInput("lr", "lr", "learning rate at the row", positive=False, optional=True),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=tuple(
        LawParam(name, text)
        for name, text in (
            ("L0", "limit"),
            ("A", "amplitude of the power"),
            ("B", "gain of changes of the rate"),
            ("alpha", "exponent of S1"),
            ("C", "speed of the response"),
            ("beta", "exponent of the response"),
            ("gamma", "exponent of the rate in the response"),
        )
    ),
    structure=Procedure(run, "groups", predict_rows=predict_rows),
    objective=Objective("huber", "log", delta=1e-3),
    source="Luo et al. 2025, arXiv 2503.12811; thu-yao-01-luo/MultiPowerLaw@8da9f19",
    group="curve",
    procedure="L0, A, B projected out; bounded search over the four others from 12 starts on "
    "thinned rows, the best two polished on all. The sums include the warm-up.",
    pitfalls=(
        "Ill-conditioned: a lower training objective can predict worse.",
        "Points of one curve are not independent: no interval below 8 curves.",
    ),
    options=(
        LawOption("delta", 1e-3, "Huber threshold on log residuals", least=0.0, is_above=True),
        WARMUP,
        LawOption("bins", 1000, "pooled changes of the rate per schedule", least=10, most=100_000),
    ),
    review=review_schedules,
    prepare=drop_rateless,
)
