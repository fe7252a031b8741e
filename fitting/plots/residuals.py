"""Predicted against observed values of any law, with what was withheld from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fitting.palette import ROLES, category_tone, color_category, role_tone
from fitting.plots.frame import (
    MINUS,
    Trace,
    linear_axis,
    log_axis,
    make_layout,
    pad_linear,
    pad_log,
    plot_text,
)

CROWDED = 60  # points; more are drawn smaller
HOVER = (
    "%{customdata[1]}<br>observed %{x:.4g}, predicted %{y:.4g} (%{customdata[2]})<extra></extra>"
)


@dataclass(frozen=True)
class Residual:
    """One point: `uid` of its run or "", and words that name it."""

    observed: float
    predicted: float
    uid: str
    words: str


@dataclass(frozen=True)
class Series:
    """Points of one colour; held-out ones are open diamonds, which may go without a legend."""

    name: str
    place: int
    points: Sequence[Residual]
    is_held_out: bool = False
    in_legend: bool = True


def draw_residuals(
    series: Sequence[Series], revision: str, quantity: str = "loss, nats", is_log: bool = False
) -> dict[str, object]:
    """Return data, layout and counts; nothing where there is no point.

    `is_log` is for positive values that span decades.
    """
    shown = [item for item in series if item.points]
    if not shown:
        return {"data": [], "layout": {}, "drawn": 0, "clipped": 0}
    points = [point for item in shown for point in item.points]
    values = [value for point in points for value in (point.observed, point.predicted)]
    pad, axis = (pad_log, log_axis) if is_log else (pad_linear, linear_axis)
    low, high = pad(min(values), max(values), 0.05, 0.05)
    layout = make_layout(
        axis(f"Observed {quantity}", low, high),
        axis(f"Predicted {quantity}", low, high),
        revision,
        n_legend=sum(item.in_legend for item in shown),
    )
    return {
        "data": [_draw_diagonal(low, high), *(_draw_points(item) for item in shown)],
        "layout": layout,
        "drawn": sum(len(item.points) for item in shown if not item.is_held_out),
        "clipped": 0,
        "held_out": sum(len(item.points) for item in shown if item.is_held_out),
    }


def _draw_diagonal(low: float, high: float) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [low, high],
        "y": [low, high],
        "line": {"color": ROLES["ink3"], "width": 1},
        "hoverinfo": "skip",
        "showlegend": False,
        "name": "equal",
        "meta": {"tone": role_tone("ink3"), "part": "equal"},
    }


def _draw_points(series: Series) -> Trace:
    color = color_category(series.place)
    share = 1.0 if len(series.points) <= CROWDED else 0.6
    filled = {"size": 6.5 * share, "color": color, "line": {"color": ROLES["panel"], "width": 1}}
    open_diamond = {
        "size": 9 * share,
        "symbol": "diamond-open",
        "color": color,
        "line": {"width": 1.6 * share, "color": color},
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.observed for point in series.points],
        "y": [point.predicted for point in series.points],
        "customdata": [
            [point.uid, point.words, write_error(point.predicted, point.observed)]
            for point in series.points
        ],
        "hovertemplate": HOVER,
        "marker": open_diamond if series.is_held_out else filled,
        "name": plot_text(series.name),
        "showlegend": series.in_legend,
        "meta": {
            "tone": category_tone(series.place),
            "part": "held_out" if series.is_held_out else "cell",
        },
    }


def write_error(predicted: float, observed: float) -> str:
    """Write a relative error in percent, with its sign."""
    error = 100 * (predicted / observed - 1)
    return f"{error:+.2f} %".replace("-", MINUS)
