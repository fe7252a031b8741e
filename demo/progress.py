"""A progress line on stderr: redrawn on a terminal, one line in ten percent steps elsewhere."""

from __future__ import annotations

import sys
import time

BAR_WIDTH = 24


class Progress:
    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.count = 0
        self.started = time.monotonic()
        self.is_terminal = sys.stderr.isatty()

    def advance(self, text: str = "", by: int = 1) -> None:
        """Count finished items and redraw."""
        tenth_before = 10 * self.count // max(1, self.total)
        self.count += by
        is_tenth = 10 * self.count // max(1, self.total) > tenth_before
        if self.is_terminal or is_tenth:
            end = "" if self.is_terminal else "\n"
            sys.stderr.write(("\r\x1b[K" if self.is_terminal else "") + self.draw(text) + end)
            sys.stderr.flush()

    def draw(self, text: str) -> str:
        done = self.count / max(1, self.total)
        bar = ("#" * round(BAR_WIDTH * done)).ljust(BAR_WIDTH, ".")
        elapsed = time.monotonic() - self.started
        left = elapsed * (1 - done) / done if done else 0.0
        minutes, seconds = divmod(round(left), 60)
        line = f"{self.label} [{bar}] {self.count}/{self.total}  {minutes}:{seconds:02} left"
        return f"{line}  {text}".rstrip()

    def close(self) -> None:
        if self.is_terminal:
            sys.stderr.write("\n")
