"""The few rules of the protocol buffers' wire format that event files and W&B files need."""

from __future__ import annotations

import struct
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


class Malformed(ValueError):
    """The bytes are no message."""


def read_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (number, value) of a message: an integer for varints, else the raw bytes.

    Raises
    ------
    Malformed
        The bytes are no message.
    """
    place, end = 0, len(data)
    while place < end:
        tag, place = _read_varint(data, place)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == VARINT:
            value, place = _read_varint(data, place)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
            value, place = data[place : place + size], place + size
        elif kind == BYTES:
            size, place = _read_varint(data, place)
            value, place = data[place : place + size], place + size
        else:
            raise Malformed(f"there is no wire type {kind}")
        if place > end:
            raise Malformed("a field ends beyond its message")
        yield number, value


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(MAX_VARINT_BYTES):
        if place >= len(data):
            raise Malformed("a number ends beyond its message")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << (7 * shift)
        if not byte & 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
    raise Malformed("a number has more than ten bytes")


def to_signed(value: int) -> int:
    """Return a varint as int64."""
    return value - (1 << 64) if value >= 1 << 63 else value


def to_zigzag(value: int) -> int:
    """Return a varint as sint64."""
    return (value >> 1) ^ -(value & 1)


def to_double(value: bytes) -> float:
    """Return eight bytes as a float."""
    return float(struct.unpack("<d", value)[0])


def to_float(value: bytes) -> float:
    """Return four bytes as a float."""
    return float(struct.unpack("<f", value)[0])


def to_text(value: int | bytes) -> str:
    """Return bytes as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_packed_doubles(value: bytes) -> list[float]:
    """Return packed doubles."""
    return list(struct.unpack(f"<{len(value) // 8}d", value[: len(value) // 8 * 8]))


def read_packed_floats(value: bytes) -> list[float]:
    """Return packed floats."""
    return list(struct.unpack(f"<{len(value) // 4}f", value[: len(value) // 4 * 4]))


def read_packed_varints(value: bytes) -> list[int]:
    """Return packed integers."""
    found, place = [], 0
    while place < len(value):
        number, place = _read_varint(value, place)
        found.append(to_signed(number))
    return found
