"""Ticks, labels and texts of plots."""

from __future__ import annotations

import pytest

from fitting.plots.frame import list_even_ticks, list_ticks, plot_text, spread_labels
from scaledash.lib.units import format_quantity


def test_decades_are_written_as_powers() -> None:
    assert list_ticks(2e-4, 0.4) == ([1e-3, 1e-2, 1e-1], ["10⁻³", "10⁻²", "10⁻¹"])


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (2.1, 5.9, ["3", "4", "5"]),
        (0.15, 0.6, ["0.2", "0.3", "0.4", "0.5"]),
        (3.30, 3.34, ["3.3", "3.31", "3.32", "3.33", "3.34"]),
    ],
)
def test_ticks_within_a_decade_are_spelt_in_full(low: float, high: float, texts: list[str]) -> None:
    found = list_ticks(low, high)[1]
    assert set(texts) <= set(found)
    assert len(found) <= 10


def test_ticks_that_rounding_would_make_alike_keep_their_digits() -> None:
    texts = list_ticks(4_086, 4_104, format_quantity)[1]
    assert len(set(texts)) == len(texts)
    assert "4,090" in texts


def test_even_ticks_are_round_and_few() -> None:
    assert list_even_ticks(-0.1, 1.1) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_crowded_labels_move_apart_around_their_middle() -> None:
    assert spread_labels([100.0, 101.0, 300.0], 14.0) == [93.5, 107.5, 300.0]


def test_labels_that_have_room_stay() -> None:
    assert spread_labels([10.0, 40.0, 25.0], 14.0) == [10.0, 40.0, 25.0]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("a & b", "a &amp; b"),
        ("line\nbreak\x00", "line break "),
        ("x" * 100, "x" * 79 + "…"),
    ],
)
def test_text_is_shown_as_it_is(text: str, shown: str) -> None:
    assert plot_text(text) == shown
