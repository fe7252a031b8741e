"""Points of a chunk as bytes: raw little-endian, or compressed by pcodec. Both are exact. Pure."""

from __future__ import annotations

import numpy as np
from pcodec import ChunkConfig, standalone

from runs.blocks import Steps, Values

RAW, PCODEC = 0, 1
STEP_TYPE, VALUE_TYPE = "<i8", "<f8"


def encode(steps: Steps, values: Values) -> tuple[int, bytes, bytes]:
    """Return the codec and the bytes of steps and values, whichever way they are shorter."""
    raw = steps.astype(STEP_TYPE).tobytes(), values.astype(VALUE_TYPE).tobytes()
    config = ChunkConfig()
    packed = [standalone.simple_compress(array, config) for array in (steps, values)]
    is_shorter = sum(map(len, packed)) < sum(map(len, raw))
    return (PCODEC, packed[0], packed[1]) if is_shorter else (RAW, *raw)


def decode_steps(codec: int, data: bytes) -> Steps:
    """Return the steps in the bytes of a chunk."""
    if codec == RAW:
        return np.frombuffer(data, dtype=STEP_TYPE)
    return standalone.simple_decompress(bytes(data))


def decode_values(codec: int, data: bytes) -> Values:
    """Return the values in the bytes of a chunk."""
    if codec == RAW:
        return np.frombuffer(data, dtype=VALUE_TYPE)
    return standalone.simple_decompress(bytes(data))
