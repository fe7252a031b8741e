"""What stands beside the marks of the figure of loss against learning rate, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from fitting.palette import ROLES, add_alpha
from fitting.plots.frame import HEAD_PX, LEAST_HEIGHT, MARGIN, Axis, spread_labels
from fitting.plots.lr_marks import Picture
from fitting.texts import format_loss
from scaledash.lib.units import format_quantity

LABEL_GAP_PX = 14.0
EDGE_PX = 9.0  # a label on the upper edge stands below the notes above it
ROW_PX = 19  # of the legend and of the notes
ONE_ROW_LETTERS = 30  # that fit into the legend beside each other on a telephone


def label_sizes(picture: Picture, y: Axis) -> list[dict[str, object]]:
    """Return one label a size at the left end of its line, moved apart where they crowd.

    A line that enters from above the limit begins on the edge, where its triangle stands.
    """
    ends = []
    for u in picture.ordered:
        mine = [m for m in picture.marks if picture.sizes[m.row.n] == u]
        if mine:
            first = min(mine, key=lambda m: (m.row.lr, picture.variants.index(m.row.variant)))
            n = min(m.row.n for m in mine)
            same = [m for m in mine if m.row.lr == first.row.lr and m.series == first.series]
            ends.append((n, first.row.lr, fmean(picture.place(m) for m in same)))
    low, high = y["range"]
    inner = LEAST_HEIGHT - measure_head(picture) - MARGIN["b"]
    heights = [
        inner * ((math.log10(top) if picture.scale.is_log else top) - low) / (high - low)
        for _, _, top in ends
    ]
    places = spread_labels([min(height, inner - EDGE_PX) for height in heights], LABEL_GAP_PX)
    return [
        _make_label(format_quantity(n), (lr, top), place - height, picture.scale.is_log)
        for (n, lr, top), height, place in zip(ends, heights, places, strict=True)
    ]


def _make_label(
    text: str, end: tuple[float, float], shift_px: float, is_log: bool
) -> dict[str, object]:
    lr, top = end
    return {
        "x": math.log10(lr),
        "y": math.log10(top) if is_log else top,
        "text": text,
        "showarrow": True,
        "arrowhead": 0,
        "arrowwidth": 1,
        "arrowcolor": ROLES["ink3"],
        "standoff": 5,
        "ax": -22,
        "ay": -shift_px,
        "xanchor": "right",
        "yanchor": "middle",
        "font": {"size": 11.5, "color": ROLES["ink"]},
        "bgcolor": add_alpha(ROLES["panel"], 0.8),
        "borderpad": 1,
    }


def note_edges(picture: Picture) -> list[dict[str, object]]:
    """Return what is beyond the upper edge: how many runs, and the initial loss."""
    notes = [f"▲ {picture.n_clipped} above"] if picture.n_clipped else []
    if picture.is_initial_inside:
        return [*_write_notes(notes), _label_initial(picture)]
    if picture.scale.is_absolute and math.isfinite(picture.initial):
        notes.append(f"loss at initialisation {format_loss(picture.initial)} ↑")
    return _write_notes(notes)


def measure_head(picture: Picture) -> int:
    """Return the pixels above the data: the legend, and below it the notes on the upper edge."""
    notes = [note for note in note_edges(picture) if note.get("yref") == "paper"]
    if len(picture.variants) < 2:
        return HEAD_PX if notes else MARGIN["t"]
    return HEAD_PX + ROW_PX * (count_legend_rows(picture) - 1 + len(notes))


def count_legend_rows(picture: Picture) -> int:
    """Return the rows of the legend on a telephone; a wide page gives back what it can spare."""
    if len(picture.variants) < 2:
        return 0
    is_one_row = sum(map(len, picture.variants)) <= ONE_ROW_LETTERS
    return 1 if is_one_row else len(picture.variants)


def _write_notes(notes: Sequence[str]) -> list[dict[str, object]]:
    if not notes:
        return []
    return [
        {
            "xref": "paper",
            "yref": "paper",
            "x": 0,
            "y": 1,
            "xanchor": "left",
            "yanchor": "bottom",
            "showarrow": False,
            "text": "   ".join(notes),
            "font": {"size": 11.5, "color": ROLES["ink2"]},
        }
    ]


def _label_initial(picture: Picture) -> dict[str, object]:
    y = picture.initial
    return {
        "xref": "paper",
        "x": 0.99,
        "y": math.log10(y) if picture.scale.is_log else y,
        "xanchor": "right",
        "yanchor": "bottom",
        "showarrow": False,
        "text": f"loss at initialisation {format_loss(y)}",
        "font": {"size": 11.5, "color": ROLES["ink2"]},
    }
