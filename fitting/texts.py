"""Numbers of a stored fit as text, written as the figures write them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from fitting.plots import frame
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_flops, format_quantity

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


# 5.91e+05, 6.34e+03x, budget 1e+12, C = 1e+12, 1e+12 FLOPs, 1e+11 to 1e+12 FLOPs
LONG_NUMBER = re.compile(
    r"(?P<compute>\bbudget |\bC = )?(?<![\w.])(?P<number>\d(?:\.\d+)?e\+\d+)(?P<times>x?)"
    r"(?P<flops>(?= FLOPs| to \S+ FLOPs))?"
)
IDENTIFIER = re.compile(
    r"\S*[_=.^/]\S*|.\b"
)  # n_tokens, qk_norm=ln, a*: no word to begin in upper case


def polish(text: object) -> str:
    """Return a stored sentence as a page writes it: 591k for 5.91e+05, ≥, a capital first."""
    plain = LONG_NUMBER.sub(_write_long, str(text or "")).replace(">=", "≥").replace("<=", "≤")
    first = plain.split(" ", 1)[0]
    return plain if IDENTIFIER.fullmatch(first) else plain[:1].upper() + plain[1:]


def _write_long(match: re.Match[str]) -> str:
    number, compute = float(match["number"]), match["compute"]
    if match["times"]:
        return f"{number:,.0f}x"
    is_compute = compute or match["flops"] is not None
    return f"{compute or ''}{(format_flops if is_compute else format_quantity)(number)}"
