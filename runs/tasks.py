"""The Celery face of runs, and what the sweeper does for them regularly."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from celery import shared_task
from django.conf import settings
from kombu import Connection
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from runs.compaction import merge
from runs.services import mark_crashed_runs
from runs.settling import settle_runs

logger = logging.getLogger(__name__)

OUTAGES = (KombuError, RedisError, OSError)
LIVENESS_SECONDS = 5.0
SETTLE_SECONDS = 1.0
OUTAGE_SECONDS = 30.0
COMPACT_SECONDS = 5.0
OWN_SECONDS = 0.2  # what the sweeper may spend on compaction at once, where there is no worker


class Liveness:
    """Marks silent runs as crashed, but not those that could not reach a server that was away.

    After a pause in its own calls, and at the start, every run has the full time anew.
    """

    def __init__(self) -> None:
        self._counts_from: float | None = None

    def __call__(self, since_seconds: float) -> int:
        """Look at the runs; `since_seconds` is the time since the last call."""
        now = time.monotonic()
        if self._counts_from is None or since_seconds > OUTAGE_SECONDS:
            self._counts_from = now
        if now - self._counts_from < settings.CRASHED_AFTER_SECONDS:
            return 0
        return len(mark_crashed_runs())


@shared_task(name="runs.compact_run", queue="import", ignore_result=True, expires=30)
def compact_run(run_id: int) -> None:
    """Merge the small chunks of a run."""
    merge.compact_run(run_id)


def send_compactions(since_seconds: float) -> int:
    """Hand the runs that are worth it to the workers; without a broker, do a little oneself."""
    found = merge.find_runs()
    try:
        if settings.REDIS_URL and found:
            return _publish(found)
    except OUTAGES as error:
        logger.warning("no broker for compaction; the sweeper does it: %s", error)
    return sum(merge.compact_run(run_id, OWN_SECONDS) for run_id in found[:1])


def _publish(run_ids: Sequence[int]) -> int:
    with _open_broker() as broker:
        for run_id in run_ids:
            compact_run.apply_async((run_id,), connection=broker, retry=False)
    return len(run_ids)


def _open_broker() -> Connection:
    """Return a connection that gives up soon: the sweeper has more urgent things to do."""
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "max_retries": 0}
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, **limits}
    return Connection(settings.CELERY_BROKER_URL, transport_options=options)


def settle(since_seconds: float) -> int:
    """Recompute flagged summaries."""
    return settle_runs()


def make_chores() -> list[tuple[str, float, Callable[[float], object]]]:
    """Return what the sweeper is to call: name, seconds between calls, function."""
    return [
        ("liveness", LIVENESS_SECONDS, Liveness()),
        ("settle", SETTLE_SECONDS, settle),
        ("compaction", COMPACT_SECONDS, send_compactions),
    ]
