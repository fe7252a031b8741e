"""Steps for metrics that were logged without: MLflow's clients send step 0 for all of them. Pure.

While all points of a metric have step 0, a further one gets the next number in order of arrival.
An explicit step ends that for good.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from runs.mlflow.reading import Point
from runs.validation import Columns
from scaledash.lib.jsonsafe import encode_float

State = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Numbered:
    """Points with their final steps; `state` is what the next request needs to know."""

    points: list[Point]
    state: State
    has_changed: bool


def number_points(points: Sequence[Point], state: State, logged: Collection[str]) -> Numbered:
    """Give numbers to points at step 0 and drop those that came before.

    `state` maps the metrics that have step 0 only to {next, millis, value}: the next number, and
    the last point by which a repetition is known. `logged` are the metrics that have points.
    """
    state = dict(state)
    before = dict(state)
    explicit = {name for name in logged if name not in state}
    kept = []
    for point in points:
        if point.name in explicit:
            kept.append(point)
            continue
        if point.step > 0:
            explicit.add(point.name)
            state.pop(point.name, None)
            kept.append(point)
            continue
        numbered = _number(point, state.get(point.name))
        if numbered is None:
            continue
        number = numbered.step + 1
        value = encode_float(point.value)
        state[point.name] = {"next": number, "millis": point.millis, "value": value}
        kept.append(numbered)
    return Numbered(kept, state, state != before)


def _number(point: Point, known: Mapping[str, Any] | None) -> Point | None:
    if known is None:
        return point
    if (point.millis, encode_float(point.value)) == (known["millis"], known["value"]):
        return None
    return replace(point, step=int(known["next"]))


def make_columns(points: Sequence[Point]) -> tuple[Columns, ...]:
    """Return points as the store takes them: metrics of the same steps and times together."""
    series: dict[str, list[Point]] = {}
    for point in points:
        series.setdefault(point.name, []).append(point)
    groups: dict[tuple[tuple[int, int], ...], list[str]] = {}
    for name, own in series.items():
        groups.setdefault(tuple((p.step, p.millis) for p in own), []).append(name)
    columns = []
    for moments, names in groups.items():
        steps = np.array([step for step, _ in moments], dtype=np.int64)
        seconds = np.array([millis / 1000 for _, millis in moments], dtype=np.float64)
        values = np.array([[p.value for p in series[name]] for name in names], dtype=np.float64)
        columns.append(Columns(tuple(names), steps, values, seconds))
    return tuple(columns)
