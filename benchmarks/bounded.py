"""Run a program of somebody else's for so many seconds and no longer; standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ending:
    """What a program wrote, and why it did not end well: empty where it did."""

    output: str
    problem: str


def run_bounded(
    command: Sequence[str], folder: str, seconds: float, env: Mapping[str, str] | None = None
) -> Ending:
    """Run a program in a folder; after it, or when its time is up, its process group is ended.

    Its output goes to files: a process that it leaves behind would hold a pipe open for ever.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command, cwd=folder, env=env, stdout=output, stderr=errors, start_new_session=True
        )
        problem = ""
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            problem = f"stopped after {seconds:,.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        output.seek(0)
        errors.seek(0)
        if not problem and status:
            problem = (errors.read().strip().splitlines() or [f"ended with {status}"])[-1][:200]
        return Ending(output.read(), problem)
