"""What the compute-optimal tabs of a study show beside their figures: numbers, tables, what-if."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from fitting.compute_results import (
    PARAMETRIC,
    ComputeVariantDoc,
    FrontierDoc,
    decode,
    describe_design,
    find_variant,
    interpolate,
    list_fits,
    list_frontiers,
    name_approach,
    take_at,
)
from fitting.law_table import (
    describe_estimate,
    describe_held_out,
    describe_law_fit,
    describe_objective,
)
from fitting.palette import category_tone
from fitting.plots.allocation import place_approach
from fitting.plots.compute_tables import describe_exponents
from fitting.queries import StudyView
from fitting.results import as_refusal, list_laws
from fitting.texts import DASH, format_interval, format_loss, format_lr, format_number
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_flops, format_quantity, parse_quantity

Document = dict[str, object]
OPTIMUM_LABELS = {
    "n_exponent": "Exponent of N* in C",
    "n_opt": "N* at the budget",
    "tokens_per_param": "Tokens per parameter",
}
NO_BUDGET = "needs runs with parameters, tokens and FLOPs"
PARAM_TEXTS = {
    "E": "irreducible loss E, nats",
    "A": "amplitude of size A",
    "B": "amplitude of data B",
    "alpha": "exponent of size, alpha",
    "beta": "exponent of data, beta",
}
DERIVED_TEXTS = {"a": "exponent a of N* ∝ Cᵃ", "b": "exponent b of D* ∝ Cᵇ"}


def build_compute(view: StudyView, name: str, asked: str) -> Document:
    """Return the document of the compute-optimal analysis.

    `name` is the variant to show, "" = the one with the most cells; `asked` is the budget of the
    what-if panel as it was typed.
    """
    result = view.compute
    variant = find_variant(result, name)
    return {
        "shown_variant": variant["variant"] if variant else "",
        "compute_variants": [item["variant"] for item in result["variants"]] if result else [],
        "compute_refusal": result["refusal"] if result else None,
        "compute_design": describe_design(variant),
        "compute_warnings": [_start(text) for text in variant["warnings"]] if variant else [],
        "compute_fit": describe_compute_fit(view),
        "budgets": describe_budgets(variant),
        "exponents": [_add_tone(variant, row) for row in describe_exponents(variant)],
        "parametric_rows": describe_params(variant),
        "parametric_notes": describe_notes(variant),
        "what_if": add_recipe(view, variant, answer_what_if(variant, asked)),
        "compute_exclusions": list(result["exclusions"]) if result else [],
    }


def _add_tone(variant: ComputeVariantDoc | None, row: Document) -> Document:
    """Add the colour that the approach has in the figures, "" where it is in none."""
    drawn = [item["approach"] for item in variant["frontiers"]] if variant else []
    tone = (
        json.dumps(category_tone(place_approach(str(row["slug"])))) if row["slug"] in drawn else ""
    )
    return {**row, "tone": tone}


def describe_compute_fit(view: StudyView) -> Document | None:
    """Return what the log of fits says of the shown analysis."""
    fit = view.compute_fit
    if fit is None:
        return None
    result: Mapping[str, Any] = fit.result
    return {
        "kind": fit.kind,
        "n_runs": result["n_runs"],
        "n_used": result["n_used"],
        "digest": fit.input_digest,
        "created_at": fit.created_at,
        "replicas": result["settings"]["replicas"],
        "seed": result["settings"]["seed"],
    }


def describe_budgets(variant: ComputeVariantDoc | None) -> list[Document]:
    """Return one row a budget: its minimum, or why there is none."""
    if variant is None:
        return []
    return [_describe_budget(profile) for profile in variant["profiles"]]


def _describe_budget(profile: Mapping[str, Any]) -> Document:
    row: Document = {
        "flops_text": format_flops(profile["flops"]),
        "n_points": profile["n_points"],
        "used": profile["used"],
        "remark": profile["reason"],
    }
    if not profile["used"]:
        return row
    n, d = (decode_float(profile[key]["value"]) for key in ("n_params", "n_tokens"))
    assert n and d
    return {
        **row,
        "n_text": format_quantity(n),
        "n_interval": format_interval(profile["n_params"]["interval"], format_quantity),
        "d_text": format_quantity(d),
        "ratio_text": format_number(d / n),
        "loss_text": format_loss(profile["loss"]),
        "remark": _start(profile["n_params"]["reason"]),
    }


def describe_params(variant: ComputeVariantDoc | None) -> list[Document]:
    """Return the parameters of the parametric law by both objectives, side by side."""
    fits = {slug: fit for slug, fit in list_fits(variant).items() if "E" in fit["params"]}
    rows: list[Document] = []
    for texts, member in ((DERIVED_TEXTS, "derived"), (PARAM_TEXTS, "params")):
        for name, text in texts.items():
            cells = [describe_estimate(fit[member][name]) for fit in fits.values()]
            if cells:
                rows.append({"key": name, "text": text, "cells": cells})
    return rows


def describe_notes(variant: ComputeVariantDoc | None) -> list[Document]:
    """Return how each parametric fit was made and how it did: objective, n, held out, warnings."""
    return [
        {"title": name_approach(slug), **_describe_notes(fit)}
        for slug, fit in list_fits(variant).items()
        if "E" in fit["params"]
    ]


def _describe_notes(fit: Mapping[str, Any]) -> Document:
    return {
        "objective": describe_objective(fit),
        "n": f"{fit['n_params']} parameters on {fit['n']} cells",
        "replicas": fit["replicas"],
        "seed": fit["seed"],
        "held_out": describe_held_out(fit),
        "warnings": [_start(text) for text in fit["warnings"]],
    }


def _start(text: str) -> str:
    """Begin a sentence, unless it begins with the name of a column, such as n_tokens."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def describe_overtraining(view: StudyView, options: Mapping[str, str]) -> Document:
    """Return the over-training law of the shown variant as a table, or why there is none."""
    variant = find_variant(view.compute, options.get("variant", ""))
    law = variant.get("overtraining") if variant else None
    texts = (view.compute or {}).get("laws", {}).get("overtraining", {})
    refused = view.compute["refusal"] if view.compute else None
    return describe_law_fit(law["fit"] if law else refused, texts)


def answer_what_if(variant: ComputeVariantDoc | None, asked: str) -> Document:
    """Return what every approach recommends at a budget; by default at the largest fitted one."""
    if variant is None or not variant["frontiers"]:
        return {
            "asked": asked,
            "problem": "",
            "flops": None,
            "flops_text": "",
            "extrapolated": "",
            "rows": [],
            "spread": "",
        }
    largest = max(cell["budget"] for cell in variant["cells"])
    grid = variant["frontiers"][0]["flops"]
    flops, problem = _read_budget(asked, grid, largest)
    rows = [_recommend(item, flops) for item in list_frontiers(variant)]
    sizes = [row["n_params"] for row in rows if row["n_params"]]
    spread = max(sizes) / min(sizes) if len(sizes) > 1 else 1.0
    decades = math.log10(flops / largest)
    return {
        "asked": asked,
        "problem": problem,
        "flops": flops,
        "flops_text": format_flops(flops),
        "extrapolated": f"{decades:.1f} decades beyond the largest budget"
        if decades > 1e-3
        else "",
        "rows": rows,
        "spread": f"The approaches differ by a factor of {spread:.2f} in N*."
        if spread > 1.005
        else "",
    }


def _read_budget(asked: str, grid: list[float], largest: float) -> tuple[float, str]:
    if not asked.strip():
        return largest, ""
    try:
        flops = float(parse_quantity(asked.strip()))
    except (ValueError, TypeError):
        return largest, f"{asked!r} is no number; write FLOPs like 1e13 or 30T."
    if not grid[0] <= flops <= grid[-1] * (1 + 1e-9):
        low, high = format_flops(grid[0]), format_flops(grid[-1])
        return largest, (
            f"{asked} lies outside {low} to {high} FLOPs: from the smallest budget to ten times "
            "the largest."
        )
    return flops, ""


def add_recipe(
    view: StudyView, variant: ComputeVariantDoc | None, what_if: Mapping[str, Any]
) -> Document:
    """Add LR* at N* and B* at D* of the first approach, or why the study does not give them."""
    rows = what_if["rows"]
    row = next((row for row in rows if row["approach"] == PARAMETRIC), rows[0] if rows else None)
    if variant is None or row is None or not row["n_params"] or not row["n_tokens"]:
        return {**what_if, "recipe": []}
    return {
        **what_if,
        "recipe": [
            recommend_lr(view, variant["variant"], row["n_params"]),
            recommend_batch(view, variant["variant"], row["n_tokens"]),
        ],
    }


def recommend_lr(view: StudyView, variant: str, n_params: float) -> Document:
    """Return LR* at a size by the law of the variant, or why there is none."""
    row: Document = {"key": "lr", "label": "LR*", "text": "", "interval": "", "reason": ""}
    law = list_laws(view.result).get(variant)
    refusal = as_refusal(law)
    if law is None or refusal:
        return {**row, "reason": refusal["sentence"] if refusal else "no law of LR* yet"}
    sizes = law["x"]
    if not sizes[0] <= n_params <= sizes[-1]:
        ends = " to ".join(format_quantity(size) for size in (sizes[0], sizes[-1]))
        return {**row, "reason": f"the law of LR* covers N from {ends}"}
    columns = (law["lr"], decode(law["low"]), decode(law["high"]))
    value, low, high = (interpolate(sizes, column, n_params) for column in columns)
    found = _Ends(value, low, high).write(format_lr)
    fitted = max(x for x, beyond in zip(sizes, law["extrapolated"], strict=True) if not beyond)
    far = "extrapolated beyond the largest size swept" if n_params > fitted else ""
    return {**row, **found, "value": value, "reason": far}


def recommend_batch(view: StudyView, variant: str, n_tokens: float) -> Document:
    """Return B* at a token count by the surface rule, or why there is none."""
    row: Document = {"key": "batch", "label": "B*, tokens", "text": "", "interval": ""}
    result = view.lr_batch or {}
    refused = result.get("refusal")
    mine = [item for item in result.get("variants", []) if item["variant"] == variant]
    law = mine[0]["laws"]["step_law_surface"] if mine else refused
    refusal = as_refusal(law)
    if law is None or refusal:
        return {**row, "reason": refusal["sentence"] if refusal else "no law of B* yet"}
    const, power = (law["params"][name]["value"] for name in ("bs_const", "bs_D"))
    value = math.exp(const + power * math.log(n_tokens))
    reason = "surface rule; the table of the law holds its intervals"
    return {**row, "text": format_quantity(value), "value": value, "reason": reason}


@dataclass(frozen=True)
class _Ends:
    value: float
    low: float
    high: float

    def write(self, write: Any) -> Document:
        is_bounded = math.isfinite(self.low) and math.isfinite(self.high)
        interval = f"{write(self.low)} {DASH} {write(self.high)}" if is_bounded else ""
        return {
            "text": write(self.value) if math.isfinite(self.value) else "",
            "interval": interval,
        }


def _recommend(frontier: FrontierDoc, flops: float) -> dict[str, Any]:
    def read(quantity: str) -> _Ends:
        return _Ends(*take_at(frontier, quantity, flops))

    n, d, ratio, loss = map(read, ("n_params", "n_tokens", "tokens_per_parameter", "loss"))
    return {
        "approach": frontier["approach"],
        "title": name_approach(frontier["approach"]),
        "n_params": n.value if math.isfinite(n.value) else None,
        "n_tokens": d.value if math.isfinite(d.value) else None,
        "loss": loss.value if math.isfinite(loss.value) else None,
        "n": n.write(format_quantity),
        "d": d.write(format_quantity),
        "ratio": ratio.write(format_number),
        "l": loss.write(format_loss),
    }


def summarise_compute(view: StudyView, document: Mapping[str, Any]) -> list[Document]:
    """Return the four KPI of the compute-optimal tabs."""
    variant = find_variant(view.compute, str(document["shown_variant"]))
    if describe_design(variant):
        basis = "all runs have the same tokens: see below"
        labels = (*OPTIMUM_LABELS.items(), ("held_out", "Held-out error"))
        return [
            {"key": key, "label": label, "value": "", "interval": "", "basis": basis}
            for key, label in labels
        ]
    return [
        _show_exponent(document["exponents"]),
        *_show_optimum(document["what_if"], variant),
        _show_held_out(variant),
    ]


def _show_exponent(exponents: list[Mapping[str, Any]]) -> Document:
    kpi: Document = {"key": "n_exponent", "label": OPTIMUM_LABELS["n_exponent"]}
    fitted = [row for row in exponents if "a" in row]
    if not fitted:
        remark = exponents[0]["remark"] if exponents else ""
        return {**kpi, "value": "", "interval": "", "basis": remark or "no fit yet"}
    row = next((row for row in fitted if row["slug"] == PARAMETRIC), fitted[0])
    others = [
        f"{other['title'].partition(',')[0].lower()}: {other['a_text']}"
        for other in fitted
        if other is not row and other["slug"] != "chinchilla_vpnls"
    ]
    interval = row["a_interval"] and f"95 %: {row['a_interval']}"
    return {
        **kpi,
        "value": row["a_text"],
        "interval": interval or row["remark"],
        "basis": "; ".join(["approach 3", *others]) if row["slug"] == PARAMETRIC else row["title"],
    }


def _show_optimum(
    what_if: Mapping[str, Any], variant: ComputeVariantDoc | None
) -> tuple[Document, Document]:
    best: Document = {"key": "n_opt", "label": OPTIMUM_LABELS["n_opt"]}
    ratio: Document = {"key": "tokens_per_param", "label": OPTIMUM_LABELS["tokens_per_param"]}
    rows = what_if["rows"]
    row = next((row for row in rows if row["approach"] == PARAMETRIC), rows[0] if rows else None)
    if row is None:
        nothing = {"value": "", "interval": "", "basis": NO_BUDGET if variant is None else "no fit"}
        return {**best, **nothing}, {**ratio, **nothing}
    where = f"C = {what_if['flops_text']}"
    if what_if["extrapolated"]:
        where += ", extrapolated"
    first, second = (
        {
            **kpi,
            "value": row[key]["text"],
            "interval": f"95 %: {row[key]['interval']}" if row[key]["interval"] else "no interval",
            "basis": f"{where}; {row['title'].partition(',')[0].lower()}",
        }
        for kpi, key in ((best, "n"), (ratio, "ratio"))
    )
    return first, second


def _show_held_out(variant: ComputeVariantDoc | None) -> Document:
    kpi: Document = {"key": "held_out", "label": "Held-out error"}
    fit = list_fits(variant).get(PARAMETRIC)
    if fit is None:
        return {**kpi, "value": "", "interval": "", "basis": "no parametric fit"}
    held = fit["held_out"]
    refusal = as_refusal(held)
    if refusal:
        return {**kpi, "value": "", "interval": "", "basis": refusal["sentence"]}
    errors = sorted(abs(value) for value in decode(held["relative_error"]))
    return {
        **kpi,
        "value": f"{100 * median(errors):.1f} %",
        "interval": f"largest {100 * errors[-1]:.1f} %",
        "basis": f"{len(errors)} cell{'s' if len(errors) > 1 else ''}, {held['rule']}",
    }
