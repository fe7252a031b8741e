"""A person's word on a run's outcome, against or before the server's."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from fitting import outbox
from fitting.services import Refused
from runs.models import NAME_LENGTH, Outcome, Run
from teams import audit
from teams.models import User

CHOICES = (Outcome.HEALTHY, Outcome.DIVERGED)


@transaction.atomic
def override_outcome(run: Run, user: User | None, outcome: str, reason: str) -> Run:
    """Set the outcome by hand; it stays until it is taken back, whatever the run logs."""
    if outcome not in CHOICES:
        message = f"An outcome is {' or '.join(CHOICES)}, not {outcome!r}."
        raise Refused("unknown_value", message, "/outcome")
    reason = reason.strip()[:NAME_LENGTH]
    if not reason:
        message = "Say why: the reason stands beside the outcome wherever it is shown."
        raise Refused("required", message, "/reason")
    held = _lock(run)
    before = held.outcome_evidence.get("override", {}).get("before")
    server = {"outcome": held.outcome, "evidence": held.outcome_evidence}
    author = user.get_username() if user else "a token"
    override = {
        "outcome": outcome,
        "reason": reason,
        "by": author,
        "at": timezone.now().isoformat(timespec="seconds"),
        "before": before or server,
    }
    sentence = f"Set to {outcome} by {author}: {reason}."
    audit.record("outcome.set", held.project, held.name or held.uid, outcome=outcome, reason=reason)
    return _change(held, outcome, {"override": override, "sentence": sentence})


@transaction.atomic
def restore_outcome(run: Run) -> Run:
    """Take a person's word back; the next diagnosis judges again."""
    held = _lock(run)
    override = held.outcome_evidence.get("override")
    if override is None:
        return held
    before = override.get("before") or {}
    outcome = before.get("outcome", Outcome.UNKNOWN)
    audit.record("outcome.restored", held.project, held.name or held.uid)
    return _change(held, outcome, before.get("evidence", {}))


def _lock(run: Run) -> Run:
    return Run.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)


def _change(run: Run, outcome: str, evidence: dict[str, object]) -> Run:
    run.outcome, run.outcome_evidence, run.changed_at = outcome, evidence, timezone.now()
    run.save(update_fields=["outcome", "outcome_evidence", "changed_at"])
    outbox.mark_holders(run.pk)
    return run
