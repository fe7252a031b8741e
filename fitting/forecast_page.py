"""The forecasts of a study as its page and the API show them: what was asked, frozen, scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from django.urls import reverse

from fitting.compute_results import APPROACHES, PARAMETRIC, name_approach
from fitting.forecasting import LEVEL, LEVELS, NAMES, NEEDS, Prediction, Target, predict
from fitting.models import Forecast, Quantity
from fitting.queries import StudyView, find_version
from fitting.scoring import Score, score
from fitting.texts import DASH, format_loss, format_lr
from scaledash.lib.units import format_flops, format_quantity, parse_quantity

Document = dict[str, object]


def format_logit(value: float) -> str:
    """Write an attention logit with four digits: "698.3", "23,917"."""
    return f"{value:,.0f}" if value >= 1e3 else f"{value:.4g}"


def format_step(value: float) -> str:
    """Write a step."""
    return f"{value:,.0f}"


WRITERS: dict[Quantity, Callable[[Any], str]] = {
    Quantity.LOSS: format_loss,
    Quantity.OPTIMAL_SIZE: format_quantity,
    Quantity.OPTIMAL_LR: format_lr,
    Quantity.MAX_LOGIT: format_logit,
}
PLACES: dict[str, Callable[[Any], str]] = {
    "n_params": format_quantity,
    "n_tokens": format_quantity,
    "flops": format_flops,
    "peak_lr": format_lr,
    "step": format_step,
}
LABELS = {
    Quantity.LOSS: "Loss",
    Quantity.OPTIMAL_SIZE: "N*",
    Quantity.OPTIMAL_LR: "LR*",
    Quantity.MAX_LOGIT: "Max attention logit",
}
FIELDS = {"n": "n_params", "d": "n_tokens", "c": "flops", "lr": "peak_lr"}


def read_target(options: Mapping[str, str]) -> tuple[Target, str]:
    """Return the target that a form asks for, and what is wrong with it, "" where nothing is."""
    quantity = options.get("quantity", Quantity.LOSS)
    if quantity not in Quantity.values:
        return Target(
            Quantity.LOSS
        ), f"{quantity!r} is no quantity; there are {_list_quantities()}."
    numbers, problem = {}, ""
    for key, name in FIELDS.items():
        text = options.get(key, "").strip()
        numbers[name] = math.nan
        if text and name in NEEDS[Quantity(quantity)]:
            try:
                numbers[name] = float(parse_quantity(text))
            except (ValueError, TypeError):
                problem = (
                    problem or f"{text!r} is no number; write {NAMES[name]} like 400M or 1e13."
                )
    approach = options.get("approach") or PARAMETRIC
    return Target(quantity, options.get("variant", ""), approach, **numbers), problem


def _list_quantities() -> str:
    return ", ".join(Quantity.values)


def build_forecasts(view: StudyView, options: Mapping[str, str]) -> Document:
    """Return the document of the tab: the form as it was filled in, its answer, the register."""
    target, problem = read_target(options)
    asked = bool(options.get("quantity"))
    answer = predict(view, target) if asked and not problem else None
    refusal = answer if answer is not None and not isinstance(answer, Prediction) else None
    return {
        "form": {
            "quantity": target.quantity,
            "approach": target.approach,
            "variant": target.variant,
            **{key: options.get(key, "") for key in FIELDS},
        },
        "quantities": [
            {"value": value, "label": label, "needs": " ".join(_list_keys(Quantity(value)))}
            for value, label in Quantity.choices
        ],
        "approaches": [{"value": slug, "label": name_approach(slug)} for slug in APPROACHES],
        "variant_names": _list_variants(view),
        "problem": problem or (_write_refusal(refusal) if refusal else ""),
        "prediction": describe_prediction(answer) if isinstance(answer, Prediction) else None,
        "forecasts": [describe_forecast(item, view) for item in list_forecasts(view)],
    }


def _list_keys(quantity: Quantity) -> list[str]:
    return [key for key, name in FIELDS.items() if name in NEEDS[quantity]]


def _list_variants(view: StudyView) -> list[str]:
    """Return the variants of both analyses."""
    named = {scale["variant"] for scale in view.result["scales"]} if view.result else set()
    if view.compute:
        named |= {item["variant"] for item in view.compute["variants"]}
    return sorted(named - {""})


def _write_refusal(refusal: Mapping[str, object]) -> str:
    cure = f" What helps: {refusal['cure']}." if refusal["cure"] else ""
    sentence = str(refusal["sentence"])
    return f"{sentence[:1].upper()}{sentence[1:]}.{cure}"


def list_forecasts(view: StudyView) -> list[Forecast]:
    """Return the forecasts of the study, newest first."""
    found = Forecast.objects.filter(study=view.study).select_related("fit", "created_by")
    return list(found.order_by("-pk"))


def describe_prediction(found: Prediction) -> Document:
    """Return a prediction with its numbers as text."""
    quantity = Quantity(found.target.quantity)
    return {
        "quantity": quantity.value,
        "target": found.target.describe(),
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "decades_beyond": found.decades_beyond,
        "label": LABELS[quantity],
        "level": LEVELS.get(quantity, LEVEL),
        **_write_numbers(quantity, found.value, found.low, found.high),
        "extrapolation": write_extrapolation(found.decades_beyond),
        "basis": write_basis(found.target.describe(), quantity),
        "fit_version": find_version(found.fit),
        "input_digest": found.fit.input_digest,
    }


def describe_forecast(forecast: Forecast, view: StudyView) -> Document:
    """Return a forecast with its score; nothing of it but the score ever changes."""
    quantity = Quantity(forecast.quantity)
    scored = score(forecast, view)
    return {
        "id": forecast.pk,
        "quantity": quantity.value,
        "label": LABELS[quantity],
        "target": forecast.target,
        "target_text": write_target(forecast.target),
        "value": forecast.value,
        "low": forecast.low,
        "high": forecast.high,
        "level": LEVELS.get(quantity, LEVEL),
        **_write_numbers(quantity, forecast.value, forecast.low, forecast.high),
        "decades_beyond": forecast.decades_beyond,
        "extrapolation": write_extrapolation(forecast.decades_beyond),
        "basis": write_basis(forecast.target, quantity),
        "fit_version": find_version(forecast.fit),
        "analysis": forecast.fit.analysis,
        "input_digest": forecast.fit.input_digest,
        "created_at": forecast.created_at,
        "created_by": forecast.created_by.username if forecast.created_by else None,
        "score": None if scored is None else describe_score(scored, quantity, view),
    }


def describe_score(scored: Score, quantity: Quantity, view: StudyView) -> Document:
    """Return how a forecast turned out."""
    project = view.study.project.slug
    return {
        "measured": scored.measured,
        "measured_text": WRITERS[quantity](scored.measured),
        "error": scored.error,
        "error_text": f"{100 * scored.error:+.1f} %".replace("-", "\N{MINUS SIGN}"),
        "is_inside": scored.is_inside,
        "runs": list(scored.run_ids),
        "run_url": reverse("run", args=[project, scored.run_ids[0]]) if scored.run_ids else "",
    }


def _write_numbers(
    quantity: Quantity, value: float, low: float | None, high: float | None
) -> Document:
    write = WRITERS[quantity]
    has_interval = low is not None and high is not None
    return {
        "value_text": write(value),
        "interval_text": f"{write(low)} {DASH} {write(high)}" if has_interval else "",
        "level_text": f"{100 * LEVELS.get(quantity, LEVEL):.0f} %",
    }


def write_target(target: Mapping[str, object]) -> str:
    """Write where a forecast is made: "N = 333k, D = 1.27M, qk_norm=ln"; a step as "step 100"."""
    parts = [
        f"{name}{' ' if key == 'step' else ' = '}{PLACES[key](target[key])}"
        for key, name in NAMES.items()
        if key in target
    ]
    return ", ".join([*parts, *filter(None, [str(target.get("variant", ""))])])


def write_basis(target: Mapping[str, object], quantity: Quantity) -> str:
    """Say which law a forecast comes from."""
    if quantity == Quantity.OPTIMAL_LR:
        return "power law of LR*"
    if quantity == Quantity.MAX_LOGIT:
        return "logits against N"
    return name_approach(PARAMETRIC if quantity == Quantity.LOSS else str(target["approach"]))


def write_extrapolation(decades: float) -> str:
    """Say how far beyond the data a forecast reaches."""
    if decades <= 1e-3:
        return "inside the data"
    return f"{decades:.1f} decades beyond the data"
