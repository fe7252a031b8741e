"""Numbers as the API writes them."""

from __future__ import annotations

NONFINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def read_value(value: object) -> float:
    """Return a number as the API writes it: non-finite ones are text, null is NaN."""
    if value is None:
        return NONFINITE["NaN"]
    return NONFINITE[value] if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def read_numbers(values: object) -> list[float]:
    """Return a list of numbers."""
    return [read_value(value) for value in values] if isinstance(values, list) else []
