"""Run by test_front_door in a process of its own: unpack a bomb and report the memory it took."""

import gzip
import io
import json
import resource
import sys

import zstandard
from django.conf import settings

settings.configure(
    MAX_BODY_BYTES=2 * 1024 * 1024, MAX_INFLATED_BYTES=8 * 1024 * 1024, MAX_JSON_DEPTH=8
)

from teams.api.bodies import read_body  # noqa: E402
from teams.api.errors import ApiError  # noqa: E402

BLOCK = bytes(1024 * 1024)
BLOCKS = 500


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def make_bomb(encoding: str) -> bytes:
    if encoding == "zstd":
        packer = zstandard.ZstdCompressor(level=1).compressobj()
        return b"".join(packer.compress(BLOCK) for _ in range(BLOCKS)) + packer.flush()
    sink = io.BytesIO()
    with gzip.GzipFile(fileobj=sink, mode="wb", compresslevel=9) as packer:
        for _ in range(BLOCKS):
            packer.write(BLOCK)
    return sink.getvalue()


def main() -> None:
    bomb = make_bomb(sys.argv[1])
    before = peak_bytes()
    codes = set()
    for _ in range(3):
        try:
            read_body(io.BytesIO(bomb), sys.argv[1])
        except ApiError as error:
            codes.add(error.code)
    report = {
        "inflated_bytes": len(BLOCK) * BLOCKS,
        "codes": sorted(codes),
        "growth_bytes": peak_bytes() - before,
    }
    sys.stdout.write(json.dumps(report))


main()
