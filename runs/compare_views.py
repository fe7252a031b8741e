"""Pages that compare runs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from runs.comparison import MAX_RUNS, build_comparison, find_runs, group_lines
from runs.models import Run
from scaledash.lib.urlstate import join_list, split_list
from teams.models import Project
from teams.pages import answer_json, get_project, require_sign_in


@require_sign_in
@require_safe
def show_compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what the chosen runs have in common, and what not."""
    project = get_project(request, slug)
    document = _build(request, project)
    query = request.GET.urlencode()
    runs_url = reverse("runs", args=[slug])
    twin = reverse("compare-json", args=[slug])
    chosen = urlencode({"sel": join_list(run["uid"] for run in document["runs"])})
    context = {
        **document,
        "parts": [
            ("Scale facts", "facts", document["facts"]),
            ("Config", "config", document["config"]),
        ],
        "metric_groups": group_lines(document["metrics"]),
        "project": project,
        "section": "runs",
        "crumbs": [(project.name or project.slug, runs_url), ("Runs", runs_url), ("Compare", None)],
        "max_runs": MAX_RUNS,
        "curves_url": f"{reverse('explore', args=[slug])}?{chosen}",
        "json_url": f"{twin}?{query}" if query else twin,
    }
    return render(request, "runs/compare.html", context)


@require_sign_in
@require_safe
def read_compare(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build(request, get_project(request, slug)))


def _build(request: HttpRequest, project: Project) -> dict[str, Any]:
    visible = Run.objects.filter(project=project, deleted_at=None)
    return build_comparison(project, *find_runs(visible, split_list(request.GET.get("sel", ""))))
