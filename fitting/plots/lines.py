"""Fitted lines: solid within the data, dashed beyond, with their band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fitting.palette import BAND_ALPHA, ROLES, Tone, add_alpha
from fitting.plots.frame import Trace

DOT_PX = 11


@dataclass(frozen=True)
class Line:
    """A sampled line; `low` and `high` are NaN where there is no band, `beyond` = extrapolated."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    beyond: Sequence[bool]


@dataclass(frozen=True)
class LineStyle:
    """How a line is drawn; `name` stands in the legend where `in_legend`."""

    color: str
    tone: Tone
    name: str
    width: float = 2.0
    in_legend: bool = False
    with_band: bool = True
    is_crowded: bool = False  # beside others whose bands lie over it


def draw_line(line: Line, style: LineStyle) -> list[Trace]:
    """Return band, solid part and dashed part; the two parts share the seam."""
    points = list(zip(line.x, line.y, line.beyond, strict=True))
    inside = [(x, y) for x, y, beyond in points if not beyond and math.isfinite(y)]
    beyond = inside[-1:] + [(x, y) for x, y, beyond in points if beyond and math.isfinite(y)]
    traces = draw_band(line, style) if style.with_band else []
    for part, dash in ((inside, "solid"), (beyond, "dash")):
        if len(part) < 2:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [x for x, _ in part],
                "y": [y for _, y in part],
                "line": {"color": style.color, "width": style.width, "dash": dash},
                "hoverinfo": "skip",
                "name": style.name,
                "showlegend": style.in_legend and dash == "solid",
                "meta": {"tone": style.tone, "part": "fit" if dash == "solid" else "extrapolated"},
            }
        )
    return traces


def label_end(text: str, color: str, note: Mapping[str, object]) -> list[dict[str, object]]:
    """Return the label of a line at its right end: a dot of its colour, and text that reads."""
    shared = {"xanchor": "left", "yanchor": "middle", "showarrow": False, **note}
    shift = DOT_PX + int(str(note.get("xshift", 0)))
    return [
        {**shared, "text": "●", "font": {"size": 8, "color": color}},
        {**shared, "text": text, "xshift": shift, "font": {"size": 11, "color": ROLES["ink2"]}},
    ]


def draw_band(line: Line, style: LineStyle) -> list[Trace]:
    """Return the band as a closed outline; nothing where any of it is unknown."""
    ends = list(zip(line.x, line.low, line.high, strict=True))
    if not ends or not all(math.isfinite(low) and math.isfinite(high) for _, low, high in ends):
        return []
    return [
        {
            "type": "scatter",
            "mode": "none",
            "x": [x for x, _, _ in ends] + [x for x, _, _ in reversed(ends)],
            "y": [high for _, _, high in ends] + [low for _, low, _ in reversed(ends)],
            "fill": "toself",
            "fillcolor": add_alpha(style.color, BAND_ALPHA / (2 if style.is_crowded else 1)),
            "line": {"width": 0},
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "95 % interval",
            "meta": {"tone": style.tone, "part": "band"},
        }
    ]
