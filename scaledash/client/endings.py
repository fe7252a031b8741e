"""How a training process ends, and what that makes of its runs.

Nothing here changes the exit status: hooks note what happened, flush within a deadline, and hand on
to whoever was there before.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn

from scaledash.client import current

SIGTERM_SECONDS = 10.0

ExceptHook = Callable[
    [type[BaseException], BaseException, TracebackType | None],
    object,
]


class Ending:
    """What is known of the end of this process so far."""

    def __init__(self) -> None:
        self.state = "finished"
        self.exit_code: int | None = 0
        self.reason = ""
        self.error: BaseException | None = None
        self.is_installed = False

    def note(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        """Take note of the exception that ends the process."""
        self.state, self.exit_code, self.reason = describe_end(kind, error)
        self.error = error


_ending = Ending()


def describe_end(
    kind: type[BaseException] | None, error: BaseException | None
) -> tuple[str, int | None, str]:
    """Return state, exit code and reason of a block or process that ends with this exception."""
    if kind is None:
        return "finished", 0, ""
    if issubclass(kind, KeyboardInterrupt):
        return "interrupted", None, kind.__name__
    if issubclass(kind, SystemExit):
        code = getattr(error, "code", None)
        number = code if isinstance(code, int) else int(code is not None)
        return ("failed" if number else "finished"), number, "SystemExit" if number else ""
    return "failed", 1, kind.__name__


def install() -> None:
    """Watch for the end of the process, once."""
    if _ending.is_installed:
        return
    _ending.is_installed = True
    atexit.register(_finish_all)
    _watch_exceptions()
    _watch_exit()
    if threading.current_thread() is threading.main_thread():
        _watch_sigterm()


def _finish_all(timeout_seconds: float | None = None) -> None:
    for run in current.list_open():
        run.end(
            _ending.state,
            exit_code=_ending.exit_code,
            reason=_ending.reason,
            timeout=timeout_seconds,
            error=_ending.error,
        )


def _watch_exceptions() -> None:
    previous: ExceptHook = sys.excepthook

    def note_and_go_on(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        _ending.note(kind, error)
        previous(kind, error, traceback)

    sys.excepthook = note_and_go_on


def _watch_exit() -> None:
    previous = sys.exit

    def note_and_exit(status: object = None, /) -> NoReturn:
        _ending.note(SystemExit, SystemExit(status))
        previous(status)  # type: ignore[arg-type]

    sys.exit = note_and_exit


def _watch_sigterm() -> None:
    previous = signal.getsignal(signal.SIGTERM)
    if previous is signal.SIG_IGN or previous is None:
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _ending.state, _ending.exit_code, _ending.reason = "interrupted", None, "SIGTERM"
        if callable(previous):  # the script decides whether it goes on
            for run in current.list_open():
                run.write_spool()
            previous(number, frame)
            return
        _finish_all(SIGTERM_SECONDS)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        return  # not the main interpreter
