"""Recompute what ingest has only flagged: series whose points overlap, or are hidden in part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from django.db import transaction
from django.utils import timezone

from runs import store
from runs.blocks import Distinct
from runs.facts import apply_logged, drop_source, resolve
from runs.ingest import FACT_METRICS, find_divergence
from runs.models import Metric, Outcome, Run
from runs.points import Series
from runs.signals import batch_stored
from runs.summaries import Entry, make_entries
from scaledash.lib.names import canonical_metric

SERIES_AT_ONCE = 50
RUNS_AT_ONCE = 20


def settle_runs(limit: int = RUNS_AT_ONCE) -> int:
    """Settle the runs that have waited longest; returns their number. Several may do it at once."""
    waiting = Run.objects.filter(settle_at__isnull=False).order_by("settle_at")
    found = list(waiting.values_list("pk", flat=True)[:limit])
    return sum(settle_run(run_id) for run_id in found)


@transaction.atomic
def settle_run(run_id: int) -> bool:
    """Recompute the flagged series of a run; False where there is nothing to do.

    The run's row is held meanwhile, so that no batch slips in between reading and writing.
    """
    locked = Run.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
    run = locked.filter(pk=run_id, settle_at__isnull=False).first()
    if run is None:
        return False
    flagged = sorted(name for name, entry in run.summary.items() if entry.get("unsettled"))
    for first in range(0, len(flagged), SERIES_AT_ONCE):
        settle_series(run, flagged[first : first + SERIES_AT_ONCE])
    _follow(run)
    fields = ("summary", "repeated", "overwritten", "last_step", "settle_at", "changed_at")
    judged = ("outcome", "outcome_evidence", "facts", "n_tokens", "flops", "flop_convention")
    run.save(update_fields=[*fields, *judged])
    if flagged:
        batch_stored.send(sender=Run, run_id=run.pk, metrics=flagged)
    return True


def settle_series(run: Run, names: Sequence[str]) -> None:
    """Put recomputed entries of these metrics into the run's summary, without saving it."""
    known = Metric.objects.filter(project=run.project_id, name__in=names)
    ids = dict(known.values_list("name", "pk"))
    points = store.read_points([run.pk], list(ids.values()))
    for name in names:
        old = run.summary.pop(name)
        entry = _recompute(points.get((run.pk, ids.get(name, store.TIMES)), store.NO_POINTS))
        if entry:
            run.summary[name] = entry
        for count in ("repeated", "overwritten"):
            change = int(entry.get(count, 0)) - int(old.get(count, 0))
            setattr(run, count, getattr(run, count) + change)


def _recompute(series: Series) -> Entry:
    """Return the entry of a series, empty where no point of it is visible."""
    if not series.steps.size:
        return {}
    lost = (np.array([series.repeated]), np.array([series.overwritten]))
    return next(make_entries(Distinct(series.steps, series.values.reshape(1, -1), *lost)))


def _follow_outcome(run: Run) -> None:
    """Judge by losses that are not finite; what a person or a diagnosis decided stays."""
    if "override" in run.outcome_evidence:
        return
    evidence = find_divergence(run.summary)
    if evidence:
        run.outcome, run.outcome_evidence = Outcome.DIVERGED, evidence
    elif run.outcome == Outcome.DIVERGED and "by" not in run.outcome_evidence:
        run.outcome, run.outcome_evidence = Outcome.UNKNOWN, {}


def _follow(run: Run) -> None:
    """Let last step, outcome and facts follow the summary."""
    steps = [entry["last_step"] for entry in run.summary.values()]
    run.last_step = max(steps, default=None)
    _follow_outcome(run)
    at = timezone.now().isoformat(timespec="seconds")
    counted = {
        name: entry for name, entry in run.summary.items() if canonical_metric(name) in FACT_METRICS
    }
    facts = apply_logged(drop_source(run.facts, "logged"), counted, at)
    found = resolve(facts, run.last_step, at)
    run.facts, run.flop_convention = found.facts, found.flop_convention
    run.n_tokens, run.flops = found.columns["n_tokens"], found.columns["flops"]
    run.settle_at, run.changed_at = None, timezone.now()
