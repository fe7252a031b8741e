"""MLflow's server on SQLite, through its own client; runs in MLflow's own environment."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import peer_workload

READY_SECONDS = 120.0
MOST_METRICS = 1_000  # of one request, by MLflow's limit


class Mlflow(peer_workload.Tracker):
    """The workload's calls, in MLflow's words."""

    def __init__(self, url: str) -> None:
        from mlflow import MlflowClient

        self._client: Any = MlflowClient(tracking_uri=url)
        self._experiment = self._client.create_experiment("peers")

    def open_run(self, name: str, params: Mapping[str, float]) -> str:
        """Create a run with its parameters."""
        from mlflow.entities import Param

        run_id: str = self._client.create_run(self._experiment, run_name=name).info.run_id
        if params:
            pairs = [Param(key, str(value)) for key, value in params.items()]
            self._client.log_batch(run_id, params=pairs)
        return run_id

    def log(self, run: str, first_step: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Store the values, a thousand a request."""
        from mlflow.entities import Metric

        points = [
            Metric(name, value, 1_760_000_000_000 + 250 * step, step)
            for name, values in metrics.items()
            for step, value in enumerate(values, first_step)
        ]
        for first in range(0, len(points), MOST_METRICS):
            self._client.log_batch(run, metrics=points[first : first + MOST_METRICS])

    def finish(self, run: str) -> None:
        """End a run."""
        self._client.set_terminated(run)

    def count_listed(self) -> int:
        """List the runs, and count those with parameters and last values."""
        found = self._client.search_runs([self._experiment], max_results=1_000)
        return sum(bool(run.data.params and run.data.metrics) for run in found)

    def count_points(self, runs: Sequence[str], metric: str) -> int:
        """Read the histories, one after the other."""
        return sum(len(self._client.get_metric_history(run, metric)) for run in runs)


@contextlib.contextmanager
def serve() -> Iterator[str]:
    """Run `mlflow server` with one worker in the current folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    store = ["--backend-store-uri", "sqlite:///mlflow.db", "--default-artifact-root", "./artifacts"]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    with open("server.log", "w") as log:
        child = subprocess.Popen([*command, *store], stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_open(f"{url}/health"):
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mlflow server did not start: {Path('server.log').read_text()}")
            time.sleep(0.2)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, 15)
        child.wait(30)


def is_open(url: str) -> bool:
    """Say whether the server answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    with serve() as address:
        peer_workload.print_figures(Mlflow(address))
