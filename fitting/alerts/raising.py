"""What becomes an alert: called inside the transaction of the change that it tells of.

An alert exists once, by its key: whatever is computed again, replayed or flaps adds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

from fitting.alerts.deliveries import queue_deliveries
from fitting.alerts.models import KEY_LENGTH, TITLE_LENGTH, Alert, AlertKind, Level
from fitting.models import Study
from runs.models import Run, RunState

BAD_ENDS = {RunState.CRASHED: "it fell silent", RunState.FAILED: ""}
LEVELS = {"INFO": Level.INFO, "WARN": Level.WARN, "ERROR": Level.CRITICAL}
OLD = timedelta(hours=6)  # of a run when this server hears of it: it was trained elsewhere
MAX_LOGGED = 100
MAX_TEXT = 1000


def raise_alerts(alerts: Sequence[Alert]) -> list[Alert]:
    """Store those that are new, and return them."""
    if not alerts:
        return []
    project = alerts[0].project_id
    keys = [alert.key for alert in alerts]
    stored = Alert.objects.filter(project=project, key__in=keys)
    known = set(stored.values_list("key", flat=True))
    fresh = [alert for alert in alerts if alert.key not in known]
    if not fresh:
        return []
    Alert.objects.bulk_create(fresh, ignore_conflicts=True)
    told = list(stored.exclude(key__in=known))
    queue_deliveries(told)
    return told


def raise_end(run: Run) -> list[Alert]:
    """Alert when a run crashed or failed, once an attempt."""
    if run.state not in BAD_ENDS:
        return []
    reason = run.finish_reason or BAD_ENDS[RunState(run.state)]
    if not reason and run.exit_code:
        reason = f"exit code {run.exit_code}"
    last = "" if run.last_step is None else f" after step {run.last_step:,}"
    why = f": {reason[:MAX_TEXT].rstrip('.')}" if reason else ""
    alert = Alert(
        project_id=run.project_id,
        run=run,
        kind=AlertKind.ENDED,
        severity=Level.WARN,
        attempt=run.attempt,
        title=f"Run {run.state}",
        sentence=f"The run {run.state}{last}{why}.",
        first_step=run.last_step,
        is_quiet=is_imported(run),
        key=f"run:{run.pk}:{run.attempt}:ended:{run.state}",
    )
    return raise_alerts([alert])


def raise_logged(run: Run) -> list[Alert]:
    """Pass on what the training script raised with `run.alert()`; the client keeps it there."""
    kept = run.config.get("_scaledash")
    items = kept.get("alerts") if isinstance(kept, Mapping) else None
    if not isinstance(items, list):
        return []
    known = [item for item in items[-MAX_LOGGED:] if isinstance(item, Mapping)]
    return raise_alerts([_make_logged(run, item) for item in known if item.get("title")])


def _make_logged(run: Run, item: Mapping[str, object]) -> Alert:
    title = str(item["title"])[:TITLE_LENGTH].replace("\x00", "")
    text = str(item.get("text") or "")[:MAX_TEXT].replace("\x00", "")
    return Alert(
        project_id=run.project_id,
        run=run,
        kind=AlertKind.LOGGED,
        severity=LEVELS.get(str(item.get("level")), Level.INFO),
        attempt=run.attempt,
        title=title,
        sentence=text or title,
        first_step=run.last_step,
        is_quiet=is_imported(run),
        key=make_key(f"run:{run.pk}:logged", title, str(item.get("at"))),
    )


def is_imported(run: Run) -> bool:
    """Say whether nobody watches the run: it comes from a file, or began long before it arrived."""
    is_late = run.started_at is not None and run.created_at - run.started_at > OLD
    return "import" in run.host or is_late


def is_unwatched(study: Study) -> bool:
    """Say whether nobody watches the study: its newest run was not watched either."""
    newest = study.runs.order_by("-pk").first()
    return newest is None or is_imported(newest)


def make_key(place: str, *parts: str) -> str:
    """Return a key that stays short whatever the parts are."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]
    return f"{place}:{digest}"[:KEY_LENGTH]
