"""P12: score against compute of reinforcement-learning runs, each with its sigmoid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fitting.compute_results import decode
from fitting.palette import (
    ROLES,
    SYMBOLS,
    add_alpha,
    category_tone,
    color_category,
)
from fitting.plots.frame import (
    Trace,
    linear_axis,
    log_axis,
    make_layout,
    pad_log,
    plot_text,
    spread_labels,
)
from fitting.plots.lines import Line, LineStyle, draw_line
from fitting.plots.residuals import Residual, Series, draw_residuals
from fitting.results import as_refusal
from fitting.texts import DASH, format_number
from scaledash.lib.units import format_flops, format_quantity

Doc = Mapping[str, Any]
EMPTY: dict[str, object] = {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
HOVER = "%{customdata[1]}<br>C = %{customdata[2]}, score %{y:.4g}<extra></extra>"
ABOVE, BELOW = 0.08, 0.06  # of the span of the scores, left free
LEAST_GAP = 0.05  # between labels, of the height
LABEL_PX = 112  # right of the data, for the asymptotes
HIGHEST = 1.0  # a score is a fraction


def draw_sigmoid(curves: Sequence[Doc], unit: str) -> dict[str, object]:
    """Return data, layout and counts of the shown runs."""
    shown = [curve for curve in curves if curve["compute"]]
    if not shown:
        return EMPTY
    data: list[Trace] = []
    for place, curve in enumerate(shown):
        data += _draw_points(curve, place)
    for place, curve in enumerate(shown):
        data += [*_draw_law(curve, place), *_draw_without(curve, place)]
    computes = [x for trace in data for x in trace["x"]]
    low, high = pad_log(min(computes), max(computes), 0.02, 0.02)
    bottom, top = _span_scores(shown)
    write = format_flops if unit == "FLOPs" else format_quantity
    layout = make_layout(
        log_axis(f"Compute C, {unit}", low, high, write),
        linear_axis("Score, fraction", bottom, top),
        "sigmoid",
        annotations=_label_asymptotes(shown, top - bottom),
        n_legend=len(shown) + 1,
    )
    layout["shapes"] = [*_shade_early(shown, low), *_mark_parameters(shown, bottom)]
    margin = layout["margin"]
    assert isinstance(margin, dict)
    layout["margin"] = {**margin, "r": LABEL_PX}
    n_points = sum(len(curve["compute"]) for curve in shown)
    held = sum(_count_withheld(curve) for curve in shown)
    return {"data": data, "layout": layout, "drawn": n_points, "clipped": 0, "held_out": held}


def _count_withheld(curve: Doc) -> int:
    return sum(math.isfinite(value) for value in decode(curve["predicted"]))


def _span_scores(curves: Sequence[Doc]) -> tuple[float, float]:
    """Return the ends of the y axis: the scores and asymptotes, inside 0 to 1 where they are."""
    values = [value for curve in curves for value in decode(curve["score"])]
    values += [fit["params"]["A"]["value"] for fit in _list_fits(curves)]
    values += [curve["start"] for curve in curves]
    low, high = min(values), max(values)
    span = max(high - low, 0.05)
    top = high + ABOVE * span
    return max(0.0, low - BELOW * span), min(top, HIGHEST) if high <= HIGHEST else top


def _list_fits(curves: Sequence[Doc]) -> list[Doc]:
    return [curve["fit"] for curve in curves if not as_refusal(curve["fit"])]


def _draw_points(curve: Doc, place: int) -> list[Trace]:
    """Return the fitted points, the withheld ones as diamonds, the early ones hollow."""
    color, name = color_category(place), plot_text(curve["name"])
    predicted = decode(curve["predicted"])
    columns = zip(curve["compute"], decode(curve["score"]), curve["used"], predicted, strict=True)
    points: dict[str, list[tuple[float, float]]] = {"early": [], "point": [], "held_out": []}
    for x, y, used, law in columns:
        part = "held_out" if math.isfinite(law) else "point"
        points[part if used else "early"].append((x, y))
    symbols = {"early": "circle-open", "point": SYMBOLS[place % 2], "held_out": "diamond"}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [x for x, _ in found],
            "y": [y for _, y in found],
            "customdata": [[curve["run_id"], name, format_quantity(x)] for x, _ in found],
            "hovertemplate": HOVER,
            "marker": {
                "size": 6,
                "symbol": symbols[part],
                "color": color,
                "opacity": 0.45,
                "line": {"color": color if part == "early" else ROLES["panel"], "width": 1},
            },
            "showlegend": part == "point",
            "name": name,
            "meta": {"tone": category_tone(place), "part": part},
        }
        for part, found in points.items()
        if found
    ]


def _draw_law(curve: Doc, place: int) -> list[Trace]:
    """Return the sigmoid with its band, dashed beyond the data."""
    fit = curve["fit"]
    if as_refusal(fit) or not fit["curve"]:
        return []
    drawn = fit["curve"]
    ends = [decode(drawn[key]) or [math.nan] * len(drawn["x"]) for key in ("y", "low", "high")]
    style = LineStyle(color_category(place), category_tone(place), plot_text(curve["name"]))
    return draw_line(Line(drawn["x"], *ends, drawn["extrapolated"]), style)


def _draw_without(curve: Doc, place: int) -> list[Trace]:
    """Return the second half of the compute as the first half predicts it, dotted."""
    pairs = zip(curve["compute"], decode(curve["predicted"]), strict=True)
    known = [(x, y) for x, y in pairs if math.isfinite(y)]
    if len(known) < 2:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [x for x, _ in known],
            "y": [y for _, y in known],
            "line": {"color": color_category(place), "width": 2, "dash": "dot"},
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "predicted from the first half",
            "meta": {"tone": category_tone(place), "part": "held_out_line"},
        }
    ]


def _shade_early(curves: Sequence[Doc], low: float) -> list[dict[str, object]]:
    """Return the region that no fit holds."""
    first = max(curve["first_compute"] for curve in curves)
    if first <= low:
        return []
    region = {"xref": "x", "x0": low, "x1": first, "yref": "paper", "y0": 0, "y1": 1}
    color = add_alpha(ROLES["ink3"], 0.1)
    return [{"type": "rect", **region, "line": {"width": 0}, "fillcolor": color, "layer": "below"}]


def _mark_parameters(curves: Sequence[Doc], bottom: float) -> list[dict[str, object]]:
    """Return a dotted line at each asymptote and a tick at each midpoint."""
    shapes: list[dict[str, object]] = []
    for place, curve in enumerate(curves):
        if as_refusal(curve["fit"]):
            continue
        params = {name: item["value"] for name, item in curve["fit"]["params"].items()}
        line = {"color": color_category(place), "width": 1, "dash": "dot"}
        level = {"xref": "paper", "x0": 0, "x1": 1, "y0": params["A"], "y1": params["A"]}
        shapes.append({"type": "line", **level, "line": line, "layer": "below"})
        tick = {"x0": params["C_mid"], "x1": params["C_mid"], "yref": "paper", "y0": 0, "y1": 0.04}
        shapes.append({"type": "line", **tick, "line": {**line, "width": 2.5, "dash": "solid"}})
    return shapes


def _label_asymptotes(curves: Sequence[Doc], span: float) -> list[dict[str, object]]:
    """Return A with its interval beside each dotted line."""
    fitted = [(place, curve) for place, curve in enumerate(curves) if not as_refusal(curve["fit"])]
    heights = [curve["fit"]["params"]["A"]["value"] for _, curve in fitted]
    places = spread_labels(heights, LEAST_GAP * span * 1.6) if heights else []
    return [
        {
            "xref": "paper",
            "x": 1,
            "xshift": 4,
            "xanchor": "left",
            "y": height,
            "yanchor": "middle",
            "align": "left",
            "showarrow": False,
            "text": write_asymptote(curve, "<br>"),
            "font": {"size": 11, "color": color_category(place)},
        }
        for (place, curve), height in zip(fitted, places, strict=True)
    ]


def write_asymptote(curve: Doc, between: str = " ") -> str:
    """Write A with its interval, and that it is extrapolated where it is."""
    estimate = curve["fit"]["params"]["A"]
    text = f"A = {format_number(estimate['value'])}"
    if estimate["interval"]:
        low, high = (format_number(estimate["interval"][key]) for key in ("low", "high"))
        text += f"{between}{low} {DASH} {high}"
    return f"{text}{between}extrapolated" if curve["is_extrapolated"] else text


def draw_score_residuals(curves: Sequence[Doc]) -> dict[str, object]:
    """Return fitted against measured scores; withheld ones as diamonds."""
    series = []
    for place, curve in enumerate(curves):
        name = curve["name"]
        for key, is_held_out in (("fitted", False), ("predicted", True)):
            pairs = zip(decode(curve["score"]), decode(curve[key]), curve["used"], strict=True)
            points = [
                Residual(score, law, curve["run_id"], name)
                for score, law, used in pairs
                if used and math.isfinite(law)
            ]
            series.append(Series(name, place, points, is_held_out, not is_held_out))
    return draw_residuals(series, "score_residuals", "score")
