"""What may be logged: numbers of any library, nested dicts of them. Nothing is imported for it."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 4
MAX_LEAVES = 2_000  # as many as a run may have metrics
MAX_STEP = 2**53 - 1


class NotLoggable(ValueError):
    """The value is not a single real number."""


def convert_number(value: object) -> float:
    """Return one real number as float64; NaN and both infinities are numbers.

    Parameters
    ----------
    value : object
        int, float, bool, Decimal, Fraction, or anything of size 1 with `.item()`: numpy, torch,
        JAX, TensorFlow and MLX scalars. A device scalar waits for its device.

    Raises
    ------
    NotLoggable
        For everything else; the message says what was given.
    """
    if isinstance(value, (str, bytes, list, tuple, set, complex)):
        raise NotLoggable(f"a {type(value).__name__} is not a number")
    if hasattr(type(value), "not_stored"):
        raise NotLoggable(f"{type(value).__name__} objects are not kept, numbers are")
    size = _find_size(value)
    if size not in (None, 1):
        raise NotLoggable(f"an array of {size} values is not one number; log its mean or norm")
    if getattr(getattr(value, "dtype", None), "kind", "f") in "Mm":
        raise NotLoggable("a date is not a number")
    try:
        item = getattr(value, "item", None)
        single = item() if callable(item) else value
        if isinstance(single, (str, bytes, complex)) or not hasattr(single, "__float__"):
            raise NotLoggable(f"a {type(value).__name__} is not a number")
        return float(single)
    except OverflowError:
        raise NotLoggable("the integer is too large for a 64-bit float") from None
    except NotLoggable:
        raise
    except Exception as error:  # another library's code: whatever it raises, training goes on
        raise NotLoggable(f"{type(error).__name__}: {error}") from None


def _find_size(value: object) -> int | None:
    """Return how many values an array holds; None for what is not an array."""
    for name in ("numel", "size"):
        size = getattr(value, name, None)
        try:
            size = size() if callable(size) else size
        except Exception:  # another library's code
            continue
        if isinstance(size, int):
            return size
    return None


def convert_step(step: object) -> int:
    """Return a step as int; a float or a bool is refused, never rounded.

    Raises
    ------
    NotLoggable
        The step is not an integer in [0, 2^53 - 1].
    """
    if isinstance(step, bool):
        raise NotLoggable(f"step={step!r} is a truth value, not a number of steps")
    try:
        number = operator.index(step)  # type: ignore[arg-type]
    except Exception:  # TypeError, or another library's own
        raise NotLoggable(f"step={step!r} is not an integer") from None
    if not 0 <= number <= MAX_STEP:
        raise NotLoggable(f"step={number} is outside 0 to 2^53-1")
    return number


def flatten(data: Mapping[Any, object]) -> tuple[dict[str, float], list[tuple[str, str]]]:
    """Return the numbers of a nested dict under names joined by ".", and what was left out.

    Returns
    -------
    numbers : dict
        At most 2,000 leaves.
    problems : list of (name, reason)
        One entry for every leaf that is not stored; None has the reason "".
    """
    numbers: dict[str, float] = {}
    problems: list[tuple[str, str]] = []
    stack: list[tuple[str, object, int]] = [
        (str(key), value, 1) for key, value in reversed(list(data.items()))
    ]
    while stack:
        name, value, depth = stack.pop()
        if isinstance(value, Mapping):
            if depth >= MAX_DEPTH:
                problems.append((name, f"dicts nest at most {MAX_DEPTH} deep"))
                continue
            nested = reversed(list(value.items()))
            stack.extend((f"{name}.{key}", inner, depth + 1) for key, inner in nested)
        elif value is None:
            problems.append((name, ""))
        elif len(numbers) >= MAX_LEAVES:
            problems.append((name, f"one call logs at most {MAX_LEAVES} numbers"))
        else:
            _convert_leaf(name, value, numbers, problems)
    return numbers, problems


def _convert_leaf(
    name: str, value: object, numbers: dict[str, float], problems: list[tuple[str, str]]
) -> None:
    try:
        numbers[name] = value if type(value) is float else convert_number(value)
    except NotLoggable as error:
        problems.append((name, str(error)))
