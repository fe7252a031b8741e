"""Measured figures beside those to reach, as a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

REPEATS = 3


@dataclass(frozen=True)
class Row:
    """One figure: `target` is the one to reach, `is_rate` says that more is better."""

    what: str
    value: float
    unit: str
    target: float
    is_rate: bool = False

    @property
    def is_met(self) -> bool:
        """Say whether the figure is reached."""
        return self.value >= self.target if self.is_rate else self.value <= self.target


def time_median(work: Callable[[], object], repeats: int = REPEATS, warm: bool = True) -> float:
    """Return the median of the seconds that a piece of work takes, after one that warms up."""
    if warm:
        work()
    return statistics.median(time_once(work) for _ in range(repeats))


def time_once(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_number(value: float) -> str:
    """Write a figure with three digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def print_rows(rows: list[Row]) -> None:
    """Print the table as Markdown, which docs/performance.md holds."""
    print("| quantity | measured | to reach | reached |")
    print("|---|---|---|---|")
    for row in rows:
        sign = ">=" if row.is_rate else "<="
        measured = f"{write_number(row.value)} {row.unit}"
        wanted = f"{sign} {write_number(row.target)} {row.unit}"
        reached = "yes" if row.is_met else "no"
        print(f"| {row.what} | {measured} | {wanted} | {reached} |", flush=True)
