"""The strict front door for JSON bodies: size, encoding, syntax, depth, duplicate keys, text.

runs.ingest reads metric batches through the same steps.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import msgspec
import zstandard
from django.conf import settings

from teams.api.errors import ApiError, escape_pointer, unprocessable

__all__ = ["check_depth_and_text", "decode_json", "escape_pointer", "read_body", "read_json"]

BLOCK_BYTES = 64 * 1024
ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
# A block of four bytes may stand for 128 KiB (RFC 8878, 3.1.1.2), so that one slice yields
# at most 2 MiB before its size is looked at.
ZSTD_SLICE_BYTES = 64
MAX_EXACT_DIGITS = 400  # float64 ends near 1.8e308

Trail = tuple["Trail", str | int] | tuple[()]


def read_body(stream: IO[bytes], encoding: str, max_bytes: int | None = None) -> bytes:
    """Return the decompressed body; limits are enforced while it streams in.

    `max_bytes` bounds the decompressed size; without it the limit of metric batches holds.
    """
    coding = encoding.strip().lower() or "identity"
    if coding not in _INFLATERS:
        message = f"Content-Encoding {encoding!r} is not supported; use gzip, zstd or none."
        raise ApiError(415, "unsupported_encoding", message)
    raw = _join("body", _read_blocks(stream), settings.MAX_BODY_BYTES)
    limit = settings.MAX_INFLATED_BYTES if max_bytes is None else max_bytes
    try:
        return _join("decompressed body", _INFLATERS[coding](raw), limit)
    except (zlib.error, zstandard.ZstdError) as error:
        raise ApiError(400, "malformed", f"The {coding} stream is damaged.") from error


def read_json(stream: IO[bytes], encoding: str) -> object:
    """Return the decoded JSON document, fully checked."""
    return decode_json(read_body(stream, encoding, settings.MAX_DOCUMENT_BYTES))


def decode_json(body: bytes) -> object:
    """Decode strict JSON: no bare NaN, no duplicate keys, bounded depth and numbers, clean text."""
    try:
        value = msgspec.json.decode(body)
        n_strings = check_depth_and_text(value, "", 0)
        if body.count(b'"') > 2 * n_strings:  # an escaped quote, or a key that stands twice
            json.loads(body, object_pairs_hook=_refuse_duplicates)
    except RecursionError as error:
        raise _too_deep() from error
    except msgspec.ValidationError as error:
        raise find_out_of_range(body) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise malformed(error) from error
    return value


def malformed(error: Exception) -> ApiError:
    """Answer 400 for text that is not JSON, naming the string form of non-finite numbers."""
    hint = 'write non-finite numbers as the strings "NaN", "Infinity", "-Infinity"'
    return ApiError(400, "malformed", f"The body is not valid JSON ({error}); {hint}.")


def find_out_of_range(body: bytes) -> ApiError:
    """Answer for a body with a number beyond float64, by a slow pass that finds its place."""
    try:
        check_depth_and_text(json.loads(body, parse_int=_read_integer), "", 0)
    except ApiError as error:
        return error
    except RecursionError:
        return _too_deep()
    except ValueError as error:
        return malformed(error)
    return _out_of_range("")


def check_depth_and_text(value: object, pointer: str, depth: int) -> int:
    """Refuse deep nesting, NUL characters and numbers beyond float64, naming the place.

    Returns how many strings there are, keys included.
    """
    if isinstance(value, dict | list):
        return _check_container(value, ((), pointer), depth)
    _check_leaf(value, ((), pointer))
    return int(isinstance(value, str))


def _check_container(value: dict[str, object] | list[object], trail: Trail, depth: int) -> int:
    if depth >= settings.MAX_JSON_DEPTH:
        raise _too_deep()
    n_strings = 0
    pairs: Iterable[tuple[str | int, object]]
    if isinstance(value, dict):
        for key in value:
            _check_leaf(key, trail)
        n_strings, pairs = len(value), value.items()
    elif _is_plain(value):
        return 0
    else:
        pairs = enumerate(value)
    for place, item in pairs:
        if isinstance(item, dict | list):
            n_strings += _check_container(item, (trail, place), depth + 1)
        elif isinstance(item, str | int | float):
            _check_leaf(item, (trail, place))
            n_strings += isinstance(item, str)
    return n_strings


def _is_plain(items: list[object]) -> bool:
    """Say, without a look at each in Python, that a list holds nothing but numbers that fit."""
    if not set(map(type, items)) <= {int, float}:
        return False
    try:
        return all(map(math.isfinite, items))
    except OverflowError:
        return False


def _check_leaf(value: object, trail: Trail) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            message = "Text must not contain the NUL character."
            raise unprocessable("bad_character", message, _spell(trail))
        return
    if isinstance(value, int | float) and not _fits_float(value):
        raise _out_of_range(_spell(trail))


def _fits_float(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _spell(trail: Trail) -> str:
    """Write a trail as a JSON pointer; its first item is the pointer of the outermost value."""
    keys: list[str] = []
    while trail:
        trail, key = trail
        keys.append(escape_pointer(str(key)) if trail else str(key))
    return "/".join(reversed(keys))


def _read_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_EXACT_DIGITS else math.inf


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            message = f"The key {key[:100]!r} stands twice in one object."
            raise ApiError(400, "duplicate_key", message)
        seen.add(key)
    return found


def _join(what: str, parts: Iterator[bytes], limit: int) -> bytes:
    """Join the parts, giving up as soon as there is more than the limit."""
    kept: list[bytes] = []
    size = 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise _too_large(what, limit)
        kept.append(part)
    return b"".join(kept)


def _read_blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _keep(raw: bytes) -> Iterator[bytes]:
    yield raw


def _inflate_gzip(raw: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    for start in range(0, len(raw), BLOCK_BYTES):
        block = raw[start : start + BLOCK_BYTES]
        if inflater.eof:
            raise zlib.error("trailing data")
        while True:
            part = inflater.decompress(block, BLOCK_BYTES)
            yield part
            block = inflater.unconsumed_tail
            if not block and len(part) < BLOCK_BYTES:
                break
    if not inflater.eof or inflater.unused_data:
        raise zlib.error("truncated stream or trailing data")


def _inflate_zstd(raw: bytes) -> Iterator[bytes]:
    if zstandard.get_frame_parameters(raw).window_size > ZSTD_WINDOW_BYTES:
        raise _too_large("zstd window", ZSTD_WINDOW_BYTES)
    inflater = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
    for start in range(0, len(raw), ZSTD_SLICE_BYTES):
        yield inflater.decompress(raw[start : start + ZSTD_SLICE_BYTES])
    if not inflater.eof or inflater.unused_data:
        raise zstandard.ZstdError("truncated stream or trailing data")


_INFLATERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "identity": _keep,
    "gzip": _inflate_gzip,
    "zstd": _inflate_zstd,
}


def _too_large(what: str, limit: int) -> ApiError:
    message = f"The {what} is larger than {limit} bytes; send smaller batches."
    return ApiError(413, "too_large", message)


def _too_deep() -> ApiError:
    message = f"The body is nested deeper than {settings.MAX_JSON_DEPTH} levels."
    return ApiError(400, "too_deep", message)


def _out_of_range(pointer: str) -> ApiError:
    message = "The number does not fit a 64-bit float."
    return unprocessable("out_of_range", message, pointer)
