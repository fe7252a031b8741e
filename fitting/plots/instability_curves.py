"""P4 (a) and its twin: attention logits and log Z of each run against step, colour by size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.palette import (
    DASHES,
    ROLES,
    add_alpha,
    color_size,
    place_sizes,
    role_tone,
    size_tone,
)
from fitting.plots.facets import Panel, place_panels
from fitting.plots.frame import (
    Trace,
    format_lr,
    format_number,
    linear_axis,
    log_axis,
    make_key_entry,
    make_layout,
    pad_linear,
    pad_log,
    plot_text,
)
from fitting.sizes import group_sizes
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity, power_of_ten

Doc = Mapping[str, Any]
Figure = dict[str, object]
NOTHING: Figure = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
BANDS = (("watch", "ink3"), ("warn", "ink2"), ("critical", "bad"))
HOVER = "%{customdata[1]}<br>step %{x}: %{y:.4g}<extra></extra>"
MAX_PANELS = 6
ZONE_ALPHA = 0.08
HEAD_SHARE = 0.14  # of a panel, as a line of text is high in a narrow one


def name_level(value: float) -> str:
    """Write a threshold: 50, 100, 10³."""
    power = round(math.log10(value)) if value > 0 else 0
    return power_of_ten(power) if power >= 3 and value == 10.0**power else format_number(value)


def read_positive(values: Sequence[object]) -> list[float | None]:
    """Return what can stand on a log axis, None for the rest."""
    found = [decode_float(value) for value in values]
    return [v if v is not None and math.isfinite(v) and v > 0 else None for v in found]


def read_finite(values: Sequence[object]) -> list[float | None]:
    """Return what can stand on a linear axis, None for the rest."""
    found = [decode_float(value) for value in values]
    return [v if v is not None and math.isfinite(v) else None for v in found]


def draw_attention_logits(result: Doc | None) -> Figure:
    """Return one panel a learning rate; those that stay below the first band share one."""
    curves = [
        {**curve, "x": curve["steps"], "y": read_positive(curve["logits"])}
        for curve in (result or {}).get("curves", [])
    ]
    curves = [curve for curve in curves if any(curve["y"])]
    if not result or not curves:
        return NOTHING
    bands = result["settings"]["bands"]
    chosen, others = choose_rates(curves, bands[0])
    by_rate = {lr: [curve for curve in curves if curve["lr"] == lr] for lr in chosen}
    rest = [curve for curve in curves if curve["lr"] in others]
    panels = [Panel(_name_rest(others, rest, bands[0]), draw_runs(rest, curves))] if rest else []
    panels += [
        Panel(f"LR {format_lr(lr)}", draw_runs(mine, curves)) for lr, mine in by_rate.items()
    ]
    values = [value for curve in curves for value in curve["y"] if value]
    low, high = pad_log(min(values), max([*values, bands[-1]]), 0.03, 0.06)
    axes = (
        log_axis("Step", *_span_steps(curves), format_quantity),
        log_axis("Largest attention logit", low, high),
    )
    levels = [
        (level, *band) for level, band in zip(bands, BANDS, strict=True) if low < level < high
    ]
    shapes = [draw_level(level, role) for level, _, role in levels]
    shapes.append(_draw_zone(bands[-1], high))
    notes = [name_line(level, name, role, (low, high)) for level, name, role in levels]
    key = draw_size_key(curves)
    data, layout = place_panels(panels, axes, "attention_logits", shapes, notes, len(key))
    return {"data": [*data, *key], "layout": layout, "drawn": len(curves), "clipped": 0}


def choose_rates(curves: Sequence[Doc], first_band: float) -> tuple[list[float], set[float]]:
    """Return the learning rates with a panel of their own, ascending, and all others."""
    tops: dict[float, float] = {}
    for curve in curves:
        top = max(value for value in curve["y"] if value)
        tops[curve["lr"]] = max(tops.get(curve["lr"], 0.0), top)
    if len(tops) <= MAX_PANELS:
        return sorted(tops), set()
    notable = [lr for lr in tops if tops[lr] >= first_band]
    chosen = sorted(notable, key=lambda lr: -tops[lr])[: MAX_PANELS - 1]
    return sorted(chosen), set(tops) - set(chosen)


def _name_rest(rates: set[float], curves: Sequence[Doc], first_band: float) -> str:
    name = f"LR {format_lr(min(rates))}" if rates else ""
    name += f" to {format_lr(max(rates))}" if len(rates) > 1 else ""
    is_quiet = all(value < first_band for curve in curves for value in curve["y"] if value)
    return f"{name}, all below {name_level(first_band)}" if is_quiet else f"{len(rates)} other LRs"


def draw_runs(curves: Sequence[Doc], all_curves: Sequence[Doc]) -> list[Trace]:
    """Return one trace a size and variant: colour by size, dash by variant."""
    size_of = group_sizes(curve["n"] for curve in all_curves)
    shades = place_sizes(list(size_of.values()))
    variants = sorted({curve["variant"] for curve in all_curves})
    groups: dict[tuple[float, str], list[Doc]] = {}
    for curve in curves:
        groups.setdefault((size_of[curve["n"]], curve["variant"]), []).append(curve)
    return [
        _join(mine, shades[size], DASHES[variants.index(variant) % len(DASHES)])
        for (size, variant), mine in sorted(groups.items())
    ]


def _join(curves: Sequence[Doc], shade: float, dash: str) -> Trace:
    x: list[float | None] = []
    y: list[float | None] = []
    custom: list[list[str]] = []
    for curve in curves:
        words = (
            f"{plot_text(curve['variant'] or 'all runs')}, N = {format_quantity(curve['n'])}, "
            f"LR {format_lr(curve['lr'])}"
        )
        x += [*(step if step > 0 else None for step in curve["x"]), None]
        y += [*curve["y"], None]
        custom += [[curve["run"], words]] * (len(curve["x"]) + 1)
    name = f"N = {format_quantity(curves[0]['n'])}"
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "customdata": custom,
        "hovertemplate": HOVER,
        "line": {"color": color_size(shade), "width": 1.4, "dash": dash},
        "showlegend": False,
        "name": name,
        "meta": {"tone": size_tone(shade), "part": "curve"},
    }


def _span_steps(curves: Sequence[Doc]) -> tuple[float, float]:
    steps = [step for curve in curves for step in curve["x"] if step > 0] or [1]
    return pad_log(min(steps), max(steps), 0.02, 0.02)


def draw_level(level: float, role: str) -> dict[str, object]:
    """Return a dotted line across the panel at a threshold."""
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": level,
        "y1": level,
        "line": {"color": ROLES[role], "width": 1, "dash": "dot"},
    }


def _draw_zone(level: float, top: float) -> dict[str, object]:
    """Return the ground above the last threshold."""
    return {
        "type": "rect",
        "x0": 0,
        "x1": 1,
        "y0": level,
        "y1": top,
        "line": {"width": 0},
        "fillcolor": add_alpha(ROLES["bad"], ZONE_ALPHA),
        "layer": "below",
    }


def name_line(
    level: float, name: str, role: str, ends: tuple[float, float] | None = None
) -> dict[str, object]:
    """Return the name of a threshold above its line on a log axis; below it near the upper end."""
    is_high = ends is not None and math.log(ends[1] / level) < HEAD_SHARE * math.log(
        ends[1] / ends[0]
    )
    return {
        "xref": "paper",
        "x": 0.01,
        "xanchor": "left",
        "y": math.log10(level),
        "yanchor": "top" if is_high else "bottom",
        "showarrow": False,
        "text": f"{name} {name_level(level)}".strip(),
        "font": {"size": 11, "color": ROLES[role]},
    }


def draw_log_z(result: Doc | None) -> Figure:
    """Return log Z of each run against step."""
    curves = [
        {**curve, "x": curve["logz_steps"], "y": read_finite(curve["logz"])}
        for curve in (result or {}).get("curves", [])
    ]
    curves = [curve for curve in curves if any(value is not None for value in curve["y"])]
    if not curves:
        return NOTHING
    values = [value for curve in curves for value in curve["y"] if value is not None]
    layout = make_layout(
        log_axis("Step", *_span_steps(curves), format_quantity),
        linear_axis("log Z", *pad_linear(min(values), max(values), 0.04, 0.06)),
        "log_z",
    )
    data = [{**trace, "opacity": 0.6} for trace in draw_runs(curves, curves)]
    for trace in data:
        trace["line"] = {**trace["line"], "width": 1}
    return {"data": data, "layout": layout, "drawn": len(curves), "clipped": 0}


def draw_size_key(curves: Sequence[Doc]) -> list[Trace]:
    """Return entries of a legend: one a size, one a variant, without points."""
    shades = place_sizes(list(group_sizes(curve["n"] for curve in curves).values()))
    variants = sorted({curve["variant"] for curve in curves})
    entries = [
        (f"N = {format_quantity(size)}", color_size(shade), size_tone(shade), "solid")
        for size, shade in sorted(shades.items())
    ]
    if len(variants) > 1:
        entries += [
            (plot_text(name or "all runs"), ROLES["ink2"], role_tone("ink2"), dash)
            for name, dash in zip(variants, DASHES, strict=False)
        ]
    return [make_key_entry(*entry) for entry in entries]
