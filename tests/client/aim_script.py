"""Write an Aim repository with the real package: `aim_script.py FOLDER first|more`."""

from __future__ import annotations

import os
import sys

from aim import Repo, Run, Text

STEPS = 300
QUIET = {"system_tracking_interval": None, "capture_terminal_logs": False}


def write_first(folder: str) -> None:
    """One closed run, and one that is killed while it writes."""
    Repo.from_path(folder, init=True)
    run = Run(repo=folder, experiment="grid", log_system_params=True, **QUIET)
    run.name, run.description = "closed", "a note"
    run.add_tag("base")
    run["hparams"] = {"lr": 0.01, "model": {"width": 64}, "api_key": "canary-secret"}
    for step in range(STEPS):
        run.track(3 / (step + 1), name="loss", step=step * 10, context={"subset": "train"})
    run.track(0.5, name="loss", step=7, context={"subset": "val"})
    run.track(float("nan"), name="odd", step=1)
    run.track(float("-inf"), name="odd", step=2, context={"rank": 1})
    run.track(Text("not stored"), name="words", step=0)
    run.close()
    killed = Run(repo=folder, run_hash=None, **QUIET)
    killed.name = "killed"
    for value in range(5):
        killed.track(value, name="count")
    sys.stdout.write(killed.hash)
    sys.stdout.flush()
    os._exit(1)


def write_more(folder: str, run_hash: str) -> None:
    """The killed run goes on, and ends."""
    run = Run(run_hash=run_hash, repo=folder, force_resume=True, **QUIET)
    for value in range(5, 8):
        run.track(value, name="count", step=value)
    run.close()


if __name__ == "__main__":
    if sys.argv[2] == "first":
        write_first(sys.argv[1])
    else:
        write_more(sys.argv[1], sys.argv[3])
