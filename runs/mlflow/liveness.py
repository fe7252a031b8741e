"""How long a run without a heartbeat may be silent: of MLflow's clients, or of an import."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from statistics import median

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now

from runs.mlflow.kept import KEY, is_kept
from runs.models import Run

IMPORT = "import"  # where `scaledash import` keeps how far it has come
CRASHED_AFTER = timedelta(hours=24)
STALE_SECONDS = 600.0
STALE_GAPS = 10
MAX_GAPS = 200


def is_silent() -> Q:
    """Return the condition of runs that have been silent for too long, by the database's clock."""
    silent = timedelta(seconds=settings.CRASHED_AFTER_SECONDS)
    is_young = Q(heartbeat_at__gte=Now() - CRASHED_AFTER)
    without_heartbeat = Q(host__has_any_keys=[KEY, IMPORT]) & is_young
    return Q(heartbeat_at__lt=Now() - silent) & ~without_heartbeat


def find_patience(run: Run, usual_seconds: float) -> float:
    """Return after how many seconds of silence a running run is shown as stale."""
    if not is_kept(run):
        return usual_seconds
    return max(STALE_SECONDS, STALE_GAPS * _find_median_gap(run))


def _find_median_gap(run: Run) -> float:
    """Return the usual time between requests, of the newest ones."""
    newest = run.batches.order_by("-received_at").values_list("received_at", flat=True)[:MAX_GAPS]
    times = list(newest)
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(times)]
    return median(gaps) if gaps else 0.0
