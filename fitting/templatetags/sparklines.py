"""A row of counts as a line of one word's size."""

from __future__ import annotations

from collections.abc import Sequence

from django import template

register = template.Library()
HEIGHT = 16
STEP = 2


@register.filter
def sparkline(counts: Sequence[int]) -> str:
    """Return the points of an SVG polyline: the largest count touches the top, none the bottom."""
    most = max([*counts, 1])
    room = HEIGHT - 2
    return " ".join(
        f"{STEP * place + 1},{HEIGHT - 1 - room * count / most:.1f}"
        for place, count in enumerate(counts)
    )
