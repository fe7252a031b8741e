"""The grid of sizes against learning rates as a table: what each cell of a sweep holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fitting.queries import CELL_ORDER, StudyView, build_coverage
from fitting.texts import DASH, format_lr
from fitting.variants import list_undrawn
from scaledash.lib.units import format_quantity

MISSING = "missing"
SIGNS = {
    "done": "●",
    "running": "○",
    "diverged": "▲",
    "failed": "\N{MULTIPLICATION X}",
    MISSING: "·",
}
Counts = Mapping[str, int]


def describe_coverage(view: StudyView, drawn: Collection[str]) -> dict[str, object]:
    """Return the grid of the drawn variants with a sign, a state and a sentence for each cell."""
    grid = build_coverage(view.rows.rows)
    left = list_undrawn(view.rows.rows) - set(drawn)
    return {
        "lrs": [format_lr(lr) for lr in grid["lrs"]],
        "variants": [
            {
                "variant": variant["variant"],
                "rows": [
                    {
                        "size_text": format_quantity(n),
                        "cells": [describe_cell(cell) for cell in row],
                    }
                    for n, row in zip(grid["scales"], variant["cells"], strict=True)
                ],
            }
            for variant in grid["variants"]
            if variant["variant"] not in left
        ],
        "undrawn": len(left),
        "without_axes": len(grid["without_axes"]),
    }


def describe_cell(counts: Counts) -> dict[str, str]:
    """Return what a cell shows: its best state, and all its runs in words."""
    state = next((name for name in CELL_ORDER if counts[name]), MISSING)
    words = [f"{count} {name}" for name, count in counts.items() if count]
    number = counts.get(state, 0)
    sign = SIGNS.get(state, DASH)
    return {
        "state": state,
        "text": f"{sign}{number}" if number > 1 else sign,
        "words": ", ".join(words) or "no run",
    }
