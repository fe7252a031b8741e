"""Whether a series is smoothed or rounded before it is logged, from its finest differences."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.records import FloatArray

WINDOW = 64  # points whose differences are looked at together
SMOOTH = 0.6  # lag-one correlation of the noise from which on a window counts as smoothed
MIN_WINDOWS = 3
SHARE = 0.7


@dataclass(frozen=True)
class Texture:
    """Counts of windows of `WINDOW` points: all, smoothed ones, and constant ones.

    For noise e_t = phi e_{t-1} + w_t on a slow trend, the second differences d2 and the first
    ones d1 (less their mean) give phi = 3 - sum d2^2 / sum d1^2, whatever the trend's slope.

    Parameters
    ----------
    carry : ndarray, values of the window that is not full yet
    """

    carry: FloatArray
    n: int = 0
    n_smooth: int = 0
    n_flat: int = 0

    @classmethod
    def empty(cls) -> Texture:
        """Return the texture of no points."""
        return cls(np.empty(0))

    def extend(self, values: FloatArray) -> Texture:
        """Return the texture with later points; non-finite ones are left out."""
        found = np.concatenate([self.carry, values[np.isfinite(values)]])
        n_full = found.size // WINDOW
        windows = found[: n_full * WINDOW].reshape(n_full, WINDOW)
        if not n_full:
            return replace(self, carry=found)
        scale = np.maximum(np.abs(windows).max(axis=1, keepdims=True), 1e-300)
        d1 = np.diff(windows / scale, axis=1)
        flat = (d1 == 0).all(axis=1)
        below = ((d1 - d1.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        above = (np.diff(d1, axis=1) ** 2).sum(axis=1)
        phi = 3 - above / np.where(below > 1e-24, below, np.inf)
        smooth = ~flat & (phi > SMOOTH) & (below > 1e-24)
        return Texture(
            found[n_full * WINDOW :],
            self.n + n_full,
            self.n_smooth + int(smooth.sum()),
            self.n_flat + int(flat.sum()),
        )

    @property
    def is_smoothed(self) -> bool:
        """Say whether most windows look like a moving average."""
        return self.n >= MIN_WINDOWS and self.n_smooth >= SHARE * self.n

    @property
    def is_rounded(self) -> bool:
        """Say whether windows without any variation occur."""
        return self.n_flat > 0
