"""Send a spool: creation, changes, batches and end of a run; for the live sender and for sync.

Everything that must not be decided twice (batch boundaries, what was left out) is in the control
log before it is sent, so a sender that starts anew repeats exactly what the last one did.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scaledash.client import description
from scaledash.client.control import ControlLog
from scaledash.client.link import API, Connect, Link, Paused, Report, make_path
from scaledash.client.settings import Pace
from scaledash.client.stream import SpoolReader, Stream, read_int
from scaledash.client.transport import encode_json
from scaledash.client.uploads import Uploader
from scaledash.client.verdicts import Verdict
from scaledash.client.whole import plan_whole, send_whole

HOST_WAIT_SECONDS = 1.0
HURRIED_CAP_SECONDS = 2.0
REOPENING = ("allow", "must", "auto")
CHANGES = ("patch", "host", "preempting")


@dataclass(frozen=True)
class Step:
    """How one round of sending ended.

    Attributes
    ----------
    state : str
        "done", "idle" (all is sent, the run goes on), "retry" or "stopped".
    wait_seconds : float
        When another round makes sense, if nothing happens before.
    reason : str
        Why it is not done.
    """

    state: str
    wait_seconds: float
    reason: str = ""


class Sender:
    """Deliver one spool directory over one connection.

    Parameters
    ----------
    directory : Path
        The spool; its send lock is held by the caller.
    connect : callable
        Returns the transport to use, or None when no server is known.
    pace : Pace
        Waits.
    report : callable
        Takes events for the training process: created, acked, warning, done.
    """

    def __init__(
        self,
        directory: Path,
        connect: Connect,
        pace: Pace,
        report: Report = lambda event: None,
    ) -> None:
        self.directory = directory
        self.reader = SpoolReader(directory)
        self.control = ControlLog(directory)
        self.link = Link(self.control, connect, report)
        self._uploader = Uploader(self.link, directory, self._reopen)
        self._pace = pace
        self._report = report
        self._is_in_pieces = False
        self._sent_at = 0.0
        self._seen_at = time.monotonic()
        for writer, progress in self.control.state.writers.items():
            stream = self.reader.streams.setdefault(writer, Stream(writer))
            stream.forget(progress.acked_row)

    def advance(self, *, final: bool, hurry: bool) -> Step:
        """Send what there is; return how far that came.

        Parameters
        ----------
        final : bool
            The training process is gone: what is in the spool is all there will be.
        hurry : bool
            Do not wait for a batch to fill.
        """
        try:
            return self._try(final, hurry)
        except OSError as error:  # the disk is full, or the directory is gone
            return Step("retry", self._pace.backoff_cap_seconds, str(error))
        finally:
            self._report_progress()

    def close(self) -> None:
        """Close the control log and the connection."""
        self.control.close()
        self.link.close()

    def count_pending(self) -> int:
        """Return the rows that were read from the spool and are not acknowledged."""
        return sum(stream.count_pending() for stream in self.reader.streams.values())

    def _try(self, final: bool, hurry: bool) -> Step:
        try:
            return self._advance(final, hurry)
        except Paused as pause:
            return self._pause(pause, hurry)

    def _advance(self, final: bool, hurry: bool) -> Step:
        while True:
            has_more = self.reader.read(final)
            main = self.reader.main
            if main is None:
                return self._wait_for_beginning(final)
            ending = main.is_complete or final
            if ending and not has_more and self._send_whole(main, final):
                return Step("done", 0.0)
            if not self._create(main, at_once=ending or hurry):
                return Step("idle", 0.05, "waiting for the facts about this machine")
            self._deliver_changes(main)
            rest = self._sent_at + self._pace.flush_seconds - time.monotonic()
            if rest > 0 and not (hurry or ending or has_more):
                return Step("idle", rest, "rows are being collected")
            for stream in list(self.reader.streams.values()):
                self._uploader.send_rows(stream, make_path(main.events[0], "/metrics"), final)
            if not has_more:
                break
        self._sent_at = time.monotonic()
        return self._finish(main, final)

    def _wait_for_beginning(self, final: bool) -> Step:
        if final:
            return Step("stopped", self._pace.recheck_seconds, "the beginning of it is damaged")
        return Step("idle", self._pace.flush_seconds, "nothing is spooled yet")

    def _pause(self, pause: Paused, hurry: bool) -> Step:
        self.link.note_failure(pause, self.directory)
        reason = str(pause)
        if pause.verdict is not Verdict.RETRY:
            return Step("stopped", self._pace.recheck_seconds, reason)
        asked = pause.reply.read_retry_after()
        if asked is not None:
            return Step("retry", min(asked, self._pace.retry_after_cap_seconds), reason)
        cap = self._pace.backoff_cap_seconds
        cap = min(cap, HURRIED_CAP_SECONDS) if hurry else cap
        limit = min(cap, self._pace.backoff_seconds * 2 ** min(self.link.failures - 1, 20))
        return Step("retry", random.uniform(0, limit), reason)

    def _report_progress(self) -> None:
        acked = {name: item.acked_row for name, item in self.control.state.writers.items()}
        dead = self.control.state.dead_rows
        self._report({"event": "acked", "writers": acked, "dead": dead})

    def _send_whole(self, main: Stream, final: bool) -> bool:
        """Deliver a short run by one request; False where it goes piece by piece."""
        ending = self._find_ending(main, final)
        plan = None if self._is_in_pieces else plan_whole(self.control.state, self.reader, main)
        if plan is None or ending is None:
            return False
        reply = send_whole(self.link, main, plan, ending)
        if reply is None:
            self._is_in_pieces = True
            return False
        main.forget(plan.end_row)
        self._report({"event": "created", "run": reply.read_json() or {}})
        self._conclude(str(ending["state"]))
        return True

    def _create(self, main: Stream, at_once: bool) -> bool:
        """Make the run known to the server; False while its host facts are still awaited."""
        if self.control.state.created is not None:
            return True
        host = next((event for event in main.events if event.get("t") == "host"), None)
        waited = time.monotonic() - self._seen_at
        if host is None and not at_once and waited < HOST_WAIT_SECONDS:
            return False
        leading = description.take_leading(main.events)
        patches = [event for event in leading if event.get("t") == "patch"]
        body = description.build_create(main.events[0], host) | description.build_change(patches)
        reply = self.link.submit("POST", API, body, 0)
        run = reply.read_json() or {}
        self.control.append({"t": "created", "run": run, "host": host is not None}, durable=True)
        # Only a run made by this very request has taken the changes; else they are sent again.
        self.control.append({"t": "event", "n": 1 + len(leading) * (reply.status == 201)})
        self._report({"event": "created", "run": run})
        return True

    def _reopen(self) -> bool:
        """Continue a run that has ended, if its caller allowed that."""
        main = self.reader.main
        if main is None or main.events[0].get("resume") not in REOPENING:
            return False
        body = description.build_create(main.events[0], None)
        body |= {"request_id": str(uuid.uuid4()), "resume": "allow"}
        self.link.submit("POST", API, body, 0)
        return True

    def _deliver_changes(self, main: Stream) -> None:
        changes = [
            event
            for event in main.events
            if event.get("t") in CHANGES and read_int(event, "n") >= self.control.state.events
        ]
        if not changes:
            return
        body = description.build_change(
            event for event in changes if event.get("t") == "patch" or self._is_late_host(event)
        )
        if body:
            path = make_path(main.events[0])
            self.link.submit("PATCH", path, body, read_int(changes[0], "n"))
        self.control.append({"t": "event", "n": read_int(changes[-1], "n") + 1})
        main.forget_events([event for event in changes if event.get("t") == "patch"])

    def _is_late_host(self, event: dict[str, object]) -> bool:
        return event.get("t") == "host" and not self.control.state.created_with_host

    def _finish(self, main: Stream, final: bool) -> Step:
        if self.control.state.done:
            return Step("done", 0.0)
        if main.events[0].get("member"):
            return self._close_member(main, final)
        ending = self._find_ending(main, final)
        if ending is None:
            return Step("idle", self._pace.flush_seconds)
        self._send_trailing_rewind(main)
        progress = self.control.state.writer(main.writer)
        body = description.build_finish(
            ending, self.control.state.dead_rows, progress.sent_as, progress.last_seq
        )
        self.link.submit("POST", make_path(main.events[0], "/finish"), body, -1)
        return self._conclude(str(ending["state"]))

    def _find_ending(self, main: Stream, final: bool) -> Mapping[str, object] | None:
        ending = next((event for event in main.events if event.get("t") == "finish"), None)
        if ending is None and final:
            preempted = any(event.get("t") == "preempting" for event in main.events)
            ending = {"state": "interrupted" if preempted else "crashed"}
        return ending

    def _close_member(self, main: Stream, final: bool) -> Step:
        """Further ranks of a run never end it."""
        if not (main.is_complete or final):
            return Step("idle", self._pace.flush_seconds)
        return self._conclude("closed")

    def _conclude(self, state: str) -> Step:
        self.control.append({"t": "done", "state": state}, durable=True)
        self._report_progress()  # before the last word, after which nobody may listen
        self._report({"event": "done", "state": state})
        return Step("done", 0.0)

    def _send_trailing_rewind(self, main: Stream) -> None:
        """Send a rewind with no row behind it: no batch carries it."""
        for cut in main.cuts.values():
            if cut.get("t") == "rewind":
                body = {"id": cut["id"], "step": cut["step"]}
                path = make_path(main.events[0], "/rewind")
                self.link.request("POST", path, encode_json(body))
