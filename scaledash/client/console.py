"""Lines for the person who watches the training: on stderr, one per cause."""

from __future__ import annotations

import sys
import threading


class Console:
    """Say things once per cause; stay quiet on demand.

    Parameters
    ----------
    silent : bool
        Keep notices to itself; warnings are still counted in `causes`.
    """

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.causes: dict[str, int] = {}
        self._lock = threading.Lock()

    def notice(self, text: str) -> None:
        """Print one line."""
        if self.silent:
            return
        try:
            print(f"scaledash: {text}", file=sys.stderr, flush=True)  # noqa: T201
        except (OSError, ValueError, AttributeError):
            return  # stderr is closed or absent; training goes on

    def warn(self, cause: str, text: str) -> None:
        """Print the text the first time this cause occurs, and count every time."""
        with self._lock:
            self.causes[cause] = self.causes.get(cause, 0) + 1
            is_first = self.causes[cause] == 1
        if is_first:
            self.notice(f"warning: {text}")
