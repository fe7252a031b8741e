"""What of a chart's answer a page has not got yet: live curves are sent from where they grew. Pure.

A page says what it holds of each chart: a tag of the frame (the grid, the curves that there are),
and of each curve how far it is settled and a tag of it up to there. Tags are of the content, so
that no clock and no revision can be wrong. A curve that is the same up to there is sent from there
on; where the frame is another one, everything is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from runs.series import SLOTS

HEADER = "X-Held"
MOST_CURVES = 300  # of a chart; what a page says of more does not fit in a header
MAX_DIGITS = 6  # of a number of columns
FRAME = ("facet", "method", "x_axis", "x_scale", "lo", "hi", "buckets", "digits")
Chart = dict[str, Any]


def add_tags(charts: Sequence[Chart]) -> None:
    """Write into each chart of single runs what a page says of it when it asks again."""
    for chart in charts:
        if "groups" not in chart and len(chart["series"]) <= MOST_CURVES:
            chart["held"] = write_held(chart)


def leave_held_out(charts: Sequence[Chart], text: str) -> None:
    """Take out of the charts what the page that sent this header holds."""
    for chart, held in zip(charts, text.split(","), strict=False):
        frame, *parts = [_read_part(part) for part in held.split(".")]
        size, tag = frame
        if "held" in chart and tag == tag_frame(chart, size):
            _cut(chart, size, parts)


def _read_part(text: str) -> tuple[int, str]:
    size, _, tag = text.partition("-")
    is_number = size.isascii() and size.isdecimal() and len(size) <= MAX_DIGITS
    return (int(size), tag) if is_number else (0, "")


def _cut(chart: Chart, size: int, parts: Sequence[tuple[int, str]]) -> None:
    chart["from"] = size
    if "x" in chart:
        chart["x"] = chart["x"][size:]
    slots = count_slots(chart)
    for (name, series), (settled, tag) in zip(chart["series"].items(), parts, strict=False):
        if settled and tag == tag_series(series, settled, slots):
            chart["series"][name] = _cut_series(series, settled, slots)


def _cut_series(series: Chart, settled: int, slots: int) -> Chart:
    return {
        **series,
        "from": settled,
        "y": series["y"][settled * slots :],
        "breaks": [place for place in series["breaks"] if place >= settled],
        "marks": [mark for mark in series["marks"] if mark[0] >= settled],
        **({"smooth": series["smooth"][settled:]} if "smooth" in series else {}),
    }


def write_held(chart: Chart) -> str:
    """Return size and tag of the frame and of each curve, in their order."""
    size, slots = len(chart.get("x", [])), count_slots(chart)
    parts = [f"{size}-{tag_frame(chart, size)}"]
    for series in chart["series"].values():
        settled = size or find_last(series["y"]) // SLOTS
        parts.append(f"{settled}-{tag_series(series, settled, slots)}")
    return ".".join(parts)


def tag_frame(chart: Chart, size: int) -> str:
    """Return a tag of the grid up to a column, and of the names of the curves."""
    frame = [chart.get(key) for key in FRAME]
    return make_tag([frame, list(chart["series"]), chart.get("x", [])[:size]])


def tag_series(series: Chart, settled: int, slots: int) -> str:
    """Return a tag of a curve up to a column or bucket."""
    return make_tag(
        [
            series["y"][: settled * slots],
            [place for place in series["breaks"] if place < settled],
            [mark for mark in series["marks"] if mark[0] < settled],
            series.get("smooth", [])[:settled],
        ]
    )


def make_tag(content: object) -> str:
    """Return a text that differs, but for one case in four thousand million, where content does."""
    return hashlib.blake2b(msgspec.json.encode(content), digest_size=4).hexdigest()


def find_last(values: Sequence[float | None]) -> int:
    """Return the place of the last value, 0 where there is none."""
    return next((i for i in range(len(values) - 1, -1, -1) if values[i] is not None), 0)


def count_slots(chart: Chart) -> int:
    """Return how many values a column or a bucket has."""
    return 1 if chart["method"] == "raw" else SLOTS
