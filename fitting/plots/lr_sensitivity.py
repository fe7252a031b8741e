"""P2: learning-rate sensitivity against size, one line for each variant."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from fitting.palette import (
    BAND_ALPHA,
    ROLES,
    SYMBOLS,
    add_alpha,
    category_tone,
    color_category,
    role_tone,
)
from fitting.plots.frame import Trace, log_axis, make_layout, pad_log, plot_text
from fitting.results import LrSweepDoc, ScaleDoc, SensitivityDoc, as_refusal, list_scales, read_ends
from fitting.texts import format_interval, format_number
from scaledash.lib.units import format_quantity

COMPLETE = "complete"
LEAST_RATIO = 1.3  # of the axis to its middle: values that hardly differ are shown as such
HOVER = (
    "N = %{customdata[1]}: sensitivity %{customdata[2]} nats<br>"
    "%{customdata[3]} left, %{customdata[4]} right of the optimum<br>"
    "grid %{customdata[5]}%{customdata[6]}<br>%{customdata[7]}<extra></extra>"
)


def draw_lr_sensitivity(
    result: LrSweepDoc | None, x_title: str, places: Mapping[str, int]
) -> dict[str, object]:
    """Return data, layout and counts of the figure; `places` give variants their colours."""
    known = list_scales(result)
    scales = [
        scale
        for scale in known
        if not as_refusal(scale["sensitivity"]) and scale["n_diverged"] < scale["n_runs"]
    ]
    positive = [scale for scale in scales if scale["sensitivity"]["value"] > 0]
    zero = [scale for scale in scales if scale["sensitivity"]["value"] <= 0]
    counts = {"drawn": len(positive), "clipped": 0, "nonpositive": len(zero)}
    if not scales:
        return {"data": [], "layout": {}, **counts}
    variants = sorted({scale["variant"] for scale in known})
    values = [scale["sensitivity"]["value"] for scale in positive] or [0.1]
    middle = math.sqrt(min(values) * max(values))
    ends = min(*values, middle / LEAST_RATIO), max(*values, middle * LEAST_RATIO)
    low, high = pad_log(*ends, 0.15, 0.2)
    data: list[Trace] = []
    for variant in variants:
        mine = [scale for scale in positive if scale["variant"] == variant]
        data += draw_variant(mine, places.get(variant, 0), plot_text(variant), len(variants) > 1)
    sizes = [scale["scale"] for scale in scales]
    layout = make_layout(
        log_axis(x_title, *pad_log(min(sizes), max(sizes), 0.08, 0.08), format_quantity),
        log_axis("LR sensitivity, nats", low, high),
        "lr_sensitivity",
        n_legend=len(variants),
    )
    return {"data": [*data, *draw_zeros(zero, low)], "layout": layout, **counts}


def draw_zeros(scales: Sequence[ScaleDoc], edge: float) -> list[Trace]:
    """Return values that a log axis cannot hold, as triangles on its lower edge."""
    if not scales:
        return []
    color = ROLES["ink3"]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [scale["scale"] for scale in scales],
            "y": [edge] * len(scales),
            "customdata": [_describe(scale) for scale in scales],
            "hovertemplate": HOVER,
            "cliponaxis": False,
            "showlegend": False,
            "name": "not above zero",
            "marker": {"symbol": "triangle-down-open", "size": 8, "color": color},
            "meta": {"tone": role_tone("ink3"), "part": "nonpositive"},
        }
    ]


def find_kind(sensitivity: SensitivityDoc) -> str:
    """Return what a value may be joined with: complete, partial, or one non-standard grid."""
    if sensitivity["grid"] == "standard":
        have, _, of = sensitivity["coverage"].partition("/")
        return COMPLETE if have == of else "partial"
    return "non-standard " + " ".join(f"{lr:.2e}" for lr in sensitivity["lrs"])


def draw_variant(scales: Sequence[ScaleDoc], place: int, name: str, in_legend: bool) -> list[Trace]:
    """Return band, line and marks of a variant; only values over the same grid are joined."""
    groups: dict[str, list[ScaleDoc]] = defaultdict(list)
    for scale in sorted(scales, key=lambda scale: scale["scale"]):
        groups[find_kind(scale["sensitivity"])].append(scale)
    traces: list[Trace] = []
    for kind, members in sorted(groups.items()):
        is_named = in_legend and not any(trace["showlegend"] for trace in traces)
        traces += _draw_band(members, place) if kind == COMPLETE else []
        traces.append(_draw_points(members, kind, place) | {"name": name, "showlegend": is_named})
    return traces


def find_mode(kind: str) -> str:
    """Return what is drawn: a complete grid needs no coverage, an incomplete one gets no line."""
    if kind == COMPLETE:
        return "lines+markers"
    return "markers+text" if kind == "partial" else "lines+markers+text"


def label_changes(coverages: Sequence[str]) -> list[str]:
    """Return the coverage of each point, from left to right, where it is not that of the last."""
    return [
        "" if place and coverage == coverages[place - 1] else coverage
        for place, coverage in enumerate(coverages)
    ]


def _draw_points(scales: Sequence[ScaleDoc], kind: str, place: int) -> Trace:
    is_partial, is_complete = kind == "partial", kind == COMPLETE
    color = ROLES["ink3"] if is_partial else color_category(place)
    tone = role_tone("ink3") if is_partial else category_tone(place)
    symbol = SYMBOLS[place % len(SYMBOLS)]
    coverages = [scale["sensitivity"]["coverage"] for scale in scales]
    return {
        "type": "scatter",
        "mode": find_mode(kind),
        "x": [scale["scale"] for scale in scales],
        "y": [scale["sensitivity"]["value"] for scale in scales],
        "text": coverages if is_partial else label_changes(coverages),
        "textposition": "top center",
        "textfont": {"size": 10.5, "color": ROLES["ink3"]},
        "line": {"color": color, "width": 2, "dash": "solid" if is_complete else "dot"},
        "marker": {
            "symbol": symbol if is_complete else f"{symbol}-open",
            "size": 7.5,
            "color": color,
            "line": {"color": ROLES["panel"] if is_complete else color, "width": 1},
        },
        "customdata": [_describe(scale) for scale in scales],
        "hovertemplate": HOVER,
        "meta": {"tone": tone, "part": kind.partition(" ")[0]},
    }


def _draw_band(scales: Sequence[ScaleDoc], place: int) -> list[Trace]:
    """Return the bootstrap over seeds, where every point of the line has one."""
    sizes = [scale["scale"] for scale in scales]
    ends = [read_ends(scale["sensitivity"]["interval"]) for scale in scales]
    lows = [low for low, _ in ends if low is not None and low > 0]
    highs = [high for _, high in ends if high is not None]
    if len(sizes) < 2 or not len(sizes) == len(lows) == len(highs):
        return []
    return [
        {
            "type": "scatter",
            "mode": "none",
            "x": [*sizes, *reversed(sizes)],
            "y": [*highs, *reversed(lows)],
            "fill": "toself",
            "fillcolor": add_alpha(color_category(place), BAND_ALPHA),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "95 % interval over seeds",
            "meta": {"tone": category_tone(place), "part": "band"},
        }
    ]


def _describe(scale: ScaleDoc) -> list[str]:
    found = scale["sensitivity"]
    missing = ", ".join(format_number(lr) for lr in found["missing"])
    grid = (
        found["coverage"] if found["grid"] == "standard" else f"{found['coverage']}, non-standard"
    )
    words = format_interval(found["interval"], format_number)
    return [
        "",
        format_quantity(scale["scale"]),
        format_number(found["value"]),
        format_number(found["left"]),
        format_number(found["right"]),
        grid,
        f", missing LR {missing}" if missing else "",
        f"95 % interval {words}" if words else plot_text(scale["variant"]),
    ]
