"""Loss along a learning-rate schedule: ``L(t) = L0 + A S1(t)^-alpha - C S2(t)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.schedules import (
    WARMUP,
    read_schedules,
    read_warmup,
    review_schedules,
    sum_momentum,
)
from fitting.maths.types import (
    Columns,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Refusal,
    Rows,
    Separable,
    Terms,
)

DECAYS = (0.99, 0.995, 0.998, 0.9985, 0.999, 0.9995)


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the constant, the power of the summed rate and the annealing gain."""
    log_s1 = np.log(columns["s1"])
    one, zero = np.ones_like(log_s1), np.zeros_like(log_s1)
    return Terms(np.stack([one, one, -columns["s2"]]), np.stack([zero, log_s1, zero])[:, None])


def prepare(rows: Rows, options: Options) -> Rows | Refusal:
    """Add S1 and S2 at each row; rows at or beyond the end of a schedule have no rate."""
    schedules = read_schedules(rows, read_warmup(options))
    if isinstance(schedules, Refusal):
        return schedules
    s1, s2 = np.full(rows.n, np.nan), np.full(rows.n, np.nan)
    for name, places in rows.split_groups().items():
        schedule = schedules[name]
        steps = rows.columns["step"][places].astype(np.int64)
        inside = steps < schedule.size
        s1[places[inside]] = np.cumsum(schedule)[steps[inside]]
        momentum = sum_momentum(schedule, float(str(options["lambda"])))
        s2[places[inside]] = momentum[steps[inside]]
    columns = {**rows.columns, "s1": s1, "s2": s2}
    kept = replace(rows, columns=columns).take(np.isfinite(s1) & (s1 > 0))
    if np.any(kept.columns["s2"] != 0.0):
        return kept
    return Refusal(
        "rank",
        "no learning rate falls in these rows: the annealing term cannot be seen",
        "add a curve whose learning rate decays",
    )


def predict_schedule(
    params: Mapping[str, float], schedule: FloatArray, decay: float, steps: FloatArray
) -> FloatArray:
    """Return the predicted loss at steps of another schedule.

    Parameters
    ----------
    params : L0, A, C, alpha
    schedule : ndarray, shape (n_steps,), learning rate of every step
    decay : lambda
    steps : ndarray, whole numbers below n_steps

    Returns
    -------
    ndarray of the shape of steps, loss

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029
    """
    at = steps.astype(np.int64)
    s1, s2 = np.cumsum(schedule)[at], sum_momentum(schedule, decay)[at]
    power = params["A"] * s1 ** -params["alpha"]
    predicted: FloatArray = params["L0"] + power - params["C"] * s2
    return predicted


def measure_error(params: Params, rows: Rows, options: Options) -> float:
    """Return the mean absolute error of parameters on prepared rows.

    Parameters
    ----------
    params : name -> ndarray of one value
    rows : prepared rows
    options : all options of the law

    Returns
    -------
    mean absolute error in the unit of the loss

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029
    """
    terms = make_terms(rows.columns, options)
    wide = {name: float(np.ravel(value)[0]) for name, value in params.items()}
    power = wide["A"] * np.exp(-wide["alpha"] * terms.logs[1, 0])
    predicted = wide["L0"] + power + wide["C"] * terms.factor[2]
    return float(np.mean(np.abs(predicted - rows.target)))


LAW = Law(
    slug="lr_annealing",
    title="Learning-rate annealing law",
    formula="L(t) = L0 + A S1(t)^-alpha - C S2(t)",
    tex=r"L(t) = L_0 + A\,S_1(t)^{-\alpha} - C\,S_2(t)",
    inputs=(
        LawInput("step", "t", "optimizer step, from 0", positive=False, octaves=1.0),
        LawInput("lr", "lr", "learning rate at the row", positive=False, optional=True),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("L0", "limit", "nats", lower=0.0, bound_has_meaning=True),
        LawParam("A", "amplitude of the power", lower=0.0),
        LawParam("C", "gain of annealing", lower=0.0, bound_has_meaning=True),
        LawParam("alpha", "exponent of S1"),
    ),
    structure=Separable(("L0", "A", "C"), ("alpha",), (np.geomspace(0.05, 2.0, 40),), make_terms),
    objective=Objective("huber", "log", delta=1e-3),
    source="Tissue et al. 2024, arXiv 2408.11029",
    group="curve",
    procedure="S1 sums the rate over all steps with warm-up, S2 sums the momentum of its drops; "
    "lambda is profiled over six values unless given.",
    pitfalls=(
        "Points of one curve are not independent: intervals resample curves, from 8 curves on.",
        "A rate rebuilt from logged rows is interpolated; the schedule's formula is better.",
    ),
    options=(
        LawOption("delta", 1e-3, "Huber threshold on log residuals", least=0.0, is_above=True),
        LawOption(
            "lambda",
            None,
            "decay of the momentum; None = profiled",
            least=0.0,
            most=1.0,
            is_above=True,
        ),
        WARMUP,
    ),
    review=review_schedules,
    prepare=prepare,
    profile=("lambda", DECAYS),
)
