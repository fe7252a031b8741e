"""How many requests a token may make: a bucket for each in this process, filled with time.

No database and no Redis stand in the way of a request: what is counted here costs a microsecond
and cannot be away. With several web processes a token has the rate in each of them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

BURST_SECONDS = 10  # a bucket holds what its rate fills in so long
MAX_BUCKETS = 10_000


class Buckets:
    """Token buckets by key; those that were not used for longest are forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def take(self, key: int, per_second: float) -> float:
        """Take one request; returns 0, or the seconds after which to come again."""
        now, size = self._clock(), per_second * BURST_SECONDS
        with self._lock:
            level, at = self._levels.pop(key, (size, now))
            level = min(size, level + (now - at) * per_second)
            is_allowed = level >= 1
            self._levels[key] = (level - 1 if is_allowed else level, now)
            if len(self._levels) > MAX_BUCKETS:
                self._levels.popitem(last=False)
        return 0.0 if is_allowed else (1 - level) / per_second


buckets = Buckets()
