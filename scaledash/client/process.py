"""The sender as a process of its own: a fresh interpreter that outlives stalls of the training.

Started by `live.LiveSender` with the spool directory as its only data; the token comes by the
environment. Standard input is the life line: bytes on it mean "look at the spool", its end means
that the training process is gone. Standard output carries events as JSON lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from scaledash.client.discovery import find_server
from scaledash.client.link import make_path
from scaledash.client.lock import SEND_LOCK, TRAIN_LOCK, DirectoryLock, is_held
from scaledash.client.sender import Sender, Step
from scaledash.client.settings import Pace
from scaledash.client.transport import Transport

FINISHING = b"f"
WAKE = b"."
DELIVER_SECONDS = 5.0


class ParentWatch:
    """Listen to the training process, in a thread.

    Attributes
    ----------
    wake : Event
        Something happened.
    urgent : Event
        Something happened that ends a wait between retries.
    gone, finishing : Event
        The training process has ended; it waits for the end of the run.
    """

    def __init__(self, file: int) -> None:
        self.wake = threading.Event()
        self.urgent = threading.Event()
        self.gone = threading.Event()
        self.finishing = threading.Event()
        self._file = file
        threading.Thread(target=self._listen, name="scaledash-parent", daemon=True).start()

    def wait(self, step: Step, limit_seconds: float) -> None:
        """Wait for the next round; new rows do not shorten a wait between retries."""
        event = self.wake if step.state == "idle" else self.urgent
        event.wait(max(0.01, min(step.wait_seconds, limit_seconds)))
        event.clear()

    def _listen(self) -> None:
        while data := self._read():
            if FINISHING in data:
                self.finishing.set()
                self.urgent.set()
            self.wake.set()
        self.gone.set()
        self.urgent.set()
        self.wake.set()

    def _read(self) -> bytes:
        try:
            return os.read(self._file, 4_096)
        except OSError:
            return b""


class EventWriter:
    """Tell the training process; never wait for it, except for the last word."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._last = b""
        with contextlib.suppress(OSError, AttributeError):
            os.set_blocking(file, False)

    def report(self, event: dict[str, object]) -> None:
        """Write one event as a JSON line, unless it repeats the one before."""
        line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
        if line == self._last:
            return
        self._last = line
        patience = DELIVER_SECONDS if event.get("event") in ("done", "created") else 0.0
        deadline = time.monotonic() + patience
        while line:
            try:
                line = line[os.write(self._file, line) :]
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return
                time.sleep(0.02)
            except OSError:
                return


class Heartbeat:
    """Say every 30 s that the run lives, on a connection of its own, in a thread."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, path: str) -> None:
        """Start, once."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._beat, args=(path,), name="scaledash-heartbeat", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop without waiting for a request in flight."""
        self._stop.set()

    def _beat(self, path: str) -> None:
        while not self._stop.wait(self._pace.heartbeat_seconds):
            transport = connect(self._pace)
            if transport is not None:
                transport.send_json("POST", path, {})
                transport.close()


def connect(pace: Pace) -> Transport | None:
    """Return a transport to the server that is known now; files are read again each time."""
    server = find_server()
    return None if server is None else Transport(server, pace)


def run_sender(directory: Path, pace: Pace, watch: ParentWatch, events: EventWriter) -> None:
    """Send a spool until its run has ended, or for a while after its process is gone."""
    sender = Sender(directory, lambda: connect(pace), pace, events.report)
    heartbeat = Heartbeat(pace)
    give_up_at = float("inf")
    step = Step("idle", 0.0)
    while step.state != "done":
        gone = watch.gone.is_set()
        if gone and give_up_at == float("inf"):
            give_up_at = time.monotonic() + pace.linger_seconds
        is_late = time.monotonic() >= give_up_at
        final = gone and (is_late or not is_held(directory / TRAIN_LOCK))
        step = sender.advance(final=final, hurry=gone or watch.finishing.is_set())
        if is_late or (gone and step.state == "stopped"):
            break
        main = sender.reader.main
        if main is not None and sender.control.state.created is not None:
            heartbeat.start(make_path(main.events[0], "/heartbeat"))
        if step.state != "done":
            watch.wait(step, give_up_at - time.monotonic())
    heartbeat.stop()
    sender.close()


def main() -> int:
    """Entry of the sender process: directory and pace as arguments."""
    directory, pace = Path(sys.argv[1]), Pace(**json.loads(sys.argv[2]))
    events = EventWriter(sys.stdout.fileno())
    lock = DirectoryLock(directory / SEND_LOCK)
    if not lock.acquire():
        text = f"{lock.read_holder()} sends {directory} already"
        events.report({"event": "warning", "cause": "send.lock", "text": text})
        return 1
    try:
        run_sender(directory, pace, ParentWatch(sys.stdin.fileno()), events)
    finally:
        lock.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
