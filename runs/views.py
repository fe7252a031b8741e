"""Pages of runs: the table of a project, one run with its curves."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from runs import contexts
from runs.curves import CurvesWish, build_curves
from runs.models import Run, RunQuerySet
from runs.revisions import read_project_revision, read_run_revision
from runs.table import TableQuery
from runs.table_page import build_runs, build_runs_page, count_table, read_runs_page
from scaledash.lib import jsonsafe
from teams.models import Project, Role
from teams.pages import answer_json, get_principal, get_project, require_sign_in
from teams.queries import find_role


# --- table ---------------------------------------------------------------------------------------
@require_sign_in
@require_safe
def show_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the runs of a project."""
    project = get_project(request, slug)
    rev = read_project_revision(project)["rev"]
    page = read_runs_page(project, _list_runs(project), TableQuery.read(request.GET))
    query = request.GET.urlencode()
    twin = reverse("runs-json", args=[project.slug])
    context = {
        **build_runs(page),
        **build_runs_page(page, request.GET),
        "project": project,
        "section": "runs",
        "crumbs": [(project.name or project.slug, None)],
        "may_edit": _may_edit(request, project),
        "rev": rev,
        "revision_url": reverse("project-revision", args=[project.slug]),
        "json_url": f"{twin}?{query}" if query else twin,
    }
    return render(request, "runs/runs.html", context)


@require_sign_in
@require_safe
def read_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    project = get_project(request, slug)
    page = read_runs_page(project, _list_runs(project), TableQuery.read(request.GET))
    return answer_json(build_runs(page), 422 if page.error else 200)


@require_sign_in
@require_safe
def count_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Say how many runs a filter would leave, or what is wrong with it, while it is typed."""
    project = get_project(request, slug)
    found = count_table(_list_runs(project), TableQuery.read(request.GET))
    return answer_json(found)


# --- one run -------------------------------------------------------------------------------------
@require_sign_in
@require_safe
def show_run(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Show a run: what it is, and its curves."""
    project = get_project(request, slug)
    run = _get_run(request, project, uid)
    rev = read_run_revision(run)["rev"]
    document = contexts.build_run(run)
    runs_url = reverse("runs", args=[project.slug])
    context = {
        **document,
        **contexts.build_run_page(run, document),
        "project": project,
        "section": "runs",
        "may_edit": _may_edit(request, project),
        "crumbs": [
            (project.name or project.slug, runs_url),
            ("Runs", runs_url),
            (document["name"], None),
        ],
        "rev": rev,
        "revision_url": f"{reverse('run-revision', args=[uid])}?project={project.slug}",
    }
    return render(request, "runs/run.html", context)


@require_sign_in
@require_safe
def read_run(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Answer the twin of the page."""
    run = _get_run(request, get_project(request, slug), uid)
    return answer_json(contexts.build_run(run))


@require_sign_in
@require_safe
def read_curves(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Answer some curves of a run; its revision and the query are the ETag."""
    run = _get_run(request, get_project(request, slug), uid)
    rev = read_run_revision(run)["rev"]
    tag = f'"{rev}&{request.GET.urlencode()}"'
    if request.headers.get("If-None-Match") == tag:
        response: HttpResponse = HttpResponseNotModified()
    else:
        document = build_curves(run, CurvesWish.read(request.GET), rev)
        response = HttpResponse(jsonsafe.dumps(document), content_type="application/json")
    response["ETag"] = tag
    return response


# --- inside --------------------------------------------------------------------------------------
def _may_edit(request: HttpRequest, project: Project) -> bool:
    role = find_role(get_principal(request), project)
    return role is not None and role.includes(Role.EDITOR)


def _list_runs(project: Project) -> RunQuerySet:
    """Return the runs of a project that the reader is known to see; its index serves."""
    return Run.objects.filter(project=project, deleted_at=None)


def _get_run(request: HttpRequest, project: Project, uid: str) -> Run:
    visible = Run.objects.visible_to(get_principal(request)).select_related("project")
    run = visible.filter(project=project, uid=uid).first()
    if run is None:
        raise Http404
    return run
