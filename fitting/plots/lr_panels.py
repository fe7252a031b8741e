"""P1 as small multiples: one panel a variant, with the same axes, colours and marks in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from fitting.palette import color_size, size_tone
from fitting.plots.facets import Panel, place_panels
from fitting.plots.frame import Trace, make_key_entry, plot_text
from fitting.plots.lr_loss import (
    count_marks,
    draw_initial_loss,
    draw_lines,
    draw_rings,
    draw_runs,
    make_axes,
)
from fitting.plots.lr_marks import LOG, Picture, compose, list_optima
from fitting.results import LrSweepDoc
from fitting.rows import StudyRow
from scaledash.lib.units import format_quantity

MOST_PANELS = 9
MIN_LRS = 3  # of one size: fewer show no optimum


def list_sweeps(rows: Iterable[StudyRow]) -> list[str]:
    """Return the variants that have a sweep to show, those of most runs first.

    A variant has one where one of its sizes was trained at three learning rates.
    """
    rates: dict[tuple[str, float], set[float]] = defaultdict(set)
    n_runs: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.is_drawn and not row.excluded:
            rates[row.variant, row.n].add(row.lr)
            n_runs[row.variant] += 1
    swept = {variant for (variant, _), lrs in rates.items() if len(lrs) >= MIN_LRS}
    return sorted(swept, key=lambda variant: (-n_runs[variant], variant))


def draw_lr_panels(
    rows: Sequence[StudyRow], result: LrSweepDoc | None, places: Mapping[str, int]
) -> dict[str, object]:
    """Return data, layout and counts: a panel for each variant that has a sweep, at most nine."""
    chosen = list_sweeps(rows)[:MOST_PANELS]
    mine = [row for row in rows if row.variant in chosen]
    picture = compose(mine, LOG, places, [row.n for row in rows if row.is_drawn])
    n_undrawn = {"undrawn": len(rows) - len(mine)}
    if len(chosen) < 2 or not picture.marks:
        return {"data": [], "layout": {}, **count_marks(picture), **n_undrawn}
    x, y = make_axes(picture)
    initial = draw_initial_loss(picture, x)
    panels = []
    for variant in chosen:
        marks = [mark for mark in picture.marks if mark.row.variant == variant]
        part = replace(picture, marks=marks, variants=[variant])
        rings = draw_rings(part, list_optima(result, part))
        traces = [*draw_lines(part), *initial, *draw_runs(part), *rings]
        panels.append(Panel(plot_text(variant or "all runs"), traces))
    key = draw_size_key(picture)
    data, layout = place_panels(panels, (x, y), "lr_panels", n_legend=len(key))
    return {"data": [*data, *key], "layout": layout, **count_marks(picture), **n_undrawn}


def draw_size_key(picture: Picture) -> list[Trace]:
    """Return the legend's entries: one colour for each size."""
    sizes: dict[float, float] = {}
    for mark in picture.marks:
        u = picture.sizes[mark.row.n]
        sizes[u] = min(mark.row.n, sizes.get(u, mark.row.n))
    return [
        make_key_entry(f"N = {format_quantity(n)}", color_size(u), size_tone(u))
        for u, n in sorted(sizes.items())
    ]
