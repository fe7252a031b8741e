"""P9: loss over learning rate and batch size, for each size and token count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import decode
from fitting.law_table import Document, describe_law_fit, summarise_fit
from fitting.lr_figures import count_runs
from fitting.plots.compute_tables import make_columns
from fitting.plots.contract import Figure, Options, Plot
from fitting.plots.lr_batch import draw_lr_batch, predict_optima
from fitting.queries import StudyView
from fitting.results import RefusalDoc, as_refusal
from fitting.texts import format_interval, format_loss, format_lr
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
COLUMNS = {"lr": "LR", "batch": "Batch, tokens", "loss": "Loss", "above": "Above the best, %"}


def list_cells(view: StudyView) -> list[tuple[Doc, Doc]]:
    """Return every cell with its variant, in the order in which the page lists them."""
    variants = (view.lr_batch or {}).get("variants", [])
    return [(variant, cell) for variant in variants for cell in variant["cells"]]


def find_cell(view: StudyView, options: Options) -> tuple[Doc, Doc] | None:
    """Return the cell that the option `cell` numbers, else the one with the most runs."""
    cells = list_cells(view)
    asked = options.get("cell", "")
    if asked.isdecimal() and len(asked) < 6 and int(asked) < len(cells):
        return cells[int(asked)]
    return max(cells, key=lambda pair: len(pair[1]["run_ids"]), default=None)


def name_cell(pair: tuple[Doc, Doc]) -> str:
    """Return what a cell is called."""
    variant, cell = pair
    named = f", {variant['variant']}" if variant["variant"] else ""
    size, data = format_quantity(cell["n_params"]), format_quantity(cell["n_tokens"])
    return f"N = {size}, D = {data}{named}"


def build_batch(view: StudyView, options: Mapping[str, str]) -> Document:
    """Return the document of learning rate and batch size: cells, laws, or what is missing."""
    result: Mapping[str, Any] = view.lr_batch or {}
    texts, shown = result.get("laws", {}), find_cell(view, options)
    return {
        "refusal": result.get("refusal"),
        "cells": [
            {**describe_cell(pair), "number": number, "is_shown": pair == shown}
            for number, pair in enumerate(list_cells(view))
        ],
        "laws": [
            {
                "variant": variant["variant"],
                "slug": slug,
                **describe_law_fit(variant["laws"][slug], texts.get(slug, {}), "runs"),
            }
            for variant in result.get("variants", [])
            for slug in variant["laws"]
        ],
    }


def describe_cell(pair: tuple[Doc, Doc]) -> Document:
    """Return a cell as one row of the table."""
    _, cell = pair
    refusal = as_refusal(cell["refusal"])
    best = cell["best"]
    row: Document = {
        "name": name_cell(pair),
        "n_runs": len(cell["run_ids"]),
        "n_near": cell["n_near"],
        "best_text": f"{format_lr(cell['peak_lr'][best])}, "
        f"{format_quantity(cell['batch_tokens'][best])}",
        "loss_text": format_loss(cell["loss"][best]),
        "remark": refusal["sentence"] if refusal else "",
    }
    if cell["edges"]:
        edge = f"the best run has the {' and the '.join(cell['edges'])} tried"
        row["remark"] = "; ".join(filter(None, [edge, str(row["remark"])]))
    if not refusal:
        row |= {
            "lr_text": format_lr(cell["lr"]["value"]),
            "lr_interval": format_interval(cell["lr"]["interval"]),
            "batch_text": format_quantity(cell["batch"]["value"]),
            "batch_interval": format_interval(cell["batch"]["interval"], format_quantity),
        }
    return row


def _draw(view: StudyView, options: Options) -> Figure:
    return draw_lr_batch(find_cell(view, options))


def _caption(view: StudyView, options: Options) -> str:
    pair = find_cell(view, options)
    if pair is None:
        return "Loss over learning rate and batch size."
    row = describe_cell(pair)
    said = f" {str(row['remark'])[:1].upper()}{str(row['remark'])[1:]}." if row["remark"] else ""
    return (
        f"{row['name']}: {row['n_runs']} runs, {row['n_near']} within 2 % of the best. Contours: "
        "the fitted loss above its minimum, in percent; blank beyond 2 %. Cross: the best run; "
        f"star: the minimum of the quadratic with its 95 % intervals.{said}"
    )


def _tabulate(view: StudyView, options: Options) -> Figure:
    pair = find_cell(view, options)
    if pair is None:
        return {"columns": make_columns(COLUMNS), "rows": []}
    cell = pair[1]
    least = min(cell["loss"])
    runs = zip(cell["peak_lr"], cell["batch_tokens"], cell["loss"], strict=True)
    return {
        "columns": make_columns(COLUMNS),
        "rows": [
            {"lr": lr, "batch": batch, "loss": loss, "above": 100 * (loss / least - 1)}
            for lr, batch, loss in runs
        ],
    }


def _law(view: StudyView, options: Options) -> Figure:
    pair = find_cell(view, options)
    if pair is None:
        return {"refusal": (view.lr_batch or {}).get("refusal")}
    laws: Sequence[tuple[str, Doc]] = list(pair[0]["laws"].items())
    return {
        **{slug: as_refusal(fit) or summarise_fit(fit) for slug, fit in laws},
        "optima": [
            {"law": name, "lr": decode([lr])[0], "batch": decode([batch])[0]}
            for name, lr, batch in predict_optima(pair)
        ],
    }


def _refuse(view: StudyView, options: Options, drawn: Figure) -> RefusalDoc | None:
    return (view.lr_batch or {}).get("refusal")


BATCH_FIGURES: Mapping[str, Plot] = {
    "lr_batch": Plot(
        "Loss over learning rate and batch size",
        _draw,
        _caption,
        _tabulate,
        _law,
        count_runs,
        _refuse,
    ),
}
