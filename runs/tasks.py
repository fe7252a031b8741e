"""The Celery face of runs, and what the sweeper does for them regularly."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from celery import Task, shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError
from kombu import Connection
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from runs.compaction import merge
from runs.retention import purge
from runs.services import mark_crashed_runs
from runs.settling import settle_runs

logger = logging.getLogger(__name__)

OUTAGES = (KombuError, RedisError, OSError)
LIVENESS_SECONDS = 5.0
SETTLE_SECONDS = 1.0
OUTAGE_SECONDS = 30.0
COMPACT_SECONDS = PURGE_SECONDS = 5.0
PRUNE_SECONDS = 60.0
QUEUE = "import"  # refits never wait behind these
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


@contextmanager
def _outlive_outages() -> Iterator[None]:
    """Leave the work to the next sweep where the database is away or busy."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        logger.warning("no database for background work; the sweeper sends it again: %s", error)


@shared_task(name="runs.compact_run", ignore_result=True, expires=30)
def compact_run(run_id: int) -> None:
    """Merge the small chunks of a run."""
    with _outlive_outages():
        merge.compact_run(run_id)


@shared_task(name="runs.purge_run", ignore_result=True, expires=30)
def purge_run(run_id: int) -> None:
    """Erase a deleted run."""
    with _outlive_outages():
        purge.purge_run(run_id)


def send_compactions(since_seconds: float) -> None:
    """Hand the runs that are worth it to the workers; without a broker, do a little oneself."""
    found = merge.find_runs()
    if not publish(compact_run, found):
        for run_id in found[:1]:
            merge.compact_run(run_id, OWN_SECONDS)


def send_purges(since_seconds: float) -> None:
    """Hand the runs whose time has come to the workers; without a broker, erase a little."""
    found = purge.find_runs()
    if not publish(purge_run, found):
        for run_id in found[:1]:
            purge.purge_run(run_id, OWN_SECONDS)


def prune(since_seconds: float) -> None:
    """Erase keys of batches that are too old to be sent again."""
    purge.prune_keys()


def publish(task: Task, ids: Sequence[int]) -> bool:
    """Send a task for each id; False where there is no broker."""
    if not settings.REDIS_URL or not ids:
        return not ids
    try:
        with _open_broker() as broker:
            for pk in ids:
                task.apply_async((pk,), queue=QUEUE, connection=broker, retry=False)
    except OUTAGES as error:
        logger.warning("no broker for %s; the sweeper does it: %s", task.name, error)
        return False
    return True


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
        ("purge", PURGE_SECONDS, send_purges),
        ("prune", PRUNE_SECONDS, prune),
    ]
