"""A curve kept in bounded memory: consecutive points share buckets that double in width."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fitting.maths.records import BoolArray, FloatArray, IntArray

DEFAULT_CAPACITY = 1024
HUGE = 1e120  # larger values count as this one, so that sums and squares stay finite


@dataclass(frozen=True)
class History:
    """At most `capacity` buckets of `stride` consecutive points each.

    Which points share a bucket follows from their number alone, so any split of the points into
    batches ends in the same buckets. Points that are not finite take a place but no part.

    Parameters
    ----------
    n_seen : points so far, non-finite ones too
    first, last : ndarray, shape (n_buckets,), steps
    n : ndarray, finite points of each bucket
    total, low, high : ndarray, their sum, least and greatest value
    """

    capacity: int
    stride: int
    n_seen: int
    first: IntArray
    last: IntArray
    n: IntArray
    total: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def empty(cls, capacity: int = DEFAULT_CAPACITY) -> History:
        """Return a history without points."""
        none, zero = np.empty(0), np.empty(0, np.int64)
        return cls(capacity, 1, 0, zero, zero, zero, none, none, none)

    def extend(self, steps: IntArray, values: FloatArray) -> History:
        """Return the history with later points at its end."""
        if not steps.size:
            return self
        n_seen = self.n_seen + steps.size
        kept = self
        while n_seen > kept.capacity * kept.stride:
            kept = kept._halve()
        is_finite = np.isfinite(values)
        clipped = np.clip(np.where(is_finite, values, 0.0), -HUGE, HUGE)
        number = self.n_seen + np.arange(steps.size)
        return replace(
            kept._join(
                number // kept.stride,
                np.arange(len(kept.first)),
                History(
                    kept.capacity,
                    kept.stride,
                    n_seen,
                    steps,
                    steps,
                    is_finite.astype(np.int64),
                    clipped,
                    np.where(is_finite, clipped, np.inf),
                    np.where(is_finite, clipped, -np.inf),
                ),
            ),
            n_seen=n_seen,
        )

    def _halve(self) -> History:
        """Return the history with neighbouring buckets joined."""
        none = History.empty(self.capacity)
        joined = none._join(np.arange(len(self.first)) // 2, np.empty(0, np.int64), self)
        return replace(joined, stride=2 * self.stride, n_seen=self.n_seen)

    def _join(self, later_ids: IntArray, own_ids: IntArray, later: History) -> History:
        """Join the buckets of both by their number."""
        ids = np.concatenate([own_ids, later_ids])
        if not ids.size:
            return self
        starts = np.flatnonzero(np.diff(ids, prepend=-1))
        ends = np.append(starts[1:], ids.size) - 1

        def gather(name: str) -> npt.NDArray[Any]:
            return np.concatenate([getattr(self, name), getattr(later, name)])

        return replace(
            self,
            first=gather("first")[starts],
            last=gather("last")[ends],
            n=np.add.reduceat(gather("n"), starts),
            total=np.add.reduceat(gather("total"), starts),
            low=np.minimum.reduceat(gather("low"), starts),
            high=np.maximum.reduceat(gather("high"), starts),
        )

    def read(self) -> Samples:
        """Return the buckets that hold a finite point."""
        has = self.n > 0
        return Samples(
            self.first[has],
            self.last[has],
            self.total[has] / self.n[has],
            self.low[has],
            self.high[has],
            self.n[has],
        )


@dataclass(frozen=True)
class Samples:
    """A curve as its buckets show it; with a stride of one they are its points.

    Parameters
    ----------
    first, step : ndarray, shape (m,), first and last step of each bucket
    mean, low, high : ndarray, shape (m,)
    n : ndarray, shape (m,), points of each bucket
    """

    first: IntArray
    step: IntArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    n: IntArray

    def __len__(self) -> int:
        """Return the number of buckets."""
        return len(self.step)

    def since(self, step: float) -> Samples:
        """Return the buckets that end after a step."""
        return self.select(self.step > step)

    def tail(self, fraction: float, at_least: int = 1) -> Samples:
        """Return the last `fraction` of the steps, and `at_least` buckets of them."""
        if not len(self):
            return self
        start = self.step[-1] - fraction * (self.step[-1] - self.first[0])
        n = max(int((self.step > start).sum()), at_least)
        return self.select(slice(-n, None))

    def select(self, which: slice | BoolArray) -> Samples:
        """Return some of the buckets."""
        return Samples(
            self.first[which],
            self.step[which],
            self.mean[which],
            self.low[which],
            self.high[which],
            self.n[which],
        )
