"""The critical batch size of a study: its figures, and the document of their tab."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from fitting.compute_results import decode
from fitting.law_table import Document, describe_law_fit, summarise_fit
from fitting.lr_figures import count_states
from fitting.plots.compute_tables import make_columns
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.critical_batch import (
    draw_critical_batch,
    draw_critical_loss,
    draw_critical_residuals,
    name_target,
    read_critical,
)
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal
from fitting.texts import DASH
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
LAW = "critical_batch"
COLUMNS = {
    "target": "Loss",
    "batch": "B, tokens",
    "steps": "Steps",
    "fitted": "Law",
    "tokens": "Tokens",
    "lr": "LR",
}


def list_families(view: StudyView) -> list[Doc]:
    """Return the variants and sizes with enough batch sizes."""
    return list((view.critical or {}).get("families", []))


def find_family(view: StudyView, options: Options) -> Doc | None:
    """Return the family that the option `model` numbers, else the largest size with a law."""
    families = list_families(view)
    asked = options.get("model", "")
    if asked.isdecimal() and len(asked) < 6 and int(asked) < len(families):
        return families[int(asked)]
    fitted = [family for family in families if not as_refusal(family["targets"][0]["fit"])]
    return max(fitted or families, key=lambda family: family["n_params"], default=None)


def name_family(family: Doc) -> str:
    """Return what a family is called."""
    named = f", {family['variant']}" if family["variant"] else ""
    return f"N = {format_quantity(family['n_params'])}{named}"


def find_refusal(view: StudyView, options: Options) -> RefusalDoc | None:
    """Return why the study, or the shown family, has no critical batch size."""
    refusal: RefusalDoc | None = (view.critical or {}).get("refusal")
    family = find_family(view, options)
    return refusal or (as_refusal(family["targets"][0]["fit"]) if family else None)


def build_critical(view: StudyView, options: Mapping[str, str]) -> Document:
    """Return the document of the tab: models, targets, the law of the lowest, what is missing."""
    shown = find_family(view, options)
    texts = (view.critical or {}).get("laws", {}).get(LAW, {})
    lowest = shown["targets"][0] if shown else None
    return {
        "refusal": find_refusal(view, options),
        "shown": name_family(shown) if shown else "",
        "models": [
            {"number": number, "name": name_family(family), "is_shown": family is shown}
            for number, family in enumerate(list_families(view))
        ],
        "targets": [describe_target(target) for target in (shown["targets"] if shown else [])],
        "law": describe_law_fit(lowest["fit"] if lowest else None, texts, "batch sizes"),
    }


def describe_target(target: Doc) -> Document:
    """Return a target as one row of the table."""
    edges = [
        format_quantity(batch)
        for batch, is_edge in zip(target["batch_tokens"], target["at_edge"], strict=True)
        if is_edge
    ]
    edge = (
        f"best learning rate at the edge of those tried at B = {', '.join(edges)}" if edges else ""
    )
    row: Document = {
        "name": name_target(target),
        "target": target["target"],
        "n_batches": len(target["batch_tokens"]),
        "remark": edge,
    }
    refusal = as_refusal(target["fit"])
    if refusal:
        return {**row, "remark": "; ".join(filter(None, [refusal["sentence"], edge]))}
    value, low, high = read_critical(target)
    params = target["fit"]["params"]
    bounded = math.isfinite(low) and math.isfinite(high)
    return {
        **row,
        "critical": value,
        "critical_text": format_quantity(value),
        "interval": f"{format_quantity(low)} {DASH} {format_quantity(high)}" if bounded else "",
        "s_min_text": format_quantity(params["S_min"]["value"]),
        "e_min_text": format_quantity(params["K"]["value"]),
        "held_out": _describe_error(target),
    }


def summarise_critical(view: StudyView, options: Mapping[str, str]) -> list[Document]:
    """Return the four KPI of the tab, of the lowest target."""
    family, refusal = find_family(view, options), find_refusal(view, options)
    row = describe_target(family["targets"][0]) if family and not refusal else {}
    where = f"{name_family(family)}, {row['name']}" if family and row else ""
    reason = refusal["sentence"] if refusal else "comes with the deep fit"
    interval = f"95 %: {row['interval']}" if row.get("interval") else "no interval"
    texts = {
        "b_crit": ("Critical batch, tokens", row.get("critical_text", ""), interval),
        "s_min": ("Least steps S_min", row.get("s_min_text", ""), "at an infinite batch"),
        "e_min": ("Least tokens E_min", row.get("e_min_text", ""), "at a small batch"),
        "critical_held_out": (
            "Held-out error",
            str(row.get("held_out", "")),
            "steps of the largest batch from the others",
        ),
    }
    return [
        {
            "key": key,
            "label": label,
            "value": value,
            "interval": note if value else "",
            "basis": where or reason,
        }
        for key, (label, value, note) in texts.items()
    ]


def _describe_error(target: Doc) -> str:
    """Return how the others predict the largest batch, or why nothing was held out."""
    held = target["fit"]["held_out"]
    refusal = as_refusal(held)
    if refusal:
        return refusal["sentence"]
    return f"{100 * abs(decode(held['relative_error'])[0]):.2g} %"


def _caption(view: StudyView, options: Options) -> str:
    family = find_family(view, options)
    if family is None:
        return "Steps to a fixed loss against batch size."
    row = describe_target(family["targets"][0])
    said = (
        f"B_crit = {row['critical_text']} tokens [{row['interval'] or 'no interval'}] at the "
        "lowest loss that every batch size reaches: dotted, with its 95 % interval. "
        if "critical" in row
        else f"{row['remark']}. "
    )
    return (
        f"{name_family(family)}. Marks: the first run of each batch size at the loss, whatever its "
        f"learning rate. Lines: S = S_min (1 + B_crit / B), relative least squares. {said}"
        "Below B_crit twice the batch halves the steps; above it, it saves few."
    )


def _caption_loss(view: StudyView, options: Options) -> str:
    return "At each loss, with 95 % intervals; as a rule it grows as the loss falls."


def _caption_residuals(view: StudyView, options: Options) -> str:
    return "Steps of the law against those measured. Diamonds: the largest batch from the others."


def _tabulate(view: StudyView, options: Options) -> Figure:
    family, rows = find_family(view, options), []
    for target in family["targets"] if family else []:
        fitted = decode(target["fitted"]) or [math.nan] * len(target["steps"])
        columns = (target["batch_tokens"], decode(target["steps"]), fitted, target["peak_lr"])
        for batch, steps, law, lr in zip(*columns, strict=True):
            rows.append(
                {
                    "target": target["target"],
                    "batch": batch,
                    "steps": steps,
                    "fitted": law if math.isfinite(law) else None,
                    "tokens": batch * steps,
                    "lr": decode([lr])[0],
                }
            )
    return {"columns": make_columns(COLUMNS), "rows": rows}


def _law(view: StudyView, options: Options) -> Figure:
    family = find_family(view, options)
    fits = family["targets"] if family else []
    known = {name_target(item): item["fit"] for item in fits if not as_refusal(item["fit"])}
    if not known:
        return {"refusal": find_refusal(view, options)}
    return {name: summarise_fit(fit) for name, fit in known.items()}


def _refuse(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    return find_refusal(view, options)


def _make(
    title: str, draw: Callable[[Doc | None], Figure], caption: Callable[[StudyView, Options], str]
) -> Plot:
    return Plot(
        title,
        lambda view, options: draw(find_family(view, options)),
        caption,
        _tabulate,
        _law,
        count_states,
        _refuse,
    )


CRITICAL_FIGURES: Mapping[str, Plot] = {
    "critical_batch": _make("Steps to a loss against batch size", draw_critical_batch, _caption),
    "critical_loss": _make(
        "Critical batch size against the loss", draw_critical_loss, _caption_loss
    ),
    "critical_residuals": _make(
        "Predicted against measured steps", draw_critical_residuals, _caption_residuals
    ),
}
