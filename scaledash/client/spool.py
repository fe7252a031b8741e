"""Write the spool: one directory per run and process start, append-only segments.

Only the training process writes segments. `<writer>.<number>.seg`; a forked or unpickled run is a
writer of its own beside the first. The token is never written.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scaledash.client.names import clean_name
from scaledash.client.records import MAGIC, Block, pack_meta, pack_rows, pack_schema
from scaledash.client.values import NotLoggable, convert_number

SEGMENT_BYTES = 16 * 1024 * 1024
MAX_NAMES = 2_000
BLOCK_ROWS = 256


@dataclass(frozen=True)
class Row:
    """Metric values of one call of `log`, already numbers."""

    step: int
    time: float
    data: dict[str, float]
    relative: bool = False


# What the ring holds. A plain tuple is a row that needed no conversion: (step, time, data).
Entry = tuple[int, float, dict[str, float]] | Row | dict[str, object]


def make_directory(base: Path, run_id: str, started_at: float) -> Path:
    """Create the spool directory of a run, 0700; a second one in the same second gets a number.

    Four digits, so that names sort in the order in which the processes began: `sync` follows it.
    """
    if not base.exists():
        base.mkdir(parents=True, mode=0o700)
        (base / ".gitignore").write_text("*\n", encoding="utf-8")
    stem = f"{time.strftime('%Y%m%d_%H%M%S', time.localtime(started_at))}-{run_id}"
    for attempt in range(1, 10_000):
        directory = base / (stem if attempt == 1 else f"{stem}-{attempt:04}")
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return directory
    raise FileExistsError(f"{base / stem} and its numbered neighbours exist already")


@dataclass(frozen=True)
class Schema:
    """Names of the columns of rows with the same keys; None drops a column."""

    id: int
    columns: tuple[str | None, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that are kept."""
        return tuple(name for name in self.columns if name is not None)


class SpoolWriter:
    """Append entries of one writer to its segments.

    Parameters
    ----------
    directory : Path
        The run's spool directory.
    writer : str
        uuid4 in its 36-character form, made once.

    Attributes
    ----------
    rows : int
        Rows written so far.
    refused : dict
        Metric names that cannot be stored, with the reason; filled while writing.
    last : dict
        Value of each metric in the row that was written last.
    """

    def __init__(self, directory: Path, writer: str) -> None:
        self.directory = directory
        self.writer = writer
        self.rows = 0
        self.refused: dict[str, str] = {}
        self.refused_values = 0
        self.last: dict[str, float] = {}
        self._names: set[str] = set()
        self._schemas: dict[tuple[object, ...], Schema] = {}
        self._segment = 0
        self._file: int | None = None
        self._size = 0
        self._synced = True

    def write(self, entries: Iterable[Entry]) -> None:
        """Append entries; on an OSError nothing of this call stays in the segment.

        Raises
        ------
        OSError
            The disk is full, or the directory is gone; the entries are still the caller's.
        """
        rows_before = self.rows
        try:
            self._open_segment()
            data = self._encode(list(entries))
            self._append(data)
        except BaseException:
            self.rows = rows_before
            self._schemas.clear()
            raise

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        if self._file is not None and not self._synced:
            os.fsync(self._file)
            self._synced = True

    def close(self) -> None:
        """Close the segment; a later write opens a new one."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open_segment(self) -> None:
        if self._file is not None and self._size < SEGMENT_BYTES:
            return
        if self._file is not None:
            self.sync()
            self.close()
        path = self.directory / f"{self.writer}.{self._segment + 1:06d}.seg"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._segment += 1
        self._size = 0
        self._schemas.clear()
        self._append(MAGIC)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        written = 0
        try:
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError:
            self._cut_back()
            raise
        self._size += len(data)
        self._synced = False

    def _cut_back(self) -> None:
        """Take a half-written record off the end; where that fails, start a new segment."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._size = SEGMENT_BYTES

    def _encode(self, entries: list[Entry]) -> bytes:
        parts: list[bytes] = []
        pending: list[tuple[int, float, dict[str, float]]] = []
        keys: tuple[object, ...] = ()
        relative = False
        for entry in entries:
            if isinstance(entry, dict):
                self._flush(pending, keys, relative, parts)
                parts.append(pack_meta({**entry, "row": self.rows}))
                continue
            row, flag = _open_entry(entry)
            row_keys = tuple(row[2])
            if row_keys != keys or flag != relative or len(pending) >= BLOCK_ROWS:
                self._flush(pending, keys, relative, parts)
                keys, relative = row_keys, flag
            pending.append(row)
        self._flush(pending, keys, relative, parts)
        return b"".join(parts)

    def _flush(
        self,
        pending: list[tuple[int, float, dict[str, float]]],
        keys: tuple[object, ...],
        relative: bool,
        parts: list[bytes],
    ) -> None:
        if not pending:
            return
        rows = pending.copy()
        pending.clear()
        schema = self._schemas.get(keys)
        if schema is None:
            schema = self._add_schema(keys, parts)
        columns = schema.columns
        if None in columns:
            self.refused_values += columns.count(None) * len(rows)
        if not schema.names:
            return
        steps, times, dicts = zip(*rows, strict=True)
        values = _take(dicts, columns)
        block = Block(self.rows, schema.names, steps, times, values, relative)
        try:
            parts.append(pack_rows(block, schema.id))
        except (struct.error, OverflowError, TypeError):
            self._flush_one_by_one(rows, relative, parts)
        else:
            self.rows = block.end_row
            self.last.update(zip(schema.names, values[-len(schema.names) :], strict=True))

    def _flush_one_by_one(
        self, rows: list[tuple[int, float, dict[str, float]]], relative: bool, parts: list[bytes]
    ) -> None:
        """Write rows of which some hold a number that no 64-bit float can hold, without those."""
        for step, at, data in rows:
            kept = {key: float(value) for key, value in data.items() if self._fits(key, value)}
            self._flush([(step, at, kept)], tuple(kept), relative, parts)

    def _fits(self, key: str, value: float) -> bool:
        try:
            convert_number(value)
        except NotLoggable as error:
            self.refused[key] = str(error)
            self.refused_values += 1
            return False
        return True

    def _add_schema(self, keys: tuple[object, ...], parts: list[bytes]) -> Schema:
        admitted = [self._admit(key) for key in keys]
        columns = tuple(  # of keys that become the same name the last one counts
            None if name in admitted[place + 1 :] else name for place, name in enumerate(admitted)
        )
        schema = Schema(len(self._schemas), columns)
        self._schemas[keys] = schema
        parts.append(pack_schema(schema.id, schema.names))
        return schema

    def _admit(self, key: object) -> str | None:
        try:
            name = clean_name(key)
            if name not in self._names and len(self._names) >= MAX_NAMES:
                raise ValueError(f"a run has at most {MAX_NAMES:,} metrics")
        except ValueError as error:
            self.refused[str(key)[:64]] = str(error)
            return None
        self._names.add(name)
        return name


def _open_entry(
    entry: tuple[int, float, dict[str, float]] | Row,
) -> tuple[tuple[int, float, dict[str, float]], bool]:
    if isinstance(entry, Row):
        return (entry.step, entry.time, entry.data), entry.relative
    return entry, False


def _take(dicts: Iterable[dict[str, float]], columns: tuple[str | None, ...]) -> tuple[float, ...]:
    if None not in columns:
        return tuple(value for data in dicts for value in data.values())
    return tuple(
        value
        for data in dicts
        for value, name in zip(data.values(), columns, strict=True)
        if name is not None
    )
