"""What the sweeper does regularly for runs: liveness, and summaries that wait to be settled."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings

from runs.services import mark_crashed_runs
from runs.settling import settle_runs

LIVENESS_SECONDS = 5.0
SETTLE_SECONDS = 1.0
OUTAGE_SECONDS = 30.0


class Liveness:
    """Marks silent runs as crashed, but not those that could not reach a server that was away.

    After a pause in its own calls, and at the start, every run has the full time anew.
    """

    def __init__(self) -> None:
        self._counts_from: float | None = None

    def __call__(self, since_seconds: float) -> int:
        """Look at the runs; `since_seconds` is the time since the last call."""
        now = time.monotonic()
        if self._counts_from is None or since_seconds > OUTAGE_SECONDS:
            self._counts_from = now
        if now - self._counts_from < settings.CRASHED_AFTER_SECONDS:
            return 0
        return len(mark_crashed_runs())


def settle(since_seconds: float) -> int:
    """Recompute flagged summaries."""
    return settle_runs()


def make_chores() -> list[tuple[str, float, Callable[[float], object]]]:
    """Return what the sweeper is to call: name, seconds between calls, function."""
    return [
        ("liveness", LIVENESS_SECONDS, Liveness()),
        ("settle", SETTLE_SECONDS, settle),
    ]
