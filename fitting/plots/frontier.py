"""P5 and P10: the envelope of loss curves, and the compute-optimal loss against compute."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fitting.compute_results import ComputeVariantDoc, decode, list_frontiers, name_approach
from fitting.palette import ROLES, add_alpha, category_tone, color_category, role_tone
from fitting.plots.allocation import CROWDED, place_approach
from fitting.plots.frame import (
    Trace,
    format_lr,
    format_number,
    log_axis,
    make_layout,
    pad_log,
    plot_text,
)
from fitting.plots.isoflop import find_others
from fitting.plots.lines import Line, LineStyle, draw_line
from fitting.results import as_refusal
from fitting.rows import StudyRow
from scaledash.lib.units import format_flops, format_quantity

CURVE_ALPHA = 0.28
STEP_UP, STEP_DOWN = 0.004, 0.03  # of the loss between neighbours of the envelope's 1,500 budgets
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
RUN_HOVER = (
    "%{customdata[1]}<br>N = %{customdata[2]}, LR %{customdata[3]}<br>"
    "C = %{customdata[4]}, loss %{y:.4g}<extra></extra>"
)
MINIMUM_HOVER = (
    "C = %{customdata[1]}<br>N* = %{customdata[2]}<br>loss %{y:.4g}<extra>isoFLOP minimum</extra>"
)
ENVELOPE_HOVER = (
    "C = %{customdata[1]}<br>least loss %{y:.4g} at N = %{customdata[2]}<extra></extra>"
)


def draw_frontier(variant: ComputeVariantDoc | None, rows: Iterable[StudyRow]) -> dict[str, object]:
    """Return data, layout and counts of loss against compute."""
    if variant is None or not variant["cells"]:
        return EMPTY
    others = find_others(variant, rows)
    data: list[Trace] = [*draw_runs(others), draw_tuned(variant)]
    n_lines = 0
    for frontier in list_frontiers(variant):
        place = place_approach(frontier["approach"])
        band = frontier["loss"]
        if band is None:
            continue
        ends = [decode(band[key]) for key in ("value", "low", "high")]
        line = Line(frontier["flops"], *ends, frontier["extrapolated"])
        name = name_approach(frontier["approach"])
        style = LineStyle(
            color_category(place),
            category_tone(place),
            name,
            in_legend=True,
            is_crowded=len(variant["frontiers"]) > CROWDED,
        )
        data += draw_line(line, style)
        n_lines += 1
    data += draw_minima(variant)
    flops = [x for trace in data for x in trace["x"]]
    losses = [y for trace in data for y in trace["y"]]
    edge = max(cell["budget"] for cell in variant["cells"])
    layout = make_layout(
        log_axis("Compute C, FLOPs", *pad_log(min(flops), max(flops), 0.03, 0.02), format_flops),
        log_axis("Final loss, nats per token", *pad_log(min(losses), max(losses), 0.05, 0.05)),
        "frontier",
        n_legend=n_lines + 1,
    )
    layout["shapes"] = [mark_edge(edge)] if n_lines else []
    n_tuned = sum(len(cell["run_ids"]) for cell in variant["cells"])
    return {"data": data, "layout": layout, "drawn": len(others) + n_tuned, "clipped": 0}


def mark_edge(flops: float) -> dict[str, object]:
    """Return the dotted vertical line at the largest fitted budget."""
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": flops,
        "x1": flops,
        "y0": 0,
        "y1": 1,
        "line": {"color": ROLES["ink3"], "width": 1, "dash": "dot"},
    }


def draw_runs(rows: Sequence[StudyRow]) -> list[Trace]:
    """Return the finished runs that are not the best of their cell."""
    if not rows:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [row.c for row in rows],
            "y": [row.loss for row in rows],
            "customdata": [
                [
                    row.uid,
                    plot_text(row.name),
                    format_quantity(row.n),
                    format_lr(row.lr),
                    format_flops(row.c),
                ]
                for row in rows
            ],
            "hovertemplate": RUN_HOVER,
            "marker": {"size": 4.5, "color": ROLES["ink3"], "opacity": 0.35},
            "showlegend": False,
            "name": "other learning rates",
            "meta": {"tone": role_tone("ink3"), "part": "untuned"},
        }
    ]


def draw_tuned(variant: ComputeVariantDoc) -> Trace:
    """Return the best run of each size at each budget."""
    cells = variant["cells"]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [cell["flops"] for cell in cells],
        "y": [cell["loss"] for cell in cells],
        "customdata": [
            [
                cell["run_ids"][0],
                f"best of {cell['n_lrs']} LR",
                format_quantity(cell["n_params"]),
                format_lr(decode([cell["lr"]])[0]),
                format_flops(cell["flops"]),
            ]
            for cell in cells
        ],
        "hovertemplate": RUN_HOVER,
        "marker": {
            "size": 6.5,
            "color": ROLES["ink2"],
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "showlegend": False,
        "name": "runs",
        "meta": {"tone": role_tone("ink2"), "part": "cell"},
    }


def draw_minima(variant: ComputeVariantDoc) -> list[Trace]:
    """Return the isoFLOP minima as rings."""
    used = [profile for profile in variant["profiles"] if profile["used"]]
    if not used:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [profile["flops"] for profile in used],
            "y": [profile["loss"] for profile in used],
            "customdata": [
                [
                    "",
                    format_flops(profile["flops"]),
                    format_quantity(decode([profile["n_params"]["value"]])[0]),
                ]
                for profile in used
            ],
            "hovertemplate": MINIMUM_HOVER,
            "marker": {
                "size": 14,
                "symbol": "circle-open",
                "color": ROLES["ink"],
                "line": {"color": ROLES["ink"], "width": 2.2},
            },
            "showlegend": True,
            "name": "isoFLOP minima",
            "meta": {"tone": role_tone("ink"), "part": "ring"},
        }
    ]


def draw_envelope(
    variant: ComputeVariantDoc | None, curves: Sequence[Mapping[str, Any]]
) -> dict[str, object]:
    """Return data, layout and counts of the loss curves and their lower envelope."""
    mine = [curve for curve in curves if variant and curve["variant"] == variant["variant"]]
    if variant is None or not mine:
        return EMPTY
    fit = variant["envelope"]
    table = [] if as_refusal(fit) else fit["table"]
    data: list[Trace] = [pool_curves(mine), *draw_lower(table)]
    flops = [x for curve in mine for x in curve["flops"]]
    losses = [y for curve in mine for y in curve["loss"]]
    layout = make_layout(
        log_axis(
            "Compute spent, FLOPs", *pad_log(min(flops), max(flops), 0.02, 0.02), format_flops
        ),
        log_axis("Loss, nats per token", *pad_log(min(losses), max(losses), 0.04, 0.04)),
        "envelope",
    )
    return {"data": data, "layout": layout, "drawn": len(mine), "clipped": 0}


def pool_curves(curves: Sequence[Mapping[str, Any]]) -> Trace:
    """Return all curves as one trace, joined by nulls."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [x for curve in curves for x in (*curve["flops"], None)],
        "y": [y for curve in curves for y in (*curve["loss"], None)],
        "line": {"color": add_alpha(ROLES["ink3"], CURVE_ALPHA), "width": 1},
        "hoverinfo": "skip",
        "name": "loss curves",
        "meta": {"tone": role_tone("ink3"), "part": "curves"},
    }


def draw_lower(table: Sequence[Mapping[str, Any]]) -> list[Trace]:
    """Return the envelope: filled where it counts, hollow where an outermost size wins."""
    if not table:
        return []
    shown = [row for row in table if math.isfinite(decode([row["loss"]])[0])]
    broken = break_where_runs_end(shown)
    line: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": [row and row["flops"] for row in broken],
        "y": [row and row["loss"] for row in broken],
        "line": {"color": ROLES["ink"], "width": 2},
        "customdata": [
            ["", format_flops(row["flops"]), format_quantity(row["n_params"])] if row else []
            for row in broken
        ],
        "hovertemplate": ENVELOPE_HOVER,
        "name": "least loss",
        "meta": {"tone": role_tone("ink"), "part": "envelope"},
    }
    edge = [row for row in shown if not row["used"]][::6]
    hollow: Trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [row["flops"] for row in edge],
        "y": [row["loss"] for row in edge],
        "marker": {
            "size": 5,
            "color": ROLES["panel"],
            "line": {"color": ROLES["ink"], "width": 1.2},
        },
        "hoverinfo": "skip",
        "name": "won by the smallest or the largest size",
        "meta": {"tone": role_tone("ink"), "part": "hollow"},
    }
    return [line, hollow] if edge else [line]


def break_where_runs_end(
    rows: Sequence[Mapping[str, Any]],
) -> list[Mapping[str, Any] | None]:
    """Put None where the least loss steps: the leading run ended, or a better one began there."""
    found: list[Mapping[str, Any] | None] = []
    for before, row in zip([None, *rows], rows, strict=False):
        step = row["loss"] / before["loss"] - 1 if before else 0.0
        if step > STEP_UP or step < -STEP_DOWN:
            found.append(None)
        found.append(row)
    return found


def describe_edge(variant: ComputeVariantDoc) -> str:
    """Say how much of the envelope counts."""
    table = [] if as_refusal(variant["envelope"]) else variant["envelope"]["table"]
    if not table:
        return ""
    share = sum(row["used"] for row in table) / len(table)
    return f"{format_number(100 * share, 2)} % of it counts"
