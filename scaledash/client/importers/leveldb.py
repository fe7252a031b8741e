"""The log of records in which W&B keeps its files: blocks of 32 KiB, chunks with CRC-32."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from scaledash.client.importers.model import Tally, Unreadable

MAGIC = b":W&B"
MAGIC_NUMBER = 0xBEE1
BLOCK_BYTES = 32 * 1024
HEADER_BYTES = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_log(path: Path, tally: Tally) -> Iterator[bytes]:
    """Yield the records of a file; damaged blocks are skipped and counted, a torn tail ends it.

    Raises
    ------
    Unreadable
        The file does not begin as one of W&B's.
    """
    with path.open("rb") as file:
        block = file.read(BLOCK_BYTES)
        _check_header(path, block)
        place, pending = HEADER_BYTES, None
        while block:
            following = file.read(BLOCK_BYTES)
            chunks = _read_chunks(block, place, not following, path, tally)
            pending = yield from _join_chunks(chunks, pending)
            block, place = following, 0


def _check_header(path: Path, block: bytes) -> None:
    if len(block) < HEADER_BYTES:
        raise Unreadable(f"{path} is too short for a file of W&B")
    mark, number, version = struct.unpack("<4sHB", block[:HEADER_BYTES])
    if mark != MAGIC or number != MAGIC_NUMBER:
        raise Unreadable(f"{path} does not begin as a file of W&B")
    if version > 1:
        raise Unreadable(f"{path} has version {version} of W&B's format; 0 and 1 are known")


def _read_chunks(
    block: bytes, place: int, is_last: bool, path: Path, tally: Tally
) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, data) of the chunks of a block; kind 0 stands for damage."""
    while place + HEADER_BYTES <= len(block):
        checksum, size, kind = struct.unpack("<IHB", block[place : place + HEADER_BYTES])
        if checksum == 0 and size == 0 and kind == 0:
            return  # padding
        start = place + HEADER_BYTES
        data = block[start : start + size]
        if len(data) < size and is_last:
            return  # a record that is being written
        if len(data) < size or zlib.crc32(bytes([kind]) + data) != checksum:
            tally.count(f"{path.name}: damaged blocks, skipped")
            yield 0, b""
            return
        yield kind, data
        place = start + size


def _join_chunks(
    chunks: Iterable[tuple[int, bytes]], pending: bytes | None
) -> Generator[bytes, None, bytes | None]:
    """Yield the records that are whole now; returns what waits for its rest."""
    for kind, data in chunks:
        if kind == FULL:
            yield data
        elif kind == LAST and pending is not None:
            yield pending + data
        if kind == FIRST:
            pending = data
        elif kind == MIDDLE and pending is not None:
            pending += data
        else:
            pending = None
    return pending
