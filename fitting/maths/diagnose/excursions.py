"""Stretches of a loss curve above where it had been: the raw material of D8."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fitting.maths.diagnose.history import Samples
from fitting.maths.diagnose.trend import find_noise, fit_line
from fitting.maths.records import BoolArray, FloatArray

SMOOTHING = 0.01  # of the run: width of the rolling median
BEFORE = 0.05  # of the run: what an excursion is compared with
MIN_WINDOW = 5
MIN_BUCKETS = 3  # fewer logged values above make no excursion, only a spike
NOISE_MULTIPLE = 5.0
JUMP = 7.0  # standard deviations of the noise
SLOPE_SHARE = 0.05


@dataclass(frozen=True)
class Excursion:
    """One stretch above the reference.

    Parameters
    ----------
    onset, end : steps; `end` is None while the loss is still above
    reference : median of the 5% of the run before the onset
    peak : highest logged value
    length : steps from onset to end, or to the last step
    has_jump : one value rose by more than seven standard deviations of the noise
    is_rising : the last stretch, up to the peak where the loss is back, has a positive slope
    """

    onset: int
    end: int | None
    reference: float
    peak: float
    length: float
    has_jump: bool
    is_rising: bool


@dataclass(frozen=True)
class Shape:
    """A loss curve prepared for judgement.

    Parameters
    ----------
    smooth : ndarray, rolling median over 1% of the run
    tolerance : excess over the best smoothed loss that counts: the limit, or five standard
        deviations of the smoothed noise where those are more
    """

    curve: Samples
    smooth: FloatArray
    noise: float
    tolerance: float
    run_length: float

    @classmethod
    def read(cls, curve: Samples, run_length: float, excess: float) -> Shape:
        """Smooth a curve and measure its noise."""
        gap = (curve.step[-1] - curve.first[0]) / max(len(curve) - 1, 1)
        width = max(MIN_WINDOW, int(SMOOTHING * run_length / max(gap, 1e-9)) | 1)
        smooth = roll_median(curve.mean, width)
        noise = find_noise(curve.mean[len(curve) // 10 :])
        spread = NOISE_MULTIPLE * 1.25 * noise / math.sqrt(width)
        return cls(curve, smooth, noise, max(excess, spread), run_length)

    def find_excursions(self) -> list[Excursion]:
        """Return the stretches in which the smoothed loss lies above its best so far."""
        best = np.minimum.accumulate(self.smooth)
        edges = np.diff(
            np.concatenate([[0], (self.smooth - best > self.tolerance).astype(int), [0]])
        )
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        found = (
            self._describe(int(start), int(end)) for start, end in zip(starts, ends, strict=True)
        )
        return [item for item in found if item is not None]

    def _describe(self, start: int, end: int) -> Excursion | None:
        curve = self.curve
        from_step = curve.step[start] - BEFORE * self.run_length
        before = slice(max(min(int(np.searchsorted(curve.step, from_step)), start - 3), 0), start)
        reference = float(np.median(curve.mean[before])) if start else float(curve.mean[0])
        onset = self._find_onset(start, reference)
        above = curve.mean[onset:end]
        if len(above) < MIN_BUCKETS or np.median(above) < reference + self.tolerance:
            return None
        is_open = end == len(curve)
        last = curve.step[-1] if is_open else curve.step[end]
        steps = np.diff(curve.mean[max(onset - 1, 0) : end])
        has_jump = bool(steps.size and steps.max() > max(JUMP * self.noise, self.tolerance))
        return Excursion(
            int(curve.step[onset]),
            None if is_open else int(curve.step[end]),
            reference,
            float(curve.high[onset:end].max()),
            float(last - curve.step[onset]),
            has_jump,
            self._is_rising(onset, end if is_open else onset + self._find_peak(onset, end)),
        )

    def _find_peak(self, onset: int, end: int) -> int:
        """Return how many buckets it takes to the highest smoothed loss, five at least."""
        return max(int(np.argmax(self.smooth[onset:end])) + 1, 5)

    def _find_onset(self, start: int, reference: float) -> int:
        """Return where the values left the reference, at or before the smoothed excess."""
        place = start
        while place > 0 and self.curve.mean[place - 1] > reference + self.tolerance / 2:
            place -= 1
        return place

    def _is_rising(self, onset: int, end: int) -> bool:
        """Look at the last 5% of the run, or at the second half of a longer excursion."""
        curve = self.curve
        length = max(SLOPE_SHARE * self.run_length, (curve.step[end - 1] - curve.step[onset]) / 2)
        from_step = curve.step[end - 1] - length
        first = min(int(np.searchsorted(curve.step, from_step)), end - 5)
        part = slice(max(first, 0), end)
        line = fit_line(curve.step[part].astype(np.float64), curve.mean[part])
        return line is not None and line.is_rising

    def find_spikes(self, height: float) -> BoolArray:
        """Return which buckets hold a value far above the curve around and before them."""
        above = self.curve.high - self.smooth
        spread = 1.4826 * float(np.median(np.abs(above - np.median(above))))
        limit = max(height, JUMP * spread) + np.median(above)
        before = np.minimum.accumulate(self.smooth)
        before = np.concatenate([np.full(MIN_BUCKETS, np.inf), before[:-MIN_BUCKETS]])
        found: BoolArray = (above > limit) & (self.curve.high > before + limit)
        return found


def roll_median(y: FloatArray, width: int) -> FloatArray:
    """Return the centred rolling median; the ends are padded with their own reflection."""
    half = min(width // 2, len(y) - 1)
    if half < 1:
        return y.copy()
    padded = np.pad(y, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.median(windows, axis=1), dtype=np.float64)
