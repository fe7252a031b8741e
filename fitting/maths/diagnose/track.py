"""What is kept of one metric of one run, whatever the number of its points."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.diagnose.history import DEFAULT_CAPACITY, History, Samples
from fitting.maths.diagnose.texture import Texture
from fitting.maths.records import FloatArray, IntArray

NEVER = -1


@dataclass(frozen=True)
class Track:
    """Counts, extremes and a bounded history of one metric.

    Points arrive by ascending step; how they are split into batches changes nothing.

    Parameters
    ----------
    levels : values whose reaching is counted and dated exactly
    count_from : steps up to this one are dated, but not counted (warm-up)
    n_over, first_over : ndarray, shape (n_levels,), points at or above each level after
        `count_from`, and the first step there, `NEVER` where there is none
    n_halved : how often a value was at most half of the one before
    """

    levels: tuple[float, ...]
    count_from: int
    history: History
    texture: Texture | None
    n_over: IntArray
    first_over: IntArray
    n: int = 0
    n_counted: int = 0
    n_nan: int = 0
    n_infinite: int = 0
    n_halved: int = 0
    first_bad_step: int = NEVER
    first_step: int = NEVER
    last_step: int = NEVER
    first_value: float = math.nan
    last_value: float = math.nan
    largest: float = -math.inf
    largest_step: int = NEVER
    smallest: float = math.inf
    smallest_step: int = NEVER

    @classmethod
    def start(
        cls,
        levels: tuple[float, ...] = (),
        count_from: float = NEVER,
        capacity: int = DEFAULT_CAPACITY,
        has_texture: bool = False,
    ) -> Track:
        """Return a track without points."""
        return cls(
            tuple(float(level) for level in levels),
            int(count_from) if math.isfinite(count_from) else NEVER,
            History.empty(capacity),
            Texture.empty() if has_texture else None,
            np.zeros(len(levels), np.int64),
            np.full(len(levels), NEVER, np.int64),
        )

    def extend(self, steps: IntArray, values: FloatArray) -> Track:
        """Return the track with points at later steps."""
        if not steps.size:
            return self
        before = np.concatenate([[self.last_value], values[:-1]])
        is_nan = np.isnan(values)
        is_infinite = np.isinf(values)
        bad = np.flatnonzero(is_nan | is_infinite)
        first_bad_step = self.first_bad_step
        if first_bad_step == NEVER and bad.size:
            first_bad_step = int(steps[bad[0]])
        grown = replace(
            self,
            history=self.history.extend(steps, values),
            texture=self.texture.extend(values) if self.texture else None,
            n=self.n + steps.size,
            n_counted=self.n_counted + int((steps > self.count_from).sum()),
            n_nan=self.n_nan + int(is_nan.sum()),
            n_infinite=self.n_infinite + int(is_infinite.sum()),
            n_halved=self.n_halved + int((values <= 0.5 * before).sum()),
            first_bad_step=first_bad_step,
            first_step=int(steps[0]) if self.first_step == NEVER else self.first_step,
            last_step=int(steps[-1]),
            last_value=float(values[-1]),
        )
        finite = np.flatnonzero(~(is_nan | is_infinite))
        if finite.size:
            grown = grown._note_extremes(steps[finite], values[finite])
        return grown._note_levels(steps, values)

    def _note_extremes(self, steps: IntArray, values: FloatArray) -> Track:
        top, bottom = int(np.argmax(values)), int(np.argmin(values))
        grown = self
        if math.isnan(self.first_value):
            grown = replace(grown, first_value=float(values[0]))
        if values[top] > self.largest:
            grown = replace(grown, largest=float(values[top]), largest_step=int(steps[top]))
        if values[bottom] < self.smallest:
            grown = replace(grown, smallest=float(values[bottom]), smallest_step=int(steps[bottom]))
        return grown

    def _note_levels(self, steps: IntArray, values: FloatArray) -> Track:
        n_over, first_over = self.n_over.copy(), self.first_over.copy()
        for place, level in enumerate(self.levels):
            over = steps[values >= level]
            n_over[place] += int((over > self.count_from).sum())
            if first_over[place] == NEVER and over.size:
                first_over[place] = int(over[0])
        return replace(self, n_over=n_over, first_over=first_over)

    @property
    def n_bad(self) -> int:
        """Return the number of points that are not finite."""
        return self.n_nan + self.n_infinite

    @property
    def cadence(self) -> float:
        """Return the mean distance of the logged steps, NaN for fewer than two."""
        return (self.last_step - self.first_step) / (self.n - 1) if self.n > 1 else math.nan

    @property
    def samples(self) -> Samples:
        """Return the curve as its buckets show it."""
        return self.history.read()
