"""JSON that survives non-finite numbers: the one door through which JSON leaves the server.

NaN and both infinities are written as the strings "NaN", "Infinity" and "-Infinity", the same
three strings that the write API accepts, so that what was logged can be read back exactly.
"""

import json
import math
from collections.abc import Mapping, Set
from datetime import date, datetime
from typing import Protocol, runtime_checkable

NAN = "NaN"
POSITIVE_INFINITY = "Infinity"
NEGATIVE_INFINITY = "-Infinity"
NON_FINITE = {NAN: math.nan, POSITIVE_INFINITY: math.inf, NEGATIVE_INFINITY: -math.inf}


@runtime_checkable
class _ArrayLike(Protocol):
    """A numpy scalar or array, known by its method alone so that numpy is not imported."""

    def tolist(self) -> object: ...


def encode_float(value: float) -> float | str:
    """Return a finite float unchanged and a non-finite one as its string."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return NAN
    return POSITIVE_INFINITY if value > 0 else NEGATIVE_INFINITY


def decode_float(value: object) -> float | None:
    """Read a number, one of the three non-finite strings, or None (absent)."""
    if value is None:
        return None
    if isinstance(value, str):
        if value not in NON_FINITE:
            raise ValueError(f"{value!r} is neither a number nor one of {sorted(NON_FINITE)}")
        return NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("an integer beyond 1.8e308 does not fit a 64-bit float") from None


def make_safe(value: object) -> object:
    """Return a copy of `value` that the strict JSON encoder accepts."""
    if isinstance(value, float):
        return encode_float(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): make_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [make_safe(item) for item in value]
    return _encode_other(value)


def dumps(value: object) -> bytes:
    """Encode `value` as UTF-8 JSON; non-finite numbers and odd keys cost time, never an error."""
    try:
        text = json.dumps(
            value,
            allow_nan=False,
            default=_encode_other,
            ensure_ascii=False,
            separators=(",", ":"),
        )
    except (ValueError, TypeError):
        text = json.dumps(
            make_safe(value), allow_nan=False, ensure_ascii=False, separators=(",", ":")
        )
    return text.encode("utf-8", errors="replace")


def _encode_other(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, _ArrayLike):
        return make_safe(value.tolist())
    if isinstance(value, Mapping):
        return make_safe(value)
    if isinstance(value, Set):
        return sorted((make_safe(item) for item in value), key=str)
    return str(value)
