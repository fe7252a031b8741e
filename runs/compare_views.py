"""Pages that compare runs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from runs.comparison import MAX_RUNS, build_comparison, find_runs, group_lines
from runs.models import Run, ViewPage
from runs.saved_pages import build_menu, open_view, read_query
from scaledash.lib.urlstate import join_list, split_list
from teams.models import Project
from teams.pages import answer_json, get_project, require_sign_in


@require_sign_in
@require_safe
def show_compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the chosen runs have in common, and what not."""
    project = get_project(request, slug)
    opened = open_view(request, project, ViewPage.COMPARE)
    if opened is not None:
        return opened
    document = _build(project, request.GET)
    query = request.GET.urlencode()
    runs_url = reverse("runs", args=[slug])
    twin = reverse("compare-json", args=[slug])
    chosen = join_list(run["uid"] for run in document["runs"])
    context = {
        **document,
        **group_lines(document),
        "saved": build_menu(request, project, ViewPage.COMPARE),
        "project": project,
        "section": "runs",
        "crumbs": [(project.name or project.slug, runs_url), ("Runs", runs_url), ("Compare", None)],
        "max_runs": MAX_RUNS,
        "chosen": chosen,
        "curves_url": f"{reverse('explore', args=[slug])}?{urlencode({'sel': chosen})}",
        "json_url": f"{twin}?{query}" if query else twin,
    }
    return render(request, "runs/compare.html", context)


@require_sign_in
@require_safe
def read_compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    project = get_project(request, slug)
    return answer_json(_build(project, read_query(request, project, ViewPage.COMPARE)))


def _build(project: Project, query: QueryDict) -> dict[str, Any]:
    visible = Run.objects.filter(project=project, deleted_at=None)
    return build_comparison(project, *find_runs(visible, split_list(query.get("sel", ""))))
