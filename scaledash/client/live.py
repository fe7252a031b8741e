"""The training side of the sender process: start it, wake it, hear from it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from scaledash.client.console import Console
from scaledash.client.discovery import Server
from scaledash.client.settings import Pace

MAX_STARTS = 4
RESTART_SECONDS = 5.0
LAST_WORD_SECONDS = 1.0
ROOT = str(Path(__file__).resolve().parents[2])
# Isolated and without site: nothing of the job's environment or working directory can shadow the
# standard library, and the interpreter starts in milliseconds.
BOOT = (
    "import sys; sys.path.append(sys.argv.pop(1));"
    "from scaledash.client.process import main; sys.exit(main())"
)

_ALIVE: weakref.WeakSet[LiveSender] = weakref.WeakSet()


class LiveSender:
    """Handle of a sender process.

    Parameters
    ----------
    directory : Path
        The spool it sends.
    server : Server
        Known address and token; handed over in the environment unless the files tell them too.
    pace : Pace
        Its waits.
    console : Console
        Prints its warnings.
    on_created : callable
        Called with the server's description of the run.

    Attributes
    ----------
    acked : dict
        Writer -> rows that the server has stored.
    done : Event
        The end of the run is delivered.
    """

    def __init__(
        self,
        directory: Path,
        server: Server,
        pace: Pace,
        console: Console,
        on_created: Callable[[dict[str, object]], None],
    ) -> None:
        self.acked: dict[str, int] = {}
        self.dead = 0
        self.done = threading.Event()
        self._directory = directory
        self._server = server
        self._pace = pace
        self._console = console
        self._on_created = on_created
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._pid = os.getpid()
        self._starts = 0
        self._started_at = 0.0
        self._closed = False
        self._start()
        _ALIVE.add(self)

    def wake(self, signal: bytes = b".") -> None:
        """Tell the sender to look at the spool; never waits. Starts it anew if it has died."""
        if self._closed or os.getpid() != self._pid:
            return
        if self._process is None or self._process.poll() is not None:
            self._restart()
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                os.write(self._process.stdin.fileno(), signal)

    def wait_done(self, timeout_seconds: float) -> bool:
        """Ask for the end of the run to be delivered; say whether it was, in time."""
        deadline = time.monotonic() + timeout_seconds
        self.wake(b"f")
        while not self.done.wait(max(0.0, min(0.2, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return self.done.is_set()
            if not self._is_running():
                return self._hear_last_word()
        return True

    def close(self) -> None:
        """Let go of the sender; it sends what is left for a while, and ends by itself."""
        self._closed = True
        _ALIVE.discard(self)
        process = self._process
        if process is None or os.getpid() != self._pid:
            return
        _close_pipe(process)
        if self.done.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        if process.returncode is None:
            process.returncode = 0  # it lives on; nobody here waits for it

    def drop_in_child(self) -> None:
        """In a forked child: give up the copy of the pipe, so that its end means the parent's."""
        _close_pipe(self._process)

    def _hear_last_word(self) -> bool:
        if self._listener is not None:
            self._listener.join(LAST_WORD_SECONDS)
        return self.done.is_set()

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _restart(self) -> None:
        if self.done.is_set() or time.monotonic() - self._started_at < RESTART_SECONDS:
            return
        if self._starts >= MAX_STARTS:
            self._console.warn(
                "sender",
                f"the sender keeps ending (see {self._directory / 'sender.log'}). Nothing is lost:"
                f" `scaledash sync {self._directory}` sends what is kept.",
            )
            return
        _close_pipe(self._process)
        self._start()

    def _start(self) -> None:
        self._starts += 1
        self._started_at = time.monotonic()
        pace = json.dumps(asdict(self._pace))
        log = subprocess.DEVNULL
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            log = os.open(self._directory / "sender.log", flags, 0o600)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT, ROOT, str(self._directory), pace],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._make_environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._console.warn(
                "sender",
                f"cannot start the sender: {error}. The run goes on and everything is kept;"
                f" `scaledash sync {self._directory}` sends it.",
            )
            return
        finally:
            if log != subprocess.DEVNULL:
                os.close(log)
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, AttributeError):
            os.set_blocking(self._process.stdin.fileno(), False)
        self._listener = threading.Thread(
            target=self._listen, args=(self._process,), name="scaledash-events", daemon=True
        )
        self._listener.start()

    def _make_environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self._server.source in ("argument", "environment"):
            environment["SCALEDASH_URL"] = self._server.url
            environment["SCALEDASH_TOKEN"] = self._server.token
        return environment

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with contextlib.suppress(ValueError, TypeError, AttributeError):
                    self._take(json.loads(line))

    def _take(self, event: dict[str, object]) -> None:
        kind = event.get("event")
        if kind == "acked" and isinstance(event.get("writers"), dict):
            self.acked = event["writers"]  # type: ignore[assignment]
            self.dead = int(str(event.get("dead", 0)))
        elif kind == "created" and isinstance(event.get("run"), dict):
            self._on_created(event["run"])  # type: ignore[arg-type]
        elif kind == "warning":
            self._console.warn(f"sender:{event.get('cause')}", str(event.get("text")))
        elif kind == "done":
            self.done.set()


def _close_pipe(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.stdin is not None:
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()


def _drop_all_in_child() -> None:
    for sender in list(_ALIVE):
        sender.drop_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_all_in_child)
