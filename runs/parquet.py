"""Exports as Parquet. Only the command `export` imports this: the web process loads no pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from runs.export import Cell, Points

ROWS_AT_ONCE = 1_000
POINTS_SCHEMA = pa.schema(
    [
        ("run", pa.dictionary(pa.int32(), pa.string())),
        ("metric", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("time", pa.float64()),
        ("value", pa.float64()),
    ]
)


class Sink:
    """A pipe that says how much went into it, as the footer of the format needs to know."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = 0

    def write(self, data: bytes) -> int:
        """Pass the bytes on."""
        self._stream.write(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """Return the number of bytes so far."""
        return self._size

    def flush(self) -> None:
        """Pass on what is waiting."""
        self._stream.flush()

    def close(self) -> None:
        """The stream belongs to the caller."""


def write_points(series: Iterable[Points], stream: BinaryIO) -> None:
    """Write one row a point, a series at a time."""
    with pq.ParquetWriter(Sink(stream), POINTS_SCHEMA, compression="zstd") as writer:
        for points in series:
            n = len(points.steps)
            names = [
                pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int32()), [name])
                for name in (points.run, points.metric)
            ]
            times = pa.array(points.times, pa.float64(), from_pandas=True)
            columns = [*names, pa.array(points.steps), times, pa.array(points.values)]
            writer.write_table(pa.Table.from_arrays(columns, schema=POINTS_SCHEMA))


def write_runs(
    rows: Iterable[Mapping[str, Cell]], columns: Mapping[str, str], stream: BinaryIO
) -> None:
    """Write one row a run; `columns` says of each whether it is number, flag or text."""
    kinds = {"number": pa.float64(), "flag": pa.bool_(), "text": pa.string()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(Sink(stream), schema, compression="zstd") as writer:
        for part in _cut(rows):
            arrays = [
                pa.array([_fit(row[name], kind) for row in part], kinds[kind])
                for name, kind in columns.items()
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def find_kinds(rows: Iterable[Mapping[str, Cell]], columns: Sequence[str]) -> dict[str, str]:
    """Return the narrowest kind that holds every value of each column; text holds all."""
    found: dict[str, set[str]] = {name: set() for name in columns}
    for row in rows:
        for name in columns:
            value = row[name]
            if value is not None:
                found[name].add(_judge(value))
    return {name: kinds.pop() if len(kinds) == 1 else "text" for name, kinds in found.items()}


def _judge(value: Cell) -> str:
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else "text"


def _fit(value: Cell, kind: str) -> Cell:
    if value is None or kind == _judge(value):
        return float(value) if kind == "number" and value is not None else value
    return str(value)


def _cut(rows: Iterable[Mapping[str, Cell]]) -> Iterator[list[Mapping[str, Cell]]]:
    source = iter(rows)
    while part := list(islice(source, ROWS_AT_ONCE)):
        yield part
