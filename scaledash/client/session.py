"""Spool, recorder and sender of a run in this process, and their orderly end."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from scaledash.client.buffer import Recorder
from scaledash.client.console import Console
from scaledash.client.discovery import Server
from scaledash.client.facts import collect_host
from scaledash.client.identity import Identity
from scaledash.client.live import LiveSender
from scaledash.client.lock import TRAIN_LOCK, DirectoryLock
from scaledash.client.settings import Settings
from scaledash.client.spool import SpoolWriter

FACTS_SECONDS = 1.0
BEGIN_SECONDS = 1.0
_known_facts: dict[tuple[object, ...], dict[str, object]] = {}


class Session:
    """What stands behind a run that records.

    Parameters
    ----------
    directory : Path
        The run's spool directory.
    settings : Settings
        Durability, pace, what facts may be collected.
    console : Console
        Where warnings go.
    server : Server or None
        Where to send; None spools only.
    identity : Identity or None
        Description to write first; None joins a directory as a further writer.

    Attributes
    ----------
    recorder : Recorder
        Takes rows and records.
    """

    def __init__(
        self,
        directory: Path,
        settings: Settings,
        console: Console,
        server: Server | None,
        identity: Identity | None,
    ) -> None:
        self.directory = directory
        self.server = server
        self._settings = settings
        self._console = console
        self._identity = identity
        self._live: LiveSender | None = None
        self._facts: threading.Thread | None = None
        self._lock: DirectoryLock | None = None
        self.run_url = identity.make_url(server.url) if identity and server else None
        if identity is None:
            self.recorder = self._join()
            return
        self._lock = DirectoryLock(directory / TRAIN_LOCK)
        with contextlib.suppress(OSError):
            self._lock.acquire()
        spool = SpoolWriter(directory, str(uuid.uuid4()))
        self.recorder = Recorder(
            spool, console, durable=bool(settings.durable), on_commit=self._wake
        )
        self.recorder.add(identity.to_record())
        self.recorder.drain(BEGIN_SECONDS)
        if server is not None:
            self._live = LiveSender(directory, server, settings.pace, console, self._take_created)
        if not identity.is_member:
            self._start_facts()

    @property
    def url(self) -> str | None:
        """Page of the run."""
        return self.run_url

    @property
    def is_done(self) -> bool:
        """Whether the server knows of the end of the run."""
        return self._live is not None and self._live.done.is_set()

    def become_child(self) -> Recorder:
        """After a fork: open a further writer; nobody sees the end, so each call is committed."""
        self.recorder = self._join()
        return self.recorder

    def finish(
        self, ending: dict[str, object], count_dropped: Callable[[], int], deadline: float
    ) -> tuple[int, int]:
        """Write the end, wait for the server until the deadline; return rows synced and pending."""
        self._wait_for_facts(deadline)
        self.recorder.drain(max(0.0, deadline - time.monotonic()))
        dropped = count_dropped()
        kind = "close" if self._identity is None or self._identity.is_member else "finish"
        self.recorder.add({"t": kind, **ending, "dropped": dropped})
        self.recorder.close(max(0.0, deadline - time.monotonic()))
        if self._live is not None:
            self._live.wait_done(max(0.0, deadline - time.monotonic()))
            self._live.close()
        self.release()
        return self._count()

    def release(self) -> None:
        """Let go of the spool directory: this process writes there no more."""
        if self._lock is not None:
            self._lock.release()

    def flush(self, deadline: float) -> bool:
        """Wait until everything logged so far is stored; say whether it is."""
        if self._live is None:
            return self.recorder.commit()
        self.recorder.wake.set()
        while time.monotonic() < deadline:
            _, pending = self._count()
            if pending == 0 and not self.recorder.ring:
                return True
            time.sleep(0.02)
        return False

    def _count(self) -> tuple[int, int]:
        spool = self.recorder.spool
        synced = self._live.acked.get(spool.writer, 0) if self._live else 0
        return synced, max(0, spool.rows + len(self.recorder.ring) - synced)

    def _join(self) -> Recorder:
        spool = SpoolWriter(self.directory, str(uuid.uuid4()))
        return Recorder(spool, self._console, threaded=False)

    def _wake(self) -> None:
        if self._live is not None:
            self._live.wake()

    def _take_created(self, run: dict[str, object]) -> None:
        identity = self._identity
        if identity is None or self.server is None:
            return
        identity.name = str(run.get("name") or identity.name or identity.id)
        address = run.get("url")
        if isinstance(address, str) and address.startswith(("http://", "https://")):
            self.run_url = address
        elif isinstance(address, str) and address.startswith("/"):
            self.run_url = f"{self.server.url}{address}"
        elif run.get("project"):
            identity.project = str(run["project"])
            self.run_url = identity.make_url(self.server.url)
        self._console.notice(f"run {identity.name}: {self.run_url}")

    def _start_facts(self) -> None:
        with_git = not self._settings.disable_git
        with_code = not self._settings.disable_code
        key = (os.getpid(), _find_working_directory(), with_git, with_code)
        if key in _known_facts:  # many short runs of one process pay once
            self.recorder.add({"t": "host", "host": _known_facts[key]})
            return

        def collect() -> None:
            facts = collect_host(with_git, with_code)
            _known_facts[key] = facts
            self.recorder.add({"t": "host", "host": facts})

        self._facts = threading.Thread(target=collect, name="scaledash-facts", daemon=True)
        self._facts.start()

    def _wait_for_facts(self, deadline: float) -> None:
        if self._facts is not None:
            limit = max(0.0, min(FACTS_SECONDS, deadline - time.monotonic()))
            self._facts.join(limit)


def _find_working_directory() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


def reattach(run_id: str, project: str, directory: str) -> object:
    """Return a run that writes into an existing spool: what unpickling a Run gives."""
    from scaledash.client.run import Run

    settings, console = Settings(), Console()
    path = Path(directory)
    identity = Identity(run_id, project, is_member=True, directory=path if directory else None)
    if not directory or not path.is_dir():
        return Run(identity, settings, console, None)
    return Run(identity, settings, console, Session(path, settings, console, None, None))
