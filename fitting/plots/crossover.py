"""P10 for variants: loss against compute of each ladder, where two cross, and the gain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import decode
from fitting.palette import (
    BAND_ALPHA,
    ROLES,
    SYMBOLS,
    add_alpha,
    category_tone,
    color_category,
    role_tone,
)
from fitting.plots.frame import (
    Trace,
    format_lr,
    format_number,
    log_axis,
    make_layout,
    pad_log,
    plot_text,
)
from fitting.plots.frontier import mark_edge
from fitting.plots.lines import Line, LineStyle, draw_line
from fitting.plots.residuals import Residual, Series, write_error
from fitting.results import as_refusal
from fitting.texts import DASH
from scaledash.lib.units import format_flops, format_quantity

Doc = Mapping[str, Any]
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
POINT_HOVER = (
    "%{customdata[1]}<br>C = %{customdata[2]}, N = %{customdata[3]}<br>"
    "loss %{y:.4g}, %{customdata[4]}<extra></extra>"
)
GAIN_HOVER = "C = %{x:.3g}<br>gain %{y:.3g}<extra></extra>"
GAIN_TICKS = 30.0  # a gain drawn further away than this is clipped


def draw_crossover(
    ladders: Sequence[Doc], places: Mapping[str, int], pair: Doc | None
) -> dict[str, object]:
    """Return data, layout and counts of the shown ladders.

    `places` gives each variant its colour; `pair` is the comparison whose crossing is marked.
    """
    shown = [ladder for ladder in ladders if ladder["cells"]]
    if not shown:
        return EMPTY
    data: list[Trace] = []
    for ladder in shown:
        data += draw_law(ladder, places[ladder["variant"]])
    points = [draw_points(ladder, places[ladder["variant"]]) for ladder in shown]
    data += points
    for ladder in shown:
        data += draw_withheld(ladder, places[ladder["variant"]])
    flops = [x for trace in data for x in trace["x"]]
    losses = [y for trace in data if trace["mode"] != "none" for y in trace["y"]]
    edge = max(cell["flops"] for ladder in shown for cell in ladder["cells"])
    crossing = find_crossing(pair)
    layout = make_layout(
        log_axis("Compute C, FLOPs", *pad_log(min(flops), max(flops), 0.03, 0.02), format_flops),
        log_axis("Best loss, nats per token", *pad_log(min(losses), max(losses), 0.08, 0.06)),
        "crossover",
        annotations=[label_crossing(crossing)] if crossing else [],
        n_legend=len(shown) + 1,
    )
    layout["shapes"] = [mark_edge(edge), *(mark_crossing(crossing) if crossing else [])]
    drawn = sum(len(cell["run_ids"]) for ladder in shown for cell in ladder["cells"])
    held = sum(len(trace["x"]) for trace in data if trace["meta"]["part"] == "held_out")
    return {"data": data, "layout": layout, "drawn": drawn, "clipped": 0, "held_out": held}


def draw_law(ladder: Doc, place: int) -> list[Trace]:
    """Return the fitted line of a ladder with its band."""
    curve = None if as_refusal(ladder["fit"]) else ladder["fit"]["curve"]
    if curve is None:
        return []
    ends = [decode(curve[key]) for key in ("y", "low", "high")]
    style = LineStyle(color_category(place), category_tone(place), plot_text(ladder["variant"]))
    return draw_line(Line(curve["x"], *ends, curve["extrapolated"]), style)


def draw_points(ladder: Doc, place: int) -> Trace:
    """Return the best cell of each budget."""
    cells, name = ladder["cells"], plot_text(ladder["variant"] or "all runs")
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [cell["flops"] for cell in cells],
        "y": [cell["loss"] for cell in cells],
        "customdata": [
            [
                cell["run_ids"][0],
                name,
                format_flops(cell["flops"]),
                format_quantity(cell["n_params"]),
                f"best of {cell['n_lrs']} LR: {format_lr(decode([cell['lr']])[0])}",
            ]
            for cell in cells
        ],
        "hovertemplate": POINT_HOVER,
        "marker": {
            "size": 8,
            "symbol": SYMBOLS[place % len(SYMBOLS)],
            "color": color_category(place),
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "showlegend": True,
        "name": name,
        "meta": {"tone": category_tone(place), "part": "cell"},
    }


def draw_withheld(ladder: Doc, place: int) -> list[Trace]:
    """Return what the law without the largest runs predicted for them, as open diamonds."""
    held = {} if as_refusal(ladder["fit"]) else ladder["fit"]["held_out"]
    if not held or as_refusal(held):
        return []
    cells = {" ".join(cell["run_ids"]): cell for cell in ladder["cells"]}
    found = [(cells[name], law) for name, law in zip(held["ids"], held["predicted"], strict=True)]
    color = color_category(place)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [cell["flops"] for cell, _ in found],
            "y": [law for _, law in found],
            "customdata": [
                [
                    cell["run_ids"][0],
                    f"predicted by the others, {plot_text(ladder['variant'])}",
                    format_flops(cell["flops"]),
                    format_quantity(cell["n_params"]),
                    f"error {write_error(law, cell['loss'])}",
                ]
                for cell, law in found
            ],
            "hovertemplate": POINT_HOVER,
            "marker": {
                "size": 11,
                "symbol": "diamond-open",
                "color": color,
                "line": {"color": color, "width": 1.6},
            },
            "showlegend": False,
            "name": "held out",
            "meta": {"tone": category_tone(place), "part": "held_out"},
        }
    ]


def list_residuals(ladders: Sequence[Doc], places: Mapping[str, int]) -> list[Series]:
    """Return the fitted and the withheld cells of every ladder that has a law."""
    series = []
    for ladder in ladders:
        fit, name = ladder["fit"], ladder["variant"] or "all runs"
        if as_refusal(fit):
            continue
        cells = {" ".join(cell["run_ids"]): cell for cell in ladder["cells"]}
        place = places[ladder["variant"]]
        pairs = zip(ladder["cells"], ladder["predicted"], strict=True)
        series.append(Series(name, place, [_place(cell, law) for cell, law in pairs]))
        if not as_refusal(fit["held_out"]):
            held = zip(fit["held_out"]["ids"], fit["held_out"]["predicted"], strict=True)
            points = [_place(cells[uid], law) for uid, law in held]
            series.append(Series("held out", place, points, True))
    return series


def _place(cell: Doc, law: float) -> Residual:
    words = f"C = {format_flops(cell['flops'])}, N = {format_quantity(cell['n_params'])}"
    return Residual(cell["loss"], law, cell["run_ids"][0], words)


def find_crossing(pair: Doc | None) -> Doc | None:
    """Return the crossing of a pair; None where there is none to draw."""
    comparison = pair["comparison"] if pair else None
    if comparison is None or as_refusal(comparison) or as_refusal(comparison["crossing"]):
        return None
    crossing: Doc = comparison["crossing"]
    return crossing


def mark_crossing(crossing: Doc) -> list[dict[str, object]]:
    """Return the crossing as a vertical line, its interval as a band behind the data."""
    interval = crossing["interval"]
    middle = decode([crossing["median"]])[0]
    line = {"color": ROLES["accent"], "width": 1.4, "dash": "dash"}
    shared = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
    shapes: list[dict[str, object]] = [
        {"type": "line", "x0": middle, "x1": middle, "line": line, **shared}
    ]
    if interval:
        shapes.insert(
            0,
            {
                "type": "rect",
                "x0": decode([interval["low"]])[0],
                "x1": decode([interval["high"]])[0],
                "fillcolor": add_alpha(ROLES["accent"], BAND_ALPHA / 2),
                "line": {"width": 0},
                "layer": "below",
                **shared,
            },
        )
    return shapes


def label_crossing(crossing: Doc) -> dict[str, object]:
    """Return the crossing in words at the top of its line."""
    return {
        "x": math.log10(decode([crossing["median"]])[0]),
        "yref": "paper",
        "y": 0.98,
        "xanchor": "left",
        "xshift": 5,
        "yanchor": "top",
        "showarrow": False,
        "align": "left",
        "text": f"crossing at {format_crossing(crossing, '<br>')}",
        "bgcolor": add_alpha(ROLES["panel"], 0.8),
        "font": {"size": 11.5, "color": ROLES["accent"]},
    }


def format_crossing(crossing: Doc, between: str = " ") -> str:
    """Write a crossing with its interval, or its share alone where only that may be quoted."""
    middle = format_flops(decode([crossing["median"]])[0])
    if crossing["one_sided"] or not crossing["interval"]:
        return f"{middle}{between}in {crossing['share_once']:.0%} of replicas"
    low, high = (decode([crossing["interval"][key]])[0] for key in ("low", "high"))
    return f"{middle}{between}95 %: {format_flops(low)} {DASH} {format_flops(high)}"


def draw_gain(pair: Doc | None, place: int, name: str) -> dict[str, object]:
    """Return data, layout and counts of the compute-equivalent gain of one pair."""
    gain = pair["gain"] if pair else None
    if gain is None or as_refusal(gain):
        return EMPTY
    columns = (gain["flops"], *(decode(gain[key]) for key in ("gain", "low", "high")))
    rows = [
        row
        for row in zip(*columns, gain["extrapolated"], strict=True)
        if 1 / GAIN_TICKS <= row[1] <= GAIN_TICKS
    ]
    if len(rows) < 2:
        return EMPTY
    x, y, low, high, beyond = zip(*rows, strict=True)
    style = LineStyle(color_category(place), category_tone(place), plot_text(name))
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x[0], x[-1]],
            "y": [1.0, 1.0],
            "line": {"color": ROLES["ink3"], "width": 1},
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "no gain",
            "meta": {"tone": role_tone("ink3"), "part": "equal"},
        },
        *draw_line(Line(x, y, low, high, beyond), style),
    ]
    for trace in data[-2:]:
        trace.update(hovertemplate=GAIN_HOVER)
        trace.pop("hoverinfo", None)
    ends = [v for v in (*y, *low, *high, 1.0) if math.isfinite(v)]
    bottom = max(min(ends), min(y) / 4)
    top = min(max(ends), max(y) * 4)
    layout = make_layout(
        log_axis("Compute of the second, FLOPs", *pad_log(x[0], x[-1], 0.02, 0.02), format_flops),
        log_axis("Compute-equivalent gain", *pad_log(bottom, top, 0.08, 0.08), _write_gain),
        "gain",
    )
    return {"data": data, "layout": layout, "drawn": 0, "clipped": 0}


def _write_gain(value: float) -> str:
    return f"{format_number(value)}\N{MULTIPLICATION SIGN}"
