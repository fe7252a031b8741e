"""Reads of the audit log: what admins see of it whole, and members as a feed."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from teams.audit import LINK, describe_action, list_hidden_nouns
from teams.models import AuditEntry, Project, Role

PAGE_SIZE = 100
MAX_ID = 2**63 - 1


def list_audit(project: Project | None) -> QuerySet[AuditEntry]:
    """Return all entries of a project, or those about the server itself, newest first."""
    return AuditEntry.objects.filter(project=project)


def list_activity(project: Project, role: Role) -> QuerySet[AuditEntry]:
    """Return what a member of this role reads of a project's changes, newest first."""
    hidden = Q()
    for noun in list_hidden_nouns(role):
        hidden |= Q(action__startswith=f"{noun}.")
    return AuditEntry.objects.filter(project=project).exclude(hidden)


def describe_entry(entry: AuditEntry) -> dict[str, object]:
    """Return an entry as admins see it."""
    return {
        **describe_event(entry),
        "token": entry.token_key or None,
        "address": entry.address,
    }


def describe_event(entry: AuditEntry) -> dict[str, object]:
    """Return an entry as members see it: without token and address."""
    return {
        "id": entry.pk,
        "at": entry.at,
        "user": entry.actor_name or None,
        "action": entry.action,
        "target": entry.target,
        "details": entry.details,
        "text": describe_action(entry),
        "url": entry.details.get(LINK),
    }


def name_actor(entry: AuditEntry) -> str:
    """Return who acted, in words; whoever has an address and no name was not signed in."""
    return entry.actor_name or ("somebody not signed in" if entry.address else "the server")


def is_mentioned(entry: AuditEntry, username: str) -> bool:
    """Say whether an entry is a comment that names somebody."""
    return username in str(entry.details.get("mentions", "")).split(", ")


def read_page(entries: QuerySet[AuditEntry], before: str) -> tuple[list[AuditEntry], int | None]:
    """Return the entries before an id, or the newest, and the id before which older ones stand."""
    is_id = before.isascii() and before.isdigit() and len(before) < 20 and int(before) <= MAX_ID
    if is_id:
        entries = entries.filter(pk__lt=int(before))
    found = list(entries.order_by("-pk")[: PAGE_SIZE + 1])
    shown = found[:PAGE_SIZE]
    return shown, shown[-1].pk if len(found) > PAGE_SIZE else None
