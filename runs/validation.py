"""Read the body of a metric batch: strict, and with a JSON pointer to the first bad value.

The common case costs a few passes in C: decode, types, arrays. Only a body that is about to be
refused is looked at value by value.
"""

from __future__ import annotations

import math
import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain

import msgspec
import numpy as np

from runs.blocks import Statistics, Steps, Values, compute_statistics, is_increasing
from runs.models import NAME_LENGTH
from scaledash.lib.jsonsafe import NON_FINITE
from teams.api.bodies import decode_json, escape_pointer, find_out_of_range, malformed
from teams.api.errors import ApiError, unprocessable

MAX_INTEGER = 2**53 - 1
NO_WRITER = uuid.UUID(int=0)
FIELDS = frozenset(
    {"writer", "seq", "steps", "metrics", "times", "points", "start_step", "rewind", "attempt_key"}
)
SERIES_FIELDS = frozenset({"steps", "values", "times"})
NUMBERS = frozenset({int, float})
VALUES = NUMBERS | {str, type(None)}
FROM_TEXT: Mapping[str | None, float] = dict([*NON_FINITE.items(), (None, math.nan)])
_UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_decoder = msgspec.json.Decoder()


@dataclass(frozen=True)
class Columns:
    """Metrics that share their steps: `values[i]` are those of `names[i]`."""

    names: tuple[str, ...]
    steps: Steps
    values: Values
    times: Values | None = None

    @cached_property
    def is_increasing(self) -> bool:
        """Say whether each step is higher than the one before it."""
        return is_increasing(self.steps)

    @cached_property
    def statistics(self) -> Statistics:
        """Return what the series come to, once for summary and store."""
        return compute_statistics(self.values)


@dataclass(frozen=True)
class Batch:
    """A batch as it was sent; without a writer it is counted once per request."""

    columns: tuple[Columns, ...]
    writer: uuid.UUID | None = None
    seq: int = 0
    start_step: int | None = None
    rewind: int | None = None
    attempt_key: str = ""

    @property
    def names(self) -> list[str]:
        """Return the names of the metrics."""
        return [name for columns in self.columns for name in columns.names]

    @property
    def n_points(self) -> int:
        """Return the number of points, times aside."""
        return sum(columns.values.size for columns in self.columns)


def read_batch(body: bytes) -> Batch:
    """Return the batch in a decompressed body, or raise ApiError; nothing is ever guessed."""
    document = _decode(body)
    try:
        batch, n_strings = _read_document(document)
    except ApiError:
        decode_json(body)  # depth, duplicate keys and NUL characters are refused before content
        raise
    if body.count(b'"') > 2 * n_strings:  # an escaped quote, or a key that stands twice
        decode_json(body)
    return batch


def _decode(body: bytes) -> object:
    try:
        return _decoder.decode(body)
    except RecursionError:
        return decode_json(body)
    except msgspec.ValidationError as error:
        raise find_out_of_range(body) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise malformed(error) from error


def _read_document(document: object) -> tuple[Batch, int]:
    """Return the batch and how many strings stand in its document, keys included."""
    if not isinstance(document, dict):
        raise unprocessable("wrong_type", "Send a JSON object.", "")
    unknown = sorted(set(document) - FIELDS)
    if unknown:
        known = ", ".join(sorted(FIELDS))
        message = f"There is no field {unknown[0][:100]!r} in a batch; the fields are {known}."
        raise unprocessable("unknown_field", message, f"/{escape_pointer(unknown[0])}")
    writer, seq = _read_key(document)
    if "points" in document:
        columns, n_strings = _read_points(document)
    else:
        columns, n_strings = _read_metrics(document)
    if document.get("start_step") is not None and document.get("rewind") is not None:
        raise unprocessable("invalid", "Send start_step or rewind, not both.", "/rewind")
    batch = Batch(
        columns=columns,
        writer=writer,
        seq=seq,
        start_step=_read_integer(document, "start_step"),
        rewind=_read_integer(document, "rewind"),
        attempt_key=_read_attempt_key(document),
    )
    texts = sum(isinstance(document.get(name), str) for name in ("writer", "attempt_key"))
    return batch, n_strings + len(document) + texts


def _read_key(document: Mapping[str, object]) -> tuple[uuid.UUID | None, int]:
    writer, seq = document.get("writer"), document.get("seq")
    if writer is None and seq is None:
        return None, 0
    if writer is None or seq is None:
        missing = "/writer" if writer is None else "/seq"
        raise unprocessable("required", "Send writer and seq together, or neither.", missing)
    if not isinstance(writer, str):
        raise unprocessable("wrong_type", "The writer must be a string, a UUID.", "/writer")
    if not _UUID.fullmatch(writer) or uuid.UUID(writer) == NO_WRITER:
        message = f"{writer[:64]!r} is no UUID; each process makes one for itself."
        raise unprocessable("invalid", message, "/writer")
    return uuid.UUID(writer), _check_integer(seq, "/seq", 1)


def _read_integer(document: Mapping[str, object], name: str) -> int | None:
    value = document.get(name)
    return None if value is None else _check_integer(value, f"/{name}")


def _read_attempt_key(document: Mapping[str, object]) -> str:
    value = document.get("attempt_key")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unprocessable("wrong_type", "The attempt_key must be a string.", "/attempt_key")
    return check_name(value, "/attempt_key")


def _check_integer(value: object, pointer: str, least: int = 0) -> int:
    if type(value) is not int:
        message = f"{str(value)[:40]!r} is no whole number; neither 7.0 nor true nor text is one."
        raise unprocessable("wrong_type", message, pointer)
    if not least <= value <= MAX_INTEGER:
        message = f"A whole number between {least} and 2^53 - 1 is wanted here."
        raise unprocessable("out_of_range", message, pointer)
    return value


def _read_metrics(document: Mapping[str, object]) -> tuple[tuple[Columns, ...], int]:
    metrics = document.get("metrics")
    if not isinstance(metrics, dict):
        code = "required" if metrics is None else "wrong_type"
        raise unprocessable(code, "metrics must be an object: name -> values.", "/metrics")
    names = _check_names(metrics)
    shared = {name: values for name, values in metrics.items() if isinstance(values, list)}
    own = {name: series for name, series in metrics.items() if not isinstance(series, list)}
    columns, n_strings = [], len(metrics)
    if shared or "steps" in document:
        steps = read_steps(document.get("steps"), "/steps")
        times = _read_times(document.get("times"), len(steps), "/times")
        values, found = _read_matrix(shared, len(steps))
        columns.append(Columns(tuple(names[name] for name in shared), steps, values, times))
        n_strings += found
    elif document.get("times") is not None:
        raise unprocessable("invalid", "times belong to steps; there are none.", "/times")
    for name, series in own.items():
        column, found = _read_series(names[name], series, f"/metrics/{escape_pointer(name)}")
        columns.append(column)
        n_strings += found
    return tuple(columns), n_strings


def _check_names(metrics: Mapping[str, object]) -> dict[str, str]:
    names = {name: check_name(name, f"/metrics/{escape_pointer(name)}") for name in metrics}
    if len(set(names.values())) < len(names):
        message = "Two metric names are the same text in Unicode's normal form C."
        raise ApiError(400, "duplicate_key", message, "/metrics")
    return names


def check_name(name: str, pointer: str) -> str:
    """Return a name in normal form C, or refuse it with the pointer to it."""
    normal, code, message = _judge_name(name)
    if code:
        raise unprocessable(code, message, pointer)
    return normal


@lru_cache(maxsize=16_384)
def _judge_name(name: str) -> tuple[str, str, str]:
    normal = unicodedata.normalize("NFC", name)
    if not normal:
        return "", "required", "A name has at least one character."
    if len(normal) > NAME_LENGTH:
        return "", "too_long", f"A name has at most {NAME_LENGTH} characters, not {len(normal)}."
    if any(unicodedata.category(char) in ("Cc", "Cs") or char in _BIDI for char in normal):
        message = "A name must not hold control characters or marks that change its direction."
        return "", "bad_character", message
    return normal, "", ""


def _read_matrix(columns: Mapping[str, list[object]], n_steps: int) -> tuple[Values, int]:
    for name, column in columns.items():
        if len(column) != n_steps:
            message = f"There are {len(column)} values for {n_steps} steps."
            raise unprocessable("wrong_length", message, f"/metrics/{escape_pointer(name)}")
    flat = list(chain.from_iterable(columns.values()))
    values = _convert(flat)
    if values is None:
        for name, column in columns.items():
            _find_bad_value(column, f"/metrics/{escape_pointer(name)}")
    return values.reshape(len(columns), n_steps), count_strings(flat)


def _read_series(name: str, series: object, pointer: str) -> tuple[Columns, int]:
    if not isinstance(series, dict):
        message = "A metric is a list of values, or an object with steps and values."
        raise unprocessable("wrong_type", message, pointer)
    unknown = sorted(set(series) - SERIES_FIELDS)
    if unknown:
        message = f"There is no field {unknown[0][:100]!r} in a series."
        raise unprocessable("unknown_field", message, f"{pointer}/{escape_pointer(unknown[0])}")
    steps = read_steps(series.get("steps"), f"{pointer}/steps")
    found = series.get("values")
    if not isinstance(found, list):
        code = "required" if found is None else "wrong_type"
        raise unprocessable(code, "values must be a list.", f"{pointer}/values")
    if len(found) != len(steps):
        message = f"There are {len(found)} values for {len(steps)} steps."
        raise unprocessable("wrong_length", message, f"{pointer}/values")
    values = _convert(found)
    if values is None:
        _find_bad_value(found, f"{pointer}/values")
    times = _read_times(series.get("times"), len(steps), f"{pointer}/times")
    columns = Columns((name,), steps, values.reshape(1, len(steps)), times)
    return columns, len(series) + count_strings(found)


def _convert(items: Sequence[object]) -> Values | None:
    """Return the values as float64, or None where one of them is none."""
    kinds = set(map(type, items))
    if not kinds <= VALUES:
        return None
    try:
        if kinds <= NUMBERS:
            return np.array(items, dtype=np.float64)
        return np.array(
            [FROM_TEXT[item] if item is None or type(item) is str else item for item in items],
            dtype=np.float64,
        )
    except (KeyError, OverflowError):
        return None


def _find_bad_value(items: Sequence[object], pointer: str) -> None:
    """Raise for the first item that is no value, if any is."""
    for place, item in enumerate(items):
        if _convert([item]) is None:
            raise refuse_value(item, f"{pointer}/{place}")


def refuse_value(item: object, pointer: str) -> ApiError:
    """Return the refusal of something that is no value."""
    if type(item) is int:
        return unprocessable("out_of_range", "The number does not fit a 64-bit float.", pointer)
    shown = f"{item[:40]!r}" if isinstance(item, str) else type(item).__name__
    message = f'{shown} is no number; the only texts are "NaN", "Infinity" and "-Infinity".'
    return unprocessable("wrong_type", message, pointer)


def read_steps(items: object, pointer: str) -> Steps:
    """Return steps as int64: whole numbers in [0, 2^53 - 1]."""
    if not isinstance(items, list):
        code = "required" if items is None else "wrong_type"
        raise unprocessable(code, "steps must be a list of whole numbers.", pointer)
    if set(map(type, items)) <= {int}:
        try:
            steps = np.array(items, dtype=np.int64)
        except OverflowError:
            steps = np.array([-1])
        if not steps.size or (steps.min() >= 0 and steps.max() <= MAX_INTEGER):
            return steps
    for place, item in enumerate(items):
        _check_integer(item, f"{pointer}/{place}")
    raise AssertionError("a list of steps was refused, and none of them is wrong")


def _read_times(items: object, n_steps: int, pointer: str) -> Values | None:
    """Return times as float64 seconds; they must be finite numbers, one a step."""
    if items is None:
        return None
    if not isinstance(items, list):
        raise unprocessable("wrong_type", "times must be a list of seconds since 1970.", pointer)
    if len(items) != n_steps:
        message = f"There are {len(items)} times for {n_steps} steps."
        raise unprocessable("wrong_length", message, pointer)
    times = _convert(items) if set(map(type, items)) <= NUMBERS else None
    if times is None:
        place = next(i for i, item in enumerate(items) if _is_no_time(item))
        raise unprocessable("wrong_type", "A time is a finite number.", f"{pointer}/{place}")
    return times


def _is_no_time(item: object) -> bool:
    return type(item) not in NUMBERS or _convert([item]) is None


def _read_points(document: Mapping[str, object]) -> tuple[tuple[Columns, ...], int]:
    """Read `{"points": [{"step": 1, "loss": 2.3}, ...]}`: one column a metric."""
    for name in ("steps", "metrics", "times"):
        if name in document:
            raise unprocessable("invalid", f"Send points or {name}, not both.", f"/{name}")
    points = document["points"]
    if not isinstance(points, list):
        raise unprocessable("wrong_type", "points must be a list of objects.", "/points")
    columns: dict[str, tuple[list[int], list[object]]] = {}
    for place, point in enumerate(points):
        _read_point(columns, point, f"/points/{place}")
    made = []
    for name, (steps, items) in columns.items():
        values = _convert(items)
        assert values is not None  # each was looked at
        made.append(Columns((name,), np.array(steps, np.int64), values.reshape(1, len(steps))))
    n_strings = sum(len(point) + count_strings(point.values()) for point in points)
    return tuple(made), n_strings


def _read_point(
    columns: dict[str, tuple[list[int], list[object]]], point: object, pointer: str
) -> None:
    if not isinstance(point, dict):
        raise unprocessable("wrong_type", "A point is an object.", pointer)
    if "step" not in point:
        raise unprocessable("required", "A point has a step.", f"{pointer}/step")
    step = point["step"]
    _check_integer(step, f"{pointer}/step")
    for name, value in point.items():
        if name == "step":
            continue
        where = f"{pointer}/{escape_pointer(name)}"
        if _convert([value]) is None:
            raise refuse_value(value, where)
        steps, items = columns.setdefault(check_name(name, where), ([], []))
        steps.append(step)
        items.append(value)


def count_strings(items: Iterable[object]) -> int:
    """Return how many of the items are strings."""
    return list(map(type, items)).count(str)
