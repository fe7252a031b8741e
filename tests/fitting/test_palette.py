"""The colours of figures agree with the tokens of the pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fitting import palette

ROOT = Path(__file__).resolve().parents[2]
TOKENS = (ROOT / "static/css/tokens.css").read_text()
SCRIPT = (ROOT / "static/js/palette.js").read_text()


def token(name: str) -> str:
    found = re.search(rf"--{name}:\s*light-dark\((#[0-9a-fA-F]{{6}})", TOKENS)
    assert found, name
    return found.group(1).lower()


@pytest.mark.parametrize("role", sorted(palette.ROLES))
def test_roles_are_the_tokens(role: str) -> None:
    assert palette.ROLES[role] == token(role)


def test_the_ends_of_the_size_scale_are_the_tokens() -> None:
    ends = (palette.color_size(1), palette.color_size(0))
    assert ends == (token("size-largest"), token("size-smallest"))


def test_the_browser_has_the_same_stops_and_categories() -> None:
    assert all(color in SCRIPT for color in (*palette.VIRIDIS, *palette.CATEGORIES))


@pytest.mark.parametrize(("t", "color"), [(0, "#440154"), (1, "#fde725"), (1 / 9, "#482878")])
def test_viridis_passes_through_its_stops(t: float, color: str) -> None:
    assert palette.interpolate_viridis(t) == color


def test_sizes_stand_by_their_logarithm() -> None:
    assert palette.place_sizes([1e4, 1e5, 1e6]) == {1e4: 0.0, 1e5: pytest.approx(0.5), 1e6: 1.0}


def test_a_single_size_is_drawn_as_the_largest() -> None:
    assert palette.place_sizes([1e4]) == {1e4: 1.0}
