"""What Redis and the workers say: asked with short deadlines, and never twice within seconds."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import redis
from celery import current_app
from django.conf import settings
from kombu import Connection

from fitting.hints import ERRORS

HELD_SECONDS = 2.0  # every open page would ask, and each question waits for its answers
ANSWER_SECONDS = 0.5
QUEUE = "refit"
NOT_CONFIGURED, AWAY, UP = "not configured", "away", "up"


@dataclass(frozen=True)
class Broker:
    """The state of Redis; None where it could not be asked."""

    state: str
    version: str | None = None
    n_hints: int | None = None
    n_workers: int | None = None
    asked_at: float = 0.0


class Asker:
    """Holds the newest answer of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Broker | None = None
        self._until = 0.0

    def ask(self) -> Broker:
        """Return what is known, at most two seconds old."""
        with self._lock:
            if self._held is None or time.monotonic() > self._until:
                self._held = ask_broker()
                self._until = time.monotonic() + HELD_SECONDS
            return self._held

    def forget(self) -> None:
        """Ask anew at the next question."""
        self._until = 0.0


def ask_broker() -> Broker:
    """Ask Redis how it is, and workers whether they are there."""
    now = time.time()
    if not settings.REDIS_URL:
        return Broker(NOT_CONFIGURED, asked_at=now)
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout
        ) as client:
            version = str(client.info("server")["redis_version"])
            n_hints = int(client.llen(QUEUE))
        return Broker(UP, version, n_hints, count_workers(), now)
    except ERRORS:
        return Broker(AWAY, asked_at=now)


def count_workers() -> int:
    """Return how many workers answer in time; one that fits something answers too."""
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "socket_timeout": timeout + 1,
               "socket_connect_timeout": timeout, "max_retries": 0}  # fmt: skip
    with Connection(settings.CELERY_BROKER_URL, transport_options=options) as broker:
        answers = current_app.control.ping(timeout=ANSWER_SECONDS, connection=broker)
    return len(answers)


asker = Asker()
