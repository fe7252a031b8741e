"""Which numbers of parameters are one size: QK-norm adds gains, and the model stays the same."""

from __future__ import annotations

import math
from collections.abc import Iterable

SAME_SIZE = 1.03  # the gains add 1% to the smallest demo model; sizes of a sweep lie further apart


def group_sizes(values: Iterable[float]) -> dict[float, float]:
    """Return the size of each n: the smallest n of the chain in which neighbours are within 3%."""
    sizes: dict[float, float] = {}
    last, smallest = math.inf, math.inf
    for n in sorted(set(values)):
        if not last <= n <= last * SAME_SIZE:
            smallest = n
        sizes[n], last = smallest, n
    return sizes
