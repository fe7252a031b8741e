"""Quantities with suffixes, read and written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaledash.lib.units import format_flops, format_quantity, format_seconds, parse_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("125M", 125e6),
        ("125m", 125e6),
        (" 1.3 B ", 1.3e9),
        ("300G", 300e9),
        ("4k", 4e3),
        ("2T", 2e12),
        ("3P", 3e15),
        ("2E", 2e18),
        ("1.2e20", 1.2e20),
        ("1E3", 1e3),
        ("1e3k", 1e6),
        ("4_096", 4096.0),
        (".5B", 5e8),
        ("7.", 7.0),
        ("-3", -3.0),
        (4096, 4096.0),
        (1e-3, 1e-3),
        ("10¹³", 1e13),
        (" 1.2·10²⁰ ", 1.2e20),
        ("5·10⁻⁴", 5e-4),
    ],
)
def test_quantity_is_read(text: str | float, value: float) -> None:
    assert parse_quantity(text) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "12X",
        "1.2.3",
        "1__0",
        "_1",
        "1_",
        "0x10",
        "١٢",
        "nan",
        "inf",
        "1e400",
        "1" * 65,
        "1" * 100_000 + "x",
        True,
        math.nan,
        math.inf,
        10**400,
        None,
        [],
    ],
)
def test_what_is_no_quantity_is_refused_with_a_short_sentence(text: object) -> None:
    with pytest.raises(ValueError) as caught:
        parse_quantity(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (7, "7"),
        (999.6, "1k"),
        (147_904, "148k"),
        (999_999, "1M"),
        (1.3e9, "1.3B"),
        (999.9e12, "10¹⁵"),
        (3e19, "3·10¹⁹"),
        (-2_500_000, "-2.5M"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_quantity_is_written_short(value: float | None, text: str) -> None:
    assert format_quantity(value) == text


@given(st.floats(min_value=1, max_value=1e30))
def test_written_quantity_reads_back_to_three_digits(value: float) -> None:
    # half a unit of the third digit, at worst of 1.00
    assert parse_quantity(format_quantity(value)) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e13, "10¹³"),
        (9.9966e11, "10¹²"),
        (2.3871e10, "2.39·10¹⁰"),
        (0, "0"),
        (None, ""),
        (6, "6"),
        (math.inf, "inf"),
    ],
)
def test_flops_are_written_as_a_power_of_ten(value: float | None, text: str) -> None:
    assert format_flops(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.44, "0.4 s"), (95, "95 s"), (1813.9, "30 min"), (20_000, "6 h"), (400_000, "5 d")],
)
def test_times_are_written_as_people_say_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
