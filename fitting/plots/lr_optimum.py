"""P3: best learning rate against size, with its power law."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitting.compute_results import decode, interpolate
from fitting.palette import (
    ROLES,
    SYMBOLS,
    add_alpha,
    category_tone,
    color_category,
)
from fitting.plots.frame import (
    Trace,
    log_axis,
    make_layout,
    make_whiskers,
    pad_log,
    plot_text,
)
from fitting.plots.lines import Line, LineStyle, draw_line
from fitting.results import (
    LawDoc,
    LrSweepDoc,
    ScaleDoc,
    as_refusal,
    list_laws,
    list_scales,
    read_ends,
)
from fitting.texts import (
    format_exponent,
    format_interval,
    format_lr,
)
from scaledash.lib.units import format_quantity

DODGE = 0.05  # in log N, so that the intervals of two variants do not cover each other
NOTE_ROOM = 0.14  # of the height of the data, for one line of text in the smallest figure
HALF_FILLED = {"low": "◓", "high": "◒"}  # the open side of the interval is the empty one
HOVER = (
    "N = %{customdata[1]}, LR* = %{customdata[2]}<br>95 % interval %{customdata[3]}"
    "<br>%{customdata[4]}<extra></extra>"
)


def draw_lr_optimum(
    result: LrSweepDoc | None, x_title: str, places: Mapping[str, int]
) -> dict[str, object]:
    """Return data, layout and counts of the figure; `places` give variants their colours."""
    known, laws = list_scales(result), list_laws(result)
    scales = [scale for scale in known if not as_refusal(scale["optimum"])]
    if not scales:
        return {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
    variants = sorted({scale["variant"] for scale in known})
    data: list[Trace] = []
    for nth, variant in enumerate(variants):
        place = places.get(variant, 0)
        mine = [scale for scale in scales if scale["variant"] == variant]
        fitted = [scale["scale"] for scale in mine if not scale["optimum"]["censored"]]
        data += draw_law(laws.get(variant), place, max(fitted, default=0.0))
        shift = (nth - (len(variants) - 1) / 2) * DODGE
        data += draw_optima(mine, Style(place, shift, plot_text(variant), len(variants) > 1))
    notes = note_laws(laws, variants, places)
    layout = make_layout(
        log_axis(x_title, *_span_sizes(scales, laws), format_quantity),
        log_axis("Best learning rate", *_span_rates(data, len(notes))),
        "lr_optimum",
        annotations=notes,
        n_legend=len(variants),
    )
    return {"data": data, "layout": layout, "drawn": len(scales), "clipped": 0}


def _span_sizes(scales: Sequence[ScaleDoc], laws: Mapping[str, LawDoc]) -> tuple[float, float]:
    drawn = [scale["scale"] for scale in scales]
    ends = [law["x"][-1] for law in laws.values() if not as_refusal(law)]
    return pad_log(min(drawn), max([*drawn, *ends]), 0.05, 0.03)


def _span_rates(data: Sequence[Trace], n_notes: int) -> tuple[float, float]:
    """Return the range of points and lines, with room for the notes below them.

    A whisker or band may leave it by a factor of three.
    """
    values = [y for trace in data if trace["mode"] != "none" for y in trace["y"] if y is not None]
    low, high = min(values), max(values)
    reached = [low, high]
    for trace in data:
        bars = trace.get("error_y")
        if bars:
            pairs = zip(trace["y"], bars["arrayminus"], bars["array"], strict=True)
            reached += [end for y, down, up in pairs for end in (y - down, y + up)]
        if trace["mode"] == "none":
            reached += trace["y"]
    below = 0.08 + NOTE_ROOM * n_notes
    return pad_log(max(min(reached), low / 3), min(max(reached), high * 3), below, 0.12)


def draw_law(law: LawDoc | None, place: int, largest: float) -> list[Trace]:
    """Return band and line: solid up to the largest fitted size, dashed beyond it."""
    if law is None or as_refusal(law):
        return []
    x, y, low, high = law["x"], law["lr"], decode(law["low"]), decode(law["high"])
    seam = math.exp(law["log_intercept"]) * largest ** law["exponent"]
    ends = [interpolate(x, side, largest) for side in (low, high)]
    points = [*zip(x, y, low, high, strict=True), (largest, seam, *ends)]
    columns = zip(*sorted(points), strict=True)
    line = Line(*columns, [size > largest for size in sorted([*x, largest])])
    return draw_line(line, LineStyle(color_category(place), category_tone(place), "law"))


@dataclass(frozen=True)
class Style:
    """How the optima of one variant are drawn."""

    place: int
    shift: float
    name: str
    in_legend: bool


def draw_optima(scales: Sequence[ScaleDoc], style: Style) -> list[Trace]:
    """Return the optima of a variant: marks with intervals, and half-filled ones at an edge."""
    inside = [scale for scale in scales if not scale["optimum"]["censored"]]
    edge = [scale for scale in scales if scale["optimum"]["censored"]]
    traces = []
    if inside:
        trace = _draw_points(inside, style)
        trace |= {"mode": "markers", "name": style.name, "showlegend": style.in_legend}
        symbol = SYMBOLS[style.place % len(SYMBOLS)]
        casing = {"color": ROLES["panel"], "width": 1}
        trace["marker"] = {
            "symbol": symbol,
            "size": 8.5,
            "color": color_category(style.place),
            "line": casing,
        }
        traces.append(trace)
    if edge:
        trace = _draw_points(edge, style)
        trace |= {"mode": "text", "name": f"{style.name} at grid edge", "showlegend": False}
        trace["text"] = [HALF_FILLED[scale["optimum"]["censored"]] for scale in edge]
        trace["textfont"] = {"size": 15, "color": color_category(style.place)}
        trace["meta"] = {"tone": category_tone(style.place), "part": "censored"}
        traces.append(trace)
    return traces


def _draw_points(scales: Sequence[ScaleDoc], style: Style) -> Trace:
    optima = [scale["optimum"] for scale in scales]
    ends = [read_ends(optimum["interval"]) for optimum in optima]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    rates = [optimum["lr"] for optimum in optima]
    return {
        "type": "scatter",
        "x": [scale["scale"] * math.exp(style.shift) for scale in scales],
        "y": rates,
        "error_y": {**make_whiskers(rates, lows, highs), "color": color_category(style.place)},
        "customdata": [_describe(scale) for scale in scales],
        "hovertemplate": HOVER,
        "meta": {"tone": category_tone(style.place), "part": "optimum"},
    }


def _describe(scale: ScaleDoc) -> list[str]:
    optimum = scale["optimum"]
    at_edge = "at grid edge, interval one-sided, not in the law" if optimum["censored"] else ""
    words = format_interval(optimum["interval"]) or "none"
    variant = plot_text(scale["variant"])
    return [
        "",
        format_quantity(scale["scale"]),
        format_lr(optimum["lr"]),
        words,
        at_edge or variant,
    ]


def note_laws(
    laws: Mapping[str, LawDoc], variants: Sequence[str], places: Mapping[str, int]
) -> list[dict[str, object]]:
    """Return the law of each variant in words, in its colour's place at the lower left."""
    found = [
        (places.get(variant, 0), laws[variant])
        for variant in variants
        if variant in laws and not as_refusal(laws[variant])
    ]
    return [
        {
            "xref": "paper",
            "yref": "paper",
            "x": 0.015,
            "y": 0.02,
            "yshift": 17 * row,
            "xanchor": "left",
            "yanchor": "bottom",
            "showarrow": False,
            "text": describe_law(law),
            "bgcolor": add_alpha(ROLES["panel"], 0.7),
            "font": {"size": 12, "color": color_category(place)},
        }
        for row, (place, law) in enumerate(reversed(found))
    ]


def describe_law(law: LawDoc) -> str:
    """Write a law: LR* ∝ N^x with its 95 % interval."""
    exponent = format_exponent(law["exponent"])
    interval = law["interval"]
    if interval is None:
        return f"LR* ∝ N<sup>{exponent}</sup>"
    low, high = format_exponent(interval["low"]), format_exponent(interval["high"])
    return f"LR* ∝ N<sup>{exponent}</sup>  95 % [{low}, {high}]"
