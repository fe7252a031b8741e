"""Print .wandb files as JSON; the wandb package parses the messages, this file the log around them.

    python wandb_reader.py FILE...

A file is a header of 7 bytes and then a LevelDB log: blocks of 32 KiB, in them chunks with a header
of CRC (4 bytes), length (2) and type (1 whole, 2 first, 3 middle, 4 last part of a record).
"""

import json
import struct
import sys
from collections.abc import Iterator
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32 * 1024


def read_records(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    at, parts = 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # no header fits into the rest of the block
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


def read_items(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def read_run(path: str) -> dict[str, Any]:
    name = ""
    points: list[tuple[str, int, Any]] = []
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    with open(path, "rb") as file:
        data = file.read()
    for raw in read_records(data):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(raw)
        row = read_items(record.history.item)
        step = row.get("_step", record.history.step.num)
        points += [(key, step, value) for key, value in row.items() if key[0] != "_"]
        config |= read_items(record.run.config.update) | read_items(record.config.update)
        summary |= read_items(record.summary.update)
        name = record.run.display_name or name
    return {"name": name, "points": points, "config": config, "summary": summary}


print(json.dumps([read_run(path) for path in sys.argv[1:]]))  # noqa: T201
