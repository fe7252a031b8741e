"""What one person does with alerts: read them, and say of what they want none."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from fitting.alerts.models import Alert, AlertMute, AlertRead
from fitting.alerts.queries import AlertQuery, list_alerts
from fitting.models import Study
from fitting.services import Refused
from runs.models import Run
from teams.models import Project, User
from teams.principals import Principal

MAX_AT_ONCE = 10_000


def mark_read(principal: Principal, ids: Sequence[int]) -> int:
    """Note that the person has seen these alerts; those they may not see are passed over."""
    visible = Alert.objects.visible_to(principal).filter(pk__in=ids).values_list("pk", flat=True)
    return _note(principal, list(visible))


def mark_all_read(principal: Principal, query: AlertQuery, up_to: int | None = None) -> int:
    """Note that the person has seen the alerts of a list, up to the newest that it showed."""
    alerts = list_alerts(principal, query).filter(is_read=False)
    if up_to is not None:
        alerts = alerts.filter(pk__lte=up_to)
    return _note(principal, list(alerts.values_list("pk", flat=True)[:MAX_AT_ONCE]))


def _note(principal: Principal, ids: Sequence[int]) -> int:
    rows = [AlertRead(alert_id=pk, user_id=principal.user_id) for pk in ids]
    AlertRead.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
    return len(rows)


@transaction.atomic
def mute(user: User, project: Project, run: str = "", study: str = "") -> AlertMute:
    """Want no alerts of a project, or of one run or study of it; twice changes nothing."""
    if run and study:
        message = "Mute a run, or a study, or neither for the whole project."
        raise Refused("invalid", message, "/study")
    subject: dict[str, object] = {"run": None, "study": None}
    if run:
        found = Run.objects.filter(project=project, uid=run, deleted_at=None).first()
        subject["run"] = _require(found, "run", run)
    if study:
        known = Study.objects.filter(project=project, slug=study, deleted_at=None).first()
        subject["study"] = _require(known, "study", study)
    return AlertMute.objects.get_or_create(user=user, project=project, **subject)[0]


def _require(found: object, noun: str, name: str) -> object:
    if found is None:
        raise Refused("unknown_value", f"There is no {noun} {name[:100]!r} here.", f"/{noun}")
    return found


def unmute(user_id: int | None, mute_id: int) -> bool:
    """Want alerts again; False where the person has no such mute."""
    return bool(AlertMute.objects.filter(user_id=user_id, pk=mute_id).delete()[0])
