"""The records of a W&B file that matter: run, config, history, metrics, exit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from scaledash.client.importers.wire import (
    read_fields,
    to_double,
    to_signed,
    to_text,
    to_zigzag,
)
from scaledash.client.nonfinite import NONFINITE

HISTORY, SUMMARY, CONFIG, METRIC, RUN, EXIT = 2, 3, 5, 12, 17, 18
TEXTS = {1: "id", 2: "entity", 3: "project", 6: "group", 7: "job_type", 8: "name", 9: "notes",
         13: "hostname"}  # fmt: skip


@dataclass
class Described:
    """What a file says of its run.

    Attributes
    ----------
    axes : dict
        Metric, or a pattern ending in `*`, -> the metric that is its step.
    """

    texts: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    config: dict[str, object] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    started_at: float | None = None
    exit_code: int | None = None


def describe(record: bytes, found: Described) -> None:
    """Take from a record what it says of the run."""
    for number, value in read_fields(record):
        if not isinstance(value, bytes):
            continue
        if number == RUN:
            _read_run(value, found)
        elif number == CONFIG:
            _read_config(value, found.config)
        elif number == METRIC:
            _read_metric(value, found.axes)
        elif number == EXIT:
            code = dict(read_fields(value)).get(1, 0)
            found.exit_code = to_signed(code) if isinstance(code, int) else 0


def read_row(record: bytes) -> dict[str, object] | None:
    """Return a row of the history with its `_step`, None for another record."""
    for number, value in read_fields(record):
        if number == HISTORY and isinstance(value, bytes):
            return _read_history(value)
    return None


def _read_run(data: bytes, found: Described) -> None:
    for number, value in read_fields(data):
        if number in TEXTS:
            found.texts[TEXTS[number]] = to_text(value)
        elif number == 4 and isinstance(value, bytes):
            _read_config(value, found.config)
        elif number == 10:
            found.tags.append(to_text(value))
        elif number == 17 and isinstance(value, bytes):
            moment = dict(read_fields(value))
            seconds, nanos = moment.get(1, 0), moment.get(2, 0)
            if isinstance(seconds, int) and isinstance(nanos, int):
                found.started_at = to_signed(seconds) + nanos / 1e9


def _read_config(data: bytes, config: dict[str, object]) -> None:
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, bytes):
            path, held = _read_item(value)
            set_path(config, path, held)
        elif number == 2 and isinstance(value, bytes):
            path, _ = _read_item(value)
            config.pop(path[0], None)


def _read_metric(data: bytes, axes: dict[str, str]) -> None:
    fields = dict(read_fields(data))
    name = to_text(fields.get(1) or fields.get(2) or b"")
    axis = to_text(fields.get(4, b""))
    if name and axis:
        axes[name] = axis


def _read_history(data: bytes) -> dict[str, object]:
    row: dict[str, object] = {}
    step = None
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, bytes):
            path, held = _read_item(value)
            row[".".join(path)] = held
        elif number == 2 and isinstance(value, bytes):
            found = dict(read_fields(value)).get(1, 0)
            step = to_signed(found) if isinstance(found, int) else None
    if step is not None:
        row.setdefault("_step", step)
    return row


def _read_item(data: bytes) -> tuple[list[str], object]:
    """Return the path of an item and its value, in whichever of the forms it was written."""
    key, nested = "", []
    held: object = None
    for number, value in read_fields(data):
        if number == 1:
            key = to_text(value)
        elif number == 2:
            nested.append(to_text(value))
        else:
            held = _read_value(number, value)
    path = nested or [key]
    return path, held


def _read_value(number: int, value: int | bytes) -> object:
    if isinstance(value, int):
        return bool(value) if number == 4 else to_zigzag(value) if number == 5 else None
    if number == 6:
        return to_double(value)
    if number == 7:
        return to_text(value)
    if number in (8, 16):
        try:
            return json.loads(value)
        except ValueError:
            return None
    return None


def set_path(config: dict[str, object], path: list[str], value: object) -> None:
    """Set a value of a nested config."""
    for key in path[:-1]:
        inner = config.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = config[key] = {}
        config = inner
    config[path[-1]] = value


def flatten_row(row: dict[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the leaves of a row; nested keys are joined by dots."""
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            yield from ((f"{key}.{name}", leaf) for name, leaf in flatten_row(value))
        else:
            yield key, value


def to_number(value: object) -> float | None:
    """Return a logged number; the three non-finite ones may be texts."""
    if isinstance(value, str):
        return NONFINITE.get(value)
    if isinstance(value, (bool, int, float)):
        return float(value)
    return None
