"""P11: loss against compute at fixed tokens per parameter, one line a multiplier."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import CellDoc, ComputeVariantDoc, decode
from fitting.palette import ROLES, color_size, place_sizes, size_tone
from fitting.plots.frame import (
    LEAST_HEIGHT,
    MARGIN,
    Trace,
    format_number,
    log_axis,
    make_layout,
    pad_log,
    spread_labels,
)
from fitting.plots.frontier import mark_edge
from fitting.plots.lines import Line, LineStyle, draw_line, label_end
from fitting.plots.residuals import Series, write_error
from fitting.plots.surface import list_residuals as list_cells
from fitting.results import as_refusal
from scaledash.lib.units import format_flops, format_quantity

Doc = Mapping[str, Any]
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
LABEL_GAP_PX, LABELLED = 14, 4
ERROR_PX = 18  # of the lowest label of an error above its diamond
LABEL_PX = 92  # right of the frame, for the labels
HOVER = (
    "%{customdata[1]} tokens per parameter<br>N = %{customdata[2]}, D = %{customdata[3]}<br>"
    "C = %{customdata[4]}, loss %{customdata[5]}<br>%{customdata[6]}<extra></extra>"
)


def find_law(variant: ComputeVariantDoc | None) -> Doc | None:
    """Return the over-training law of a variant, None where there is none or it is older."""
    law: Doc | None = variant.get("overtraining") if variant else None
    return None if law is None or as_refusal(law["fit"]) else law


def draw_overtraining(variant: ComputeVariantDoc | None) -> dict[str, object]:
    """Return data, layout and counts of the figure."""
    law = find_law(variant)
    if variant is None or law is None:
        return EMPTY
    cells, lines = variant["cells"], law["lines"]
    ratios = [cell["n_tokens"] / cell["n_params"] for cell in cells]
    shades = place_sizes([*ratios, *(line["multiplier"] for line in lines)])
    data: list[Trace] = []
    for line in lines:
        data += _draw_line(line, shades[line["multiplier"]])
    data.append(_draw_cells(cells, law, shades))
    withheld = list_withheld(cells, law["fit"]["held_out"])
    data += _draw_withheld(withheld)
    flops = [x for trace in data for x in trace["x"]]
    losses = [y for trace in data for y in trace["y"]]
    low, high = pad_log(min(losses), max(losses), 0.05, 0.06)
    edge = max(spend(cell) for cell in cells)
    notes = [*_label_lines(lines, shades, (low, high)), *label_errors(withheld, (low, high))]
    layout = make_layout(
        log_axis("C = 6ND, FLOPs", *pad_log(min(flops), max(flops), 0.03, 0.0), format_flops),
        log_axis("Final loss, nats per token", low, high),
        "overtraining",
        annotations=notes,
    )
    layout["shapes"] = [mark_edge(edge)]
    layout["margin"] = {**MARGIN, "r": LABEL_PX}
    return {
        "data": data,
        "layout": layout,
        "drawn": sum(len(cell["run_ids"]) for cell in cells),
        "clipped": 0,
        "held_out": len(withheld),
    }


def spend(cell: CellDoc) -> float:
    """Return the compute of a cell as the law counts it: 6 N D."""
    return 6.0 * cell["n_params"] * cell["n_tokens"]


def _draw_line(line: Doc, shade: float) -> list[Trace]:
    none = [math.nan] * len(line["flops"])
    style = LineStyle(color_size(shade), size_tone(shade), _name(line["multiplier"]))
    return draw_line(
        Line(line["flops"], decode(line["loss"]), none, none, line["extrapolated"]), style
    )


def _name(multiplier: float) -> str:
    rounded = float(f"{multiplier:.2g}")
    return f"D/N = {rounded:,.0f}" if rounded >= 10 else f"D/N = {rounded:g}"


def _draw_cells(cells: Sequence[CellDoc], law: Doc, shades: Mapping[float, float]) -> Trace:
    fitted = decode(law["predicted"])
    ratios = [cell["n_tokens"] / cell["n_params"] for cell in cells]
    words = [
        f"law {format_number(value, 4)} ({write_error(value, cell['loss'])})"
        for cell, value in zip(cells, fitted, strict=True)
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [spend(cell) for cell in cells],
        "y": [cell["loss"] for cell in cells],
        "customdata": [_describe(cell, text) for cell, text in zip(cells, words, strict=True)],
        "hovertemplate": HOVER,
        "marker": {
            "size": 8,
            "color": [color_size(shades[ratio]) for ratio in ratios],
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "showlegend": False,
        "name": "runs",
        "meta": {
            "tone": size_tone(1.0),
            "tones": [size_tone(shades[ratio]) for ratio in ratios],
            "part": "cell",
        },
    }


def _describe(cell: CellDoc, words: str) -> list[str]:
    return [
        cell["run_ids"][0],
        format_number(cell["n_tokens"] / cell["n_params"]),
        format_quantity(cell["n_params"]),
        format_quantity(cell["n_tokens"]),
        format_flops(spend(cell)),
        format_number(cell["loss"], 4),
        words,
    ]


def list_withheld(cells: Sequence[CellDoc], held: Doc) -> list[tuple[CellDoc, float]]:
    """Return the withheld cells, each with the loss that the law without them predicts."""
    if as_refusal(held):
        return []
    named = {" ".join(cell["run_ids"]): cell for cell in cells}
    return [(named[uid], law) for uid, law in zip(held["ids"], held["predicted"], strict=True)]


def label_errors(
    withheld: Sequence[tuple[CellDoc, float]], ends: tuple[float, float]
) -> list[dict[str, object]]:
    """Return the worst error at each of the largest computes, above its diamond.

    The leftmost stands highest and all read to the right, so that no leader crosses a label.
    """
    worst: dict[float, tuple[CellDoc, float]] = {}
    for cell, law in sorted(withheld, key=lambda pair: abs(math.log(pair[1] / pair[0]["loss"]))):
        worst[round(math.log10(spend(cell)), 2)] = (cell, law)
    scale = (LEAST_HEIGHT - MARGIN["t"] - MARGIN["b"]) / math.log10(ends[1] / ends[0])
    notes: list[dict[str, object]] = []
    below = -math.inf
    for _, (cell, law) in sorted(worst.items(), reverse=True)[:LABELLED]:
        height = scale * math.log10(law)
        below = max(height + ERROR_PX, below + LABEL_GAP_PX)
        notes.append(
            {
                "x": math.log10(spend(cell)),
                "y": math.log10(law),
                "text": write_error(law, cell["loss"]),
                "showarrow": True,
                "arrowhead": 0,
                "arrowwidth": 1,
                "arrowcolor": ROLES["ink3"],
                "ax": 0,
                "ay": height - below,
                "xanchor": "left",
                "yanchor": "bottom",
                "standoff": 6,
                "borderpad": 0,
                "font": {"size": 11, "color": ROLES["ink2"]},
            }
        )
    return notes


def _draw_withheld(withheld: Sequence[tuple[CellDoc, float]]) -> list[Trace]:
    """Return the withheld cells where the law without them puts them."""
    if not withheld:
        return []
    errors = [write_error(law, cell["loss"]) for cell, law in withheld]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [spend(cell) for cell, _ in withheld],
            "y": [law for _, law in withheld],
            "customdata": [
                _describe(cell, f"predicted without it {format_number(law, 4)} ({text})")
                for (cell, law), text in zip(withheld, errors, strict=True)
            ],
            "hovertemplate": HOVER,
            "marker": {
                "size": 11,
                "symbol": "diamond-open",
                "color": ROLES["ink"],
                "line": {"color": ROLES["ink"], "width": 1.6},
            },
            "showlegend": False,
            "name": "held out",
            "meta": {"tone": {"role": "ink"}, "part": "held_out"},
        }
    ]


def _label_lines(
    lines: Sequence[Doc], shades: Mapping[float, float], ends: tuple[float, float]
) -> list[dict[str, object]]:
    """Return the multiplier at the right end of each line, moved apart where they crowd."""
    span = math.log10(ends[1] / ends[0])
    gap = span * LABEL_GAP_PX / (LEAST_HEIGHT - MARGIN["t"] - MARGIN["b"])
    heights = [math.log10(decode(line["loss"])[-1]) for line in lines]
    places = spread_labels(heights, gap)
    return [
        note
        for line, place in zip(lines, places, strict=True)
        for note in label_end(
            _name(line["multiplier"]),
            color_size(shades[line["multiplier"]]),
            {"xref": "paper", "x": 1, "xshift": 4, "y": place},
        )
    ]


def list_residuals(variant: ComputeVariantDoc | None) -> list[Series]:
    """Return the fitted and the withheld cells."""
    law = find_law(variant)
    if variant is None or law is None:
        return []
    return list_cells(law["fit"], variant["cells"], decode(law["predicted"]))
