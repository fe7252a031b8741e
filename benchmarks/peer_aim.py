"""Aim's repository in its own process: its storage in RocksDB, without a server.

Runs are read by handles that may write: in the process that wrote them, read-only ones see nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import peer_workload


class Aim(peer_workload.Tracker):
    """The workload's calls, in Aim's words."""

    def __init__(self) -> None:
        import aim

        self._repo: Any = aim.Repo.from_path(".", init=True)
        self._make_run: Any = aim.Run
        self._context: Any = aim.storage.context.Context({})
        self._open: dict[str, Any] = {}

    def open_run(self, name: str, params: Mapping[str, float]) -> str:
        """Create a run with its parameters."""
        run = self._hold(experiment=name)
        if params:
            run["hparams"] = dict(params)
        self._open[run.hash] = run
        return str(run.hash)

    def log(self, run: str, first_step: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Track value by value, as there is no call for several steps."""
        track = self._open[run].track
        for name, values in metrics.items():
            for step, value in enumerate(values, first_step):
                track(value, name=name, step=step)

    def finish(self, run: str) -> None:
        """Close the run."""
        self._open.pop(run).close()

    def count_listed(self) -> int:
        """List the runs, and count those with parameters and last values."""
        return sum(self._has_both(name) for name in self._repo.list_all_runs())

    def count_points(self, runs: Sequence[str], metric: str) -> int:
        """Read the histories, one after the other."""
        found = [self._find(name).get_metric(metric, self._context) for name in runs]
        return sum(len(series.values.sparse_numpy()[0]) for series in found)

    def _has_both(self, name: str) -> bool:
        run = self._find(name)
        series = run.get_metric("m0/loss", self._context)
        return bool(run.get("hparams")) and series is not None and bool(series.values.last_value())

    def _find(self, name: str) -> Any:
        return self._open.get(name) or self._hold(run_hash=name)

    def _hold(self, **which: str) -> Any:
        options = {"log_system_params": False, "capture_terminal_logs": False}
        return self._make_run(repo=self._repo, system_tracking_interval=None, **which, **options)


if __name__ == "__main__":
    peer_workload.print_figures(Aim())
