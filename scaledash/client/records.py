"""Records on disk: marker, length, CRC32, payload. The only module that knows the bytes.

A segment or control log is MAGIC and then frames. The first byte of a payload is its kind:

META    JSON object in UTF-8.
SCHEMA  u32 id, JSON list of metric names; valid in its segment.
ROWS    u64 index of the first row, u32 schema id, u32 n rows, u8 flags, then n steps (i64),
        n times (f64, seconds since the epoch) and n x names values (f64), all little-endian.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"SDSPOOL1"
MARKER = b"\xf5SDr"
META, SCHEMA, ROWS = 1, 2, 3
RELATIVE = 1  # flag of ROWS: steps count from a base that is not known yet
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024

_HEAD = struct.Struct("<4sII")
_ROWS_HEAD = struct.Struct("<BQIIB")
_SCHEMA_HEAD = struct.Struct("<BI")


@dataclass(frozen=True)
class Block:
    """Rows with the same metric names, in the order they were logged.

    `values` is row-major: row i holds `values[i * len(names) : (i + 1) * len(names)]`.
    """

    first_row: int
    names: tuple[str, ...]
    steps: tuple[int, ...]
    times: tuple[float, ...]
    values: tuple[float, ...]
    relative: bool

    @property
    def end_row(self) -> int:
        """Index of the row after the last one."""
        return self.first_row + len(self.steps)


def frame(payload: bytes) -> bytes:
    """Wrap a payload so that a reader can tell whether it is whole."""
    return _HEAD.pack(MARKER, len(payload), zlib.crc32(payload)) + payload


def pack_meta(record: dict[str, object]) -> bytes:
    """Frame a JSON object."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return frame(bytes([META]) + text.encode("utf-8", "replace"))


def unpack_meta(payload: bytes) -> dict[str, object]:
    """Read the JSON object of a META payload."""
    record = json.loads(payload[1:])
    return record if isinstance(record, dict) else {}


def pack_schema(schema_id: int, names: Sequence[str]) -> bytes:
    """Frame the metric names that rows refer to by `schema_id`."""
    text = json.dumps(list(names), ensure_ascii=False).encode("utf-8", "replace")
    return frame(_SCHEMA_HEAD.pack(SCHEMA, schema_id) + text)


def unpack_schema(payload: bytes) -> tuple[int, tuple[str, ...]]:
    """Read a SCHEMA payload: id and names."""
    _, schema_id = _SCHEMA_HEAD.unpack_from(payload)
    return schema_id, tuple(json.loads(payload[_SCHEMA_HEAD.size :]))


def pack_rows(block: Block, schema_id: int) -> bytes:
    """Frame a block of rows."""
    n = len(block.steps)
    flags = RELATIVE if block.relative else 0
    head = _ROWS_HEAD.pack(ROWS, block.first_row, schema_id, n, flags)
    numbers = struct.pack(
        f"<{n}q{n}d{len(block.values)}d", *block.steps, *block.times, *block.values
    )
    return frame(head + numbers)


def unpack_rows(payload: bytes, schemas: dict[int, tuple[str, ...]]) -> Block:
    """Read a ROWS payload; raises KeyError when its schema was lost."""
    _, first_row, schema_id, n, flags = _ROWS_HEAD.unpack_from(payload)
    names = schemas[schema_id]
    numbers = struct.unpack_from(f"<{n}q{n}d{n * len(names)}d", payload, _ROWS_HEAD.size)
    return Block(
        first_row, names, numbers[:n], numbers[n : 2 * n], numbers[2 * n :], bool(flags & RELATIVE)
    )


class RecordFile:
    """Read the whole records of a file that may still grow.

    Parameters
    ----------
    path : Path
        A segment or a control log.

    Attributes
    ----------
    skipped_bytes : int
        Bytes given up as torn or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped_bytes = 0
        self._offset = 0  # in the file: behind what was read
        self._data = b""
        self._position = 0  # in the data: behind what was yielded

    def read_new(self, final: bool) -> Iterator[bytes]:
        """Yield payloads not yielded before; the caller may stop and come back.

        Parameters
        ----------
        final : bool
            Nothing will be appended any more: what does not form a record is skipped and
            counted. Otherwise an unfinished end is left for the next call.
        """
        while True:
            payload = self._read_next()
            if payload is not None:
                yield payload
            elif not self._fill() and not (final and self._skip_damage()):
                return

    def _read_next(self) -> bytes | None:
        start = self._position + _HEAD.size
        if len(self._data) < start:
            return None
        marker, length, checksum = _HEAD.unpack_from(self._data, self._position)
        if marker != MARKER or not 0 < length <= MAX_PAYLOAD_BYTES:
            return None
        payload = self._data[start : start + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return None
        self._position = start + length
        return payload

    def _fill(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(self._offset or len(MAGIC))
            data = file.read(READ_BYTES)
            self._offset = file.tell() if data else self._offset
        self._data = self._data[self._position :] + data
        self._position = 0
        return bool(data)

    def _skip_damage(self) -> bool:
        """Go behind damage, to the next marker or the end; say whether there was any."""
        found = self._data.find(MARKER, self._position + 1)
        target = found if found >= 0 else len(self._data)
        self.skipped_bytes += target - self._position
        moved = target > self._position
        self._position = target
        return moved
