"""Pages of what happened: a project's feed for members, its audit log for admins, the server's."""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from teams.activity import (
    describe_entry,
    describe_event,
    is_mentioned,
    list_activity,
    list_audit,
    name_actor,
    read_page,
)
from teams.contexts import build_members
from teams.models import AuditEntry, Project, Role
from teams.pages import answer_json, get_project, require_sign_in, require_site_admin


@require_sign_in
@require_safe
def show_activity(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what members did of late, and who they are."""
    project = get_project(request, slug)
    context = {
        **_build_activity(request, project),
        **_frame(project, "Activity"),
        "json_url": reverse("activity-json", args=[slug]),
    }
    return render(request, "teams/activity.html", context)


@require_sign_in
@require_safe
def read_activity(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build_activity(request, get_project(request, slug)))


@require_sign_in
@require_safe
def show_audit(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who changed what from where."""
    project = get_project(request, slug, Role.ADMIN)
    context = {
        **_build(request, list_audit(project), describe_entry),
        **_frame(project, "Audit log"),
        "section": "settings",
        "json_url": reverse("audit-json", args=[slug]),
    }
    return render(request, "teams/audit.html", context)


@require_sign_in
@require_safe
def read_audit(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    project = get_project(request, slug, Role.ADMIN)
    return answer_json(_build(request, list_audit(project), describe_entry))


@require_safe
@require_site_admin
def show_server_audit(request: HttpRequest) -> HttpResponse:
    """Show sign-ins and changes of accounts."""
    context = _build(request, list_audit(None), describe_entry)
    return render(request, "teams/audit.html", {**context, **_name_page("Audit log of the server")})


def _name_page(title: str) -> dict[str, object]:
    return {"title": title, "crumbs": [(title, None)]}


def _build_activity(request: HttpRequest, project: Project) -> dict[str, object]:
    entries = list_activity(project, project.held_role)
    return {**_build(request, entries, describe_event), "members": build_members(project)}


def _build(
    request: HttpRequest,
    entries: QuerySet[AuditEntry],
    describe: Callable[[AuditEntry], dict[str, object]],
) -> dict[str, object]:
    shown, following = read_page(entries, request.GET.get("before", ""))
    name = request.user.username
    entries_shown = [
        {**describe(entry), "who": name_actor(entry), "names_you": is_mentioned(entry, name)}
        for entry in shown
    ]
    return {"entries": entries_shown, "next": following}


def _frame(project: Project, title: str) -> dict[str, object]:
    runs_url = reverse("runs", args=[project.slug])
    crumbs = [(project.name or project.slug, runs_url), (title, None)]
    return {"project": project, "title": title, "crumbs": crumbs}
