"""Hints to the workers that there is something to fit; every one of them may be lost.

A hint is a Celery task behind a Redis key that lives for a quarter of a second, so that a burst
of batches sends one. Redis is never waited for: short timeouts, and after an error none at all
for a while. The sweeper finds whatever a lost hint would have announced.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

import redis
from django.conf import settings
from kombu import Connection
from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0  # without Redis after an error
EXPIRES_SECONDS = 30
ERRORS = (redis.RedisError, KombuError, OSError, ValueError)


class Hints:
    """The hints of one process: connections of each thread, circuit breaker, error count."""

    def __init__(self) -> None:
        self.errors = 0
        self._silent_until = 0.0
        self._local = threading.local()

    @property
    def is_open(self) -> bool:
        """Say whether hints are sent at present."""
        return bool(settings.REDIS_URL) and time.monotonic() >= self._silent_until

    def send(self, subjects: Iterable[int | str]) -> bool:
        """Wake a worker for these studies or runs; False where Redis is away or not configured."""
        if not self.is_open:
            return False
        try:
            news = [subject for subject in subjects if self._is_first(subject)]
            if news:
                self._publish()
        except ERRORS as error:
            self._note(error)
            return False
        return True

    def send_again(self) -> bool:
        """Wake a worker once more, whatever was sent before."""
        if not self.is_open:
            return False
        try:
            self._publish()
        except ERRORS as error:
            self._note(error)
            return False
        return True

    def reset(self) -> None:
        """Forget connections and errors, so that the next hint starts anew."""
        self._silent_until = 0.0
        self._local = threading.local()

    def _is_first(self, subject: int | str) -> bool:
        if not hasattr(self._local, "redis"):
            timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
            self._local.redis = redis.Redis.from_url(
                settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout
            )
        key, window_ms = f"refit:{subject}", settings.REFIT_HINT_WINDOW_MS
        return bool(self._local.redis.set(key, 1, nx=True, px=window_ms))

    def _publish(self) -> None:
        from fitting.tasks import refit_tick

        if not hasattr(self._local, "broker"):
            timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
            self._local.broker = Connection(
                settings.CELERY_BROKER_URL,
                transport_options={
                    **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
                    "socket_timeout": timeout,
                    "socket_connect_timeout": timeout,
                    "max_retries": 0,
                },
            )
        refit_tick.apply_async(
            connection=self._local.broker, expires=EXPIRES_SECONDS, retry=False, ignore_result=True
        )

    def _note(self, error: Exception) -> None:
        self.errors += 1
        self._silent_until = time.monotonic() + PAUSE_SECONDS
        self._forget_connections()
        logger.warning("no hints for %.0f s, the sweeper takes over: %s", PAUSE_SECONDS, error)

    def _forget_connections(self) -> None:
        broker = self._local.__dict__.pop("broker", None)
        self._local.__dict__.pop("redis", None)
        if broker is not None:
            broker.collect()


hints = Hints()
