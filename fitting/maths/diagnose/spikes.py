"""Values far outside the values before them, counted by the rules that the field uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.diagnose.history import HUGE
from fitting.maths.diagnose.track import NEVER, Track
from fitting.maths.records import BoolArray, FloatArray, IntArray

MAX_KEPT = 2048  # spikes whose step is remembered, first ones first
NOTHING = 1e-13  # a variance below this share of the mean square is rounding
MAD_TO_SD = 1.4826  # for a normal distribution
CHUNK = 1 << 15


@dataclass(frozen=True)
class Preset:
    """One published rule.

    Parameters
    ----------
    kind : ``sd`` (distance from the mean in standard deviations), ``ratio`` (to the mean), or
        ``mad`` (distance from the median in scaled median absolute deviations)
    window : values before the one that is judged
    limit : from this distance or ratio on a value is a spike
    streak : so many in a row make one spike
    min_points : values from which on the rule is used by default
    """

    name: str
    kind: str
    window: int
    limit: float
    two_sided: bool
    streak: int
    min_points: int
    source: str


PRESETS = {
    item.name: item
    for item in (
        Preset("olmo2", "sd", 1000, 7.0, True, 1, 1100, "OLMo 2, arXiv 2501.00656, section 3.2"),
        Preset("olmo-core", "sd", 128, 6.0, False, 1, 192, "OLMo-core stability_monitor.py"),
        Preset("kill-loss-spike", "ratio", 100, 2.0, False, 5, 105, "llm-foundry KillLossSpike"),
        Preset("robust", "mad", 65, 7.0, True, 1, 130, "ScaleDash default"),
    )
}


@dataclass(frozen=True)
class Scorer:
    """One preset at work on one series.

    Parameters
    ----------
    carry : ndarray, the values from the start of the window-long block before the current one on
    n : finite values seen
    n_scored, n_spikes : values with a full window before them, and those that were spikes
    steps, scores : ndarray, the first `MAX_KEPT` spikes
    run : values over the limit in a row, up to the last one
    """

    preset: str
    centre: float
    carry: FloatArray
    n: int
    n_scored: int
    n_spikes: int
    steps: IntArray
    scores: FloatArray
    worst: float
    worst_step: int
    run: int

    @classmethod
    def start(cls, preset: str) -> Scorer:
        """Return a scorer that has seen nothing."""
        none = np.empty(0)
        return cls(preset, np.nan, none, 0, 0, 0, none.astype(np.int64), none, 0.0, NEVER, 0)

    def extend(self, steps: IntArray, values: FloatArray) -> Scorer:
        """Return the scorer after later, finite values."""
        grown = self
        for first in range(0, len(steps), CHUNK):
            part = slice(first, first + CHUNK)
            grown = grown._extend(steps[part], values[part])
        return grown

    def _extend(self, steps: IntArray, values: FloatArray) -> Scorer:
        rule = PRESETS[self.preset]
        centre = float(np.clip(values[0], -HUGE, HUGE)) if np.isnan(self.centre) else self.centre
        found = np.concatenate([self.carry, np.clip(values, -HUGE, HUGE)])
        place = np.arange(len(self.carry), len(found))
        scored = place[place >= rule.window]
        score = np.zeros(len(values))
        if scored.size:
            score[scored - len(self.carry)] = _score(rule, found, scored, centre)
        is_spike, run = _apply_streak(score >= rule.limit, self.run, rule.streak)
        n = self.n + len(values)
        keep_from = max(n // rule.window - 1, 0) * rule.window
        grown = replace(
            self,
            centre=centre,
            carry=found[len(found) - (n - keep_from) :],
            n=n,
            n_scored=self.n_scored + scored.size,
            run=run,
        )
        return grown._note(steps[is_spike], score[is_spike])

    def _note(self, steps: IntArray, scores: FloatArray) -> Scorer:
        if not steps.size:
            return self
        room = max(MAX_KEPT - len(self.steps), 0)
        top = int(np.argmax(scores))
        is_worse = scores[top] > self.worst
        return replace(
            self,
            n_spikes=self.n_spikes + steps.size,
            steps=np.concatenate([self.steps, steps[:room]]),
            scores=np.concatenate([self.scores, scores[:room]]),
            worst=float(scores[top]) if is_worse else self.worst,
            worst_step=int(steps[top]) if is_worse else self.worst_step,
        )


@dataclass(frozen=True)
class Spikes:
    """A track with every preset at work on it."""

    track: Track
    scorers: tuple[Scorer, ...]

    @classmethod
    def start(cls, presets: tuple[str, ...] = tuple(PRESETS)) -> Spikes:
        """Return what has seen nothing."""
        scorers = tuple(Scorer.start(name) for name in presets)
        return cls(Track.start(capacity=256, has_texture=True), scorers)

    def extend(self, steps: IntArray, values: FloatArray) -> Spikes:
        """Return it after points at later steps; non-finite ones are counted by the track only."""
        ok = np.isfinite(values)
        scorers = tuple(scorer.extend(steps[ok], values[ok]) for scorer in self.scorers)
        return Spikes(self.track.extend(steps, values), scorers)

    def get(self, preset: str) -> Scorer:
        """Return the scorer of one preset."""
        return next(scorer for scorer in self.scorers if scorer.preset == preset)


def _score(rule: Preset, found: FloatArray, places: IntArray, centre: float) -> FloatArray:
    """Return how far the values at `places` lie from the window before them."""
    if rule.kind == "mad":
        return _score_by_median(rule, found, places)
    mean = _sum_windows(found - centre, rule.window)[places] / rule.window
    x = found[places] - centre
    if rule.kind == "ratio":
        whole = mean + centre
        return np.where(whole > 0, found[places] / np.where(whole > 0, whole, 1.0), 0.0)
    square = _sum_windows((found - centre) ** 2, rule.window)[places] / rule.window
    variance = square - mean**2
    sd = np.sqrt(np.where(variance > NOTHING * square, variance, np.inf))
    distance = np.abs(x - mean) if rule.two_sided else x - mean
    return np.where(sd > 1e-10, distance / sd, 0.0)


def _sum_windows(x: FloatArray, window: int) -> FloatArray:
    """Return the sum of the `window` values before each place, without running subtraction.

    A window is the end of one aligned block and the beginning of the next, so a huge value leaves
    no rounding error behind, and the split into batches changes nothing.
    """
    n_blocks = -(-len(x) // window)
    blocks = np.zeros((n_blocks, window))
    blocks.reshape(-1)[: len(x)] = x
    prefix = np.zeros((n_blocks, window))
    np.cumsum(blocks[:, :-1], axis=1, out=prefix[:, 1:])
    suffix = np.cumsum(blocks[:, ::-1], axis=1)[:, ::-1]
    sums = prefix
    sums[1:] += suffix[:-1]
    return sums.reshape(-1)[: len(x)]


def _score_by_median(rule: Preset, found: FloatArray, places: IntArray) -> FloatArray:
    windows = np.lib.stride_tricks.sliding_window_view(found, rule.window)[places - rule.window]
    median = np.median(windows, axis=1)
    mad = np.median(np.abs(windows - median[:, None]), axis=1) * MAD_TO_SD
    distance = np.abs(found[places] - median)
    return np.where(mad > 0, distance / np.where(mad > 0, mad, 1.0), 0.0)


def _apply_streak(over: BoolArray, run: int, streak: int) -> tuple[BoolArray, int]:
    """Return where the `streak`-th value in a row is over, and the run at the end."""
    place = np.arange(1, len(over) + 1)
    last_under = np.maximum.accumulate(np.where(over, 0, place))
    runs = np.where(last_under > 0, place - last_under, place + run)
    return over & (runs == streak) if streak > 1 else over, int(runs[-1]) if len(runs) else run
