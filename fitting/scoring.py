"""How frozen forecasts turned out: the evidence that came after them, and their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fitting.compute_results import decode, find_variant
from fitting.forecasting import SAME_LR
from fitting.models import Forecast, Quantity
from fitting.queries import StudyView
from fitting.results import as_refusal, list_scales
from fitting.sizes import SAME_SIZE

SAME_PLACE = 1.05  # of tokens and budgets: steps are whole numbers
NEAR = 0.1  # of the step: a logit logged that much earlier still stands for it


@dataclass(frozen=True)
class Score:
    """What was measured at a forecast's target.

    `error` is predicted over measured minus one; `is_inside` is None without an interval.
    """

    measured: float
    error: float
    is_inside: bool | None
    run_ids: tuple[str, ...]


def score(forecast: Forecast, view: StudyView) -> Score | None:
    """Score a forecast by what the fit behind it had not seen; None while there is nothing."""
    found = MEASURES[Quantity(forecast.quantity)](forecast, view)
    if found is None:
        return None
    measured, run_ids = found
    is_inside = None
    if forecast.low is not None and forecast.high is not None:
        is_inside = forecast.low <= measured <= forecast.high
    return Score(measured, forecast.value / measured - 1, is_inside, run_ids)


Measured = tuple[float, tuple[str, ...]]


def _measure_loss(forecast: Forecast, view: StudyView) -> Measured | None:
    """Return the lowest loss of the new healthy runs at the target: the best learning rate's."""
    target, known = forecast.target, set(forecast.known)
    variant = _name_variant(view, target["variant"])
    matching = [
        row
        for row in view.rows.included
        if row.uid not in known
        and row.variant == variant
        and row.is_finished
        and not row.diverged
        and math.isfinite(row.loss)
        and is_near(row.n, target["n_params"], SAME_SIZE)
        and is_near(row.d, target["n_tokens"], SAME_PLACE)
    ]
    if not matching:
        return None
    best = min(matching, key=lambda row: row.loss)
    return best.loss, tuple(row.uid for row in sorted(matching, key=lambda row: row.loss))


def _measure_size(forecast: Forecast, view: StudyView) -> Measured | None:
    """Return the isoFLOP minimum of the budget, if the fit had not seen the budget."""
    target = forecast.target
    if any(is_near(budget, target["flops"], SAME_PLACE) for budget in forecast.known):
        return None
    variant = find_variant(view.compute, target["variant"])
    if variant is None:
        return None
    for profile in variant["profiles"]:
        if profile["used"] and is_near(profile["flops"], target["flops"], SAME_PLACE):
            cells = [c for c in variant["cells"] if c["budget"] == profile["flops"]]
            runs = tuple(uid for cell in cells for uid in cell["run_ids"])
            return decode([profile["n_params"]["value"]])[0], runs
    return None


def _measure_lr(forecast: Forecast, view: StudyView) -> Measured | None:
    """Return the best learning rate of the size, if the fit had not seen the size."""
    target = forecast.target
    if any(is_near(size, target["n_params"], SAME_SIZE) for size in forecast.known):
        return None
    for scale in list_scales(view.result):
        is_same = scale["variant"] == target["variant"]
        if not is_same or not is_near(scale["scale"], target["n_params"], SAME_SIZE):
            continue
        optimum = scale["optimum"]
        if not as_refusal(optimum) and not optimum["censored"]:
            return optimum["lr"], ()
    return None


def _measure_logit(forecast: Forecast, view: StudyView) -> Measured | None:
    """Return the logit at the step of new runs of this size, rate and variant, their mean."""
    target, known = forecast.target, set(forecast.known)
    result: Mapping[str, Any] = view.instability or {}
    found = {
        curve["run"]: value
        for curve in result.get("curves", [])
        if curve["run"] not in known
        and curve["form"] == result["form"]
        and curve["variant"] == target["variant"]
        and is_near(curve["n"], target["n_params"], SAME_SIZE)
        and is_near(curve["lr"], target["peak_lr"], SAME_LR)
        and (value := _read_at(curve, target["step"])) is not None
    }
    if not found:
        return None
    mean = sum(math.log(value) for value in found.values()) / len(found)
    return math.exp(mean), tuple(sorted(found))


def _read_at(curve: Mapping[str, Any], step: float) -> float | None:
    """Return the last positive value at or shortly before a step, None where there is none."""
    values = zip(curve["steps"], decode(curve["logits"]), strict=True)
    near = [value for at, value in values if (1 - NEAR) * step <= at <= step]
    return near[-1] if near and math.isfinite(near[-1]) and near[-1] > 0 else None


def is_near(one: float, other: float, factor: float) -> bool:
    """Say whether two positive numbers agree within a factor."""
    return other / factor <= one <= other * factor


def _name_variant(view: StudyView, name: str) -> str:
    shown = find_variant(view.compute, name)
    return shown["variant"] if shown else name


MEASURES = {
    Quantity.LOSS: _measure_loss,
    Quantity.OPTIMAL_SIZE: _measure_size,
    Quantity.OPTIMAL_LR: _measure_lr,
    Quantity.MAX_LOGIT: _measure_logit,
}
