"""Marks, alerts and metric definitions: kept in the config under one private key.

The server has no endpoints of their own for them yet; the whole collection is sent with each
change, so a replay changes nothing.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta

from scaledash.client.jsonable import mask_text

KINDS = ("diverged", "healthy", "note", "phase", "checkpoint")
LEVELS = ("INFO", "WARN", "ERROR")
WAIT_SECONDS = 60.0
MAX_TITLE = 63
MAX_TEXT = 1_024
MAX_KEPT = 200
MAX_TRACEBACK = 8_192


def read_wait(given: float | timedelta | None) -> float:
    """Return seconds; None means the usual 60."""
    if isinstance(given, timedelta):
        return given.total_seconds()
    return WAIT_SECONDS if given is None else float(given)


class Annotations:
    """What a run says about itself beside numbers.

    Parameters
    ----------
    send : callable
        Takes the whole collection after each change.
    """

    def __init__(self, send: Callable[[dict[str, object]], None]) -> None:
        self._send = send
        self._metrics: dict[str, dict[str, object]] = {}
        self._marks: list[dict[str, object]] = []
        self._alerts: list[dict[str, object]] = []
        self._traceback = ""
        self._framework: dict[str, object] = {}
        self._alerted_at: dict[str, float] = {}

    def define_metric(self, name: str, facts: Mapping[str, object]) -> None:
        """Keep how a metric is shown; later facts win."""
        known = {key: value for key, value in facts.items() if value is not None}
        self._metrics[str(name)] = {**self._metrics.get(str(name), {}), **known}
        self._send_all()

    def note_smoothed(self, name: str, how: str) -> None:
        """Keep that a metric holds averages; sent once."""
        if self._metrics.get(name, {}).get("smoothed") != how:
            self.define_metric(name, {"smoothed": how})

    def note_facts(self, by: str, facts: Mapping[str, object]) -> None:
        """Keep scale facts that a framework's callback has read off model and trainer."""
        self._framework = {"by": by, "facts": dict(facts)}
        self._send_all()

    def mark(self, kind: str, step: int, reason: str) -> str:
        """Keep a mark; return what is wrong with it, or ""."""
        if kind not in KINDS:
            return f"mark({kind!r}) is ignored: use one of {', '.join(KINDS)}"
        mark = {"kind": kind, "step": step, "reason": reason[:MAX_TEXT], "at": time.time()}
        self._marks = [*self._marks, mark][-MAX_KEPT:]
        self._send_all()
        return ""

    def alert(self, title: str, text: str, level: str, wait_seconds: float) -> None:
        """Keep an alert unless one of this title is younger than `wait_seconds`."""
        now = time.time()
        if now - self._alerted_at.get(title, float("-inf")) < wait_seconds:
            return
        self._alerted_at[title] = now
        shown = level.upper() if level.upper() in LEVELS else "INFO"
        alert = {"title": title[:MAX_TITLE], "text": text[:MAX_TEXT], "level": shown, "at": now}
        self._alerts = [*self._alerts, alert][-MAX_KEPT:]
        self._send_all()

    def keep_traceback(self, error: BaseException) -> None:
        """Keep where an exception came from: the end of its traceback, secrets masked."""
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        self._traceback = mask_text(text[-MAX_TRACEBACK:])
        self._send_all()

    def _send_all(self) -> None:
        self._send(self._collect())

    def _collect(self) -> dict[str, object]:
        parts: dict[str, object] = {
            "metrics": self._metrics,
            "marks": self._marks,
            "alerts": self._alerts,
            "traceback": self._traceback,
            "framework": self._framework,
        }
        return {name: part for name, part in parts.items() if part}
