"""Attempts: what a resumed or rewound run hides, and which attempt a batch belongs to. Pure.

A point of attempt `a` at step `s` is visible unless a later attempt starts at or below `s`.
Attempt 0 is the run's beginning and has no row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEVER = 2**62  # beyond every step


@dataclass(frozen=True)
class Start:
    """One attempt after the first: where it starts, and by whose key it is shared."""

    no: int
    start_step: int
    attempt_key: str = ""


@dataclass(frozen=True)
class Wish:
    """What a batch or a request says about its attempt; `own` is None for a new writer."""

    own: int | None
    start_step: int | None = None
    rewind: int | None = None
    attempt_key: str = ""

    @property
    def step(self) -> int | None:
        """Return the step from which on older points are to be hidden, if any."""
        return self.start_step if self.rewind is None else self.rewind


@dataclass(frozen=True)
class Choice:
    """The attempt of a batch; `opens` and `lowers` say what has to be written for it."""

    no: int
    start_step: int | None = None
    opens: bool = False
    lowers: bool = False

    @property
    def hides(self) -> bool:
        """Say whether points that were visible may no longer be."""
        return self.opens or self.lowers


def choose_attempt(
    wish: Wish, newest: int, last_step: int | None, starts: Sequence[Start]
) -> Choice:
    """Open, join or keep an attempt.

    `starts` are the run's attempts after the first, by number; they are looked at only where the
    wish names a step.
    """
    step = wish.step
    if step is None:
        return Choice(newest if wish.own is None else wish.own)
    shared = next(
        (s for s in starts if wish.attempt_key and s.attempt_key == wish.attempt_key), None
    )
    if shared is not None:
        return Choice(shared.no, min(step, shared.start_step), lowers=step < shared.start_step)
    is_reached = last_step is not None and step <= last_step
    if wish.rewind is None and not is_reached:
        return Choice(newest)
    current = starts[-1] if starts else None
    if current is not None and current.start_step == step and _may_join(wish, current):
        return Choice(current.no)
    return Choice(newest + 1, step, opens=True)


def _may_join(wish: Wish, current: Start) -> bool:
    """Say whether a writer without a key shares the newest attempt: it has not written there."""
    return not wish.attempt_key and not current.attempt_key and wish.own != current.no


def compute_limits(starts: Mapping[int, int], newest: int) -> NDArray[np.int64]:
    """Return for each attempt the step from which on its points are hidden."""
    limits = np.full(newest + 1, NEVER, dtype=np.int64)
    lowest = NEVER
    for no in range(newest, 0, -1):
        lowest = min(lowest, starts.get(no, NEVER))
        limits[no - 1] = lowest
    return limits
