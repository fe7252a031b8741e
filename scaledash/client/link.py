"""Requests of one sender: judge each reply, keep count of failures, take out what is refused."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from scaledash.client import description
from scaledash.client.control import ControlLog
from scaledash.client.transport import Reply, Transport, encode_json
from scaledash.client.verdicts import Verdict, judge

API = "/api/v1/runs"
WARN_AFTER_FAILURES = 5
WARN_EVERY_SECONDS = 600.0
MAX_STRIPS = 100
TROUBLE = "trouble:"  # begins the cause of a warning that nothing can be sent

Report = Callable[[dict[str, object]], None]
Connect = Callable[[], Transport | None]


class Paused(Exception):
    """Nothing more can be sent for now."""

    def __init__(self, reply: Reply, verdict: Verdict) -> None:
        super().__init__(reply.read_error()[1])
        self.reply = reply
        self.verdict = verdict


class Link:
    """The connection of a spool to its server.

    Parameters
    ----------
    control : ControlLog
        Remembers what was taken out, and trouble.
    connect : callable
        Returns the transport to use, or None when no server is known.
    report : callable
        Takes events for the training process.

    Attributes
    ----------
    failures : int
        Requests in a row that were not answered as hoped.
    """

    def __init__(self, control: ControlLog, connect: Connect, report: Report) -> None:
        self.control = control
        self.report = report
        self.failures = 0
        self._connect = connect
        self._transport: Transport | None = None
        self._warned_at: float | None = None

    def request(self, method: str, path: str, body: bytes | None) -> tuple[Reply, Verdict]:
        """Send and judge.

        Raises
        ------
        Paused
            Unless the reply says that the content is stored, or refused.
        """
        if self._transport is None:
            self._transport = self._connect()
        if self._transport is None:
            raise Paused(Reply(0, problem="no server address or token is known"), Verdict.STOP)
        reply = self._transport.send(method, path, body)
        verdict = judge(reply)
        if verdict in (Verdict.RETRY, Verdict.STOP, Verdict.CONFLICT):
            raise Paused(reply, verdict)
        self.failures = 0
        return reply, verdict

    def submit(self, method: str, path: str, body: dict[str, object], n: int) -> Reply:
        """Send the description `n`; parts that the server refuses are taken out and kept as dead.

        Raises
        ------
        Paused
            Nothing was accepted; for refused content only when no part is left to take out.
        """
        for record_n, pointer in self.control.state.stripped:
            body = description.strip(body, pointer) if record_n == n else body
        for _ in range(MAX_STRIPS):
            if not body:  # every part of a change was refused; the rest of the run goes on
                return Reply(0, problem="nothing is left to send")
            reply, verdict = self.request(method, path, encode_json(body))
            if verdict is Verdict.STORED:
                return reply
            code, message, field = reply.read_error()
            found = description.choose_strip(body, field)
            if found is None:
                break
            reason = f"{message} ({code or reply.status})"
            self.control.append(
                {"t": "strip", "n": n, "pointer": found, "reason": reason, "id": make_id()}
            )
            self.warn(f"strip:{found}", f"{found} of the run is not stored: {reason}")
            body = description.strip(body, found)
        raise Paused(reply, Verdict.STOP)

    def warn(self, cause: str, text: str) -> None:
        """Tell the training process; it prints the first warning of each cause."""
        self.report({"event": "warning", "cause": cause, "text": text})

    def note_failure(self, pause: Paused, directory: Path) -> None:
        """Count a failure, keep its reason, and warn at most every ten minutes."""
        self.failures += 1
        stopped = pause.verdict is not Verdict.RETRY
        self.control.append({"t": "trouble", "reason": str(pause), "at": time.time()})
        if stopped:
            self.close()  # address and token are read again for the next try
        now = time.monotonic()
        is_quiet = self._warned_at is not None and now - self._warned_at < WARN_EVERY_SECONDS
        if is_quiet or (not stopped and self.failures < WARN_AFTER_FAILURES):
            return
        self._warned_at = now
        self.warn(
            f"{TROUBLE}{now}",
            f"nothing can be sent now: {str(pause).rstrip('.')}. The run goes on and everything is"
            f" kept; `scaledash sync {directory}` sends it later.",
        )

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


def make_path(init: dict[str, object], tail: str = "") -> str:
    """Return the path of a run's endpoint, from its init record."""
    run_id, project = quote(str(init.get("id")), safe=""), str(init.get("project") or "")
    query = f"?project={quote(project, safe='')}" if project else ""
    return f"{API}/{run_id}{tail}{query}"


def make_id() -> str:
    """Return a new id for a dead letter."""
    return uuid.uuid4().hex
