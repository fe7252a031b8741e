"""Pictures that browsers send: unpacked, checked and packed again, so that only pixels are kept."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {2: 3, 6: 4}  # colour type: RGB, RGBA
LAST_FILTER = 4
MAX_SIDES = (1200, 630)


class BadPicture(ValueError):
    """Not a picture that is taken; says why."""


def repack_png(data: bytes) -> bytes:
    """Return the same pixels as a PNG of our own writing, without anything else that it held."""
    if not data.startswith(SIGNATURE):
        raise BadPicture("This is not a PNG.")
    chunks = _split(data[len(SIGNATURE) :])
    header = chunks[0][1] if chunks and chunks[0][0] == b"IHDR" else b""
    row_bytes, height = _read_header(header)
    packed = b"".join(body for name, body in chunks if name == b"IDAT")
    rows = _unpack(packed, (row_bytes + 1) * height)
    if max(rows[:: row_bytes + 1]) > LAST_FILTER:
        raise BadPicture("A row of the PNG is filtered in a way that does not exist.")
    written = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return SIGNATURE + b"".join(_write(name, body) for name, body in written)


def _split(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        place += size + 12
        if data[place - 4 : place] != struct.pack(">I", zlib.crc32(name + body)):
            raise BadPicture("The PNG is damaged or cut short.")
        chunks.append((name, body))
        if name == b"IEND":
            return chunks
    raise BadPicture("The PNG is damaged or cut short.")


def _read_header(header: bytes) -> tuple[int, int]:
    """Return the bytes of a row and the number of rows."""
    if len(header) != 13:
        raise BadPicture("The PNG does not begin with its header.")
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in SAMPLES or any(rest):
        raise BadPicture("Only PNGs of 8-bit RGB or RGBA without interlacing are taken.")
    if not (0 < width <= MAX_SIDES[0] and 0 < height <= MAX_SIDES[1]):
        limit = f"{MAX_SIDES[0]} x {MAX_SIDES[1]}"
        raise BadPicture(f"The picture has {width} x {height} pixels; at most {limit} are taken.")
    return width * SAMPLES[colour], height


def _unpack(packed: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(packed, size + 1)
    except zlib.error:
        rows = b""
    if len(rows) != size or not stream.eof or stream.unused_data:
        raise BadPicture("The pixels of the PNG do not fill its frame.")
    return rows


def _write(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
