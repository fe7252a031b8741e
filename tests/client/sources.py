"""Reading sources in tests, and writing the file formats that they come in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from scaledash.client.importers.crc32c import compute_masked
from scaledash.client.importers.model import (
    Entry,
    Point,
    Rewind,
    Source,
    SourceRun,
    Unreadable,
    clean,
)

DATA = Path(__file__).resolve().parent / "data"
Series = dict[str, list[tuple[int, float]]]


def list_runs(source: Source) -> dict[str, SourceRun]:
    """Return the runs by name; none may be unreadable."""
    found = list(source.list_runs())
    assert [str(item) for item in found if isinstance(item, Unreadable)] == []
    return {run.name: run for run in found if isinstance(run, SourceRun)}


def only(source: Source) -> SourceRun:
    (run,) = list_runs(source).values()
    return run


def entries_of(run: SourceRun, source: Source) -> list[Entry]:
    tally = source._tally  # type: ignore[attr-defined]
    return [entry for part in run.parts for entry in clean(part.read(), tally)]


def series_of(run: SourceRun, source: Source) -> Series:
    """Return the points of a run as metric -> [(step, value), ...] in their order."""
    found: Series = {}
    for entry in entries_of(run, source):
        if isinstance(entry, Point):
            found.setdefault(entry.metric, []).append((entry.step, entry.value))
    return found


def rewinds_of(run: SourceRun, source: Source) -> list[int]:
    return [entry.step for entry in entries_of(run, source) if isinstance(entry, Rewind)]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def data(field: int, value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def single(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def scalar(tag: str, value: float) -> bytes:
    return data(1, tag) + single(2, value)


def event(step: int | None, *values: bytes, at: float = 1.7e9) -> bytes:
    """Return an event; without a step it has none, as the format allows for 0."""
    start = double(1, at) + (b"" if step is None else number(2, step))
    return start + data(5, b"".join(data(1, value) for value in values))


def record(payload: bytes) -> bytes:
    size = struct.pack("<Q", len(payload))
    return (
        size
        + struct.pack("<I", compute_masked(size))
        + payload
        + struct.pack("<I", compute_masked(payload))
    )


def write_events(path: Path, events: Iterable[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(record(item) for item in events))
    return path


def history(step: int, **values: str) -> bytes:
    """Return a row of the history; the values are JSON."""
    items = b"".join(data(1, data(1, key) + data(16, value)) for key, value in values.items())
    return data(2, items + data(2, number(1, step)))


def chunk(payload: bytes, kind: int = 1) -> bytes:
    checksum = zlib.crc32(bytes([kind]) + payload)
    return struct.pack("<IHB", checksum, len(payload), kind) + payload


def write_wandb(path: Path, records: Iterable[bytes]) -> Path:
    """Write a W&B file; records longer than a block are cut into chunks."""
    block = 32 * 1024
    out = bytearray(struct.pack("<4sHB", b":W&B", 0xBEE1, 0))
    for item in records:
        rest, is_first = item, True
        while True:
            room = block - len(out) % block
            if room < 7:
                out += b"\0" * room
                continue
            piece, rest = rest[: room - 7], rest[room - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}
            out += chunk(piece, kind[is_first, not rest])
            is_first = False
            if not rest:
                break
    path.write_bytes(bytes(out))
    return path
