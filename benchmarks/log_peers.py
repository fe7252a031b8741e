"""Cost of logging ten metrics a step beside other trackers, in one run on one machine.

    python benchmarks/log_peers.py [calls]

Measures what is installed of wandb (offline), TensorBoard's writer of torch, Trackio and SwanLab
(offline), each in a process of its own with its files in a temporary folder, 100 us of work between
calls. Prints a table of microseconds per step: what the training loop waits for, not what other
threads and processes do meanwhile; "end" is the time until the tracker has let go, in seconds.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

METRICS = {f"layer{number}/norm": 0.1 * number for number in range(10)}
PAUSE_SECONDS = 100e-6
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
    writer: Any = importlib.import_module("torch.utils.tensorboard").SummaryWriter("tensorboard")

    def log(step: int) -> None:
        for name, value in METRICS.items():
            writer.add_scalar(name, value, step)

    return log, writer.close


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


def measure(name: str, calls: int) -> str:
    log, end = STARTS[name]()
    log(0)
    costs = []
    clock = time.perf_counter_ns
    for step in range(1, calls + 1):
        before = clock()
        log(step)
        costs.append(clock() - before)
        until = before + PAUSE_SECONDS * 1e9
        while clock() < until:
            pass
    started = time.perf_counter()
    end()
    seconds = time.perf_counter() - started
    costs.sort()
    p50, p99 = (costs[int(calls * share)] / 1e3 for share in (0.5, 0.99))
    mean = sum(costs) / calls / 1e3
    return f"{name:12} {p50:9.2f} {mean:9.2f} {p99:9.2f} {costs[-1] / 1e3:10.1f} {seconds:7.2f}"


def main() -> None:
    if len(sys.argv) == 3:
        line = measure(sys.argv[1], int(sys.argv[2]))
        print(f"\n{line}")
        return
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {calls:,} steps of 10 metrics")
    print(f"{'tracker':12} {'p50 us':>9} {'mean':>9} {'p99':>9} {'max':>10} {'end s':>7}")
    for name in STARTS:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            print(run_apart(name, calls, folder), flush=True)


def run_apart(name: str, calls: int, folder: str) -> str:
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    env = {**os.environ, "PYTHONPATH": root, "WANDB_SILENT": "true", "TRACKIO_DIR": folder}
    command = [sys.executable, os.path.abspath(__file__), name, str(calls)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=300
        )
    except subprocess.TimeoutExpired:
        return f"{name:12} took longer than 300 s"
    if done.returncode:
        return f"{name:12} {(done.stderr.strip().splitlines() or ['failed'])[-1][:80]}"
    return next(line for line in reversed(done.stdout.splitlines()) if line.startswith(name))


if __name__ == "__main__":
    main()
