"""P1: final loss against peak learning rate, one line for each size and variant."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean

from fitting.palette import ROLES, color_size, role_tone, size_tone
from fitting.plots.frame import (
    MARGIN,
    Axis,
    Trace,
    left_margin,
    linear_axis,
    log_axis,
    make_key_entry,
    make_layout,
    make_whiskers,
    pad_linear,
    pad_log,
    plot_text,
)
from fitting.plots.lr_labels import count_legend_rows, label_sizes, measure_head, note_edges
from fitting.plots.lr_marks import RELATIVE, Mark, Optimum, Picture, compose, list_optima
from fitting.results import LrSweepDoc, read_ends
from fitting.rows import StudyRow
from fitting.texts import format_interval, format_lr, format_number
from scaledash.lib.units import format_quantity

MOST_LENGTHS = 1.05  # of the shortest run of a cell, for its runs to be repeats
LABEL_ROOM = 0.13  # of the width, left of the data
HOVER = (
    "%{customdata[1]}<br>N = %{customdata[2]}, LR = %{customdata[3]}<br>"
    "loss %{customdata[4]}, %{customdata[5]} above the best of this size<br>"
    "seed %{customdata[6]}, %{customdata[7]}, step %{customdata[8]}<extra></extra>"
)
RING_HOVER = (
    "fitted best LR %{customdata[3]}<br>95 % interval %{customdata[4]}<br>"
    "N = %{customdata[2]} %{customdata[1]}<extra></extra>"
)


def draw_lr_loss(
    rows: Sequence[StudyRow],
    result: LrSweepDoc | None,
    mode: str = "log",
    places: Mapping[str, int] | None = None,
    others: Iterable[float] = (),
) -> dict[str, object]:
    """Return data, layout, table and counts of the figure; `places` and `others` as in compose."""
    picture = compose(rows, mode, places, others)
    if not picture.marks:
        return {"data": [], "layout": {}, **count_marks(picture)}
    optima = list_optima(result, picture)
    x, y = make_axes(picture)
    data = [
        *draw_lines(picture),
        *draw_initial_loss(picture, x),
        *draw_runs(picture),
        *draw_rings(picture, optima),
        *draw_key(picture),
    ]
    notes = [*label_sizes(picture, y), *note_edges(picture)]
    layout = make_layout(x, y, f"lr_loss {mode}", annotations=notes, n_legend=len(picture.variants))
    layout["margin"] = {**MARGIN, "l": left_margin(y), "t": measure_head(picture)}
    layout["meta"] = {"legend_rows": count_legend_rows(picture)}
    return {"data": data, "layout": layout, **count_marks(picture)}


def count_marks(picture: Picture) -> dict[str, int]:
    """Return how many runs are drawn, on the edge, and off the axis, by the reason."""
    off_axis = "nonpositive" if picture.scale.is_log else "not_comparable"
    return {
        "drawn": len(picture.marks),
        "clipped": picture.n_clipped,
        off_axis: picture.n_off_axis,
    }


def make_axes(picture: Picture) -> tuple[Axis, Axis]:
    """Return both axes, with room for the labels on the left."""
    lrs = [mark.row.lr for mark in picture.marks]
    x = log_axis("Peak learning rate", *pad_log(min(lrs), max(lrs), LABEL_ROOM, 0.05))
    heights = [mark.y for mark in picture.marks if math.isfinite(mark.y)]
    low, high = min(heights, default=1.0), max(heights, default=2.0)
    above = 0.0 if picture.n_clipped else 0.05  # clipped marks stand on the very edge
    if picture.scale.is_log:
        return x, log_axis(picture.scale.title, *pad_log(low, high, 0.05, above))
    suffix = "%" if picture.scale.mode == RELATIVE else ""
    return x, linear_axis(picture.scale.title, *pad_linear(low, high, 0.05, above), suffix)


def draw_lines(picture: Picture) -> list[Trace]:
    """Return one line through the means over seeds of each variant and size.

    A bar spans the losses of a cell's seeds: what lies within it is noise.
    """
    cells: dict[tuple[str, float], dict[float, list[Mark]]] = defaultdict(lambda: defaultdict(list))
    for mark in picture.marks:
        if mark.row.takes_part and math.isfinite(mark.loss):
            cells[mark.series][mark.row.lr].append(mark)
    lines = []
    for (variant, n), by_lr in sorted(cells.items()):
        lrs = sorted(by_lr)
        u = picture.sizes[n]
        means, lows, highs = (
            [picture.scale.place((variant, n), measure(by_lr[lr])) for lr in lrs]
            for measure in (_mean, partial(_end, min), partial(_end, max))
        )
        bars = make_whiskers(means, lows, highs)
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": lrs,
                "y": means,
                "error_y": {**bars, "thickness": 1.2, "width": 3, "color": color_size(u)},
                "line": {"color": color_size(u), "width": 2, "dash": picture.dash(variant)},
                "hoverinfo": "skip",
                "showlegend": False,
                "name": plot_text(f"{format_quantity(n)} {variant}".strip()),
                "meta": {"tone": size_tone(u), "part": "line"},
            }
        )
    return lines


def _mean(marks: Sequence[Mark]) -> float:
    return fmean(mark.loss for mark in marks)


def _end(choose: Callable[[Iterable[float]], float], marks: Sequence[Mark]) -> float:
    """Return an end of the bar; runs of different length are no repeats and have none."""
    steps = [mark.row.last_step or 0 for mark in marks]
    if max(steps) > MOST_LENGTHS * min(steps):
        return _mean(marks)
    return choose(mark.loss for mark in marks)


def draw_runs(picture: Picture) -> list[Trace]:
    """Return the runs: filled where they take part, hollow in progress, red where diverged."""
    groups: dict[tuple[float, str], list[Mark]] = defaultdict(list)
    for mark in picture.marks:
        groups[mark.row.n, _find_kind(mark)].append(mark)
    order = ("healthy", "unfinished", "above", "diverged")
    found = sorted(groups.items(), key=lambda item: (order.index(item[0][1]), item[0][0]))
    return [_draw_marks(picture, n, kind, marks) for (n, kind), marks in found]


def _find_kind(mark: Mark) -> str:
    if mark.row.diverged:
        return "diverged"
    if not mark.row.is_finished:
        return "unfinished"
    return "above" if mark.is_clipped else "healthy"


def _draw_marks(picture: Picture, n: float, kind: str, marks: Sequence[Mark]) -> Trace:
    u, is_bad = picture.sizes[n], kind == "diverged"
    color = ROLES["bad"] if is_bad else color_size(u)
    symbol = "triangle-up" if kind in ("diverged", "above") else picture.symbol(n)
    casing = {"color": ROLES["panel"], "width": 1}
    if kind == "unfinished":
        symbol, casing = f"{symbol}-open", {"color": color, "width": 1.6}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [mark.row.lr for mark in marks],
        "y": [picture.place(mark) for mark in marks],
        "customdata": [_describe(picture, mark) for mark in marks],
        "hovertemplate": HOVER,
        "cliponaxis": False,
        "showlegend": False,
        "name": f"{format_quantity(n)} {kind}",
        "marker": {"symbol": symbol, "size": 8 if is_bad else 6.5, "color": color, "line": casing},
        "meta": {"tone": role_tone("bad") if is_bad else size_tone(u), "part": kind},
    }


def _describe(picture: Picture, mark: Mark) -> list[str]:
    row = mark.row
    best = picture.scale.best.get(mark.series, math.nan)
    seed = f"{row.seed:.0f}" if math.isfinite(row.seed) else "not logged"
    outcome = f"{row.state}, diverged" if row.diverged else row.state
    return [
        row.uid,
        plot_text(row.name),
        format_quantity(row.n),
        format_lr(row.lr),
        format_number(row.loss, 5) or ("not finite" if row.diverged else "none yet"),
        format_number(row.loss - best) or "unknown",
        seed,
        outcome,
        "?" if row.last_step is None else f"{row.last_step:,}",
    ]


def draw_rings(picture: Picture, optima: Sequence[Optimum]) -> list[Trace]:
    """Return a ring at each fitted optimum, with the interval as a whisker."""
    rings = []
    for scale, optimum in optima:
        series = (scale["variant"], scale["scale"])
        u = picture.sizes[scale["scale"]]
        low, high = read_ends(optimum["interval"])
        color = color_size(u)
        words = format_interval(optimum["interval"]) or "none"
        about = ["", plot_text(scale["variant"]), format_quantity(scale["scale"])]
        rings.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [optimum["lr"]],
                "y": [picture.scale.place(series, optimum["loss"])],
                "error_x": {**make_whiskers([optimum["lr"]], [low], [high]), "color": color},
                "customdata": [[*about, format_lr(optimum["lr"]), words]],
                "hovertemplate": RING_HOVER,
                "showlegend": False,
                "name": f"LR* {format_quantity(scale['scale'])}",
                "marker": {
                    "symbol": "circle-open",
                    "size": 14,
                    "color": color,
                    "line": {"color": color, "width": 2.2},
                },
                "meta": {"tone": size_tone(u), "part": "ring"},
            }
        )
    return rings


def draw_initial_loss(picture: Picture, x: Axis) -> list[Trace]:
    """Return the dotted line at the initial loss, where it is inside the plot."""
    if not picture.is_initial_inside:
        return []
    low, high = (10**power for power in x["range"])
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [low, high],
            "y": [picture.initial, picture.initial],
            "line": {"color": ROLES["ink3"], "width": 1.4, "dash": "dot"},
            "hoverinfo": "skip",
            "showlegend": False,
            "name": "loss at initialisation",
            "meta": {"tone": role_tone("ink3"), "part": "initial"},
        }
    ]


def draw_key(picture: Picture) -> list[Trace]:
    """Return the legend's entries: one dash for each variant."""
    if len(picture.variants) < 2:
        return []
    return [
        make_key_entry(plot_text(variant), ROLES["ink2"], role_tone("ink2"), picture.dash(variant))
        for variant in picture.variants
    ]
