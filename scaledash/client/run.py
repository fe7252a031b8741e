"""A run: what a training script holds. `init` makes one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from scaledash.client.annotations import Annotations, read_wait
from scaledash.client.buffer import Recorder
from scaledash.client.config import PRIVATE, Config, Summary, cut_to_size
from scaledash.client.console import Console
from scaledash.client.identity import Identity
from scaledash.client.jsonable import to_json
from scaledash.client.rows import RowLogger
from scaledash.client.settings import Settings
from scaledash.client.values import NotLoggable, convert_step
from scaledash.client.wandb_run import WandbRun

if TYPE_CHECKING:
    from scaledash.client.session import Session

FINISH_SECONDS = 30.0


@dataclass(frozen=True)
class FinishResult:
    """What became of the data when a run ended.

    Attributes
    ----------
    synced, pending : int
        Rows that the server has stored; rows that wait in the spool.
    dropped : int
        Rows lost because the spool could not be written, and values that were not stored.
    url : str or None
        Page of the run; None offline.
    """

    synced: int
    pending: int
    dropped: int
    url: str | None


class Run(RowLogger, WandbRun):
    """One training run; made by `scaledash.init`.

    Nothing here waits for the network, and nothing raises after `init` unless `strict=True`.

    Parameters
    ----------
    identity : Identity
        Who the run is.
    settings : Settings
        Merged settings.
    console : Console
        Where warnings go.
    session : Session or None
        Spool and sender; None for a run that does nothing (disabled, or another rank).
    prefix : str
        Put before every metric name, for further ranks of one run.
    """

    def __init__(
        self,
        identity: Identity,
        settings: Settings,
        console: Console,
        session: Session | None,
        prefix: str = "",
    ) -> None:
        RowLogger.__init__(self, console, bool(settings.strict), prefix, needs_step=bool(prefix))
        WandbRun.__init__(self, identity, session)
        self._settings = settings
        self._result: FinishResult | None = None
        self._annotations = Annotations(lambda kept: self._send({"config": {PRIVATE: kept}}))
        self.config = Config(
            self._send_config, self._warn_of_change, lambda text: self._misuse("config", text)
        )
        self.summary = Summary(self._send_summary, self._read_latest)
        self.on_success: Callable[[], None] | None = None
        self._use_recorder(session.recorder if session else None)

    def set_scale(self, **facts: object) -> None:
        """Declare scale facts: numbers, or text with a unit such as "125M" or "1.2e20"."""
        self._send({"scale": to_facts(facts)})

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        **more: object,
    ) -> None:
        """Say how a metric is shown: its default x axis, what its summary keeps, its goal."""
        facts = {"step_metric": step_metric, "hidden": hidden, "summary": summary}
        self._annotations.define_metric(name, {**facts, "goal": more.get("goal")})

    def note_smoothed(self, name: str, how: str) -> None:
        """Say that values of a metric are averages, and of what; kept with the metric."""
        self._annotations.note_smoothed(name, how)

    def note_facts(self, by: str, facts: Mapping[str, object]) -> None:
        """Keep scale facts that a framework tells; they count more than those of the config."""
        self._annotations.note_facts(by, to_facts(facts))

    def mark(self, kind: str, step: int | None = None, reason: str = "") -> None:
        """Mark a step: "diverged", "healthy", "note", "phase" or "checkpoint"."""
        try:
            at = self.step if step is None else convert_step(step)
        except NotLoggable as error:
            return self._misuse("mark", f"mark({kind!r}) is ignored: {error}")
        problem = self._annotations.mark(kind, at, str(reason or ""))
        return self._misuse("mark", problem) if problem else None

    def alert(
        self,
        title: str,
        text: str = "",
        level: str | None = "INFO",
        wait_duration: float | timedelta | None = 60,
    ) -> None:
        """Raise an alert, once per title and `wait_duration` (seconds)."""
        try:
            self._annotations.alert(str(title), str(text), str(level), read_wait(wait_duration))
        except (TypeError, ValueError):
            self._misuse("alert", f"alert({title!r}): wait_duration={wait_duration!r} is no time")

    def finish(
        self,
        exit_code: int | None = None,
        timeout: float | None = None,
        quiet: bool | None = None,
    ) -> FinishResult:
        """End the run: write everything to the spool, wait for the server, at most `timeout`.

        Parameters
        ----------
        exit_code : int, optional
            Anything but 0 means that the run failed.
        timeout : float, optional
            Seconds; 30 by default.
        quiet : bool, optional
            Print no line about how it ended.
        """
        self._console.silent = self._console.silent or bool(quiet)
        state = "failed" if exit_code else "finished"
        return self.end(state, exit_code=exit_code or 0, timeout=timeout)

    def end(
        self,
        state: str,
        *,
        exit_code: int | None = None,
        reason: str = "",
        timeout: float | None = None,
        error: BaseException | None = None,
    ) -> FinishResult:
        """End the run in a given state: finished, failed or interrupted; `error` is the cause."""
        if self._result is not None:
            return self._result
        is_ours = self._session is not None and os.getpid() == self._pid
        if is_ours and state == "failed" and error is not None and self._settings.log_traceback:
            self._annotations.keep_traceback(error)
        if is_ours:
            self.config.send_changes()
        self._result = FinishResult(0, 0, 0, self.url)
        limit = timeout if timeout is not None else self._settings.finish_timeout
        deadline = time.monotonic() + (FINISH_SECONDS if limit is None else limit)
        session = self._session
        if session is not None and is_ours:
            ending: dict[str, object] = {"state": state, "exit_code": exit_code, "reason": reason}
            synced, pending = session.finish(ending, self.count_dropped, deadline)
            self._result = FinishResult(synced, pending, self.count_dropped(), self.url)
            self._say_how_it_ended()
            if state == "finished" and self.on_success is not None:
                self.on_success()
        elif session is not None and self._recorder is not None:
            self._recorder.close(max(0.0, deadline - time.monotonic()))
        self._use_recorder(None)
        from scaledash.client import current

        current.forget(self)
        return self._result

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until the server has stored what was logged so far; say whether it has."""
        return self._session is None or self._session.flush(time.monotonic() + timeout)

    def mark_preempting(self) -> None:
        """Announce that the job may be stopped any moment: silence then means interrupted."""
        self._record({"t": "preempting"})

    def count_dropped(self) -> int:
        """Return how many rows and values were not stored."""
        recorder = self._session.recorder if self._session else None
        lost = recorder.dropped + recorder.spool.refused_values if recorder else 0
        return self._refused + lost

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from scaledash.client.endings import describe_end

        state, exit_code, reason = describe_end(kind, error)
        self.end(state, exit_code=exit_code, reason=reason, error=error)

    def __reduce__(self) -> tuple[object, ...]:
        from scaledash.client.session import reattach

        directory = str(self._identity.directory) if self._identity.directory else ""
        return reattach, (self.id, self.project, directory)

    def continue_after(self, last_step: int | None) -> None:
        """Go on behind the last step of a resumed run; None: that is not known yet."""
        self.resumed = True
        self._is_relative = last_step is None
        self._resumed_at = None if last_step is None else last_step + 1
        self.start_after(-1 if last_step is None else last_step)

    def start_after(self, step: int) -> None:
        """Give the first row without a step the one behind this."""
        self._next_step = self.starting_step = step + 1
        self._use_recorder(self._recorder)

    def record_marker(self, marker: dict[str, object]) -> None:
        """Put a marker between the rows."""
        self._record(marker)

    def write_spool(self) -> None:
        """Put everything logged so far on disk, now."""
        if self._session is not None:
            self._session.recorder.commit()
            self._session.recorder.sync()

    @property
    def settings(self) -> Settings:
        """What arguments, Settings and the environment came to."""
        return self._settings

    @property
    def is_silent(self) -> bool:
        """Whether nothing is printed."""
        return self._console.silent

    def warn(self, cause: str, text: str) -> None:
        """Print a warning, once per cause."""
        self._console.warn(cause, text)

    def _read_latest(self) -> dict[str, float]:
        return self._session.recorder.read_latest() if self._session else {}

    def _find_recorder(self) -> Recorder | None:
        session = self._session
        if session is None or self._result is not None:
            if session is not None:
                self._console.warn("ended", f"run {self.name} has ended; nothing more is stored")
                self._refused += 1
            return None
        if os.getpid() != self._pid:  # a forked child becomes a writer of its own
            self._pid = os.getpid()
            self._console = Console(self._console.silent)  # no lock of the parent's threads
            self._use_recorder(session.become_child())
        return self._recorder

    def _send(self, change: dict[str, object]) -> None:
        """Record a change of the description."""
        if not self._identity.is_member:
            self._record({"t": "patch", "body": change})

    def _send_config(self, changes: dict[str, object]) -> None:
        kept, dropped = cut_to_size(changes)
        for key in dropped:
            self._misuse(f"config:{key}", f"config key {key!r} is too large and is not stored")
        self._send({"config": kept})

    def _send_summary(self, changes: dict[str, object]) -> None:
        kept, dropped = cut_to_size(changes)
        for key in dropped:
            self._misuse(f"summary:{key}", f"summary key {key[:80]!r} is too large, not stored")
        self._send({"summary": kept})

    def _warn_of_change(self, key: str, old: object, new: object) -> None:
        text = f"config key {key!r} changes from {old!r} to {new!r}"
        if self._strict:
            self._misuse(f"config:{key}", f"{text}; pass allow_val_change=True if that is meant")
        else:
            self._console.warn(f"config:{key}", f"{text}; the last value counts")

    def _say_how_it_ended(self) -> None:
        result = self._result
        assert result is not None
        parts = [f"{result.synced:,} rows synced", f"{result.pending:,} pending"]
        parts += [f"{result.dropped:,} values dropped"] if result.dropped else []
        text = f"run {self.name}: {', '.join(parts)}"
        is_waiting = result.pending > 0 or (self._session is not None and not self._session.is_done)
        if is_waiting:
            text += f"; send with: scaledash sync {self.dir}"
        elif result.url:
            text += f"; {result.url}"
        self._console.notice(text)


def to_facts(facts: Mapping[str, object]) -> dict[str, object]:
    """Return the facts that have a value, as JSON."""
    return {name: to_json(value) for name, value in facts.items() if value is not None}


def init(
    project: str | None = None,
    name: str | None = None,
    *,
    config: object = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    study: str | Sequence[str] | None = None,
    scale: Mapping[str, object] | None = None,
    id: str | None = None,
    resume: str | bool | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    mode: str | None = None,
    reinit: str | bool | None = None,
    rank_metrics: bool = False,
    durable: bool | None = None,
    strict: bool | None = None,
    dir: str | Path | None = None,
    entity: str | None = None,
    settings: Settings | None = None,
    allow_val_change: bool | None = None,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    **unsupported: object,
) -> Run:
    """Start a run, or continue one; needs no server and waits for none.

    Parameters
    ----------
    project, name, group, job_type, tags, notes, study : optional
        Description; the environment fills in what is not given. Absent studies are made.
    config, scale : optional
        Hyperparameters as dict, Namespace, dataclass, ...; scale facts as for `Run.set_scale`.
    id, resume, resume_from, fork_from : optional
        Which run; `resume` is "allow", "must", "never" or "auto". "run_id?_step=k" goes on at k+1,
        in that run or, as `fork_from`, in a new one.
    mode, dir, durable, strict : optional
        "online", "offline", "disabled" or "shared"; where spools are kept; whether every call
        reaches the disk before it returns; whether misuse raises.
    reinit : optional
        With a run open, None returns it, True ends it first, "create_new" opens one beside it.

    Returns
    -------
    Run
        Usable at once, also when nothing can be sent. docs/client.md tells the rest.

    Raises
    ------
    UsageError
        The arguments contradict each other, or what the server knows of the run.
    """
    arguments = locals()
    from scaledash.client.opening import open_run

    return open_run(arguments)
