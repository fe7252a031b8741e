"""A stored fit of any law as a table: parameters, objective, data, held-out error, remarks."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from fitting.compute_results import FitDoc, decode
from fitting.results import as_refusal
from fitting.texts import format_aligned, format_interval, format_number

Document = dict[str, object]
OBJECTIVES = {"huber": "Huber losses", "least_squares": "squares"}
SPACES = {"log": "residuals of log {}", "linear": "residuals of the {}"}
TARGETS = {"scores": "score", "batch sizes": "steps"}  # what a law gives; of the others the loss
OPTIMA = {"n_params": "optimal sizes", "peak_lr": "optimal learning rates"}
WEIGHTS = {"1": "", "1/L^2": ", relative", "1/S^2": ", relative"}


def describe_law_fit(fit: FitDoc | None, law: Mapping[str, Any], unit: str = "cells") -> Document:
    """Return a fit, or why there is none, as the page's table of a law shows it.

    `law` holds the title, the formula, the source and the texts of the parameters, as
    analyses.describe_laws writes them; `unit` is what a row of the fit is.
    """
    head: Document = {
        "title": law.get("title", ""),
        "formula": law.get("formula", ""),
        "source": law.get("source", ""),
    }
    refusal = as_refusal(fit)
    if fit is None or refusal:
        return {**head, "refusal": refusal, "rows": []}
    texts = law.get("params", {})
    return {
        **head,
        "slug": fit["law"],
        "refusal": None,
        "rows": [
            {**_read(item), "key": name, "text": texts.get(name, name)}
            for name, item in fit["params"].items()
        ],
        "objective": describe_objective(fit, TARGETS.get(unit, "loss")),
        "n": f"{fit['n_params']} parameters on {fit['n']} {unit}",
        "replicas": fit["replicas"],
        "seed": fit["seed"],
        "digest": fit["digest"],
        "held_out": describe_held_out(fit, unit),
        "warnings": [text[:1].upper() + text[1:] for text in list_remarks(fit)],
    }


def list_remarks(fit: FitDoc) -> list[str]:
    """Return the warnings of a fit, and the one reason why no parameter has an interval."""
    missing = {item["reason"] for item in fit["params"].values() if not item["interval"]}
    has_none = all(not item["interval"] for item in fit["params"].values())
    reasons = sorted(missing) if has_none and len(missing) == 1 else []
    return [*fit["warnings"], *(text for text in reasons if text and text not in fit["warnings"])]


def describe_estimate(estimate: Mapping[str, Any]) -> Document:
    """Return a number at full precision and as text, with its interval or why it has none."""
    return {
        "value": estimate["value"],
        "text": format_aligned(estimate["value"], 4),
        "unit": estimate.get("unit", ""),
        "interval_text": format_interval(estimate["interval"], format_aligned),
        "reason": estimate["reason"],
    }


def _read(estimate: Mapping[str, Any]) -> Document:
    found = describe_estimate(estimate)
    return {**found, "number": found["text"]}


def describe_objective(fit: FitDoc, target: str = "loss") -> str:
    """Say what was minimised."""
    spec = fit["objective_spec"]
    delta = f", δ = {format_number(spec['delta'])}" if spec["delta"] else ""
    weights = WEIGHTS.get(spec["weights"], f", weights {spec['weights']}")
    return (
        f"{spec['reduction']} of {OBJECTIVES[spec['loss']]} of the "
        f"{SPACES[spec['space']].format(target)}{weights}{delta}"
    )


def describe_held_out(fit: FitDoc, unit: str = "cells") -> str:
    """Say how the law predicts what it was not fitted to."""
    refusal = as_refusal(fit)
    if refusal:
        return refusal["sentence"]
    held = fit["held_out"]
    refused = as_refusal(held)
    if refused:
        return refused["sentence"]
    unit = OPTIMA.get(held.get("quantity", ""), unit)
    errors = sorted(abs(value) for value in decode(held["relative_error"]))
    if len(errors) == 1:
        return f"1 {unit[:-1]} ({held['rule']}), error {100 * errors[0]:.2g} %"
    return (
        f"{len(errors)} {unit} ({held['rule']}), median error {100 * median(errors):.2g} %, "
        f"largest {100 * errors[-1]:.2g} %"
    )


def summarise_fit(fit: FitDoc) -> Document:
    """Return a fit as a figure's `law`: parameters and derived quantities with intervals."""
    return {
        "form": fit["law"],
        "n": fit["n"],
        "objective": fit["objective"],
        "objective_spec": fit["objective_spec"],
        "params": {name: _strip(item) for name, item in fit["params"].items()},
        "derived": {name: _strip(item) for name, item in fit["derived"].items()},
        "replicas": fit["replicas"],
        "seed": fit["seed"],
        "digest": fit["digest"],
    }


def _strip(estimate: Mapping[str, Any]) -> Document:
    return {key: estimate[key] for key in ("value", "interval", "reason")}
