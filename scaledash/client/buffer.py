"""The memory ring between `log` and the spool, and the thread that empties it.

`log` only appends to `ring` while it holds `lock`; every 200 ms or 256 rows the thread commits what
is there. When the spool cannot be written the ring keeps the newest 100,000 rows.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from scaledash.client.console import Console
from scaledash.client.spool import Entry, Row, SpoolWriter

RING_ROWS = 100_000
COMMIT_ROWS = 256
COMMIT_SECONDS = 0.2
FSYNC_SECONDS = 1.0
CROWDED_ROWS = 10_000
YIELD_SECONDS = 0.0005
LATEST_SECONDS = 1.0  # for a disk that does not answer
SLICE_ROWS = 256  # a long ring is committed in slices, so that `log` never waits for the whole


class Recorder:
    """Ring, commit thread and spool writer of one process.

    Parameters
    ----------
    spool : SpoolWriter
        Where entries go.
    console : Console
        Says once why the spool cannot be written.
    durable : bool
        Commit and fsync in every call.
    threaded : bool
        False: commit in every call without a thread, as forked children do, whose end nobody sees.
    on_commit : callable
        Called after entries have reached the spool, from the committing thread.

    Attributes
    ----------
    ring : deque
        Entries not yet in the spool.
    lock : RLock
        Held while the ring or a step counter changes; re-entrant, because a signal handler may
        finish the run while its thread is inside `log`.
    dropped : int
        Rows lost because the spool could not be written and the ring was full.
    """

    def __init__(
        self,
        spool: SpoolWriter,
        console: Console,
        *,
        durable: bool = False,
        threaded: bool = True,
        on_commit: Callable[[], None] | None = None,
    ) -> None:
        self.ring: deque[Entry] = deque()
        self.lock = threading.RLock()
        self.wake = threading.Event()
        self.dropped = 0
        self.spool = spool
        self.immediate = durable or not threaded
        self._durable = durable
        self._console = console
        self._on_commit = on_commit
        self._commit_lock = threading.RLock()
        self._is_committing = False
        self._synced_at = time.monotonic()
        self._closing = False
        self._turn = threading.Condition()
        self._turns = 0  # of the thread, each with a whole commit
        self._thread: threading.Thread | None = None
        if not self.immediate:
            self._thread = threading.Thread(target=self._run, name="scaledash-spool", daemon=True)
            self._thread.start()

    def add(self, entry: Entry) -> None:
        """Take an entry; commit it at once where that was asked for."""
        with self.lock:
            self.ring.append(entry)
            self.trim()
        if self.immediate:
            self.commit()
            self._sync_if_due()
        elif len(self.ring) % COMMIT_ROWS == 0:
            self.relieve(len(self.ring))

    def relieve(self, size: int) -> None:
        """Wake the thread; when it falls far behind, give it a moment of the interpreter.

        Calls without any work between them are faster than the thread, and would overrun the ring.
        """
        self.wake.set()
        if size >= CROWDED_ROWS:
            time.sleep(YIELD_SECONDS * size / CROWDED_ROWS)
        if size > RING_ROWS:
            with self.lock:
                self.trim()

    def trim(self) -> None:
        """Drop the oldest row of a full ring; records are few and are never dropped."""
        kept: list[Entry] = []
        while len(self.ring) + len(kept) > RING_ROWS:
            entry = self.ring.popleft()
            if isinstance(entry, dict):
                kept.append(entry)
            else:
                self.dropped += 1
        self.ring.extendleft(reversed(kept))

    def commit(self) -> bool:
        """Move the ring to the spool; say whether all of it is there."""
        with self._commit_lock:
            if self._is_committing:  # a signal handler, inside a commit of its own thread
                return False
            self._is_committing = True
            try:
                return self._write_all()
            finally:
                self._is_committing = False

    def _write_all(self) -> bool:
        while entries := self._take_slice():
            if not self._write(entries):
                return False
        return True

    def _take_slice(self) -> list[Entry]:
        """Take entries without the lock, which a thread that is interrupted may hold."""
        entries: list[Entry] = []
        with contextlib.suppress(IndexError):
            for _ in range(SLICE_ROWS):
                entries.append(self.ring.popleft())
        return entries

    def drain(self, timeout_seconds: float) -> None:
        """Wait until everything added before is in the spool, or could not be written."""
        if self._thread is None or self._thread is threading.current_thread():
            self.commit()
            return
        with self._turn:
            wanted = self._turns + 2  # the turn that runs now may have passed our entries
            deadline = time.monotonic() + timeout_seconds
            while self._turns < wanted and (rest := deadline - time.monotonic()) > 0:
                self.wake.set()
                self._turn.wait(rest)

    def read_latest(self) -> dict[str, float]:
        """Return the value of each metric in the row that was logged last, written or not."""
        is_ours = self._commit_lock.acquire(timeout=LATEST_SECONDS)  # nothing is between the two
        try:
            latest = dict(self.spool.last)
            with self.lock:
                waiting = list(self.ring)
        finally:
            if is_ours:
                self._commit_lock.release()
        for entry in waiting:
            if not isinstance(entry, dict):
                latest.update(entry.data if isinstance(entry, Row) else entry[2])
        return latest

    def sync(self) -> None:
        """Make what is in the spool survive a power cut."""
        try:
            self.spool.sync()
        except OSError as error:
            self._console.warn("fsync", f"cannot flush {self.spool.directory} to disk: {error}")
        self._synced_at = time.monotonic()

    def close(self, timeout_seconds: float) -> bool:
        """Stop the thread, commit and fsync; say whether everything is in the spool.

        Waits no longer than the timeout, even when the disk does not answer.
        """
        self._closing = True
        self.wake.set()
        if self._thread is None or self._thread is threading.current_thread():
            return self._close_spool()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive() and not self.ring

    def _run(self) -> None:
        pid = os.getpid()
        while not self._closing and os.getpid() == pid:
            self.wake.wait(COMMIT_SECONDS)
            self.wake.clear()
            self.commit()
            self._sync_if_due()
            with self._turn:
                self._turns += 1
                self._turn.notify_all()
        self._close_spool()

    def _close_spool(self) -> bool:
        whole = self.commit()
        self.sync()
        self.spool.close()
        return whole

    def _sync_if_due(self) -> None:
        if self._durable or time.monotonic() - self._synced_at >= FSYNC_SECONDS:
            self.sync()

    def _write(self, entries: list[Entry]) -> bool:
        try:
            self.spool.write(entries)
        except OSError as error:
            with self.lock:
                self.ring.extendleft(reversed(entries))
                self.trim()
            self._console.warn(
                "spool",
                f"cannot write {self.spool.directory}: {error}. The newest {RING_ROWS:,} rows stay"
                " in memory; free some space and they are written.",
            )
            return False
        except Exception as error:  # a fault of ours must not end the thread: later rows count
            self.dropped += sum(not isinstance(entry, dict) for entry in entries)
            self._console.warn("encode", f"rows could not be written and are lost: {error!r}")
            return True
        for name, reason in self.spool.refused.items():
            self._console.warn(f"name:{name}", f"{name!r} is not stored: {reason}")
        self.spool.refused.clear()
        if self._on_commit is not None:
            self._on_commit()
        return True
