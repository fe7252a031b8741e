"""Reads of alerts: the list of one person, what is unread and what is muted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.urls import reverse

from fitting.alerts.mentions import quote
from fitting.alerts.models import Alert, AlertKind, AlertMute, AlertQuerySet, AlertRead
from fitting.models import StudyRun
from teams.comments import find_address
from teams.models import Membership
from teams.principals import Principal

MAX_COUNTED = 100
PAGE_SIZE = 50
UNREAD_FOR = timedelta(days=30)
MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class AlertQuery:
    """Which alerts to list; what is blank does not narrow."""

    project: str = ""
    run: str = ""
    study: str = ""
    severity: str = ""
    unread: bool = False

    @classmethod
    def read(cls, options: Mapping[str, str]) -> AlertQuery:
        """Read the query string of a page or of the API."""
        names = ("project", "run", "study", "severity")
        texts = {name: options.get(name, "")[:200] for name in names}
        return cls(**texts, unread=options.get("unread") in ("1", "true"))


def list_alerts(principal: Principal, query: AlertQuery) -> AlertQuerySet:
    """Return the visible alerts, newest first, each with `is_read` and `is_muted`."""
    found = mark_states(Alert.objects.visible_to(principal), principal.user_id)
    if query.project:
        found = found.filter(project__slug=query.project)
    if query.run:
        found = found.filter(run__uid=query.run)
    if query.study:
        found = found.filter(Q(study__slug=query.study) | _is_of_member(query.study))
    if query.severity:
        found = found.filter(severity=query.severity)
    if query.unread:
        found = keep_unread(found, principal)
    return found.select_related("project", "run", "study", "comment__project").order_by("-pk")


def _is_of_member(study: str) -> Exists:
    members = StudyRun.objects.filter(run=OuterRef("run"), study__slug=study)
    return Exists(members.filter(study__project=OuterRef("project")))


def mark_states(alerts: AlertQuerySet, user_id: int | None) -> AlertQuerySet:
    """Say of each alert whether this person has read it and whether they have muted it.

    Who mutes a run wants less of what it does, and still hears when somebody speaks to them.
    """
    mutes = AlertMute.objects.filter(user_id=user_id, project=OuterRef("project"))
    whole = mutes.filter(run=None, study=None)
    one = mutes.filter(Q(run=OuterRef("run")) | Q(study=OuterRef("study")))
    members = mutes.filter(study__study_runs__run=OuterRef("run"))
    return alerts.annotate(
        is_read=Exists(AlertRead.objects.filter(user_id=user_id, alert=OuterRef("pk"))),
        is_muted=Q(recipient=None) & (Exists(whole) | Exists(one) | Exists(members)),
    )


def keep_unread(alerts: AlertQuerySet, principal: Principal) -> AlertQuerySet:
    """Keep what the bell counts: new to this person, since they joined, of the last 30 days."""
    mine = Membership.objects.filter(user_id=principal.user_id, project=OuterRef("project"))
    return alerts.filter(
        Exists(mine.filter(created_at__lte=OuterRef("at"))),
        at__gte=Now() - UNREAD_FOR,
        is_quiet=False,
        is_read=False,
        is_muted=False,
    )


def count_unread(principal: Principal) -> int:
    """Return how many alerts the bell shows, 100 at most."""
    alerts = mark_states(Alert.objects.visible_to(principal), principal.user_id)
    return keep_unread(alerts, principal).values("pk")[:MAX_COUNTED].count()


def list_mutes(principal: Principal) -> list[AlertMute]:
    """Return what this person has muted, newest first."""
    mutes = AlertMute.objects.filter(user_id=principal.user_id, project__deleted_at=None)
    visible = mutes.filter(project__memberships__user_id=principal.user_id)
    if principal.project_id is not None:
        visible = visible.filter(project_id=principal.project_id)
    return list(visible.select_related("project", "run", "study").order_by("-pk"))


def describe_alert(alert: Alert) -> dict[str, object]:
    """Return an alert as pages, the API and the list's twin show it."""
    run, study = alert.run, alert.study
    return {
        "id": alert.pk,
        "project": alert.project.slug,
        "run": run.uid if run else None,
        "study": study.slug if study else None,
        "subject": find_subject(alert),
        "kind": alert.kind,
        "severity": alert.severity,
        "diagnostic": alert.diagnostic,
        "title": alert.title,
        "sentence": alert.sentence if alert.comment is None else quote(alert.comment),
        "first_step": alert.first_step,
        "attempt": alert.attempt,
        "is_earlier_attempt": bool(run and alert.comment is None and run.attempt > alert.attempt),
        "evidence": alert.evidence,
        "at": alert.at,
        "url": find_evidence(alert),
        "is_read": getattr(alert, "is_read", False),
        "is_muted": getattr(alert, "is_muted", False),
        "is_quiet": alert.is_quiet,
    }


def find_subject(alert: Alert) -> str:
    """Return the name of the run or study that it is about."""
    if alert.run is not None:
        return alert.run.name or alert.run.uid
    return alert.study.name if alert.study is not None else alert.project.name


def find_evidence(alert: Alert) -> str:
    """Return the path of the page that shows what led to the alert."""
    slug = alert.project.slug
    if alert.comment is not None:
        return find_address(alert.comment)
    if alert.kind == AlertKind.FORECAST and alert.study is not None:
        return reverse("study", args=[slug, alert.study.slug]) + "?tab=forecasts#forecasts"
    if alert.study is not None:
        return reverse("study", args=[slug, alert.study.slug]) + "?tab=instab#forecasts"
    if alert.run is None:
        return reverse("runs", args=[slug])
    mark = f"#verdict-{alert.diagnostic}" if alert.kind == AlertKind.VERDICT else ""
    return reverse("run", args=[slug, alert.run.uid]) + mark


def describe_mute(mute: AlertMute) -> dict[str, object]:
    """Return a mute as its owner sees it."""
    subject = mute.run or mute.study
    return {
        "id": mute.pk,
        "project": mute.project.slug,
        "run": mute.run.uid if mute.run else None,
        "study": mute.study.slug if mute.study else None,
        "subject": (subject or mute.project).name or mute.project.slug,
        "at": mute.at,
    }
