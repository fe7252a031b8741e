"""pandas frames, made where they are asked for; nothing here is loaded before."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from scaledash.client.errors import UsageError

DataFrame = Any  # of pandas
Point = tuple[str, int, float]
Timed = tuple[str, int, float, float | None]


def load_pandas(instead: str) -> Any:
    """Return pandas.

    Raises
    ------
    UsageError
        It is not installed; the message names what gives the same without it.
    """
    try:
        return import_module("pandas")
    except ImportError:
        raise UsageError(f"this returns a pandas frame: pip install pandas, or {instead}") from None


def make_long(points: Iterable[Timed]) -> DataFrame:
    """Return a frame with a row per point: metric, step, value, time."""
    pandas = load_pandas("use scan()")
    columns = ["metric", "step", "value", "time"]
    frame = pandas.DataFrame(list(points), columns=columns)
    return frame if frame["time"].notna().any() else frame.drop(columns="time")


def make_wide(points: Iterable[Timed]) -> DataFrame:
    """Return a frame with a row per step and a column per metric.

    A metric that was not logged at a step is NaN there; points that are not finite themselves are
    listed in `frame.attrs["nonfinite"]` as (metric, step, value).
    """
    pandas = load_pandas("use scan()")
    columns: dict[str, dict[int, float]] = {}
    nonfinite: list[Point] = []
    for name, step, value, _ in points:
        columns.setdefault(name, {})[step] = value
        if value - value != 0:  # only NaN and the infinities
            nonfinite.append((name, step, value))
    frame = pandas.DataFrame(columns).sort_index()
    frame.index.name = "step"
    frame.attrs["nonfinite"] = nonfinite
    return frame


def put_on_axis(frame: DataFrame, name: str, series: Mapping[int, float]) -> DataFrame:
    """Return a wide frame indexed by another metric, read at or before each step.

    Rows before its first value are left out.
    """
    steps = sorted(series)
    places = [bisect.bisect_right(steps, step) - 1 for step in frame.index]
    kept = frame[[place >= 0 for place in places]]
    kept.index = [series[steps[place]] for place in places if place >= 0]
    kept.index.name = name
    return kept


def make_table(rows: Sequence[Mapping[str, object]]) -> DataFrame:
    """Return a frame with a row per mapping."""
    return load_pandas("iterate").DataFrame(list(rows))


def flatten(document: Mapping[str, object], prefix: str) -> dict[str, object]:
    """Return the leaves of a nested document under dotted names."""
    found: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found
