"""One workload for every tracker: what is logged must be there to be read at once.

Standard library only: it runs in the environment of the tracker that it measures.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

Handle = Any
STEPS, METRICS = 1_000, 10  # of a bulk of 10,000 points
BULKS, FLUSHES, RUNS, REPEATS = 3, 60, 100, 5
PARAMS = {f"group.key{number}": number * 0.5 for number in range(30)}
BULK = "10,000 points, each bulk readable at once"
FLUSH = "10 metrics x 10 steps, a flush"
LIFE = "create, 30 parameters, 500 points, finish"
LIST = f"list {RUNS} runs with parameters and last values"
SERIES = "one series of 10,000 points, full"
MANY = "one metric of 20 runs x 1,000 points"
UNITS = {BULK: "points/s", FLUSH: "ms", LIFE: "runs/s", LIST: "ms", SERIES: "ms", MANY: "ms"}


class Tracker(Protocol):
    """What the workload asks of a tracker; those below derive from it."""

    def open_run(self, name: str, params: Mapping[str, float]) -> Handle:
        """Create a run with its parameters."""

    def log(self, run: Handle, first_step: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Store the values of consecutive steps; return when they can be read."""

    def finish(self, run: Handle) -> None:
        """End a run."""

    def store_run(
        self, name: str, params: Mapping[str, float], metrics: Mapping[str, Sequence[float]]
    ) -> None:
        """Store a short run that has ended, in whatever way the tracker has for it."""
        run = self.open_run(name, params)
        self.log(run, 0, metrics)
        self.finish(run)

    def count_listed(self) -> int:
        """List the runs with parameters and last values, and count those that have both."""

    def count_points(self, runs: Sequence[Handle], metric: str) -> int:
        """Read every point of a metric of some runs, and count them."""


def make_values(n: int, seed: int) -> list[float]:
    """Return a falling loss with noise."""
    dice = random.Random(seed)
    return [3.0 + 2.0 * (step + 1) ** -0.3 + dice.gauss(0, 0.02) for step in range(n)]


def print_figures(tracker: Tracker) -> None:
    """Print a line of JSON, quantity -> figure, as soon as each is measured."""
    for quantity, figure in measure(tracker):
        print(json.dumps({quantity: figure}), flush=True)


def measure(tracker: Tracker) -> Iterator[tuple[str, float]]:
    """Yield each quantity of UNITS with its figure."""
    yield BULK, measure_bulk(tracker)
    yield FLUSH, measure_flush(tracker)
    yield LIFE, measure_life(tracker)
    yield LIST, 1e3 * time_median(lambda: expect(tracker.count_listed() >= RUNS))
    long = tracker.open_run("long", {})
    tracker.log(long, 0, {"loss": make_values(10_000, 1)})
    yield SERIES, 1e3 * time_median(lambda: expect(tracker.count_points([long], "loss") == 10_000))
    many = []
    for place in range(20):
        many.append(tracker.open_run(f"many{place}", {}))
        tracker.log(many[-1], 0, {"loss": make_values(1_000, place)})
    yield MANY, 1e3 * time_median(lambda: expect(tracker.count_points(many, "loss") == 20_000))


def measure_bulk(tracker: Tracker) -> float:
    """Return points per second."""
    run = tracker.open_run("bulk", {})
    costs = []
    for bulk in range(BULKS + 1):
        metrics = {f"m{m}/loss": make_values(STEPS, m) for m in range(METRICS)}
        costs.append(time_once(lambda b=bulk, m=metrics: tracker.log(run, b * STEPS, m)))
    return STEPS * METRICS / statistics.median(costs[1:])


def measure_flush(tracker: Tracker) -> float:
    """Return milliseconds a flush."""
    run = tracker.open_run("flush", {})
    costs = []
    for flush in range(FLUSHES):
        metrics = {f"m{m}/loss": make_values(10, m) for m in range(METRICS)}
        costs.append(time_once(lambda f=flush, m=metrics: tracker.log(run, f * 10, m)))
    return 1e3 * statistics.median(costs[5:])


def measure_life(tracker: Tracker) -> float:
    """Return runs per second; the runs stay for the list."""
    metrics = {f"m{m}/loss": make_values(100, m) for m in range(5)}
    start = time.perf_counter()
    for place in range(RUNS):
        tracker.store_run(f"life{place}", PARAMS, metrics)
    return RUNS / (time.perf_counter() - start)


def time_median(work: Callable[[], object]) -> float:
    """Return the median seconds of a piece of work, after one that warms up.

    Three repeats are enough of what takes seconds.
    """
    work()
    costs = [time_once(work) for _ in range(3)]
    more = REPEATS - 3 if costs[0] < 1 else 0
    return statistics.median(costs + [time_once(work) for _ in range(more)])


def time_once(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def expect(is_whole: bool) -> None:
    """Refuse a figure of an answer that is not whole."""
    if not is_whole:
        raise RuntimeError("The tracker did not give back everything that was logged.")
