"""Trackio's own storage in its own process: SQLite, without its server and without HTTP.

That is its fastest way, and less than the others do: no request, no other process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import peer_workload

PROJECT = "peers"


class Trackio(peer_workload.Tracker):
    """The workload's calls, in Trackio's words."""

    def __init__(self) -> None:
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        self._storage = SQLiteStorage
        self._api = trackio.Api()

    def open_run(self, name: str, params: Mapping[str, float]) -> str:
        """Create a run with its config, which Trackio keeps beside the first point."""
        if params:
            self._storage.bulk_log(PROJECT, name, [{}], steps=[0], config=dict(params))
        return name

    def log(self, run: str, first_step: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Store one row a step."""
        names = list(metrics)
        rows = [
            dict(zip(names, values, strict=True)) for values in zip(*metrics.values(), strict=True)
        ]
        steps = list(range(first_step, first_step + len(rows)))
        self._storage.bulk_log(PROJECT, run, rows, steps=steps)

    def finish(self, run: str) -> None:
        """Trackio has no end to write."""

    def count_listed(self) -> int:
        """List the runs, and count those with config and last values."""
        found = [(run.config, self._storage.get_logs(PROJECT, run.name)) for run in self._list()]
        return sum(bool(config and logs and "m0/loss" in logs[-1]) for config, logs in found)

    def count_points(self, runs: Sequence[str], metric: str) -> int:
        """Read the rows of the runs, one after the other."""
        return sum(metric in row for run in runs for row in self._storage.get_logs(PROJECT, run))

    def _list(self) -> Sequence[object]:
        return list(self._api.runs(PROJECT))


if __name__ == "__main__":
    os.environ["TRACKIO_DIR"] = os.getcwd()
    peer_workload.print_figures(Trackio())
