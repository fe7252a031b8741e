"""The sweeper: twice a second it finds what hints have missed, come what may.

While workers take hints it only sends them. Where there is no broker, none that answers, or no
worker that takes anything, it has the refits done by a child process of its own, which is killed
when one of them takes too long. Any number of sweepers may run.
"""

from __future__ import annotations

import contextlib
import logging
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from fitting import outbox
from fitting.hints import hints
from fitting.models import FitKind

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError)
# Work that has been claimable for longer than this has no worker; deep fits may wait for one.
PATIENCE_SECONDS = {FitKind.FAST: 2.0, FitKind.RUN_DIAG: 5.0, FitKind.DEEP: 10.0}
TAKEOVER_SECONDS = 10.0
IDLE_CHILD_SECONDS = 60.0
CHILD_STOP_SECONDS = 5.0
WORK, IDLE = "work\n", "idle\n"
CONNECTION_NAME = "scaledash sweeper"  # as the database lists it; the status page looks for it


@dataclass
class Chore:
    """Something else to be done regularly: `do` gets the seconds since it was last called."""

    name: str
    every_seconds: float
    do: Callable[[float], object]
    last_at: float = 0.0


class Sweeper:
    """The loop, its child, and what it knows of the workers."""

    def __init__(self, chores: Sequence[Chore] = ()) -> None:
        self.stopping = threading.Event()
        self.chores = list(chores)
        self.child = RefitChild()
        self._alone_until = 0.0
        self._is_outage = False

    def run(self) -> None:
        """Sweep until asked to stop; an outage of the database is waited out."""
        while not self.stopping.is_set():
            begun = time.monotonic()
            try:
                self.sweep()
                self.do_chores()
                self._note_outage(None)
            except OUTAGES as error:
                self._note_outage(error)
                connection.close()
            spent = time.monotonic() - begun
            self.stopping.wait(max(0.0, settings.REFIT_SWEEP_SECONDS - spent))
        self.child.stop()

    def sweep(self) -> None:
        """Hint at what could be claimed, and do it where nobody else does."""
        waiting = outbox.find_waiting()
        if not waiting:
            self.child.rest()
            return
        now = time.monotonic()
        if any(item.seconds > PATIENCE_SECONDS[item.kind] for item in waiting):
            self._alone_until = now + TAKEOVER_SECONDS
        is_hinted = hints.send(item.hint for item in waiting)
        if not is_hinted or now < self._alone_until:
            self.child.work()

    def do_chores(self) -> None:
        """Call whatever is due."""
        for chore in self.chores:
            now = time.monotonic()
            if now - chore.last_at >= chore.every_seconds:
                since, chore.last_at = now - (chore.last_at or now), now
                chore.do(since)

    def _note_outage(self, error: Exception | None) -> None:
        """Say once that the database is away, and once that it is back."""
        if error is not None and not self._is_outage:
            logger.warning("the database is away; waiting: %s", str(error).strip())
        if error is None and self._is_outage:
            logger.warning("the database is back")
        self._is_outage = error is not None


class RefitChild:
    """A process that fits when told to; it starts at the first need and ends after idling."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._is_busy = False
        self._needed_at = 0.0

    @property
    def pid(self) -> int | None:
        """Process id, None while there is none."""
        return self._process.pid if self._process else None

    def work(self) -> None:
        """Let the child fit until nothing is claimable; a busy child goes on."""
        self._needed_at = time.monotonic()
        self._look()
        if self._process is None:
            self._process = self._start()
        if not self._is_busy:
            self._tell(WORK)

    def rest(self) -> None:
        """End a child that nobody has needed for a while."""
        self._look()
        idle_seconds = time.monotonic() - self._needed_at
        if self._process and not self._is_busy and idle_seconds > IDLE_CHILD_SECONDS:
            self.stop()

    def stop(self) -> None:
        """Let the child finish what it does, then end it."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(CHILD_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        self._is_busy = False
        argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), "sweep", "--child"]
        return subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def _look(self) -> None:
        """Notice that the child has become idle, or that it is gone."""
        if self._process is None:
            return
        status, answers = self._process.poll(), self._process.stdout
        if status is not None:
            logger.warning("the refit child ended with status %s; a new one follows", status)
            self.stop()
        elif self._is_busy and answers and select.select([answers], [], [], 0)[0]:
            self._is_busy = answers.readline() != IDLE

    def _tell(self, word: str) -> None:
        try:
            self._process.stdin.write(word)
            self._is_busy = True
        except OSError:
            self.stop()


def serve_child() -> None:
    """Fit whenever the parent says so; the end of its pipe is the end of the child."""
    from fitting import refit

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which closes the pipe
    for _ in sys.stdin:
        try:
            work_until_idle(refit.run_next)
        except OUTAGES as error:
            logger.warning("the refit child lost the database: %s", str(error).strip())
        connection.close_if_unusable_or_obsolete()
        sys.stdout.write(IDLE)
        sys.stdout.flush()


def work_until_idle(run_next: Callable[[int], bool]) -> None:
    """Claim and fit, each under the time limits, until nothing is claimable."""
    is_found = True
    while is_found:
        with limit_time():
            is_found = run_next(1)


class TookTooLong(Exception):
    """The soft time limit of a fit; the hard one kills the process."""


@contextlib.contextmanager
def limit_time() -> Iterator[None]:
    """Raise TookTooLong after the soft limit, and die of SIGALRM at the hard one."""
    hard_after = settings.REFIT_HARD_LIMIT_SECONDS - settings.REFIT_SOFT_LIMIT_SECONDS

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, hard_after)
        raise TookTooLong

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, settings.REFIT_SOFT_LIMIT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
