"""The compute-optimal figures in words and numbers: captions, tables, laws."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fitting.compute_results import (
    APPROACHES,
    ENVELOPE,
    PARAMETRIC,
    ComputeVariantDoc,
    decode,
    find_refusal,
    list_fits,
    list_frontiers,
    name_approach,
)
from fitting.law_table import describe_held_out, summarise_fit
from fitting.plots.frontier import describe_edge
from fitting.plots.overtraining import find_law
from fitting.plots.surface import is_fitted, measure_rmse, predict
from fitting.results import as_refusal
from fitting.texts import format_exponent, format_interval, format_number
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_flops

Table = dict[str, object]
Variant = ComputeVariantDoc | None
MOST_NAMED = 4
NO_TABLE: Table = {"columns": [], "rows": []}


def caption_isoflop(variant: Variant, loss: str) -> str:
    """Say what is drawn and which budgets count."""
    if variant is None:
        return "Loss against size at equal compute."
    profiles = variant["profiles"]
    used = sum(profile["used"] for profile in profiles)
    reasons = [
        f"{format_flops(profile['flops'])}: {profile['reason']}"
        for profile in profiles
        if not profile["used"]
    ]
    left = f"; and {len(reasons) - MOST_NAMED} more" if len(reasons) > MOST_NAMED else ""
    named = "; ".join(reasons[:MOST_NAMED])
    hollow = f" Hollow, not in the law: {named}{left}." if reasons else ""
    return (
        f"{used} of {len(profiles)} budgets have a minimum inside their sizes. Final loss: {loss}; "
        "each mark is the best learning rate of its size, small grey marks are the others. "
        f"Parabola in log N; ring: its vertex, with the 95 % interval where the sizes allow one."
        f"{hollow}{_warn(variant)}"
    )


def caption_allocation(variant: Variant) -> str:
    """Say what the lines are."""
    if variant is None:
        return "Compute-optimal allocation by each approach."
    named = [name_approach(item["approach"]) for item in list_frontiers(variant)]
    return (
        f"{_join(named)}; solid within the fitted budgets, dashed beyond them, band: 95 % "
        "interval. Dots: isoFLOP minima. Where the approaches differ, no interval says so: the "
        f"spread is model uncertainty. {describe_convention(variant)}"
    )


def caption_surface(variant: Variant) -> str:
    """Say what the surface is and where it ends."""
    if not is_fitted(variant):
        return "Predicted loss over compute and size."
    assert variant is not None
    return (
        "Loss of the fitted law over compute and size; blank where N or D is more than ten times "
        "outside the fitted range. Line: compute-optimal size, dashed beyond the largest "
        f"budget. Dots: the {len(variant['cells'])} fitted cells. {describe_convention(variant)}"
    )


def caption_residuals(variant: Variant) -> str:
    """Say how well the law describes the runs and predicts those it has not seen."""
    if not is_fitted(variant):
        return "Predicted against observed loss."
    assert variant is not None
    fit = variant["parametric"]
    held = describe_held_out(fit)
    return (
        f"Root mean square relative error {measure_rmse(variant):.1f} ‰ on {fit['n']} cells with "
        f"{fit['n_params']} parameters. Held out: {held}."
    )


def caption_frontier(variant: Variant) -> str:
    """Say what the lines and marks are."""
    if variant is None:
        return "Loss against compute."
    return (
        "Strong dots: best learning rate of each size at each budget; grey: other learning rates; "
        "rings: isoFLOP minima. Lines: loss at the compute-optimal size of the parametric law, "
        "dashed beyond the largest budget (dotted line), band: 95 % interval of the law, not of a "
        f"single run. Held out: {describe_held_out(variant['parametric'])}."
    )


def caption_envelope(variant: Variant, as_of: str) -> str:
    """Say what the envelope is and what of it counts."""
    if variant is None:
        return "Loss curves against the compute they spent."
    counted = describe_edge(variant)
    hollow = f" {counted}; hollow where the smallest or largest size wins." if counted else ""
    return (
        "Grey: every run's loss against the compute it had spent. Thick: the least loss at each "
        f"compute, broken where the leading run ends or a better one begins.{hollow} A curve is a "
        f"fair run of its length only where its learning-rate schedule ends with it.{as_of}"
    )


def caption_overtraining(variant: Variant) -> str:
    """Say what the lines are, and how many parameters stand on how many points."""
    law = find_law(variant)
    if variant is None or law is None:
        return "Loss against compute at fixed tokens per parameter."
    fit = law["fit"]
    return (
        f"L = E + (a M^η + b M^-η) C^-η with M = D/N: {fit['n_params']} parameters on {fit['n']} "
        "points. One line a multiplier, parallel in the reducible loss, dashed beyond the largest "
        "run; colour: tokens per parameter. Diamonds: withheld runs where the law without them "
        "puts them; labels: the worst error at each of the largest computes. Held out: "
        f"{describe_held_out(fit)}."
    )


def caption_overtraining_error(variant: Variant) -> str:
    """Say how well the over-training law describes the runs."""
    law = find_law(variant)
    if variant is None or law is None:
        return "Predicted against observed loss of the over-training law."
    pairs = zip(variant["cells"], decode(law["predicted"]), strict=True)
    squares = [(value / cell["loss"] - 1) ** 2 for cell, value in pairs]
    rmse = 1000 * math.sqrt(sum(squares) / len(squares))
    return (
        f"Root mean square relative error {rmse:.1f} ‰. The law has one exponent for size and "
        "data; where approach 3 finds two that differ, trust the residuals."
    )


def describe_convention(variant: ComputeVariantDoc) -> str:
    """Say how FLOPs relate to N and D in this study."""
    cost = variant["flops_per_token"]
    if cost["is_six_n"]:
        return "C = 6ND."
    ratios = [f / (6 * n) for n, f in zip(cost["n_params"], cost["flops"], strict=True)]
    return (
        f"C as logged: {format_number(min(ratios))} to {format_number(max(ratios))} times 6ND, "
        "interpolated between sizes."
    )


def _warn(variant: ComputeVariantDoc) -> str:
    return "".join(f" {text[0].upper()}{text[1:]}." for text in variant["warnings"])


def _join(names: list[str]) -> str:
    return "; ".join(names) if names else "No approach could be fitted"


def tabulate_profiles(variant: Variant) -> Table:
    """Return one row a budget."""
    if variant is None:
        return NO_TABLE
    rows = []
    for profile in variant["profiles"]:
        n, d = (decode_float(profile[key]["value"]) for key in ("n_params", "n_tokens"))
        used = profile["used"]
        rows.append(
            {
                "flops": profile["flops"],
                "sizes": profile["n_points"],
                "n_params": n if used else None,
                "n_tokens": d if used else None,
                "tokens_per_param": d / n if used and n and d else None,
                "loss": profile["loss"] if used else None,
                "remark": profile["reason"] or profile["n_params"]["reason"],
            }
        )
    columns = {
        "flops": "C, FLOPs",
        "sizes": "Sizes",
        "n_params": "N*",
        "n_tokens": "D*",
        "tokens_per_param": "D*/N*",
        "loss": "Loss",
        "remark": "Remark",
    }
    return {"columns": make_columns(columns), "rows": rows}


def tabulate_cells(variant: Variant) -> Table:
    """Return one row a cell, with what the law predicts for it."""
    if variant is None:
        return NO_TABLE
    fitted = is_fitted(variant)
    rows = []
    for cell in variant["cells"]:
        law = predict(variant["parametric"], cell) if fitted else None
        rows.append(
            {
                "flops": cell["flops"],
                "n_params": cell["n_params"],
                "n_tokens": cell["n_tokens"],
                "lr": decode_float(cell["lr"]),
                "n_lrs": cell["n_lrs"],
                "loss": cell["loss"],
                "predicted": law,
                "error": 100 * (law / cell["loss"] - 1) if law else None,
            }
        )
    columns = {
        "flops": "C, FLOPs",
        "n_params": "N",
        "n_tokens": "D",
        "lr": "Best LR",
        "n_lrs": "LRs tried",
        "loss": "Loss",
        "predicted": "Law",
        "error": "Error, %",
    }
    return {"columns": make_columns(columns), "rows": rows}


def tabulate_overtraining(variant: Variant) -> Table:
    """Return one row a cell, with its token multiplier and what the law predicts."""
    law = find_law(variant)
    if variant is None or law is None:
        return NO_TABLE
    rows = [
        {
            "multiplier": cell["n_tokens"] / cell["n_params"],
            "flops": 6.0 * cell["n_params"] * cell["n_tokens"],
            **{key: cell[key] for key in ("n_params", "n_tokens", "loss")},
            "predicted": value,
            "error": 100 * (value / cell["loss"] - 1),
        }
        for cell, value in zip(variant["cells"], decode(law["predicted"]), strict=True)
    ]
    columns = {
        "multiplier": "D/N",
        "flops": "6ND",
        "n_params": "N",
        "n_tokens": "D",
        "loss": "Loss",
        "predicted": "Law",
        "error": "Error, %",
    }
    return {"columns": make_columns(columns), "rows": rows}


def tabulate_frontiers(variant: Variant, quantity: str = "") -> Table:
    """Return some budgets of every frontier: of one quantity, or of all."""
    if variant is None:
        return NO_TABLE
    rows = []
    for item in variant["frontiers"]:
        for place in range(0, len(item["flops"]), 6):
            row = {"approach": name_approach(item["approach"]), "flops": item["flops"][place]}
            for name in [quantity] if quantity else QUANTITIES:
                row |= _read_quantity(dict(item)[name], name, place)
            rows.append({**row, "extrapolated": item["extrapolated"][place]})
    names = [quantity] if quantity else list(QUANTITIES)
    columns = {"approach": "Approach", "flops": "C, FLOPs"}
    for name in names:
        columns |= {name: QUANTITIES[name], f"{name}_low": "from", f"{name}_high": "to"}
    return {"columns": make_columns({**columns, "extrapolated": "Extrapolated"}), "rows": rows}


QUANTITIES = {
    "n_params": "N*",
    "n_tokens": "D*",
    "tokens_per_parameter": "D*/N*",
    "loss": "Loss",
}


def _read_quantity(band: object, name: str, place: int) -> Table:
    if not isinstance(band, Mapping):
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    keys = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
    numbers = {key: decode(band[key])[place] for key in keys}
    return {keys[key]: v if math.isfinite(v) else None for key, v in numbers.items()}


def make_columns(names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the columns of a table from key -> label."""
    return [{"key": key, "label": label} for key, label in names.items()]


def describe_law(variant: Variant, slug: str) -> Table:
    """Return the law of one approach, or why there is none."""
    refusal = find_refusal(variant, slug)
    if variant is None or refusal:
        return {"refusal": refusal}
    return summarise_fit(dict(variant)[APPROACHES[slug][0]])


def describe_exponents(variant: Variant) -> list[Table]:
    """Return one row an approach: exponents of N* and D* with intervals, or the refusal."""
    rows = []
    for slug, (member, title) in APPROACHES.items():
        if slug == ENVELOPE and variant is None:
            continue
        fit = dict(variant)[member] if variant else None
        refusal = as_refusal(fit)
        row: Table = {
            "slug": slug,
            "title": title,
            "remark": refusal["sentence"] if refusal else "",
        }
        if fit and not refusal:
            row |= _describe_exponent(slug, fit)
        rows.append(row)
    return rows


def _describe_exponent(slug: str, fit: Mapping[str, Any]) -> Table:
    values = fit["derived"] if "a" in fit["derived"] else fit["params"]
    a, b = values["a"], values["b"]
    reason = "" if a["interval"] else a["reason"]
    edge = [item["sentence"] for item in fit["exclusions"] if item["rule"] == "edge_winner"]
    return {
        "a": decode_float(a["value"]),
        "a_text": format_exponent(a["value"]),
        "a_interval": format_interval(a["interval"], format_exponent),
        "b_text": format_exponent(b["value"]),
        "b_interval": format_interval(b["interval"], format_exponent),
        "n": fit["n"],
        "unit": "points of curves" if slug == ENVELOPE else "cells",
        "remark": reason or ("; ".join(f"left out: {text}" for text in edge)),
    }


def describe_laws(variant: Variant) -> Table:
    """Return the laws of all approaches that were fitted."""
    return {slug: summarise_fit(fit) for slug, fit in list_fits(variant).items()}


def describe_parametric(variant: Variant) -> Table:
    """Return the law of approach 3."""
    return describe_law(variant, PARAMETRIC)
