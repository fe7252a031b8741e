"""Documents of webhooks and of their log: what pages and the API show, never an address in full."""

from __future__ import annotations

from django.db.models import QuerySet

from fitting.alerts.hooks import mask_url
from fitting.alerts.models import Delivery, Webhook
from fitting.alerts.queries import find_evidence, find_subject
from teams.models import Project

MAX_SHOWN = 100


def build_hooks(project: Project) -> dict[str, object]:
    """Return the webhooks of a project and its newest deliveries; `rev` moves with them."""
    hooks = list_hooks(project)
    shown = list(list_deliveries(project)[:MAX_SHOWN])
    newest = [f"{item.pk}.{item.state}.{item.attempts}.{item.code}" for item in shown]
    states = [f"{hook.pk}.{hook.disabled_at}" for hook in hooks]
    return {
        "rev": "-".join([*states, *newest[:20]]),
        "hooks": [describe_hook(hook) for hook in hooks],
        "deliveries": [describe_delivery(item) for item in shown],
    }


def list_hooks(project: Project) -> QuerySet[Webhook]:
    """Return the webhooks of a project, oldest first."""
    return Webhook.objects.filter(project=project).select_related("created_by")


def list_deliveries(project: Project) -> QuerySet[Delivery]:
    """Return the log of a project, newest first."""
    found = Delivery.objects.filter(hook__project=project).order_by("-pk")
    return found.select_related("hook", "alert__project", "alert__run", "alert__study")


def describe_hook(hook: Webhook) -> dict[str, object]:
    """Return a webhook as its admins see it."""
    return {
        "id": hook.pk,
        "name": hook.name,
        "to": mask_url(hook.url),
        "format": hook.format,
        "least": hook.least,
        "state": "off" if hook.disabled_at else "on",
        "disabled_at": hook.disabled_at,
        "disabled_reason": hook.disabled_reason,
        "failures": hook.failures,
        "created_by": hook.created_by.username if hook.created_by else None,
        "created_at": hook.created_at,
    }


def describe_delivery(item: Delivery) -> dict[str, object]:
    """Return one line of the log."""
    alert = item.alert
    return {
        "id": item.pk,
        "hook": item.hook_id,
        "hook_name": item.hook.name,
        "alert": alert.pk if alert else None,
        "text": f"{alert.title}: {find_subject(alert)}" if alert else "test",
        "url": find_evidence(alert) if alert else None,
        "state": item.state,
        "code": item.code,
        "reason": item.reason,
        "attempts": item.attempts,
        "seconds": item.seconds,
        "created_at": item.created_at,
        "ended_at": item.ended_at,
        "next_at": item.next_at if item.ended_at is None else None,
    }
