"""Steps to a fixed loss against batch size, and the critical batch size against the loss."""

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
    linear_axis,
    log_axis,
    make_layout,
    make_whiskers,
    pad_linear,
    pad_log,
)
from fitting.plots.lines import Line, LineStyle, draw_line
from fitting.plots.residuals import Residual, Series, draw_residuals
from fitting.results import as_refusal
from scaledash.lib.units import format_quantity

Doc = Mapping[str, Any]
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
HOVER = (
    "B = %{customdata[1]} tokens, LR %{customdata[2]}<br>%{y:,.4g} steps to loss "
    "%{customdata[3]}<extra></extra>"
)
LOSS_HOVER = "loss %{x:.4g}<br>B_crit = %{customdata[1]} tokens<extra></extra>"


def draw_critical_batch(family: Doc | None) -> dict[str, object]:
    """Return data, layout and counts of the steps to each target."""
    if family is None or not family["targets"]:
        return EMPTY
    targets = family["targets"]
    data: list[Trace] = []
    for place, target in enumerate(targets):
        data += _draw_law(target, place, with_band=place == 0)
    for place, target in enumerate(targets):
        data.append(_draw_points(target, place))
    batches = [x for trace in data for x in trace["x"]]
    steps = [y for trace in data if trace["mode"] == "markers" for y in trace["y"]]
    layout = make_layout(
        log_axis("Batch size B, tokens", *_span(batches), format_quantity),
        log_axis("Steps to the loss", *pad_log(min(steps), max(steps), 0.08, 0.06)),
        "critical_batch",
        annotations=_label_critical(targets[0]),
        n_legend=len(targets) + 1,
    )
    layout["shapes"] = _mark_critical(targets[0])
    runs = {run for target in targets for run in target["run_ids"]}
    return {"data": data, "layout": layout, "drawn": len(runs), "clipped": 0}


def _span(batches: Sequence[float]) -> tuple[float, float]:
    return pad_log(min(batches), max(batches), 0.03, 0.03)


def name_target(target: Doc) -> str:
    """Return what a target is called."""
    return f"loss {format_number(target['target'], 4)}"


def _draw_law(target: Doc, place: int, with_band: bool) -> list[Trace]:
    """Return S_min (1 + B_crit / B) inside the batches tried."""
    fit = target["fit"]
    if as_refusal(fit) or not fit["curve"]:
        return []
    curve = fit["curve"]
    columns = [decode(curve[key]) or [math.nan] * len(curve["x"]) for key in ("y", "low", "high")]
    rows = list(zip(curve["x"], *columns, curve["extrapolated"], strict=True))
    inside = [row for row in rows if not row[4]]
    if len(inside) < 2:
        return []
    x, y, low, high, beyond = (list(column) for column in zip(*inside, strict=True))
    style = LineStyle(
        color_category(place), category_tone(place), name_target(target), with_band=with_band
    )
    return draw_line(Line(x, y, low, high, beyond), style)


def _draw_points(target: Doc, place: int) -> Trace:
    """Return the fastest run of each batch size."""
    loss = format_number(target["target"], 4)
    rows = zip(target["run_ids"], target["batch_tokens"], target["peak_lr"], strict=True)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": target["batch_tokens"],
        "y": decode(target["steps"]),
        "customdata": [
            [run, format_quantity(batch), format_lr(decode([lr])[0]), loss]
            for run, batch, lr in rows
        ],
        "hovertemplate": HOVER,
        "marker": {
            "size": 7.5,
            "symbol": SYMBOLS[place % len(SYMBOLS)],
            "color": color_category(place),
            "line": {"color": ROLES["panel"], "width": 1},
        },
        "showlegend": True,
        "name": name_target(target),
        "meta": {"tone": category_tone(place), "part": "point"},
    }


def read_critical(target: Doc) -> tuple[float, float, float]:
    """Return B_crit with both ends of its interval, NaN where there is none."""
    if as_refusal(target["fit"]):
        return math.nan, math.nan, math.nan
    found = target["fit"]["derived"]["B_crit"]
    interval = found["interval"] or {}
    value, low, high = decode(
        [found["value"], interval.get("low", "NaN"), interval.get("high", "NaN")]
    )
    return value, low, high


def _mark_critical(target: Doc) -> list[dict[str, object]]:
    """Return the critical batch of the lowest target as a line and its interval as a band."""
    value, low, high = read_critical(target)
    if not math.isfinite(value):
        return []
    whole = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    color = color_category(0)
    line = {"color": color, "width": 1.5, "dash": "dot"}
    shapes: list[dict[str, object]] = [
        {"type": "line", "x0": value, "x1": value, **whole, "line": line}
    ]
    if math.isfinite(low) and math.isfinite(high):
        fill = add_alpha(color, BAND_ALPHA)
        band = {"type": "rect", "x0": low, "x1": high, **whole}
        shapes.append({**band, "line": {"width": 0}, "fillcolor": fill})
    return shapes


def _label_critical(target: Doc) -> list[dict[str, object]]:
    value, _, _ = read_critical(target)
    if not math.isfinite(value):
        return []
    return [
        {
            "x": math.log10(value),
            "xanchor": "left",
            "xshift": 5,
            "yref": "paper",
            "y": 0.98,
            "yanchor": "top",
            "showarrow": False,
            "text": f"B_crit = {format_quantity(value)}",
            "bgcolor": add_alpha(ROLES["panel"], 0.8),
            "font": {"size": 11.5, "color": color_category(0)},
        }
    ]


def draw_critical_loss(family: Doc | None) -> dict[str, object]:
    """Return the critical batch size at each target."""
    targets = family["targets"] if family else []
    known = [(target, *read_critical(target)) for target in targets]
    found = [row for row in known if math.isfinite(row[1])]
    if not found:
        return EMPTY
    losses, values = [row[0]["target"] for row in found], [row[1] for row in found]
    ends = [end for row in found for end in row[1:] if math.isfinite(end)]
    trace: Trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": losses,
        "y": values,
        "error_y": make_whiskers(values, [row[2] for row in found], [row[3] for row in found]),
        "customdata": [["", format_quantity(value)] for value in values],
        "hovertemplate": LOSS_HOVER,
        "line": {"color": ROLES["accent"], "width": 1.5, "dash": "dot"},
        "marker": {"size": 7, "color": ROLES["accent"]},
        "showlegend": False,
        "name": "critical batch",
        "meta": {"tone": role_tone("accent"), "part": "critical"},
    }
    layout = make_layout(
        linear_axis("Loss to reach, nats", *pad_linear(min(losses), max(losses), 0.08, 0.08)),
        log_axis("B_crit, tokens", *pad_log(min(ends), max(ends), 0.15, 0.15), format_quantity),
        "critical_loss",
    )
    return {"data": [trace], "layout": layout, "drawn": len(found), "clipped": 0}


def draw_critical_residuals(family: Doc | None) -> dict[str, object]:
    """Return predicted against measured steps; the withheld largest batch as a diamond."""
    series = []
    for place, target in enumerate(family["targets"] if family else []):
        if as_refusal(target["fit"]):
            continue
        steps = decode(target["steps"])
        words = [f"B = {format_quantity(batch)}" for batch in target["batch_tokens"]]
        rows = zip(steps, decode(target["fitted"]), target["run_ids"], words, strict=True)
        name = name_target(target)
        series.append(Series(name, place, [Residual(*row) for row in rows]))
        held = target["fit"]["held_out"]
        if not as_refusal(held):
            pairs = zip(
                decode(held["measured"]), decode(held["predicted"]), held["ids"], strict=True
            )
            points = [Residual(*pair, words[-1]) for pair in pairs]
            series.append(Series(name, place, points, True, False))
    return draw_residuals(series, "critical_residuals", "steps", is_log=True)
