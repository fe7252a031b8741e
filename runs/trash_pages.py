"""The trash of a project: deleted runs, until when each can be brought back, and the way back."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from runs.bulk import restore_runs
from runs.models import Run
from teams.models import Project, Role
from teams.pages import answer_json, get_project, require_sign_in

PAGE_SIZE = 100


@require_sign_in
@require_safe
def show_trash(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the deleted runs, the newest first."""
    project = get_project(request, slug, Role.ADMIN)
    runs_url = reverse("runs", args=[slug])
    context = {
        **_build_trash(request, project),
        "project": project,
        "section": "settings",
        "crumbs": [
            (project.name or slug, runs_url),
            ("Settings", reverse("project-settings", args=[slug])),
            ("Trash", None),
        ],
        "purge_days": settings.PURGE_AFTER_DAYS,
        "json_url": reverse("trash-json", args=[slug]),
    }
    return render(request, "runs/trash.html", context)


@require_sign_in
@require_safe
def read_trash(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build_trash(request, get_project(request, slug, Role.ADMIN)))


@require_sign_in
@require_POST
def restore(request: HttpRequest, slug: str) -> HttpResponse:
    """Bring one run back, or all of the trash."""
    project = get_project(request, slug, Role.ADMIN)
    runs, uid = _list_deleted(project), request.POST.get("run", "")
    n_runs = len(restore_runs(project, runs if uid == "*" else runs.filter(uid=uid)))
    if n_runs:
        messages.success(request, f"{n_runs:,} run{'' if n_runs == 1 else 's'} restored.")
    else:
        messages.info(request, "Nothing to restore: the run is back already, or erased.")
    return redirect("trash", slug)


def _list_deleted(project: Project) -> QuerySet[Run]:
    return Run.objects.filter(project=project, deleted_at__isnull=False, purge_at=None)


def _build_trash(request: HttpRequest, project: Project) -> dict[str, object]:
    found = _list_deleted(project).order_by("-deleted_at", "-id")
    fields = found.only("uid", "name", "state", "outcome", "last_step", "deleted_at")
    page = Paginator(fields, PAGE_SIZE).get_page(request.GET.get("p", "1"))
    return {
        "total": page.paginator.count,
        "page": page.number,
        "pages": page.paginator.num_pages,
        "runs": [_describe(run) for run in page.object_list],
    }


def _describe(run: Run) -> dict[str, object]:
    days, at = settings.PURGE_AFTER_DAYS, run.deleted_at
    return {
        "uid": run.uid,
        "name": run.name or run.uid,
        "state": run.state,
        "outcome": run.outcome,
        "last_step": run.last_step,
        "deleted_at": at,
        "erased_at": at + timedelta(days=days) if days and at else None,
    }
