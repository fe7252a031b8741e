"""Numbers as the API writes them: NaN and both infinities are text."""

from __future__ import annotations

import math

NONFINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_value(value: object) -> float:
    """Return a number as the API writes it: non-finite ones are text, null is NaN."""
    if value is None:
        return NONFINITE["NaN"]
    return NONFINITE[value] if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def write_value(value: float) -> float | str:
    """Return a number as JSON holds it."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def read_numbers(values: object) -> list[float]:
    """Return a list of numbers."""
    return [read_value(value) for value in values] if isinstance(values, list) else []
