"""Hints to the workers that there is something to fit; every one of them may be lost.

A hint is a Celery task behind a Redis key that lives for a quarter of a second, so that a burst
of batches sends one. No answer to a batch waits for Redis: a thread of the process sends what was
left for it, all of it together, with short timeouts, and after an error nothing for a while. The
sweeper finds whatever a lost hint would have announced.
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
REST_SECONDS = 0.02  # between two rounds of the thread: what comes meanwhile goes together
MAX_REMEMBERED = 10_000
EXPIRES_SECONDS = 30
ERRORS = (redis.RedisError, KombuError, OSError, ValueError)


class Hints:
    """The hints of one process: connections of each thread, circuit breaker, error count."""

    def __init__(self) -> None:
        self.errors = 0
        self._silent_until = 0.0
        self._local = threading.local()
        self._generation = 0
        self._open_windows: dict[int | str, float] = {}
        self._left: dict[int | str, None] = {}
        self._has_left = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """Say whether hints are sent at present."""
        return bool(settings.REDIS_URL) and time.monotonic() >= self._silent_until

    def leave(self, subjects: Iterable[int | str]) -> None:
        """Let the thread wake a worker for these studies or runs soon; waits for nothing."""
        if not self.is_open:
            return
        with self._lock:
            self._left.update(dict.fromkeys(subjects))
            if self._thread is None or not self._thread.is_alive():  # the first one, or a fork's
                self._thread = threading.Thread(target=self._work, name="hints", daemon=True)
                self._thread.start()
        self._has_left.set()

    def _work(self) -> None:
        try:
            while not self._is_closed:
                self._has_left.wait()
                self._has_left.clear()
                with self._lock:
                    left, self._left = self._left, {}
                self.send(left)
                time.sleep(REST_SECONDS)
        finally:
            self._forget_connections()

    def close(self) -> None:
        """End the thread, and close its connections and those of the caller."""
        self._is_closed = True
        self._has_left.set()
        if self._thread is not None:
            self._thread.join()
        self._forget_connections()

    def send(self, subjects: Iterable[int | str]) -> bool:
        """Wake a worker for these studies or runs; False where Redis is away or not configured."""
        if not self.is_open:
            return False
        try:
            if self._find_first(subjects):
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
        self._generation += 1  # other threads close theirs when they need them next
        self._open_windows = {}

    def _find_first(self, subjects: Iterable[int | str]) -> list[int | str]:
        """Return those of which nobody has sent a hint in this window, and open theirs."""
        now, window_ms = time.monotonic(), settings.REFIT_HINT_WINDOW_MS
        asked = [subject for subject in subjects if self._open_windows.get(subject, 0.0) <= now]
        if not asked:
            return []
        self._forget_old_connections()
        if not hasattr(self._local, "redis"):
            timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
            self._local.redis = redis.Redis.from_url(
                settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout
            )
        with self._local.redis.pipeline(transaction=False) as pipe:
            for subject in asked:
                pipe.set(f"refit:{subject}", 1, nx=True, px=window_ms)
            answers = pipe.execute()
        first = [subject for subject, is_set in zip(asked, answers, strict=True) if is_set]
        if len(self._open_windows) > MAX_REMEMBERED:
            self._open_windows.clear()
        self._open_windows.update(dict.fromkeys(first, now + window_ms / 1e3))
        return first

    def _publish(self) -> None:
        from fitting.tasks import refit_tick

        self._forget_old_connections()
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

    def _forget_old_connections(self) -> None:
        if getattr(self._local, "generation", self._generation) != self._generation:
            self._forget_connections()
        self._local.generation = self._generation

    def _forget_connections(self) -> None:
        broker = self._local.__dict__.pop("broker", None)
        client = self._local.__dict__.pop("redis", None)
        if broker is not None:
            broker.collect()
        if client is not None:
            client.close()


hints = Hints()
