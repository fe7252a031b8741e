"""The JSON front door: size, encoding, syntax, depth, numbers, text, duplicate keys."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import zstandard
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from teams.api.bodies import decode_json, read_body
from teams.api.errors import ApiError

MEBIBYTE = 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
RSS_BOUND_BYTES = 32 * MEBIBYTE  # the promise is 64; the body itself may take 8


def refusal_of(call: object, *arguments: object) -> tuple[int, str, str | None]:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.status, caught.value.code, caught.value.field


def read(raw: bytes, encoding: str) -> bytes:
    return read_body(io.BytesIO(raw), encoding)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("", bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        (" GZIP ", gzip.compress),
        ("zstd", zstandard.compress),
    ],
)
def test_body_comes_out_as_it_went_in(encoding: str, pack: object) -> None:
    body = os.urandom(100_000) + b"x" * 300_000
    assert read(pack(body), encoding) == body


@pytest.mark.parametrize(
    "encoding", ["br", "deflate", "gzip, gzip", "gzip,identity", "x-gzip", "\x00"]
)
def test_t10_unknown_stacked_or_repeated_encoding_is_415(encoding: str) -> None:
    assert refusal_of(read, b"{}", encoding)[:2] == (415, "unsupported_encoding")


def test_t10_plain_body_at_the_limit_passes() -> None:
    assert len(read(b" " * settings.MAX_BODY_BYTES, "")) == settings.MAX_BODY_BYTES


def test_t10_plain_body_one_byte_beyond_the_limit_is_413() -> None:
    assert refusal_of(read, b" " * (settings.MAX_BODY_BYTES + 1), "")[:2] == (413, "too_large")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_t10_inflated_body_at_the_limit_passes(encoding: str, pack: object) -> None:
    body = b" " * settings.MAX_INFLATED_BYTES
    assert read(pack(body), encoding) == body


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_t10_inflated_body_one_byte_beyond_the_limit_is_413(encoding: str, pack: object) -> None:
    body = b" " * (settings.MAX_INFLATED_BYTES + 1)
    assert refusal_of(read, pack(body), encoding)[:2] == (413, "too_large")


def test_t10_compressed_size_is_bounded_too() -> None:
    raw = gzip.compress(os.urandom(settings.MAX_BODY_BYTES + 1), compresslevel=0)
    assert refusal_of(read, raw, "gzip")[:2] == (413, "too_large")


def test_t10_zstd_window_beyond_the_limit_is_413() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=0)
    packer = zstandard.ZstdCompressor(compression_params=wide)
    stream = packer.compressobj()
    raw = stream.compress(b"x" * MEBIBYTE) + stream.flush()
    assert refusal_of(read, raw, "zstd")[:2] == (413, "too_large")


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("gzip", b""),
        ("gzip", b"{}"),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-1]),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9] + b"\0" * 9),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"tail"),
        ("gzip", gzip.compress(b"{}", mtime=0) + gzip.compress(b"{}", mtime=0)),
        ("gzip", zlib.compress(b"{}")),
        ("zstd", b""),
        ("zstd", b"{}"),
        ("zstd", zstandard.compress(b"x" * 1000)[:-1]),
        ("zstd", zstandard.compress(b"{}") + b"tail"),
        ("zstd", zstandard.compress(b"{}") + zstandard.compress(b"{}") * 99),
    ],
)
def test_t10_damaged_stream_is_400(encoding: str, raw: bytes) -> None:
    assert refusal_of(read, raw, encoding)[:2] == (400, "malformed")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_t10_bomb_leaves_memory_small(encoding: str) -> None:
    script = Path(__file__).with_name("bomb.py")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, str(script), encoding],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    report = json.loads(result.stdout)
    assert report["inflated_bytes"] >= 500 * MEBIBYTE
    assert report["codes"] == ["too_large"]
    assert report["growth_bytes"] < RSS_BOUND_BYTES


def nest(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_t11_depth_at_the_limit_passes() -> None:
    assert decode_json(nest(settings.MAX_JSON_DEPTH)) is not None


@pytest.mark.parametrize("depth", [settings.MAX_JSON_DEPTH + 1, 900, 100_000])
def test_t11_deeper_is_400(depth: int) -> None:
    assert refusal_of(decode_json, nest(depth))[:2] == (400, "too_deep")


def test_t11_deep_objects_are_400() -> None:
    assert refusal_of(decode_json, b'{"a":' * 5000 + b"1" + b"}" * 5000)[:2] == (400, "too_deep")


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a":-Infinity}', "nan", "[1,]", "01", "{} x", ""]
)
def test_t12_bare_token_or_broken_syntax_is_400_and_names_the_string_form(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        decode_json(text.encode())
    assert (caught.value.status, caught.value.code) == (400, "malformed")
    assert '"NaN"' in caught.value.message


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 400, "-" + "9" * 5000, "1" * 5000 + ".0"]
)
def test_t12_number_beyond_float64_is_422_with_its_place(number: str) -> None:
    body = f'{{"config":{{"a/b":[0,{number}]}}}}'.encode()
    assert refusal_of(decode_json, body) == (422, "out_of_range", "/config/a~1b/1")


def test_t12_largest_float_passes() -> None:
    assert decode_json(b"[1.7976931348623157e308]") == [1.7976931348623157e308]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'"a\\u0000b"', ""),
        (b'{"a":"\\u0000"}', "/a"),
        (b'{"a":{"b":["x","\\u0000"]}}', "/a/b/1"),
        (b'{"a":{"b\\u0000":1}}', "/a"),
    ],
)
def test_t13_nul_is_422_with_its_place(body: bytes, field: str) -> None:
    assert refusal_of(decode_json, body) == (422, "bad_character", field)


def test_t13_escaped_backslash_before_u0000_is_plain_text() -> None:
    assert decode_json(b'"\\\\u0000"') == "\\u0000"


@pytest.mark.parametrize(
    "body",
    [b'"\\ud800"', b'"\\udfff"', b'"\xff"', b'"\xc0\x80"', b"\xef\xbb\xbf{}", b'"\xed\xa0\x80"'],
)
def test_t13_lone_surrogate_or_invalid_utf8_is_400(body: bytes) -> None:
    assert refusal_of(decode_json, body)[:2] == (400, "malformed")


@pytest.mark.parametrize(
    "body", [b'{"a":1,"a":1}', b'{"a":{"b":1,"c":2,"b":3}}', b'[{"a":1,"\\u0061":2}]']
)
def test_t14_duplicate_key_is_400(body: bytes) -> None:
    assert refusal_of(decode_json, body)[:2] == (400, "duplicate_key")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_valid_json_of_bounded_depth_comes_out_unchanged(value: object) -> None:
    try:
        assert decode_json(json.dumps(value).encode()) == value
    except ApiError as error:
        assert error.code == "too_deep"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_json_or_refused(body: bytes) -> None:
    try:
        decode_json(body)
    except ApiError as error:
        assert error.status in (400, 422)
