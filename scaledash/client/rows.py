"""From a call of `log` to a row in the ring: the fast path and the careful one."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard

from scaledash.client.buffer import COMMIT_ROWS, Recorder
from scaledash.client.console import Console
from scaledash.client.errors import UsageError
from scaledash.client.identity import make_run_id
from scaledash.client.spool import Row
from scaledash.client.values import (
    MAX_LEAVES,
    MAX_STEP,
    NotLoggable,
    convert_number,
    convert_step,
    flatten,
)

PLAIN = frozenset({float, int, bool})
_now = time.time
_getpid = os.getpid


class RowLogger:
    """Step counter, conversion and ring of one run.

    Parameters
    ----------
    console : Console
        Where warnings go.
    strict : bool
        Raise UsageError for misuse instead of warning.
    prefix : str
        Put before every metric name.
    needs_step : bool
        Refuse rows without an explicit step, as further ranks of one run must give it.
    """

    def __init__(self, console: Console, strict: bool, prefix: str, needs_step: bool) -> None:
        self._console = console
        self._strict = strict
        self._prefix = prefix
        self._needs_step = needs_step
        self._pid = os.getpid()
        self._next_step = 0
        self._is_relative = False  # the last step of a resumed run is not known yet
        self._resumed_at: int | None = None  # a first row before this step opens an attempt
        self._refused = 0
        self._reopened = 0  # attempts that this process has opened
        self._is_careful = True
        self._use_recorder(None)

    @property
    def step(self) -> int:
        """Step that the next `log` without a step gets."""
        return self._next_step

    def log(
        self,
        data: Mapping[str, Any],
        step: int | None = None,
        commit: bool | None = None,
        *,
        timestamp: float | datetime | None = None,
        sync: object = None,
    ) -> None:
        """Log metric values at a step.

        Parameters
        ----------
        data : dict
            Metric name to number; nested dicts are joined with ".".
        step : int, optional
            A completed optimiser step. By default the run's counter, which then advances.
        commit : bool, optional
            False keeps the counter where it is.
        timestamp : float or datetime, optional
            When the values were measured, by default now.
        sync : optional
            What old scripts for W&B pass; nothing waits either way.
        """
        # Fast path: a plain dict of plain numbers is copied and left to the commit thread.
        if self._is_careful or commit is not None or timestamp is not None:
            return self._log_carefully(data, step, commit, timestamp)
        try:
            if not self._is_plain(data, step):
                return self._log_carefully(data, step, commit, timestamp)
            with self._lock:
                if step is None:
                    step = self._next_step
                    self._next_step = step + 1
                elif step > self._next_step:
                    self._next_step = step
                ring = self._ring
                ring.append((step, _now(), data.copy()))
                size = len(ring)
            if not size % COMMIT_ROWS:
                self._relieve(size)
        except RuntimeError as error:  # the dict changed in another thread meanwhile
            self._misuse("log", f"a call of log() was lost: {error}")
        return None

    def _is_plain(self, data: object, step: object) -> TypeGuard[dict[str, float]]:
        if type(data) is not dict or len(data) > MAX_LEAVES or _getpid() != self._pid:
            return False
        if step is not None and (type(step) is not int or not 0 <= step <= MAX_STEP):
            return False
        for value in data.values():  # noqa: SIM110 - all() over a generator costs twice as much
            if type(value) not in PLAIN:
                return False
        return True

    def log_metrics(
        self,
        data: Mapping[str, Any],
        step: int,
        *,
        tokens: float | None = None,
        flops: float | None = None,
        timestamp: float | datetime | None = None,
    ) -> None:
        """Log metric values at a step, with the cumulative tokens and FLOPs reached there."""
        extra = {"tokens": tokens, "flops": flops}
        known = {name: value for name, value in extra.items() if value is not None}
        merged = {**data, **known} if isinstance(data, Mapping) else data
        self.log(merged, step, timestamp=timestamp)

    def rewind(self, step: int) -> None:
        """Go back: what is logged from here on replaces everything from `step` on."""
        try:
            target = convert_step(step)
        except NotLoggable as error:
            return self._misuse("rewind", f"rewind() is ignored: {error}")
        self._next_step = target
        self._is_relative, self._resumed_at = False, None
        self._reopened += 1
        self._record({"t": "rewind", "step": target, "id": make_run_id()})
        return self._use_recorder(self._recorder)

    def _use_recorder(self, recorder: Recorder | None) -> None:
        """Log into this recorder from now on; None: do nothing."""
        self._recorder = recorder
        if recorder is not None:
            self._lock = recorder.lock
            self._ring = recorder.ring
        special = self._strict or self._prefix or self._needs_step or self._is_relative
        special = special or recorder is None or recorder.immediate
        self._is_careful = bool(special) or self._resumed_at is not None

    def _find_recorder(self) -> Recorder | None:
        """Return where to record, None for nowhere; a run overrides it for forked children."""
        return self._recorder

    def _record(self, record: dict[str, object]) -> None:
        """Put a record among the rows."""
        recorder = self._find_recorder()
        if recorder is not None:
            recorder.add(record)

    def _misuse(self, cause: str, text: str) -> None:
        """Count and warn once per cause, or raise where the caller asked for that."""
        self._refused += 1
        if self._strict:
            raise UsageError(text)
        self._console.warn(cause, text)

    def _relieve(self, size: int) -> None:
        if self._recorder is not None:
            self._recorder.relieve(size)

    def _log_carefully(
        self,
        data: Mapping[str, Any],
        step: int | None,
        commit: bool | None,
        timestamp: float | datetime | None,
    ) -> None:
        recorder = self._find_recorder()
        if recorder is None:
            return self._skip(step, commit)
        try:
            explicit = None if step is None else convert_step(step)
        except NotLoggable as error:
            return self._misuse("step", f"a call of log() was not stored: {error}")
        try:
            at = _now() if timestamp is None else _read_time(timestamp)
        except NotLoggable:
            text = f"timestamp={timestamp!r} is no time; give epoch seconds or a datetime"
            return self._misuse("timestamp", f"a call of log() was not stored: {text}")
        if not isinstance(data, Mapping):
            found = type(data).__name__
            return self._misuse("data", f"log() takes a dict of numbers, not a {found}")
        if explicit is None and self._needs_step:
            return self._misuse("rank step", "further ranks of a run log with an explicit step=")
        numbers = self._convert(data)
        with recorder.lock:
            row = self._place(numbers, at, explicit, commit)
            if numbers:
                recorder.add(row)
        return None

    def _convert(self, data: Mapping[str, Any]) -> dict[str, float]:
        numbers, problems = flatten(data)
        for name, reason in problems:
            if reason:
                self._misuse(f"value:{name}", f"{name!r} is not stored: {reason}")
            else:
                self._refused += 1
        if self._prefix:
            return {f"{self._prefix}{name}": value for name, value in numbers.items()}
        return numbers

    def _place(
        self, numbers: dict[str, float], at: float, step: int | None, commit: bool | None
    ) -> Row:
        """Give the row its step and move the counter, as W&B does for steps in order."""
        if self._resumed_at is not None:
            self._reopened += step is not None and step < self._resumed_at
            self._resumed_at = None
            self._use_recorder(self._recorder)
        if step is None:
            row = Row(self._next_step, at, numbers, self._is_relative)
            self._next_step += commit is not False
            return row
        if self._is_relative:  # an explicit step settles where the run is
            self._is_relative = False
            self._next_step = step
            self._use_recorder(self._recorder)
        advanced = step + 1 if commit else step
        self._next_step = max(self._next_step, advanced)
        return Row(step, at, numbers)

    def _skip(self, step: int | None, commit: bool | None) -> None:
        """Count steps of a run that records nothing, so that its script sees the same numbers."""
        if step is None:
            self._next_step += commit is not False
        elif isinstance(step, int):
            self._next_step = max(self._next_step, step)


def _read_time(timestamp: float | datetime) -> float:
    """Return seconds since the epoch; clamping is the server's business."""
    if isinstance(timestamp, datetime):
        return timestamp.timestamp()
    return convert_number(timestamp)
