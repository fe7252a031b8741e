"""The page of the curves explorer, its twin, and the curves of its charts."""

from __future__ import annotations

import hashlib

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from runs.charts import TooMuch
from runs.explore import ExploreWish
from runs.explore_charts import build_charts
from runs.explore_lines import build_look
from runs.explore_news import HEADER, add_tags, leave_held_out
from runs.explore_page import build_explore, build_explore_page
from runs.explore_runs import Chosen, choose_runs
from runs.models import ViewPage
from runs.revisions import read_project_revision
from runs.saved_pages import build_menu, open_view, read_query
from scaledash.failures import render_error
from teams.pages import answer_json, get_project, is_held, require_sign_in


@require_sign_in
@require_safe
def show_explore(request: HttpRequest, slug: str) -> HttpResponse:
    """Show curves of many runs beside each other."""
    project = get_project(request, slug)
    opened = open_view(request, project, ViewPage.EXPLORE)
    if opened is not None:
        return opened
    rev = read_project_revision(project)["rev"]
    wish = ExploreWish.read(request.GET)
    query = request.GET.urlencode()
    twin = reverse("explore-json", args=[project.slug])
    context = {
        **build_explore_page(project, wish, request.GET),
        "saved": build_menu(request, project, ViewPage.EXPLORE),
        "project": project,
        "section": "explore",
        "crumbs": [(project.name or project.slug, None)],
        "rev": rev,
        "revision_url": reverse("project-revision", args=[project.slug]),
        "json_url": f"{twin}?{query}" if query else twin,
    }
    return render(request, "runs/explore.html", context)


@require_sign_in
@require_safe
def read_explore(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    project = get_project(request, slug)
    query = read_query(request, project, ViewPage.EXPLORE)
    return answer_json(build_explore(project, ExploreWish.read(query)))


@require_sign_in
@require_safe
@gzip_page
def read_explore_curves(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the charts of one metric; the revisions of its runs and the query are the ETag."""
    project = get_project(request, slug)
    wish = ExploreWish.read(request.GET)
    chosen = choose_runs(project, wish, is_page=False)
    metric = request.GET.get("metric", "")
    runs = chosen.drawn if metric in chosen.metrics else []
    tag = _make_tag(chosen, request.GET.urlencode())
    if is_held(request, tag):
        response: HttpResponse = HttpResponseNotModified()
    else:
        try:
            document = build_charts(runs, wish, build_look(runs, wish), metric)
        except TooMuch as error:
            return render_error(request, 422, "out_of_range", str(error))
        document["n_logging"] = chosen.n_logging
        add_tags(document["charts"])
        leave_held_out(document["charts"], request.headers.get(HEADER, ""))
        response = HttpResponse(msgspec.json.encode(document), content_type="application/json")
    response["ETag"] = tag
    return response


def _make_tag(chosen: Chosen, query: str) -> str:
    """Return a text that changes with any of the runs that are drawn."""
    parts = [f"{run.uid} {run.rev} {run.changed_at.timestamp()}" for run in chosen.drawn]
    text = "\n".join([query, str(chosen.n_logging), *parts])
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
