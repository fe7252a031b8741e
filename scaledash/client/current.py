"""The newest unfinished run of this process, and the module-level calls that act on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from scaledash.client.errors import UsageError

if TYPE_CHECKING:
    from scaledash.client.config import Summary
    from scaledash.client.run import FinishResult, Run

_open: list[tuple[int, Run]] = []


def remember(run: Run) -> None:
    """Make this run the newest one."""
    _open.append((os.getpid(), run))
    package = sys.modules["scaledash"]
    package.__class__ = Package
    vars(package).pop("config", None)  # what the script had put there before its run


def forget(run: Run) -> None:
    """Take note that this run has ended."""
    _open[:] = [(pid, known) for pid, known in _open if known is not run]


def list_open() -> list[Run]:
    """Return the unfinished runs that this process made, newest first."""
    return [run for pid, run in reversed(_open) if pid == os.getpid()]


def get_run() -> Run | None:
    """Return the newest unfinished run; in a forked child also one of its parent."""
    return _open[-1][1] if _open else None


def need_run() -> Run:
    """Return the newest unfinished run.

    Raises
    ------
    UsageError
        There is none.
    """
    if not _open:
        raise UsageError("call scaledash.init() first")
    return _open[-1][1]


def get_config() -> Any:
    """Return the config of the newest run; without one, what the script put in its place."""
    kept = vars(sys.modules["scaledash"])
    return kept["config"] if not _open and "config" in kept else need_run().config


def set_config(given: object) -> None:
    """Take what a script assigns to `wandb.config`: the open run's config takes its keys."""
    run = get_run()
    if run is None:
        vars(sys.modules["scaledash"])["config"] = given
    else:
        run.config.update(given, allow_val_change=True)


class Package(type(sys)):  # type: ignore[misc]
    """The module `scaledash` as soon as there was a run: an assigned config reaches that run."""

    config = property(lambda module: get_config(), lambda module, given: set_config(given))


def get_summary() -> Summary:
    """Return the summary of the newest run."""
    return need_run().summary


def log(
    data: Mapping[str, Any],
    step: int | None = None,
    commit: bool | None = None,
    *,
    timestamp: float | datetime | None = None,
    sync: object = None,
) -> None:
    """Call `Run.log` of the newest run."""
    need_run().log(data, step, commit, timestamp=timestamp)


def log_metrics(
    data: Mapping[str, Any],
    step: int,
    *,
    tokens: float | None = None,
    flops: float | None = None,
    timestamp: float | datetime | None = None,
) -> None:
    """Call `Run.log_metrics` of the newest run."""
    need_run().log_metrics(data, step, tokens=tokens, flops=flops, timestamp=timestamp)


def set_scale(**facts: object) -> None:
    """Call `Run.set_scale` of the newest run."""
    need_run().set_scale(**facts)


def define_metric(name: str, step_metric: str | None = None, **facts: Any) -> None:
    """Call `Run.define_metric` of the newest run."""
    need_run().define_metric(name, step_metric, **facts)


def rewind(step: int) -> None:
    """Call `Run.rewind` of the newest run."""
    need_run().rewind(step)


def mark(kind: str, step: int | None = None, reason: str = "") -> None:
    """Call `Run.mark` of the newest run."""
    need_run().mark(kind, step, reason)


def alert(
    title: str,
    text: str = "",
    level: str | None = "INFO",
    wait_duration: float | timedelta | None = 60,
) -> None:
    """Call `Run.alert` of the newest run."""
    need_run().alert(title, text, level, wait_duration)


def mark_preempting() -> None:
    """Call `Run.mark_preempting` of the newest run."""
    need_run().mark_preempting()


def finish(
    exit_code: int | None = None, timeout: float | None = None, quiet: bool | None = None
) -> FinishResult | None:
    """End the newest run, if there is one."""
    run = get_run()
    return None if run is None else run.finish(exit_code, timeout, quiet)
