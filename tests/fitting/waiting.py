"""Waiting on conditions, with a deadline that names what did not come."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE_SECONDS = 120.0  # of a machine with much else to do; what comes is not waited for
POLL_SECONDS = 0.05


def wait_until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:.0f} s"
        time.sleep(POLL_SECONDS)
