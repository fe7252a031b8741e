"""Loss along learning-rate schedules: the annealing law, and each curve from the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import decode
from fitting.palette import ROLES, SYMBOLS, add_alpha, color_size, place_sizes, size_tone
from fitting.plots.frame import (
    Trace,
    linear_axis,
    log_axis,
    make_layout,
    pad_linear,
    pad_log,
)
from fitting.plots.residuals import Residual, Series, draw_residuals
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
HOVER = "%{customdata[1]}<br>step %{x:,}: loss %{y:.4g}<extra></extra>"
LR_HOVER = "step %{x:,}: LR %{y:.3g}<extra></extra>"


def draw_schedule_fit(family: Doc | None) -> dict[str, object]:
    """Return data, layout and counts of the curves of a family with both lines."""
    if family is None or not family["curves"]:
        return EMPTY
    curves = family["curves"]
    shades = place_sizes([curve["total_steps"] for curve in curves])
    data: list[Trace] = []
    for place, curve in enumerate(curves):
        data.append(_draw_points(curve, shades[curve["total_steps"]], place))
    for curve in curves:
        shade = shades[curve["total_steps"]]
        data.append(_draw_line(curve, decode(curve["fitted"]), shade, "fit", "solid"))
        predicted = decode(curve["predicted"])
        if any(math.isfinite(value) for value in predicted):
            data.append(_draw_line(curve, predicted, shade, "held_out_line", "dot"))
    steps = [step for curve in curves for step in curve["steps"]]
    losses = [y for trace in data for y in trace["y"] if y is not None]
    layout = make_layout(
        log_axis("Step", *pad_log(min(steps), max(steps), 0.02, 0.1), format_quantity),
        log_axis("Training loss, nats per token", *pad_log(min(losses), max(losses), 0.05, 0.05)),
        "schedule_fit",
        annotations=[_label(curve, shades[curve["total_steps"]]) for curve in curves],
    )
    return {"data": data, "layout": layout, "drawn": len(curves), "clipped": 0}


def _draw_points(curve: Doc, shade: float, place: int) -> Trace:
    name = f"{curve['total_steps']:,} steps"
    return {
        "type": "scatter",
        "mode": "markers",
        "x": curve["steps"],
        "y": decode(curve["loss"]),
        "customdata": [[curve["run_id"], name]] * len(curve["steps"]),
        "hovertemplate": HOVER,
        "marker": {
            "size": 4.5,
            "symbol": SYMBOLS[place % len(SYMBOLS)],
            "color": color_size(shade),
            "opacity": 0.45,
        },
        "showlegend": False,
        "name": name,
        "meta": {"tone": size_tone(shade), "part": "curve"},
    }


def _draw_line(curve: Doc, y: Sequence[float], shade: float, part: str, dash: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": curve["steps"],
        "y": [value if math.isfinite(value) else None for value in y],
        "line": {"color": color_size(shade), "width": 2, "dash": dash},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": "law" if part == "fit" else "predicted from the other curves",
        "meta": {"tone": size_tone(shade), "part": part},
    }


def _label(curve: Doc, shade: float) -> dict[str, object]:
    return {
        "x": math.log10(curve["steps"][-1]),
        "xshift": 6,
        "xanchor": "left",
        "y": math.log10(decode(curve["fitted"])[-1]),
        "yanchor": "middle",
        "showarrow": False,
        "text": format_quantity(curve["total_steps"]),
        "bgcolor": add_alpha(ROLES["panel"], 0.8),
        "font": {"size": 11, "color": ROLES["ink2"]},
    }


def draw_schedules(family: Doc | None) -> dict[str, object]:
    """Return the learning rate of each curve along its steps."""
    if family is None or not family["curves"]:
        return EMPTY
    curves = family["curves"]
    shades = place_sizes([curve["total_steps"] for curve in curves])
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": curve["steps"],
            "y": curve["lr"],
            "line": {"color": color_size(shades[curve["total_steps"]]), "width": 2},
            "hovertemplate": LR_HOVER,
            "showlegend": False,
            "name": f"{curve['total_steps']:,} steps",
            "meta": {"tone": size_tone(shades[curve["total_steps"]]), "part": "schedule"},
        }
        for curve in curves
    ]
    steps = [step for curve in curves for step in curve["steps"]]
    rates = [rate for curve in curves for rate in curve["lr"]]
    layout = make_layout(
        log_axis("Step", *pad_log(min(steps), max(steps), 0.02, 0.04), format_quantity),
        linear_axis("Learning rate", *pad_linear(0.0, max(rates), 0.03, 0.06)),
        "schedules",
    )
    return {"data": data, "layout": layout, "drawn": len(curves), "clipped": 0}


def draw_schedule_residuals(family: Doc | None) -> dict[str, object]:
    """Return predicted against measured loss: of the law, and of each curve from the others."""
    if family is None or not family["curves"]:
        return EMPTY
    named = (("law on all curves", 0, "fitted"), ("from the other curves", 1, "predicted"))
    series = []
    for name, place, key in named:
        points = []
        for curve in family["curves"]:
            words = f"{curve['total_steps']:,} steps"
            pairs = zip(decode(curve["loss"]), decode(curve[key]), strict=False)
            points += [
                Residual(loss, law, curve["run_id"], words)
                for loss, law in pairs
                if math.isfinite(law)
            ]
        series.append(Series(name, place, points, key == "predicted"))
    return draw_residuals(series, "schedule_residuals")
