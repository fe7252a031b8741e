"""What a study's laws predict for a run, a budget or a size that nobody has measured yet."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from fitting.compute_results import (
    APPROACHES,
    PARAMETRIC,
    ComputeVariantDoc,
    decode,
    find_variant,
    interpolate,
    name_approach,
    take_at,
)
from fitting.models import Fit, Quantity
from fitting.queries import COMPUTE_OPTIMAL, INSTABILITY, LR_SWEEP, TITLES, StudyView
from fitting.results import RefusalDoc, as_refusal, list_laws
from fitting.switches import write_switched_off
from scaledash.lib.units import format_quantity

LEVEL = 0.95
SEED = 0  # of the noise of a single run; the replicas come with the fit


@dataclass(frozen=True)
class Target:
    """What is asked: a quantity, and the place it is asked for; NaN = not given."""

    quantity: str
    variant: str = ""
    approach: str = PARAMETRIC
    n_params: float = math.nan
    n_tokens: float = math.nan
    flops: float = math.nan
    peak_lr: float = math.nan
    step: float = math.nan  # at which logits are compared: the study's choice, not asked for

    def describe(self) -> dict[str, object]:
        """Return the target as it is stored: what the quantity needs."""
        wanted: dict[str, object] = {"variant": self.variant, **self.place}
        if self.quantity in (Quantity.LOSS, Quantity.OPTIMAL_SIZE):
            wanted["approach"] = self.approach
        return wanted if math.isnan(self.step) else {**wanted, "step": self.step}

    @property
    def place(self) -> dict[str, float]:
        """Return the numbers that the quantity needs."""
        numbers = asdict(self)
        return {name: numbers[name] for name in NEEDS[Quantity(self.quantity)]}


NEEDS = {
    Quantity.LOSS: ("n_params", "n_tokens"),
    Quantity.OPTIMAL_SIZE: ("flops",),
    Quantity.OPTIMAL_LR: ("n_params",),
    Quantity.MAX_LOGIT: ("n_params", "peak_lr"),
}
NAMES = {"n_params": "N", "n_tokens": "D", "flops": "C", "peak_lr": "LR", "step": "step"}
ANALYSES = {
    Quantity.LOSS: COMPUTE_OPTIMAL,
    Quantity.OPTIMAL_SIZE: COMPUTE_OPTIMAL,
    Quantity.OPTIMAL_LR: LR_SWEEP,
    Quantity.MAX_LOGIT: INSTABILITY,
}
LEVELS = {Quantity.MAX_LOGIT: 0.8}  # of the others LEVEL
SAME_LR = 1.01


@dataclass(frozen=True)
class Prediction:
    """A predicted number with its interval, and the fit that it comes from.

    `known` is what the fit had seen at the target: run ids, budgets or sizes.
    """

    target: Target
    value: float
    low: float | None
    high: float | None
    decades_beyond: float
    fit: Fit
    known: list[object]


def predict(view: StudyView, target: Target) -> Prediction | RefusalDoc:
    """Return the prediction, or the sentence that says why there is none."""
    missing = [NAMES[name] for name, value in target.place.items() if not _is_positive(value)]
    if missing:
        what = "positive numbers" if len(missing) > 1 else "a positive number"
        return _refuse(f"needs {' and '.join(missing)} as {what}", "type it in")
    analysis = ANALYSES[Quantity(target.quantity)]
    if analysis in view.off:
        sentence = f"the analysis {TITLES[analysis]} is {write_switched_off(view.off[analysis])}"
        return _refuse(sentence, "switch it on")
    return PREDICTORS[Quantity(target.quantity)](view, target)


def _is_positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _refuse(sentence: str, cure: str = "") -> RefusalDoc:
    return {"code": "no_prediction", "sentence": sentence, "cure": cure}


def _predict_loss(view: StudyView, target: Target) -> Prediction | RefusalDoc:
    variant = _find_named(view, target.variant)
    if variant is None or view.compute_fit is None:
        return _refuse("no law of this study gives a loss", "runs of several N and D")
    refusal = as_refusal(variant["parametric"])
    if refusal:
        return refusal
    fit: Mapping[str, Any] = variant["parametric"]
    point = {name: item["value"] for name, item in fit["params"].items()}
    value = _evaluate(point, target)
    low, high = _bound_run(variant, fit, target)
    largest = max(cell["n_params"] * cell["n_tokens"] for cell in variant["cells"])
    decades = math.log10(target.n_params * target.n_tokens / largest)
    known = sorted(view.compute_fit.result["losses"])
    return Prediction(target, value, low, high, decades, view.compute_fit, known)


def _evaluate(params: Mapping[str, float], target: Target) -> float:
    size = params["A"] * target.n_params ** -params["alpha"]
    return params["E"] + size + params["B"] * target.n_tokens ** -params["beta"]


def _bound_run(
    variant: ComputeVariantDoc, fit: Mapping[str, Any], target: Target
) -> tuple[float | None, float | None]:
    """Return the interval of a single run: replicas of the law times residuals of the runs."""
    sample = {name: decode(values) for name, values in variant["replica_sample"].items()}
    if not sample:
        return None, None
    replicas = [dict(zip(sample, row, strict=True)) for row in zip(*sample.values(), strict=True)]
    residuals = decode(fit["residuals"])
    spread = math.sqrt(fit["n"] / max(1, fit["dof"]))
    noise = random.Random(SEED)
    drawn = sorted(
        _evaluate(params, target) * math.exp(spread * noise.choice(residuals))
        for params in replicas
    )
    return take_quantile(drawn, (1 - LEVEL) / 2), take_quantile(drawn, (1 + LEVEL) / 2)


def take_quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values, linear between neighbours."""
    place = share * (len(ordered) - 1)
    below = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _predict_size(view: StudyView, target: Target) -> Prediction | RefusalDoc:
    variant = _find_named(view, target.variant)
    if variant is None or view.compute_fit is None:
        return _refuse("no law of this study gives N*", "runs of several sizes at several budgets")
    if target.approach not in APPROACHES:
        known = ", ".join(APPROACHES)
        return _refuse(f"{target.approach!r} is no approach; there are {known}")
    lines = [item for item in variant["frontiers"] if item["approach"] == target.approach]
    if not lines:
        refusal = as_refusal(dict(variant)[APPROACHES[target.approach][0]])
        return refusal or _refuse(f"{name_approach(target.approach)} gives no N*")
    value, low, high = take_at(lines[0], "n_params", target.flops)
    if not math.isfinite(value):
        ends = [f"{flops:.3g}" for flops in (lines[0]["flops"][0], lines[0]["flops"][-1])]
        return _refuse(
            f"C = {target.flops:.3g} lies outside {ends[0]} to {ends[1]} FLOPs", "ask within them"
        )
    largest = max(cell["budget"] for cell in variant["cells"])
    decades = math.log10(target.flops / largest)
    budgets = [profile["flops"] for profile in variant["profiles"]]
    ends_known = (_keep_finite(low), _keep_finite(high))
    return Prediction(target, value, *ends_known, decades, view.compute_fit, list(budgets))


def _predict_lr(view: StudyView, target: Target) -> Prediction | RefusalDoc:
    laws = list_laws(view.result)
    law = laws.get(target.variant)
    if law is None or view.fit is None:
        named = f" for {target.variant!r}" if target.variant else ""
        return _refuse(f"no law of this study gives LR*{named}", "learning rates at 3 sizes")
    refusal = as_refusal(law)
    if refusal:
        return refusal
    value = math.exp(law["log_intercept"]) * target.n_params ** law["exponent"]
    if not law["x"][0] <= target.n_params <= law["x"][-1]:
        first, last = format_quantity(law["x"][0]), format_quantity(law["x"][-1])
        return _refuse(f"N lies outside {first} to {last} parameters", "ask within them")
    low, high = (
        interpolate(law["x"], decode(ends), target.n_params) for ends in (law["low"], law["high"])
    )
    fitted = [
        x for x, is_beyond in zip(law["x"], law["extrapolated"], strict=True) if not is_beyond
    ]
    scales = [scale["scale"] for scale in view.fit.result["scales"]]
    decades = math.log10(target.n_params / max(fitted))
    ends_known = (_keep_finite(low), _keep_finite(high))
    return Prediction(target, value, *ends_known, decades, view.fit, list(scales))


def _predict_logit(view: StudyView, target: Target) -> Prediction | RefusalDoc:
    result = view.instability or {}
    lines = [item for item in result.get("forecasts", []) if _is_asked(item, target)]
    if view.instability_fit is None or not lines:
        return _refuse_logit(result, target)
    if len(lines) > 1:
        names = ", ".join(repr(item["variant"]) for item in lines)
        return _refuse(f"several variants have this learning rate: {names}", "name one of them")
    line: Mapping[str, Any] = lines[0]
    if not line["x"][0] <= target.n_params <= line["x"][-1]:
        ends = " to ".join(format_quantity(line["x"][place]) for place in (0, -1))
        return _refuse(f"N lies outside {ends} parameters", "ask within them")
    value, low, high = (
        interpolate(line["x"], decode(line[name]), target.n_params)
        for name in ("y", "y_low", "y_high")
    )
    place = replace(target, variant=line["variant"], peak_lr=line["lr"], step=line["step"])
    decades = math.log10(target.n_params / line["sizes"][-1])
    known = sorted(curve["run"] for curve in result["curves"])
    ends_known = (_keep_finite(low), _keep_finite(high))
    return Prediction(place, value, *ends_known, decades, view.instability_fit, known)


def _is_asked(item: Mapping[str, Any], target: Target) -> bool:
    is_variant = not target.variant or item["variant"] == target.variant
    return is_variant and target.peak_lr / SAME_LR <= item["lr"] <= target.peak_lr * SAME_LR


def _refuse_logit(result: Mapping[str, Any], target: Target) -> RefusalDoc:
    """Say why there is no line for this learning rate: its own refusal, or what there is."""
    if result.get("refusal"):
        return result["refusal"]
    for item in result.get("refused", []):
        if _is_asked(item, target):
            return item["refusal"]
    rates = sorted({item["lr"] for item in result.get("forecasts", [])})
    if not rates:
        return _refuse("no law of this study gives attention logits", "log attn.max_logit.L*")
    known = ", ".join(f"{lr:g}" for lr in rates)
    named = f" and {target.variant!r}" if target.variant else ""
    return _refuse(
        f"no line for LR {target.peak_lr:g}{named}; the learning rates are {known}", "ask for one"
    )


def _keep_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _find_named(view: StudyView, name: str) -> ComputeVariantDoc | None:
    """Return the variant of exactly this name, the largest one for ""."""
    variant = find_variant(view.compute, name)
    return variant if variant is not None and (not name or variant["variant"] == name) else None


PREDICTORS = {
    Quantity.LOSS: _predict_loss,
    Quantity.OPTIMAL_SIZE: _predict_size,
    Quantity.OPTIMAL_LR: _predict_lr,
    Quantity.MAX_LOGIT: _predict_logit,
}
