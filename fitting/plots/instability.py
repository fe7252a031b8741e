"""P4: attention logits against step and against size, gradient RMS against size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.palette import (
    DASHES,
    ROLES,
    SYMBOLS,
    add_alpha,
    category_tone,
    color_category,
    color_size,
    place_sizes,
    role_tone,
    size_tone,
)
from fitting.plots.frame import (
    Trace,
    format_lr,
    format_number,
    log_axis,
    make_layout,
    pad_log,
    plot_text,
    spread_labels,
)
from fitting.plots.lines import Line, LineStyle, draw_line
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
Figure = dict[str, object]
NOTHING: Figure = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
BANDS = ((1e2, "watch", "ink3"), (1e3, "warn", "ink2"), (1e4, "critical", "bad"))
RUN_HOVER = "%{customdata[1]}<br>step %{x}: %{y:.4g}<extra></extra>"
POINT_HOVER = "%{customdata[1]}<br>N = %{customdata[2]}: %{y:.4g}<extra></extra>"
GREY_ALPHA = 0.35
NEARLY = 0.9  # of the largest size: variants of one size differ by a few parameters
LABEL_SHARE = 0.07  # of the height of a small figure, a line of text


def _positive(values: Sequence[object]) -> list[float | None]:
    found = [decode_float(value) for value in values]
    return [v if v is not None and math.isfinite(v) and v > 0 else None for v in found]


# --- (a) against step ----------------------------------------------------------------------------
def draw_attention_logits(result: Doc | None) -> Figure:
    """Return the curves: those that reach the first band by size, the others pooled in grey."""
    curves = [curve for curve in (result or {}).get("curves", []) if curve["steps"]]
    if not curves:
        return NOTHING
    shades = place_sizes([curve["n"] for curve in curves])
    variants = sorted({curve["variant"] for curve in curves})
    large = [
        c for c in curves if max(filter(None, _positive(c["logits"])), default=0) >= BANDS[0][0]
    ]
    data = [*_pool([curve for curve in curves if curve not in large])]
    for curve in sorted(large, key=lambda item: item["n"]):
        data.append(_draw_curve(curve, shades[curve["n"]], variants.index(curve["variant"])))
    values = [v for curve in curves for v in _positive(curve["logits"]) if v]
    steps = [step for curve in curves for step in curve["steps"] if step > 0]
    low, high = pad_log(min(values), max([*values, BANDS[-1][0]]), 0.03, 0.08)
    layout = make_layout(
        log_axis("Step", *pad_log(min(steps), max(steps), 0.02, 0.02), format_quantity),
        log_axis("Largest attention logit", low, high),
        "attention_logits",
        annotations=[_name_band(*band) for band in BANDS if low < band[0] < high],
    )
    layout["shapes"] = [_draw_band(*band) for band in BANDS if low < band[0] < high]
    return {"data": data, "layout": layout, "drawn": len(curves), "clipped": 0, "large": len(large)}


def _pool(curves: Sequence[Doc]) -> list[Trace]:
    if not curves:
        return []
    x: list[float | None] = []
    y: list[float | None] = []
    for curve in curves:
        x += [*(step if step > 0 else None for step in curve["steps"]), None]
        y += [*_positive(curve["logits"]), None]
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": y,
            "line": {"color": ROLES["ink3"], "width": 1},
            "opacity": GREY_ALPHA,
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "below the first band",
            "meta": {"tone": role_tone("ink3"), "part": "pool"},
        }
    ]


def _draw_curve(curve: Doc, shade: float, place: int) -> Trace:
    words = (
        f"{plot_text(curve['variant'] or 'all runs')}, N = {format_quantity(curve['n'])}, "
        f"LR {format_lr(curve['lr'])}"
    )
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [step if step > 0 else None for step in curve["steps"]],
        "y": _positive(curve["logits"]),
        "customdata": [[curve["run"], words]] * len(curve["steps"]),
        "hovertemplate": RUN_HOVER,
        "line": {"color": color_size(shade), "width": 1.6, "dash": DASHES[place % len(DASHES)]},
        "showlegend": False,
        "name": words,
        "meta": {"tone": size_tone(shade), "part": "curve"},
    }


def _draw_band(level: float, name: str, role: str) -> dict[str, object]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": level,
        "y1": level,
        "line": {"color": ROLES[role], "width": 1, "dash": "dot"},
    }


def _name_band(level: float, name: str, role: str) -> dict[str, object]:
    return {
        "xref": "paper",
        "x": 0.005,
        "xanchor": "left",
        "y": math.log10(level),
        "yanchor": "bottom",
        "showarrow": False,
        "text": f"{name} {level:.0e}".replace("e+0", "e"),
        "font": {"size": 11, "color": ROLES[role]},
    }


# --- (b) against size ----------------------------------------------------------------------------
def draw_logit_forecast(result: Doc | None, x_title: str) -> Figure:
    """Return the logits at the early step against size, with a forecast for each learning rate."""
    if not result or not result["values"]:
        return NOTHING
    groups = sorted({(item[3], item[2]) for item in result["values"]})
    rates = sorted({lr for _, lr in groups})
    variants = sorted({variant for variant, _ in groups})
    data: list[Trace] = []
    for forecast in result["forecasts"]:
        data += _draw_forecast(forecast, rates.index(forecast["lr"]))
    for variant, lr in groups:
        mine = [item for item in result["values"] if (item[3], item[2]) == (variant, lr)]
        data.append(_draw_values(mine, rates.index(lr), variants.index(variant)))
    values = [v for item in result["values"] if (v := decode_float(item[4])) and v > 0]
    sizes = [item[1] for item in result["values"]]
    low, high = pad_log(min(values), max([*values, result["limit"]]), 0.05, 0.12)
    right = max([max(sizes), *(item["x"][-1] for item in result["forecasts"])])
    layout = make_layout(
        log_axis(x_title, *pad_log(min(sizes), right, 0.04, 0.04), format_quantity),
        log_axis(f"Attention logit, step {result['step']:,}", low, high),
        "logit_forecast",
        annotations=[_name_band(*BANDS[-1]), *_label_rates(data, rates, (low, high))],
    )
    layout["shapes"] = [_draw_band(*BANDS[-1])]
    return {"data": data, "layout": layout, "drawn": len(result["values"]), "clipped": 0}


def _draw_forecast(forecast: Doc, place: int) -> list[Trace]:
    largest = forecast["sizes"][-1]
    ends = [
        [math.nan if (v := decode_float(value)) is None else v for value in forecast[name]]
        for name in ("y", "y_low", "y_high")
    ]
    line = Line(forecast["x"], *ends, [x > largest for x in forecast["x"]])
    style = LineStyle(
        color_category(place), category_tone(place), f"LR {format_lr(forecast['lr'])}"
    )
    return draw_line(line, style)


def _draw_values(items: Sequence[Sequence[Any]], rate: int, variant: int) -> Trace:
    color = color_category(rate)
    name = f"LR {format_lr(items[0][2])}"
    words = [f"{plot_text(item[3] or 'all runs')}, LR {format_lr(item[2])}" for item in items]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [item[1] for item in items],
        "y": _positive([item[4] for item in items]),
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
            "color": color,
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "meta": {"tone": category_tone(rate), "part": "value"},
    }


def _label_rates(
    data: Sequence[Trace], rates: Sequence[float], ends: tuple[float, float]
) -> list[dict[str, object]]:
    """Return one label a learning rate, at the right of the topmost value of its largest size."""
    tops: dict[str, tuple[float, float]] = {}
    for trace in data:
        if trace["meta"]["part"] == "value":
            points = [(x, y) for x, y in zip(trace["x"], trace["y"], strict=True) if y]
            far = max(x for x, _ in points) * NEARLY if points else 0.0
            high = max(((y, x) for x, y in points if x >= far), default=(0.0, 0.0))
            tops[trace["name"]] = max(tops.get(trace["name"], (0.0, 0.0)), high)
    names = [name for name, top in tops.items() if top[0] > 0]
    heights = [math.log10(tops[name][0]) for name in names]
    places = spread_labels(heights, LABEL_SHARE * math.log10(ends[1] / ends[0]))
    order = [f"LR {format_lr(lr)}" for lr in rates]
    return [
        {
            "x": math.log10(tops[name][1]),
            "xshift": 8,
            "xanchor": "left",
            "y": place,
            "yanchor": "middle",
            "showarrow": False,
            "text": name,
            "bgcolor": add_alpha(ROLES["panel"], 0.7),
            "font": {"size": 11, "color": color_category(order.index(name))},
        }
        for name, place in zip(names, places, strict=True)
    ]


# --- gradients -----------------------------------------------------------------------------------
def draw_gradient_rms(result: Doc | None, x_title: str) -> Figure:
    """Return gradient RMS against size with its line for each learning rate, and epsilon."""
    trends = (result or {}).get("gradients", [])
    if not trends:
        return NOTHING
    rates = sorted({trend["lr"] for trend in trends})
    variants = sorted({trend["variant"] for trend in trends})
    data: list[Trace] = []
    for trend in trends:
        place, largest = rates.index(trend["lr"]), trend["sizes"][-1]
        none = [math.nan] * len(trend["x"])
        line = Line(trend["x"], trend["y"], none, none, [x > largest for x in trend["x"]])
        style = LineStyle(
            color_category(place), category_tone(place), f"LR {format_lr(trend['lr'])}"
        )
        data += draw_line(line, style)
        points = [
            ["", size, trend["lr"], trend["variant"], value]
            for size, value in zip(trend["sizes"], trend["values"], strict=True)
        ]
        data.append(_draw_values(points, place, variants.index(trend["variant"])))
    values = [value for trend in trends for value in trend["values"]]
    sizes = [size for trend in trends for size in trend["sizes"]]
    epsilon = trends[0]["epsilon"]
    low, high = pad_log(min([*values, epsilon]), max(values), 0.06, 0.1)
    layout = make_layout(
        log_axis(x_title, *pad_log(min(sizes), 10 * max(sizes), 0.04, 0.04), format_quantity),
        log_axis("Gradient RMS", low, high),
        "gradient_rms",
        annotations=[
            {**_name_band(epsilon, "", "bad"), "text": f"Adam's epsilon {format_number(epsilon)}"},
            *_label_rates(data, rates, (low, high)),
        ],
    )
    layout["shapes"] = [_draw_band(epsilon, "", "bad")]
    return {"data": data, "layout": layout, "drawn": len(values), "clipped": 0}
