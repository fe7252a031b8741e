"""Rows of a W&B history as points: each metric at the step that the run has defined for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from scaledash.client.importers.model import Point, Tally
from scaledash.client.importers.wandb_records import flatten_row, to_number

TYPE = "._type"  # of W&B's media
PRIVATE = "_"  # _step, _runtime, _timestamp, _wandb


def read_points(
    rows: Iterable[dict[str, object]], axes: Mapping[str, str], tally: Tally
) -> Iterator[Point]:
    """Yield the points of a history.

    A row may mix a train metric at `_step` with an eval metric whose step is another column; the
    last value of that column holds where a row does not have it.
    """
    known: dict[str, float] = {}
    for row in rows:
        leaves = _drop_media(dict(flatten_row(row)), tally)
        step, at = _to_step(leaves.get("_step")), to_number(leaves.get("_timestamp"))
        numbers = {}
        for name, value in leaves.items():
            number = to_number(value)
            if number is not None:
                numbers[name] = number
            elif value is not None and not name.startswith(PRIVATE):
                tally.count("values that are no numbers, left out")
        known.update({name: numbers[name] for name in set(axes.values()) if name in numbers})
        for name, number in numbers.items():
            if name.startswith(PRIVATE):
                continue
            own = find_step(name, axes, known)
            chosen = step if own is None else own
            if chosen is None:
                tally.count("points without a step, left out")
                continue
            yield Point(name, chosen, number, at)


def _drop_media(leaves: dict[str, object], tally: Tally) -> dict[str, object]:
    """Return a row without histograms and the like, whose parts may be keys of their own."""
    media = tuple(f"{name.removesuffix(TYPE)}." for name in leaves if name.endswith(TYPE))
    if not media:
        return leaves
    tally.count("values that are no numbers, left out", len(media))
    return {name: value for name, value in leaves.items() if not name.startswith(media)}


def find_step(name: str, axes: Mapping[str, str], known: Mapping[str, float]) -> int | None:
    """Return the step of a metric by its own axis; None where that holds no whole number."""
    axis = find_axis(name, axes)
    return _to_step(known.get(axis)) if axis else None


def find_axis(name: str, axes: Mapping[str, str]) -> str | None:
    """Return the step metric that the run has defined for a metric, patterns last."""
    if name in axes:
        return axes[name] if axes[name] != name else None
    for pattern, axis in axes.items():
        if pattern.endswith("*") and name.startswith(pattern[:-1]) and name != axis:
            return axis
    return None


def _to_step(value: object) -> int | None:
    number = to_number(value)
    if number is None or not math.isfinite(number) or number != int(number):
        return None
    return int(number)
