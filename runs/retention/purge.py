"""Erase what was deleted long ago, and keys of batches that nobody sends again.

Every step is a short transaction of its own: a purge may be interrupted and goes on later.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from runs.models import Run
from runs.retention import store as sql
from runs.store import execute, fetch
from teams import audit

ROWS_AT_ONCE = 2_000
RUNS_AT_ONCE = 20
KEYS_AT_ONCE = 10_000
RUN_SECONDS = 15.0


@dataclass(frozen=True)
class Progress:
    """What is left of a run that is being erased."""

    is_asked: bool
    chunks: int
    batches: int


def find_runs(limit: int = RUNS_AT_ONCE) -> list[int]:
    """Return deleted runs whose time has come."""
    wish = {"days": settings.PURGE_AFTER_DAYS, "limit": limit}
    return [row[0] for row in fetch(sql.FIND_TO_PURGE, wish)]


@transaction.atomic
def ask_for_purge(run: Run) -> None:
    """Let a deleted run be erased as soon as possible."""
    audit.record("run.purged", run.project, run.name or run.uid, id=run.uid)
    Run.objects.filter(pk=run.pk, deleted_at__isnull=False).update(purge_at=Now())
    run.refresh_from_db(fields=["purge_at"])


def read_progress(run: Run) -> Progress:
    """Return how much of a run is left."""
    chunks, batches = fetch(sql.COUNT_LEFT, {"run": run.pk})[0]
    return Progress(run.purge_at is not None, chunks, batches)


def purge_run(run_id: int, seconds: float = RUN_SECONDS) -> bool:
    """Erase a run; False where time ran out, or where it has been restored meanwhile."""
    deadline = time.monotonic() + seconds
    for statement in (sql.DELETE_CHUNKS, sql.DELETE_BATCHES):
        while _erase_some(statement, run_id):
            if time.monotonic() > deadline:
                return False
    with transaction.atomic():
        gone = _lock(run_id)
        if gone is not None:
            gone.delete()
    return gone is not None


@transaction.atomic
def _erase_some(statement: str, run_id: int) -> int:
    """Erase some rows while the run is locked, so that it cannot be restored in between."""
    if _lock(run_id) is None:
        return 0
    return execute(statement, {"run": run_id, "limit": ROWS_AT_ONCE})


def _lock(run_id: int) -> Run | None:
    locked = Run.objects.select_for_update(of=("self",)).only("id", "deleted_at")
    return locked.filter(pk=run_id, deleted_at__isnull=False).first()


def prune_keys() -> int:
    """Erase keys of batches that are too old to be sent again; returns their number."""
    days = settings.KEEP_BATCH_KEYS_DAYS
    if days <= 0:
        return 0
    return execute(sql.PRUNE_BATCHES, {"days": days, "limit": KEYS_AT_ONCE})
