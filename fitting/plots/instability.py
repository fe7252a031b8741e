"""P4 (b) and its twin: attention logits and gradient RMS against size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.palette import ROLES, SYMBOLS, color_size, place_sizes, size_tone
from fitting.plots.frame import (
    MARGIN,
    Trace,
    format_lr,
    format_number,
    log_axis,
    make_layout,
    pad_log,
    plot_text,
    spread_labels,
)
from fitting.plots.instability_curves import NOTHING, draw_level, name_line, read_positive
from fitting.plots.lines import Line, LineStyle, draw_line, label_end
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
Figure = dict[str, object]
POINT_HOVER = "%{customdata[1]}<br>N = %{customdata[2]}: %{y:.4g}<extra></extra>"
LABEL_SHARE = 0.075  # of the height of a small figure, a line of text
LABEL_PX = 82  # right of the frame, for the labels
FAR = 1e3  # times the largest size: a crossing beyond it is no reason for a heavy line


def draw_logit_forecast(result: Doc | None, x_title: str) -> Figure:
    """Return the logits at the early step against size, with a forecast for each learning rate."""
    if not result or not result["values"]:
        return NOTHING
    groups = sorted({(item[3], item[2]) for item in result["values"]})
    rates = sorted({lr for _, lr in groups})
    variants = sorted({variant for variant, _ in groups})
    data: list[Trace] = []
    shades = place_sizes(rates)
    for forecast in result["forecasts"]:
        data += _draw_forecast(forecast, shades[forecast["lr"]])
    for variant, lr in groups:
        mine = [item for item in result["values"] if (item[3], item[2]) == (variant, lr)]
        data.append(_draw_values(mine, shades[lr], variants.index(variant)))
    values = [v for item in result["values"] if (v := decode_float(item[4])) and v > 0]
    sizes = [item[1] for item in result["values"]]
    low, high = pad_log(min(values), max([*values, result["limit"]]), 0.05, 0.12)
    right = max([max(sizes), *(item["x"][-1] for item in result["forecasts"])])
    layout = make_layout(
        log_axis(x_title, *pad_log(min(sizes), right, 0.04, 0.04), format_quantity),
        log_axis(f"Attention logit, step {result['step']:,}", low, high),
        "logit_forecast",
        annotations=[
            name_line(result["limit"], "critical", "bad"),
            *_label_rates(data, shades, (low, high)),
        ],
    )
    layout["shapes"] = [draw_level(result["limit"], "bad")]
    layout["margin"] = {**MARGIN, "r": LABEL_PX}
    return {"data": data, "layout": layout, "drawn": len(result["values"]), "clipped": 0}


def _draw_forecast(forecast: Doc, shade: float) -> list[Trace]:
    """Return the line; the interval only where the limit lies within reach."""
    largest = forecast["sizes"][-1]
    ends = [
        [math.nan if (v := decode_float(value)) is None else v for value in forecast[name]]
        for name in ("y", "y_low", "y_high")
    ]
    line = Line(forecast["x"], *ends, [x > largest for x in forecast["x"]])
    is_near = forecast["ratio"] is not None and forecast["ratio"] < FAR
    style = LineStyle(
        color_size(shade),
        size_tone(shade),
        f"LR {format_lr(forecast['lr'])}",
        width=2.0 if is_near else 1.0,
        with_band=is_near,
    )
    return draw_line(line, style)


def _draw_values(items: Sequence[Sequence[Any]], shade: float, variant: int) -> Trace:
    name = f"LR {format_lr(items[0][2])}"
    words = [f"{plot_text(item[3] or 'all runs')}, LR {format_lr(item[2])}" for item in items]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [item[1] for item in items],
        "y": read_positive([item[4] for item in items]),
        "customdata": [
            [item[0], text, format_quantity(item[1])]
            for item, text in zip(items, words, strict=True)
        ],
        "hovertemplate": POINT_HOVER,
        "showlegend": False,
        "name": name,
        "marker": {
            "symbol": SYMBOLS[variant % len(SYMBOLS)],
            "size": 7,
            "color": color_size(shade),
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "meta": {"tone": size_tone(shade), "part": "value"},
    }


def _label_rates(
    data: Sequence[Trace], shades: Mapping[float, float], ends: tuple[float, float]
) -> list[dict[str, object]]:
    """Return one label a learning rate at the right edge, at the height where its line ends."""
    low, high = ends
    names = {f"LR {format_lr(lr)}": shade for lr, shade in sorted(shades.items())}
    tops: dict[str, float] = {}
    for trace in data:
        if trace["meta"]["part"] in ("value", "extrapolated"):
            points = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y]
            if points:
                tops[trace["name"]] = max(tops.get(trace["name"], 0.0), max(points)[1])
    known = [name for name in names if name in tops]
    heights = [math.log10(min(max(tops[name], low), high)) for name in known]
    places = spread_labels(heights, LABEL_SHARE * math.log10(high / low))
    lift = max(0.0, math.log10(low) - min(places, default=math.inf))
    return [
        note
        for name, place in zip(known, places, strict=True)
        for note in label_end(
            name,
            color_size(names[name]),
            {"xref": "paper", "x": 1, "xshift": 4, "y": place + lift},
        )
    ]


def draw_gradient_rms(result: Doc | None, x_title: str) -> Figure:
    """Return gradient RMS against size with its line for each learning rate, and epsilon."""
    trends = (result or {}).get("gradients", [])
    if not trends:
        return NOTHING
    rates = sorted({trend["lr"] for trend in trends})
    variants = sorted({trend["variant"] for trend in trends})
    data: list[Trace] = []
    shades = place_sizes(rates)
    for trend in trends:
        shade, largest = shades[trend["lr"]], trend["sizes"][-1]
        none = [math.nan] * len(trend["x"])
        line = Line(trend["x"], trend["y"], none, none, [x > largest for x in trend["x"]])
        name = f"LR {format_lr(trend['lr'])}"
        style = LineStyle(color_size(shade), size_tone(shade), name, width=1.4)
        data += draw_line(line, style)
        points = [
            ["", size, trend["lr"], trend["variant"], value]
            for size, value in zip(trend["sizes"], trend["values"], strict=True)
        ]
        data.append(_draw_values(points, shade, variants.index(trend["variant"])))
    values = [value for trend in trends for value in trend["values"]]
    sizes = [size for trend in trends for size in trend["sizes"]]
    epsilon = trends[0]["epsilon"]
    low, high = pad_log(min([*values, epsilon]), max(values), 0.06, 0.1)
    layout = make_layout(
        log_axis(x_title, *pad_log(min(sizes), 10 * max(sizes), 0.04, 0.04), format_quantity),
        log_axis("Gradient RMS", low, high),
        "gradient_rms",
        annotations=[
            {
                **name_line(epsilon, "", "bad"),
                "text": f"Adam's epsilon {format_number(epsilon)}",
            },
            *_label_rates(data, shades, (low, high)),
        ],
    )
    layout["shapes"] = [draw_level(epsilon, "bad")]
    layout["margin"] = {**MARGIN, "r": LABEL_PX}
    return {"data": data, "layout": layout, "drawn": len(values), "clipped": 0}
