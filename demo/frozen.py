"""The forecasts for 1e13 FLOPs as the server printed them when they were frozen.

They come from the whole of part B, in a running product, before the first run of part B2 began.
Loading the demo freezes the same targets again, so that the register shows them with their scores.
"""

from __future__ import annotations

from dataclasses import dataclass

FROZEN_AT = "2026-11-26 16:14:26 UTC"
INPUT_DIGEST = "6d025075efa6033c87c78aff2be0222238808edaeca5cc90e652c5d3cbbcdab7"


@dataclass(frozen=True)
class Frozen:
    """A forecast: of the loss at a width, or of N* by an approach where width is None."""

    label: str
    value: float
    low: float | None
    high: float | None
    width: int | None = None


FORECASTS = (
    Frozen("N*, approach 2 (isoFLOP)", 185_801, None, None),
    Frozen("N*, approach 3 (Huber)", 175_306, 124e3, 235e3),
    Frozen("loss at width 48 (14.7M tokens)", 1.28013, 1.214, 1.335, 48),
    Frozen("loss at width 64 (8.85M tokens)", 1.26308, 1.199, 1.317, 64),
    Frozen("loss at width 96 (4.24M tokens)", 1.27634, 1.212, 1.330, 96),
    Frozen("loss at width 128 (2.48M tokens)", 1.31561, 1.246, 1.371, 128),
)
