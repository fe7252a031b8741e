"""Numbers of a stored fit as text, written as the figures write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from fitting.plots import frame
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EN DASH}"
FieldMap = Mapping[str, object]


def format_number(value: object, digits: int = 3) -> str:
    """Write a number of a result with so many significant digits; "" where there is none."""
    return frame.format_number(decode_float(value), digits)


def format_lr(value: object) -> str:
    """Write a learning rate."""
    number = decode_float(value)
    return "" if number is None or math.isnan(number) else frame.format_lr(number)


def format_loss(value: object) -> str:
    """Write a loss in nats."""
    return format_aligned(value, 4)


def format_aligned(value: object, digits: int = 3) -> str:
    """Write a number with its trailing zeros, for columns; "" where there is none."""
    return frame.format_aligned(decode_float(value), digits)


def format_exponent(value: object) -> str:
    """Write an exponent with two decimals."""
    number = decode_float(value)
    if number is None or not math.isfinite(number):
        return ""
    return f"{number:.2f}".replace("-", MINUS)


def format_interval(
    interval: FieldMap | None, write: Callable[[object], str] = format_aligned
) -> str:
    """Write an interval; an open side says that the true end may lie further out."""
    if not interval:
        return ""
    low, high = write(interval["low"]), write(interval["high"])
    if interval.get("low_open") and interval.get("high_open"):
        return f"not bounded by {low} {DASH} {high}"
    if interval.get("low_open"):
        return f"≤ {high}"
    return f"≥ {low}" if interval.get("high_open") else f"{low} {DASH} {high}"


def is_refusal(part: object) -> bool:
    """Say whether a part of a result is a Refusal."""
    return isinstance(part, Mapping) and "code" in part and "sentence" in part


LONG_NUMBER = re.compile(r"(?<![\w.])(\d(?:\.\d+)?e\+\d+)(x?)")  # 5.91e+05, 6.34e+03x
IDENTIFIER = re.compile(
    r"\S*[_=.^/]\S*|.\b"
)  # n_tokens, qk_norm=ln, a*: no word to begin in upper case


def polish(text: object) -> str:
    """Return a stored sentence as a page writes it: 591k for 5.91e+05, ≥, a capital first."""
    plain = LONG_NUMBER.sub(_write_long, str(text or "")).replace(">=", "≥").replace("<=", "≤")
    first = plain.split(" ", 1)[0]
    return plain if IDENTIFIER.fullmatch(first) else plain[:1].upper() + plain[1:]


def _write_long(match: re.Match[str]) -> str:
    number, times = float(match[1]), match[2]
    return f"{number:,.0f}x" if times else format_quantity(number)
