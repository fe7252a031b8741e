"""A diagnostic's state to bytes and back."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from fitting.maths.diagnose.history import History
from fitting.maths.diagnose.spikes import Scorer, Spikes
from fitting.maths.diagnose.texture import Texture
from fitting.maths.diagnose.track import Track

CLASSES: dict[str, Callable[..., object]] = {
    item.__name__: item for item in (History, Scorer, Spikes, Texture, Track)
}
COMPRESSION = 1  # six times faster than the default for a tenth more bytes


def pack_state(state: object) -> bytes:
    """Return nested dicts, lists, arrays and accumulators as compressed bytes."""
    text = json.dumps(_encode(state), separators=(",", ":"))
    return zlib.compress(text.encode(), COMPRESSION)


def unpack_state(data: bytes) -> object:
    """Return what `pack_state` was given; tuples come back as tuples of accumulators only."""
    return _decode(json.loads(zlib.decompress(data)))


def _encode(value: object) -> object:
    if isinstance(value, History) and value.stride == 1:
        has = value.n > 0
        points = {"steps": value.first, "values": np.where(has, value.total, np.nan)}
        return {"@": "points", "capacity": value.capacity, **_encode_items(points)}
    if is_dataclass(value) and not isinstance(value, type):
        members = {item.name: getattr(value, item.name) for item in fields(value)}
        return {"@": type(value).__name__, **_encode_items(members)}
    if isinstance(value, np.ndarray):
        raw = np.ascontiguousarray(value)
        return {"#": raw.dtype.str, "bytes": base64.b64encode(raw.tobytes()).decode()}
    if isinstance(value, dict):
        return {"@": "dict", **_encode_items(value)}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value


def _encode_items(value: Mapping[str, object]) -> dict[str, object]:
    return {name: _encode(item) for name, item in value.items()}


def _decode(value: object) -> object:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "#" in value:
        return np.frombuffer(base64.b64decode(value["bytes"]), value["#"]).copy()
    members = {name: _decode(item) for name, item in value.items() if name != "@"}
    if value["@"] == "dict":
        return members
    if value["@"] == "points":
        history = History.empty(int(value["capacity"]))
        return history.extend(members["steps"], members["values"])  # type: ignore[arg-type]
    return CLASSES[value["@"]](**members)
