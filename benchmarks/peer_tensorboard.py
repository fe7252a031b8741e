"""TensorBoard's event files in its own process, by its own writer and reader; no server.

What is logged is flushed before it counts; nobody else can see it earlier.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks import peer_workload

FOLDER = Path("tensorboard")
SESSION = "_hparams_/session_start_info"


class TensorBoard(peer_workload.Tracker):
    """The workload's calls, in TensorBoard's words."""

    def __init__(self) -> None:
        from tensorboard.backend.event_processing import event_accumulator
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import event_file_writer

        self._make_event: Any = event_pb2.Event
        self._make_summary: Any = summary_pb2.Summary
        self._make_reader: Any = event_accumulator.EventAccumulator
        self._make_writer: Any = event_file_writer.EventFileWriter
        self._writers: dict[str, Any] = {}

    def open_run(self, name: str, params: Mapping[str, float]) -> str:
        """Open the file of a run; its parameters are an event of the plugin for them."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        writer = self._writers[name] = self._make_writer(str(FOLDER / name))
        if params:
            started = hparams_pb(dict(params))
            writer.add_event(self._make_event(wall_time=time.time(), summary=started))
            writer.flush()
        return name

    def log(self, run: str, first_step: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Write an event for each value, and let them go to the file."""
        writer, value_of = self._writers[run], self._make_summary.Value
        for metric, values in metrics.items():
            for step, value in enumerate(values, first_step):
                summary = self._make_summary(value=[value_of(tag=metric, simple_value=value)])
                event = self._make_event(wall_time=time.time(), step=step, summary=summary)
                writer.add_event(event)
        writer.flush()

    def finish(self, run: str) -> None:
        """Close the file."""
        self._writers.pop(run).close()

    def count_listed(self) -> int:
        """Read the files of all runs, and count those with parameters and last values."""
        found = [self._read(folder.name) for folder in FOLDER.iterdir()]
        return sum(
            "m0/loss" in reader.Tags()["scalars"]
            and bool(reader.Scalars("m0/loss")[-1].value)
            and SESSION in reader.summary_metadata
            for reader in found
        )

    def count_points(self, runs: Sequence[str], metric: str) -> int:
        """Read the files of the runs, one after the other."""
        return sum(len(self._read(run).Scalars(metric)) for run in runs)

    def _read(self, run: str) -> Any:
        reader = self._make_reader(str(FOLDER / run), size_guidance={"scalars": 0})
        return reader.Reload()


if __name__ == "__main__":
    peer_workload.print_figures(TensorBoard())
