"""What all figures share: escaped text, axes with their own tick texts, the frame around data."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from fitting.palette import ROLES
from scaledash.lib.units import power_of_ten

LEAST_HEIGHT = 430  # of the large figure, as the page keeps it
HEAD_PX = 28
MARGIN = {"l": 56, "r": 14, "t": 8, "b": 44}
FONT = 'Inter, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
TITLE_PX, DIGIT_PX = 30, 7
MAX_TEXT = 80
LEAST_SPAN = 1e-9  # of an axis, relative to its values; less is a point
MINUS = "\N{MINUS SIGN}"
WITHIN_DECADE = ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), (1, 1.2, 1.4, 1.7, 2, 2.5, 3, 4, 5, 6, 8))
MIN_TICKS = 4
Axis = dict[str, Any]  # for Plotly, whose schema the tests check
Trace = dict[str, Any]


def plot_text(text: object) -> str:
    """Return text that a figure shows as it is: Plotly reads names and hovers as markup."""
    clean = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in str(text))
    if len(clean) > MAX_TEXT:
        clean = clean[: MAX_TEXT - 1] + "…"
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def format_lr(value: float) -> str:
    """Write a learning rate: 0.003, 0.0071, 3e-5."""
    return format_number(value)


def format_number(value: float | None, digits: int = 3) -> str:
    """Write a number with so many significant digits, empty where there is none."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    power = f"e{int(exponent)}" if exponent else ""
    return mantissa.replace("-", MINUS) + power


def format_aligned(value: float | None, digits: int = 3) -> str:
    """Write a number with its trailing zeros, as a column of numbers wants it: 0.50, 2.000."""
    if value is None or not math.isfinite(value):
        return format_number(value)
    text = f"{value:#.{digits}g}"
    return format_number(value, digits) if "e" in text else text.rstrip(".").replace("-", MINUS)


def list_ticks(
    low: float, high: float, write: Callable[[float], str] = "{:.6g}".format
) -> tuple[list[float], list[str]]:
    """Return ticks of a log axis between two positive values: decades, or steps within them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**power for power in range(first, last + 1)]
    inside = [value for value in decades if low <= value <= high]
    if len(inside) >= 3:
        return inside, [power_of_ten(round(math.log10(value))) for value in inside]
    for steps in WITHIN_DECADE:
        values = [step * decade for decade in decades for step in steps]
        inside = [value for value in values if low <= value <= high]
        if len(inside) >= MIN_TICKS:
            return inside, write_ticks(inside, write)
    inside = list_even_ticks(low, high)
    return inside, write_ticks(inside, write)


def write_ticks(values: Sequence[float], write: Callable[[float], str]) -> list[str]:
    """Write ticks; where rounding makes neighbours read alike, with the digits they need."""
    texts = [write(value) for value in values]
    if len(set(texts)) == len(texts):
        return texts
    return [f"{value:,.6g}" for value in values]


def list_even_ticks(low: float, high: float) -> list[float]:
    """Return four to nine round values between two numbers."""
    span = high - low
    unit = 10.0 ** math.floor(math.log10(span / MIN_TICKS))
    step = next(unit * size for size in (1, 2, 2.5, 5, 10) if span / (unit * size) <= 2 * MIN_TICKS)
    first = math.ceil(low / step)
    return [round(place * step, 12) for place in range(first, math.floor(high / step) + 1)]


def log_axis(
    title: str, low: float, high: float, write: Callable[[float], str] = "{:.6g}".format
) -> Axis:
    """Return a log axis from `low` to `high`, with tick texts of its own."""
    values, texts = list_ticks(low, high, write)
    return {
        **_axis(title),
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": values,
        "ticktext": texts,
    }


def linear_axis(title: str, low: float, high: float, suffix: str = "") -> Axis:
    """Return a linear axis from `low` to `high`."""
    values = list_even_ticks(low, high)
    texts = [f"{value:.6g}{suffix}".replace("-", MINUS) for value in values]
    return {
        **_axis(title),
        "type": "linear",
        "range": [low, high],
        "tickvals": values,
        "ticktext": texts,
    }


def _axis(title: str) -> Axis:
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12.5}},
        "tickfont": {"size": 11.5},
        "gridcolor": ROLES["grid"],
        "linecolor": ROLES["line"],
        "tickcolor": ROLES["line"],
        "ticks": "outside",
        "ticklen": 4,
        "showline": True,
        "zeroline": False,
        "automargin": False,
    }


def pad_log(low: float, high: float, below: float, above: float) -> tuple[float, float]:
    """Return the range widened by shares of its length on a log axis; a point gets a decade."""
    span = math.log10(high / low)
    span = span if span > LEAST_SPAN else 1.0
    return low / 10 ** (below * span), high * 10 ** (above * span)


def pad_linear(low: float, high: float, below: float, above: float) -> tuple[float, float]:
    """Return the range widened by shares of its length; a point gets its own size, or 1."""
    size = max(abs(low), abs(high)) or 1.0
    span = high - low if high - low > LEAST_SPAN * size else size
    return low - below * span, high + above * span


def make_layout(
    x: Axis,
    y: Axis,
    uirevision: str,
    annotations: Sequence[dict[str, object]] = (),
    n_legend: int = 0,
) -> dict[str, object]:
    """Return the frame: axes, font, margins, and a key under which a redraw keeps the zoom.

    A legend of two or more entries, and notes at paper height 1, stand in the head above the data.
    """
    has_legend = n_legend > 1
    has_head = has_legend or any(note.get("yref") == "paper" for note in annotations)
    legend = {"showlegend": True, "legend": make_legend()} if has_legend else {"showlegend": False}
    return {
        "xaxis": x,
        "yaxis": y,
        "uirevision": uirevision,
        "margin": {**MARGIN, "l": left_margin(y), "t": HEAD_PX if has_head else MARGIN["t"]},
        "font": {"family": FONT, "size": 12, "color": ROLES["ink"]},
        "paper_bgcolor": ROLES["panel"],
        "plot_bgcolor": ROLES["panel"],
        "hovermode": "closest",
        "annotations": list(annotations),
        **legend,
    }


def left_margin(y: Axis) -> int:
    """Return the pixels that tick texts and title of the y axis need, digits being 7 wide."""
    longest = max((len(text) for text in y.get("ticktext", ())), default=0)
    return max(MARGIN["l"], TITLE_PX + DIGIT_PX * longest)


def make_legend() -> dict[str, object]:
    """Return a legend in one row at the top right, inside the data's frame."""
    return {
        "orientation": "h",
        "x": 1,
        "xanchor": "right",
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "font": {"size": 11.5},
        "bgcolor": "rgba(0,0,0,0)",
        "itemclick": False,
        "itemdoubleclick": False,
    }


def make_whiskers(
    values: Sequence[float], lows: Sequence[float | None], highs: Sequence[float | None]
) -> dict[str, object]:
    """Return asymmetric error bars; a side that is None or open has no bar."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [_length(high, value) for value, high in zip(values, highs, strict=True)],
        "arrayminus": [_length(value, low) for value, low in zip(values, lows, strict=True)],
        "thickness": 1.6,
        "width": 4,
    }


def _length(upper: float | None, lower: float | None) -> float:
    if upper is None or lower is None or not math.isfinite(upper - lower):
        return 0.0
    return max(0.0, upper - lower)


def spread_labels(heights: Sequence[float], least: float) -> list[float]:
    """Return places for labels at least `least` apart, as near to the wanted ones as that allows.

    Labels that crowd form a block around the mean of what its members want.
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    blocks: list[list[int]] = []
    for label in order:
        blocks.append([label])
        while len(blocks) > 1 and _top(blocks[-2], heights, least) + least > _bottom(
            blocks[-1], heights, least
        ):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    places = [0.0] * len(heights)
    for block in blocks:
        start = _bottom(block, heights, least)
        for offset, label in enumerate(block):
            places[label] = start + offset * least
    return places


def _bottom(block: Sequence[int], heights: Sequence[float], least: float) -> float:
    centre = sum(heights[i] for i in block) / len(block)
    return centre - least * (len(block) - 1) / 2


def _top(block: Sequence[int], heights: Sequence[float], least: float) -> float:
    return _bottom(block, heights, least) + least * (len(block) - 1)


def make_key_entry(name: str, color: str, tone: object, dash: str = "solid") -> Trace:
    """Return an entry of a legend: a line without points."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [None],
        "y": [None],
        "line": {"color": color, "width": 2, "dash": dash},
        "name": name,
        "showlegend": True,
        "hoverinfo": "skip",
        "meta": {"tone": tone, "part": "key"},
    }
