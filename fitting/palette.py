"""Colours of figures: the light theme's tokens; pages recolour traces by their `meta.tone`.

static/css/tokens.css holds the same values, and the browser computes the same size scale; tests
compare both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fitting.sizes import group_sizes

VIRIDIS = (
    "#440154",
    "#482878",
    "#3e4a89",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6dcd59",
    "#b4de2c",
    "#fde725",
)
SIZE_RANGE = (0.72, 0.0)  # viridis(0.72 * (1 - u)): the largest has the strongest contrast
CATEGORIES = ("#0072B2", "#C44E00", "#009E73", "#8A2C6B", "#B08900", "#222222")
ROLES = {
    "panel": "#ffffff",
    "ink": "#14181f",
    "ink2": "#4a5361",
    "ink3": "#626c7a",
    "line": "#dfe3e8",
    "grid": "#eceff2",
    "accent": "#0b5cad",
    "bad": "#b42318",
}
BAND_ALPHA = 0.16
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "pentagon", "star", "hexagon")  # triangle = diverged
Tone = dict[str, object]


def interpolate_viridis(t: float) -> str:
    """Return viridis(t), linear between ten stops."""
    place = min(max(t, 0.0), 1.0) * (len(VIRIDIS) - 1)
    below = min(int(place), len(VIRIDIS) - 2)
    low, high = parse_hex(VIRIDIS[below]), parse_hex(VIRIDIS[below + 1])
    share = place - below
    mixed = [math.floor(a + share * (b - a) + 0.5) for a, b in zip(low, high, strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def parse_hex(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of "#rrggbb"."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def add_alpha(color: str, alpha: float) -> str:
    """Return the colour as rgba()."""
    red, green, blue = parse_hex(color)
    return f"rgba({red},{green},{blue},{alpha})"


def place_sizes(sizes: Sequence[float]) -> dict[float, float]:
    """Return u in [0, 1] of each n: log-linear from the smallest to the largest size."""
    level_of = group_sizes(sizes)
    levels = sorted(set(level_of.values()))
    if len(levels) < 2:
        return dict.fromkeys(level_of, 1.0)
    low, span = math.log(levels[0]), math.log(levels[-1]) - math.log(levels[0])
    return {n: (math.log(level) - low) / span for n, level in level_of.items()}


def color_size(u: float) -> str:
    """Return the colour of a place on the size scale, 0 smallest, 1 largest."""
    low, high = SIZE_RANGE
    return interpolate_viridis(low + (high - low) * round(u, 4))


def size_tone(u: float) -> Tone:
    """Return the tone of a place on the size scale."""
    return {"size": round(u, 4)}


def color_category(place: int) -> str:
    """Return the colour of a category; beyond the sixth they repeat."""
    return CATEGORIES[place % len(CATEGORIES)]


def category_tone(place: int) -> Tone:
    """Return the tone of a category."""
    return {"cat": place % len(CATEGORIES)}


def role_tone(role: str) -> Tone:
    """Return the tone of a role of the page, such as ink or bad."""
    return {"role": role}
