"""Pictures from browsers: pixels survive, anything else is dropped or refused."""

from __future__ import annotations

import struct
import zlib

import pytest

from scaledash.lib.png import SIGNATURE, BadPicture, repack_png

RED = b"\0" + b"\xff\0\0\xff" * 2  # a row of two pixels, not filtered


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def make_png(
    rows: bytes = RED * 3, sides: tuple[int, int] = (2, 3), kind: bytes = b"\x08\x06\0\0\0"
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">II", *sides) + kind)
    return SIGNATURE + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def read_pixels(data: bytes) -> bytes:
    start = data.index(b"IDAT") + 4
    size = int.from_bytes(data[start - 8 : start - 4], "big")
    return zlib.decompress(data[start : start + size])


def test_pixels_survive() -> None:
    again = repack_png(make_png())
    assert read_pixels(again) == RED * 3
    assert repack_png(again) == again


def test_what_is_no_pixel_is_dropped() -> None:
    plain = make_png()
    place = plain.index(b"IDAT") - 4
    laden = plain[:place] + chunk(b"tEXt", b"Comment\0<script>") + plain[place:] + b"PK\x03\x04"
    assert repack_png(laden) == repack_png(plain)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GIF89a", "not a PNG"),
        (SIGNATURE, "cut short"),
        (make_png()[:-20], "cut short"),
        (make_png().replace(b"IDAT", b"IDAX"), "damaged"),
        (SIGNATURE + chunk(b"IEND", b""), "begin with its header"),
        (make_png(kind=b"\x10\x06\0\0\0"), "8-bit"),
        (make_png(kind=b"\x08\x03\0\0\0"), "8-bit"),
        (make_png(kind=b"\x08\x06\0\0\1"), "8-bit"),
        (make_png(sides=(1201, 3)), "1201 x 3 pixels"),
        (make_png(sides=(2, 0)), "2 x 0 pixels"),
        (make_png(rows=RED * 2), "do not fill"),
        (make_png(rows=RED * 100_000), "do not fill"),
        (make_png(rows=b"\x05" + RED[1:] + RED * 2), "filtered"),
    ],
)
def test_anything_else_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadPicture, match=words):
        repack_png(data)
