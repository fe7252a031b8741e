"""Store what a diagnosis found, and let the run's outcome follow: one transaction, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping

from django.db import transaction
from django.db.models.functions import Now

from fitting import outbox
from fitting.alerts.verdicts import raise_verdicts
from fitting.diagnoses.queries import find_first_bad_step
from fitting.diagnoses.work import Found
from fitting.maths.diagnose.catalogue import list_judged
from fitting.maths.diagnose.loss_shape import SLUG as LOSS_SHAPE
from fitting.maths.diagnose.loss_shape import find_outcome
from fitting.maths.diagnose.panel import count_severities
from fitting.maths.diagnose.verdict import SEVERITIES, UNKNOWN, Verdict
from fitting.models import RunDiagnosis
from runs.models import Outcome, Run
from scaledash.lib.jsonsafe import make_safe


class _Superseded(Exception):
    """A newer owner holds the lease."""


def publish(held: outbox.Claim, found: Found, seconds: float) -> bool:
    """Store verdicts, state and outcome, and delete the changes they cover, if the token holds."""
    try:
        with transaction.atomic():
            run = found.snapshot.run
            if not outbox.release(held, seconds, json.dumps({})):
                raise _Superseded
            outbox.delete_dirty(found.snapshot.dirty_ids)
            if run is None:
                outbox.forget(held)
            else:
                _store(held, found, seconds)
    except _Superseded:
        return False
    return True


def _store(held: outbox.Claim, found: Found, seconds: float) -> None:
    snapshot, run = found.snapshot, found.snapshot.run
    assert run is not None
    known = RunDiagnosis.objects.filter(run_id=run.pk).values("verdicts", "compared")
    before = known.first() or {"verdicts": None, "compared": None}
    verdicts = [describe(verdict) for verdict in found.verdicts.values()]
    values = {
        "attempt": run.attempt,
        "token": held.token,
        "rev": run.rev,
        "digest": snapshot.digest,
        "state": found.packed,
        "verdicts": make_safe(verdicts),
        "severities": {slug: verdict.severity for slug, verdict in found.verdicts.items()},
        "compared": make_safe(found.compared),
        "worst": find_worst(found.verdicts),
        "counts": count_severities(found.verdicts),
        "first_bad_step": find_first_bad_step(verdicts),
        "data_at": snapshot.data_at,
        "computed_at": Now(),
        "duration_seconds": seconds,
        "is_rebuilt": snapshot.is_rebuilt,
    }
    RunDiagnosis.objects.update_or_create(run_id=run.pk, defaults=values)
    raise_verdicts(run, found.verdicts)
    if before["compared"] != values["compared"]:
        outbox.mark_holders(run.pk, is_judged=False)
    has_moved = _apply_outcome(run, found)
    if not has_moved and before["verdicts"] != values["verdicts"]:
        Run.objects.filter(pk=run.pk).update(changed_at=Now())


def describe(verdict: Verdict) -> dict[str, object]:
    """Return a verdict with the title of its diagnostic, as it is stored."""
    item = list_judged()[verdict.diagnostic]
    titles = {"number": item.number, "title": item.title, "question": item.question}
    return {**titles, **verdict.to_dict()}


def find_worst(verdicts: Mapping[str, Verdict]) -> str:
    """Return the worst severity of the known ones."""
    ranks = [verdict.rank for verdict in verdicts.values()]
    return SEVERITIES[max(ranks)] if max(ranks, default=-1) >= 0 else UNKNOWN


def _apply_outcome(run: Run, found: Found) -> bool:
    """Let the outcome follow the class of the loss, unless a person has decided.

    The row is changed only where its outcome is still the one of the snapshot: a batch that
    arrived meanwhile may have told of a divergence, and the next diagnosis reads it.
    """
    verdict = found.verdicts[LOSS_SHAPE]
    outcome = find_outcome(verdict)
    is_ours = run.outcome_evidence.get("by") == LOSS_SHAPE
    if "override" in run.outcome_evidence or (outcome == Outcome.UNKNOWN and not is_ours):
        return False
    evidence = _describe_outcome(run, found, verdict) if outcome != Outcome.UNKNOWN else {}
    if outcome == run.outcome and evidence == run.outcome_evidence:
        return False
    same = Run.objects.filter(pk=run.pk, outcome=run.outcome)
    changed = same.exclude(outcome_evidence__has_key="override").update(
        outcome=outcome, outcome_evidence=evidence, changed_at=Now()
    )
    if changed and Outcome.DIVERGED in (outcome, run.outcome) and outcome != run.outcome:
        outbox.mark_holders(run.pk, is_judged=False)
    return bool(changed)


def _describe_outcome(run: Run, found: Found, verdict: Verdict) -> dict[str, object]:
    key = verdict.values.get("metric")
    metric = found.snapshot.mapping.metrics.get(str(key), key) if key else None
    evidence = {
        "by": LOSS_SHAPE,
        "class": verdict.values.get("class"),
        "sentence": verdict.sentence,
        "step": verdict.first_step,
        "metric": metric,
        "value": run.outcome_evidence.get("value"),
    }
    if find_outcome(verdict) != Outcome.DIVERGED:
        evidence = {name: evidence[name] for name in ("by", "class")}
    return {name: value for name, value in evidence.items() if value is not None}
