"""Numbers with unit suffixes: "125M", "1.2e20", "300B", "4k"; powers of ten as "1.2·10²⁰"."""

import math
import re

SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
MAX_LENGTH = 64
SHORT_SECONDS = 10.0
MINUTE, HOUR, DAY = 60, 3600, 86_400
UNITS_OF_TIME = (("s", 1, 2 * MINUTE), ("min", MINUTE, 2 * HOUR), ("h", HOUR, 2 * DAY))
LEAST_POWER = 1000.0  # smaller FLOPs are written out
SUPERSCRIPTS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
_RAISE = str.maketrans("-0123456789", SUPERSCRIPTS)
_LOWER = str.maketrans(SUPERSCRIPTS, "-0123456789")
_POWER = re.compile(rf"(?:([0-9.]+)·)?10([{SUPERSCRIPTS}]+)")
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(
    rf"([+-]?(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([kKmMbBgGtTpP]|E)?"
)


def parse_quantity(text: str | int | float) -> float:
    """Read a finite number with an optional suffix; raise ValueError that names the text."""
    value = _read_text(text) if isinstance(text, str) else _read_number(text)
    if not math.isfinite(value):
        raise ValueError(f"{_shorten(text)} is not a finite 64-bit number")
    return value


def _read_text(text: str) -> float:
    power = _POWER.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    if power is not None:
        text = f"{power[1] or 1}e{power[2].translate(_LOWER)}"
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise ValueError(f"{_shorten(text)} is not a number such as 125M, 1.2e20 or 4096")
    digits, suffix = match.groups()
    return float(digits.replace("_", "")) * SUFFIXES[(suffix or "").lower()]


def _read_number(value: int | float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a quantity")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _shorten(value: str | int | float) -> str:
    if isinstance(value, int):
        return f"An integer of {value.bit_length()} bits"
    return repr(value[:MAX_LENGTH] if isinstance(value, str) else value)


def format_quantity(value: float | None, digits: int = 3) -> str:
    """Write a count the way papers do: 147904 -> "148k", 1.3e9 -> "1.3B", 3e19 -> "3·10¹⁹"."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 1e15:
        return write_power(rounded, digits)
    for limit, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(rounded) >= limit:
            return f"{rounded / limit:.{digits}g}{suffix}"
    return f"{rounded:.{digits}g}"


def format_flops(value: float | None, digits: int = 3) -> str:
    """Write FLOPs as a power of ten, as papers do: 1.2·10¹³, not 12T, which reads as tokens."""
    if value is None:
        return ""
    is_large = math.isfinite(value) and abs(value) >= LEAST_POWER
    return write_power(value, digits) if is_large else f"{value:.{digits}g}"


def write_power(value: float, digits: int = 3) -> str:
    """Write a number as a multiple of a power of ten: 10¹², 3·10¹²."""
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    number, power = f"{float(mantissa):g}", power_of_ten(int(exponent))
    return power if number == "1" else f"{number}·{power}"


def power_of_ten(exponent: int) -> str:
    """Write 10 to an integer power in unicode."""
    return f"10{str(exponent).translate(_RAISE)}"


def format_seconds(seconds: float) -> str:
    """Write a time as people say it: 1.5 s, 42 s, 30 min, 5 h, 3 d."""
    if seconds < SHORT_SECONDS:
        return f"{seconds:.1f} s"
    for unit, size, limit in UNITS_OF_TIME:
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / DAY:,.0f} d"
