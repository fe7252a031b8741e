"""The demo's real runs of the sweep, and their replay through the client into a real server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

import scaledash
from demo.load import Run, read_runs

FAST = {"flush_seconds": 0.05}


@cache
def list_sweep() -> tuple[Run, ...]:
    """Return the runs of the demo study of learning rates."""
    return tuple(run for run in read_runs() if "lr-sweep" in run["studies"])


def find_runs(**config: object) -> list[Run]:
    """Return those with these values in their config, the narrowest first."""
    found = [
        run
        for run in list_sweep()
        if all(run["config"][name] == value for name, value in config.items())
    ]
    return sorted(found, key=lambda run: (run["config"]["width"], run["config"]["seed"]))


def replay(run: Run, project: str, study: str, metrics: Iterable[str], **place: Any) -> str:
    """Log a run again as its training script did: the same steps and values; returns its id."""
    rows: dict[int, dict[str, float]] = defaultdict(dict)
    for name, series in run["metrics"].items():
        if name.startswith(tuple(metrics)):
            for step, value in zip(series["steps"], series["values"], strict=True):
                rows[step][name] = float(value)
    settings = scaledash.Settings(**place, **FAST)
    logged = scaledash.init(
        project, study=study, name=run["name"], config=run["config"], settings=settings
    )
    for step in sorted(rows):
        logged.log(rows[step], step=step)
    result = logged.finish()
    assert (result.pending, result.dropped) == (0, 0)
    return logged.id
