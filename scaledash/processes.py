"""Child processes with a log file, a stop deadline and no life of their own after their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

MAX_LOG_BYTES = 10 * 1024 * 1024
POLL_SECONDS = 0.02
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOG_TAIL_BYTES = 4_000
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(Exception):
    """Something could not start; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True)
class Account:
    """The system user that a server runs as when root starts it."""

    name: str
    uid: int
    gid: int


class AccountArguments(TypedDict, total=False):
    """Keyword arguments of subprocess that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Command:
    """What to run, as whom, where it logs and how it is asked to stop."""

    name: str
    argv: tuple[str, ...]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    cwd: Path = Path("/")


class Child:
    """One running command in a process group of its own."""

    def __init__(self, command: Command) -> None:
        """Start the command."""
        self.command = command
        self._is_asked = False
        rotate_log(command.log_path)
        with command.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=command.cwd,
                env=dict(command.env),
                start_new_session=True,
                preexec_fn=_tie_to_parent(command.stop_signal),
                **as_account(command.account),
            )

    @property
    def pid(self) -> int:
        """Process id, also the id of its process group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Exit status, or None while it runs; an exit takes the rest of the group along."""
        status = self._process.poll()
        if status is not None:
            self._signal_group(signal.SIGKILL)
        return status

    def ask_to_stop(self) -> None:
        """Send the stop signal, once, and return."""
        if not self._is_asked and self._process.poll() is None:
            self._is_asked = True
            self._process.send_signal(self.command.stop_signal)

    def stop(self) -> None:
        """Ask, wait until the deadline, then kill the whole group."""
        self.ask_to_stop()
        try:
            self._process.wait(self.command.stop_seconds)
        except subprocess.TimeoutExpired:
            self._signal_group(signal.SIGKILL)
            self._process.wait()
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def as_account(account: Account | None) -> AccountArguments:
    """Drop from root to the account, groups included."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _tie_to_parent(number: signal.Signals) -> Callable[[], None] | None:
    """Have the kernel signal the child when its parent is killed (Linux only)."""
    if _LIBC is None:
        return None
    libc = _LIBC
    return lambda: libc.prctl(PR_SET_PDEATHSIG, int(number))


def rotate_log(path: Path) -> None:
    """Move a grown log aside; one older file is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(path.name + ".1"))


def read_log_tail(path: Path) -> str:
    """The last lines of a log, for a message."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
        return log.read().decode(errors="replace")


def wait_until_ready(child: Child, is_ready: Callable[[], bool], deadline_seconds: float) -> None:
    """Return when ready; raise a sentence naming the log file when it exits or takes too long."""
    name, log_path = child.command.name, child.command.log_path
    deadline = time.monotonic() + deadline_seconds
    while not is_ready():
        status = child.poll()
        if status is not None:
            raise StartError(f"{name} {explain_exit(status, log_path)}")
        if time.monotonic() > deadline:
            child.stop()
            raise StartError(f"{name} was not ready after {deadline_seconds:.0f} s; see {log_path}")
        time.sleep(POLL_SECONDS)


def explain_exit(status: int, log_path: Path) -> str:
    """Say how a process ended; a full disk is named as such."""
    if "No space left on device" in read_log_tail(log_path):
        return f"stopped because the disk is full; free some space, then start again ({log_path})"
    how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
    return f"{how}; see {log_path}"
