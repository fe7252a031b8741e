"""The refit engine: claim, read a snapshot, fit, publish if the claim still holds.

Any number of processes may run this at once, and any may be killed at any line: whoever holds
the highest token of a study publishes, and what a lost worker claimed is claimed again when its
lease has run out. docs/architecture.md tells the whole story.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models.functions import Now

from fitting import outbox
from fitting.alerts.studies import tell_of_fits
from fitting.analyses import ANALYSES, WITH_LOSSES, Result
from fitting.diagnoses.publishing import publish as publish_diagnosis
from fitting.diagnoses.work import diagnose
from fitting.inputs import AnalysisInput, read_study_rows
from fitting.models import Fit, FitKind, Study
from fitting.queries import find_newest, read_switched_off
from fitting.services import mark_followers
from scaledash.lib.jsonsafe import make_safe

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError)
MAX_ERROR_LENGTH = 500
# After so long a deep fit publishes what it has and is claimed again for the rest: on a busy
# machine all analyses of a large study together would run into the soft limit, again and again.
SLICE_SECONDS = {FitKind.DEEP: 5.0}
TIME_LIMITS = ("SoftTimeLimitExceeded", "TookTooLong")  # of Celery, of the sweeper's child


@dataclass(frozen=True)
class Snapshot:
    """One state of the database: the changes it holds, and the data they changed."""

    dirty_ids: list[int]
    data_at: datetime
    study: Study | None
    data: Mapping[str, AnalysisInput] = field(default_factory=dict)
    last: Mapping[str, Fit | None] = field(default_factory=dict)

    def is_fitted(self, name: str) -> bool:
        """Say whether the newest fit of this analysis and kind is of exactly these data."""
        last = self.last[name]
        return last is not None and last.input_digest == self.data[name].digest

    def list_unfitted(self) -> list[str]:
        """Return the analyses without a fit of these data, in their order."""
        return [name for name in self.data if not self.is_fitted(name)]


class _Superseded(Exception):
    """A newer owner holds the lease."""


def run_next(n_workers: int | None = None) -> bool:
    """Do the work whose change is oldest; False where there was nothing to claim."""
    held = claim_next(n_workers or settings.SCALEDASH_WORKERS)
    if held is None:
        return False
    run_claim(held)
    return True


def is_anything_waiting() -> bool:
    """Look once more, before going idle."""
    return bool(outbox.find_waiting())


def claim_next(n_workers: int) -> outbox.Claim | None:
    """Claim a fast fit, else a diagnosis; a deep fit only if this worker can be spared."""
    share = math.ceil(n_workers / 2)
    held = outbox.claim([FitKind.FAST], share) or outbox.claim([FitKind.RUN_DIAG], share)
    if held is not None:
        return held
    is_last_free = n_workers > 1 and n_workers - outbox.count_busy() <= 1
    return None if is_last_free else outbox.claim([FitKind.DEEP], share)


def run_claim(held: outbox.Claim) -> bool:
    """Fit and publish; False where the attempt raised or a newer owner exists.

    A failure of the fit is stored where the study's page shows it. An outage of the database is
    the caller's business: nothing can be stored then, and the lease runs out by itself.
    """
    try:
        return _diagnose(held) if held.kind == FitKind.RUN_DIAG else _fit(held)
    except OUTAGES:
        raise
    except Exception as error:  # whatever a fit raises must not end the worker
        logger.exception("the %s work on %s failed", held.kind, held.subject)
        outbox.fail(held, describe_error(error))
        return False


def _fit(held: outbox.Claim) -> bool:
    started = time.monotonic()
    with keep_lease(held):
        snapshot = read_snapshot(held)
        results = analyse(snapshot, held.kind)
    return publish(held, snapshot, results, time.monotonic() - started)


def _diagnose(held: outbox.Claim) -> bool:
    started = time.monotonic()
    with keep_lease(held):
        found = diagnose(held)
    return publish_diagnosis(held, found, time.monotonic() - started)


def read_snapshot(held: outbox.Claim) -> Snapshot:
    """Read dirty ids, data and digest together; nothing stays open during the fit."""
    with transaction.atomic():
        outbox.begin_snapshot()
        dirty_ids, data_at = outbox.read_dirty(held)
        study = Study.objects.filter(pk=held.subject, deleted_at=None).first()
        if study is None:
            return Snapshot(dirty_ids, data_at, None)
        off = read_switched_off(study)
        made = {name: item for name, item in ANALYSES.items() if name not in off}
        if not made:
            return Snapshot(dirty_ids, data_at, study)
        last = {name: find_newest(study, name, held.kind) for name in made}
        rows = read_study_rows(study, next(filter(None, map(last.get, WITH_LOSSES)), None))
        data = {name: item.load(study, rows, held.kind) for name, item in made.items()}
    return Snapshot(dirty_ids, data_at, study, data, last)


def analyse(snapshot: Snapshot, kind: FitKind) -> dict[str, Result]:
    """Return the results by analysis, without those whose newest fit is of these data already.

    A deep fit stops between two analyses when its slice of time is over.
    """
    study = snapshot.study
    if study is None:
        return {}
    results: dict[str, Result] = {}
    until = time.monotonic() + SLICE_SECONDS.get(kind, math.inf)
    for name in snapshot.list_unfitted():
        if results and time.monotonic() > until:
            break
        results[name] = ANALYSES[name].analyse(snapshot.data[name], study, kind)
    return results


def publish(
    held: outbox.Claim, snapshot: Snapshot, results: Mapping[str, Result], seconds: float
) -> bool:
    """Store the fits and delete the changes they cover, in one transaction, if the token holds.

    Where analyses are left for another slice the changes stay, so that the study is claimed again.
    """
    try:
        with transaction.atomic():
            stored = [
                _store_fit(held, snapshot, name, result, seconds)
                for name, result in results.items()
            ]
            known = [fit.pk for fit in (*snapshot.last.values(), *stored) if fit is not None]
            progress = {"fit": max(known, default=None), "data_at": snapshot.data_at.isoformat()}
            if not outbox.release(held, seconds, json.dumps(progress)):
                raise _Superseded
            if not set(snapshot.list_unfitted()) - set(results):
                outbox.delete_dirty(snapshot.dirty_ids)
            if stored:
                tell_of_fits(snapshot.study, results)
            if stored and held.kind == FitKind.FAST:
                outbox.mark_studies([held.subject], FitKind.DEEP)
                mark_followers(snapshot.study)
    except _Superseded:
        logger.info("a newer owner has %s of study %s; discarded", held.kind, held.subject)
        return False
    return True


def _store_fit(
    held: outbox.Claim, snapshot: Snapshot, name: str, result: Result, seconds: float
) -> Fit:
    data = snapshot.data[name]
    return Fit.objects.create(
        study=snapshot.study,
        analysis=name,
        kind=held.kind,
        token=held.token,
        input_digest=data.digest,
        n_runs=data.n_runs,
        n_points=data.n_points,
        data_at=snapshot.data_at,
        created_at=Now(),  # the database's clock, as for everything that is compared
        duration_seconds=seconds,
        lag_seconds=(snapshot.data_at - held.dirty_since).total_seconds() + seconds,
        result=make_safe(result),
    )


@contextmanager
def keep_lease(held: outbox.Claim) -> Iterator[None]:
    """Renew the lease every third of its time while the body runs."""
    done = threading.Event()
    thread = threading.Thread(target=_renew_until, args=(held, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew_until(held: outbox.Claim, done: threading.Event) -> None:
    """Renew until the fit is done or the lease is another's; an outage is tried again."""
    is_held = True
    try:
        while is_held and not done.wait(settings.REFIT_LEASE_SECONDS / 3):
            try:
                is_held = outbox.renew(held)
            except DatabaseError as error:
                logger.warning("could not renew a lease: %s", error)
                connection.close()
    finally:
        connection.close()


def describe_error(error: Exception) -> str:
    """Return one sentence about what went wrong, for the study's page."""
    name = type(error).__name__
    if name in TIME_LIMITS:
        return f"The fit took longer than {settings.REFIT_SOFT_LIMIT_SECONDS} s and was stopped."
    return f"{name}: {error}"[:MAX_ERROR_LENGTH]
