"""Cost of logging ten metrics a step beside other trackers, in one run on one machine.

    python benchmarks/log_peers.py [steps]        (`make bench PEERS=1` does it too)

Measures what is installed of wandb, TensorBoard's writer (of torch, else tensorboardX), Trackio and
SwanLab, all offline, each in a process of its own with its files in a temporary folder. Each step
has ten milliseconds of work. Prints microseconds that a step waits for the tracker, and what
logging costs the training loop, in percent of its work: "wall" compares blocks of steps with and
without logging, in pairs, and takes the median; "cpu" does so with the processor time of the
whole process, threads included, which other load on the machine does not blur; a sender process
counts in neither. "end" is the time until the tracker has let go, in seconds.
"""

from __future__ import annotations

import importlib
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from benchmarks.bounded import run_bounded

ROOT = sys.path[0]
METRICS = {f"layer{number}/norm": 0.1 * number for number in range(10)}
WORK_SECONDS = 10e-3
BLOCK_STEPS = 25
LOOP_SECONDS = 45.0  # of one tracker's loop; on a quiet machine it takes 30
MOST_SECONDS = 120.0  # of one tracker with its start and its end
Log = Callable[[int], object]
End = Callable[[], object]


def start_scaledash() -> tuple[Log, End]:
    scaledash = importlib.import_module("scaledash")
    run = scaledash.init("benchmark", mode="offline", settings=scaledash.Settings(silent=True))
    return lambda step: run.log(METRICS, step=step), run.finish


def start_wandb() -> tuple[Log, End]:
    wandb: Any = importlib.import_module("wandb")
    run = wandb.init(project="benchmark", mode="offline", settings=wandb.Settings(silent=True))
    return lambda step: run.log(METRICS, step=step), run.finish


def start_tensorboard() -> tuple[Log, End]:
    writer: Any = find_writer().SummaryWriter("tensorboard")

    def log(step: int) -> None:
        for name, value in METRICS.items():
            writer.add_scalar(name, value, step)

    return log, writer.close


def find_writer() -> Any:
    """Return the module of TensorBoard's writer: torch's, else tensorboardX."""
    try:
        return importlib.import_module("torch.utils.tensorboard")
    except ImportError:
        return importlib.import_module("tensorboardX")


def start_trackio() -> tuple[Log, End]:
    trackio: Any = importlib.import_module("trackio")
    trackio.init(project="benchmark", embed=False)
    return lambda step: trackio.log(METRICS, step=step), trackio.finish


def start_swanlab() -> tuple[Log, End]:
    swanlab: Any = importlib.import_module("swanlab")
    swanlab.init(project="benchmark", mode="offline")
    return lambda step: swanlab.log(METRICS, step=step), swanlab.finish


STARTS = {
    "scaledash": start_scaledash,
    "wandb": start_wandb,
    "tensorboard": start_tensorboard,
    "trackio": start_trackio,
    "swanlab": start_swanlab,
}


@dataclass
class Cost:
    """What logging costs: nanoseconds of each call, sorted, and shares of the loop's work."""

    calls: list[int]
    wall: float
    cpu: float

    def take(self, share: float) -> float:
        """Return a quantile of the calls in microseconds."""
        return self.calls[int(len(self.calls) * share)] / 1e3


def work(rounds: int) -> float:
    """Keep the processor busy, in Python."""
    total = 0.0
    for number in range(rounds):
        total += number * 1.000_001
    return total


def find_rounds() -> int:
    """Return how many rounds of work a step has."""
    started = time.process_time()
    work(2_000_000)
    return int(2_000_000 * WORK_SECONDS / (time.process_time() - started))


def measure_loop(log: Log, steps: int, seconds: float = math.inf) -> Cost:
    """Run a training loop whose blocks of steps log and do not log in turns; ends when it may."""
    rounds, clock, until = find_rounds(), time.perf_counter_ns, time.monotonic() + seconds
    calls: list[int] = []
    walls, cpus = [], []
    for first in range(1, steps + 1, BLOCK_STEPS):
        quiet = time_block(lambda step: None, range(BLOCK_STEPS), rounds)

        def log_timed(step: int) -> None:
            before = clock()
            log(step)
            calls.append(clock() - before)

        loud = time_block(log_timed, range(first, first + BLOCK_STEPS), rounds)
        walls.append(loud[0] / quiet[0] - 1)
        cpus.append(loud[1] / quiet[1] - 1)
        if time.monotonic() > until:
            break
    return Cost(sorted(calls), statistics.median(walls), statistics.median(cpus))


def time_block(log: Log, steps: range, rounds: int) -> tuple[float, float]:
    """Return the seconds of a block: by the clock, and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    for step in steps:
        work(rounds)
        log(step)
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(name: str, steps: int) -> str:
    """Measure one tracker; returns its line of the table."""
    log, end = STARTS[name]()
    log(0)
    cost = measure_loop(log, steps, LOOP_SECONDS)
    started = time.perf_counter()
    end()
    seconds = time.perf_counter() - started
    mean = sum(cost.calls) / len(cost.calls) / 1e3
    return (
        f"{name:12} {len(cost.calls):6} {cost.take(0.5):9.2f} {mean:9.2f} {cost.take(0.99):9.2f}"
        f" {cost.calls[-1] / 1e3:10.1f} {100 * cost.wall:7.2f} {100 * cost.cpu:7.2f} {seconds:7.2f}"
    )


def main() -> None:
    if len(sys.argv) == 3:
        line = measure(sys.argv[1], int(sys.argv[2]))
        print(f"\n{line}")
        return
    print_peers(int(sys.argv[1]) if len(sys.argv) > 1 else 1_500)


def print_peers(steps: int, python: str = sys.executable) -> None:
    """Measure every tracker that an interpreter has, and print the table."""
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {steps:,} steps of 10 metrics;")
    print(f"whose loop takes {LOOP_SECONDS:.0f} s is measured over the steps that it has made.")
    heads = f"{'tracker':12} {'steps':>6} {'p50 us':>9} {'mean':>9} {'p99':>9} {'max':>10}"
    print(f"{heads} {'wall %':>7} {'cpu %':>7} {'end s':>7}")
    for name in STARTS:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            print(run_apart(python, name, steps, folder), flush=True)


def run_apart(python: str, name: str, steps: int, folder: str) -> str:
    """Measure a tracker in a process of its own; says why where it has to be left out."""
    env = {**os.environ, "PYTHONPATH": ROOT, "WANDB_SILENT": "true", "TRACKIO_DIR": folder}
    command = [python, os.path.abspath(__file__), name, str(steps)]
    done = run_bounded(command, folder, MOST_SECONDS, env)
    lines = [line for line in done.output.splitlines() if line.startswith(f"{name} ")]
    return lines[-1] if lines else f"{name:12} left out: {done.problem or 'it printed nothing'}"


if __name__ == "__main__":
    main()
