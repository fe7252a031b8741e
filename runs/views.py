"""Pages of runs: the table of a project, one run with its curves."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    QueryDict,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_POST, require_safe

from runs import contexts
from runs.bulk import (
    NEEDED,
    BulkWish,
    describe_edit,
    edit_runs,
    find_undoable,
    undo_edit,
)
from runs.comparison import build_diff, list_offered
from runs.curves import CurvesWish, build_curves
from runs.events import collect_marks, collect_panels, list_remarks, sort_events
from runs.explore import MAX_SMOOTHING, X_SCALES, Y_SCALES, Reader
from runs.filters import BadFilter
from runs.models import BulkAction, BulkEdit, Run, RunQuerySet, ViewPage
from runs.revisions import read_project_revision, read_run_revision
from runs.saved_pages import build_menu, open_view, read_query
from runs.services import Refused, check_notes, digest_notes, edit_run
from runs.table import TableQuery, choose_runs
from runs.table_page import build_runs, build_runs_page, count_table, link, read_runs_page
from scaledash.lib import jsonsafe
from teams.comments import add_mark, build_comments
from teams.models import Project, Role
from teams.pages import answer_json, get_principal, get_project, is_held, require_sign_in
from teams.queries import find_role


@require_sign_in
@require_safe
def show_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the runs of a project."""
    project = get_project(request, slug)
    opened = open_view(request, project, ViewPage.RUNS)
    if opened is not None:
        return opened
    rev = read_project_revision(project)["rev"]
    page = read_runs_page(project, _list_runs(project), TableQuery.read(request.GET))
    query = request.GET.urlencode()
    twin = reverse("runs-json", args=[project.slug])
    may_edit = _may_edit(request, project)
    undoable = find_undoable(project, request.user.pk) if may_edit else None
    context = {
        **build_runs(page),
        **build_runs_page(page, request.GET),
        "undoable": undoable,
        "undo_text": describe_edit(undoable) if undoable else "",
        "may_delete": may_edit and _may_edit(request, project, Role.ADMIN),
        "purge_days": settings.PURGE_AFTER_DAYS,
        "view": link(request.GET).removeprefix("?"),
        "saved": build_menu(request, project, ViewPage.RUNS),
        "project": project,
        "section": "runs",
        "crumbs": [(project.name or project.slug, None)],
        "may_edit": may_edit,
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
    query = TableQuery.read(read_query(request, project, ViewPage.RUNS))
    page = read_runs_page(project, _list_runs(project), query)
    return answer_json(build_runs(page), 422 if page.error else 200)


@require_sign_in
@require_safe
def count_runs(request: HttpRequest, slug: str) -> HttpResponse:
    """Say how many runs a filter would leave, or what is wrong with it, while it is typed."""
    project = get_project(request, slug)
    found = count_table(_list_runs(project), TableQuery.read(request.GET))
    return answer_json(found)


@require_sign_in
@require_POST
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Tag, untag, archive, unarchive or delete the chosen runs; back to the same table."""
    project = get_project(request, slug, Role.EDITOR)
    params = QueryDict(request.POST.get("view", ""))
    try:
        wish = BulkWish.read(request.POST.get("action", ""), request.POST.get("tag", ""))
        get_project(request, slug, wish.role)
        query = TableQuery.read(params)
        chosen = choose_runs(_list_runs(project), query, request.POST.get("runs", ""))
        done = edit_runs(project, request.user, chosen, wish)
    except (Refused, BadFilter) as refusal:
        messages.error(request, refusal.message)
        done = None
    else:
        if done is None:
            messages.info(request, "Nothing to change: the chosen runs are so already.")
    return _back_to_table(project, params)


@require_sign_in
@require_POST
def undo(request: HttpRequest, slug: str, edit_id: int) -> HttpResponse:
    """Take a change of many runs back."""
    project = get_project(request, slug, Role.EDITOR)
    done = get_object_or_404(BulkEdit, pk=edit_id, project=project)
    get_project(request, slug, NEEDED.get(BulkAction(done.action), Role.EDITOR))
    n_runs = undo_edit(done)
    messages.success(request, f"Undone for {n_runs:,} run{'' if n_runs == 1 else 's'}.")
    return _back_to_table(project, QueryDict(request.POST.get("view", "")))


@require_sign_in
@require_safe
def show_run(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Show a run: what it is, and its curves."""
    project = get_project(request, slug)
    run = _get_run(request, project, uid)
    rev = _read_page_revision(run)
    return render(request, "runs/run.html", _build_run_context(request, project, run, rev))


@require_sign_in
@require_POST
def save_notes(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Store the notes of a run, unless somebody else has changed them meanwhile."""
    project = get_project(request, slug, Role.EDITOR)
    run = _get_run(request, project, uid)
    text = request.POST.get("notes", "").replace("\r\n", "\n")
    refusal = check_notes(run, text, request.POST.get("before", ""))
    if not refusal:
        edit_run(run, {"notes": text})
        return redirect("run", slug, uid)
    messages.error(request, refusal)
    rev = _read_page_revision(run)
    context = _build_run_context(request, project, run, rev)
    return render(request, "runs/run.html", {**context, "refused_notes": text}, status=409)


def _read_page_revision(run: Run) -> str:
    return add_mark(read_run_revision(run), run.project_id, "run", run.pk)["rev"]


@require_sign_in
@require_safe
def read_run(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Answer the twin of the page."""
    project = get_project(request, slug)
    run = _get_run(request, project, uid)
    diff = build_diff(run, _list_runs(project), request.GET.get("base", ""))
    document = contexts.build_run(run)
    marks = collect_marks(collect_panels(run))
    events = sort_events([*document["events"], *marks])
    return answer_json({**document, "events": events, "diff": diff})


@require_sign_in
@require_safe
@gzip_page
def read_curves(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Answer some curves of a run; its revision and the query are the ETag."""
    run = _get_run(request, get_project(request, slug), uid)
    rev = read_run_revision(run)["rev"]
    tag = f'"{rev}&{request.GET.urlencode()}"'
    if is_held(request, tag):
        response: HttpResponse = HttpResponseNotModified()
    else:
        document = build_curves(run, CurvesWish.read(request.GET), rev)
        response = HttpResponse(jsonsafe.dumps(document), content_type="application/json")
    response["ETag"] = tag
    return response


def _build_run_context(
    request: HttpRequest, project: Project, run: Run, rev: object
) -> dict[str, object]:
    document, panels = contexts.build_run(run), collect_panels(run)
    runs, runs_url = _list_runs(project), reverse("runs", args=[project.slug])
    events = sort_events([*document["events"], *collect_marks(panels), *list_remarks(run)])
    return {
        **document,
        **contexts.build_run_page(run, {**document, "events": events}),
        "diff": build_diff(run, runs, request.GET.get("base", "")),
        "bases": list_offered(runs, run),
        "notes_digest": digest_notes(run),
        "project": project,
        "section": "runs",
        "may_edit": _may_edit(request, project),
        "panels": panels,
        "crumbs": [
            (project.name or project.slug, runs_url),
            ("Runs", runs_url),
            (document["name"], None),
        ],
        "comment_box": build_comments(get_principal(request), project, "run", (run.pk, run.uid)),
        "rev": rev,
        "notes": _list_notes(request),
        "revision_url": f"{reverse('run-revision', args=[run.uid])}?project={project.slug}",
    }


def _list_notes(request: HttpRequest) -> list[str]:
    """Say what in the address was not understood; the default is shown."""
    reader = Reader(request.GET)
    reader.read_axis()
    reader.choose("xs", X_SCALES)
    reader.choose("ys", Y_SCALES)
    reader.read_number("sm", MAX_SMOOTHING)
    reader.read_window("xr")
    return reader.notes


def _may_edit(request: HttpRequest, project: Project, needed: Role = Role.EDITOR) -> bool:
    role = find_role(get_principal(request), project)
    return role is not None and role.includes(needed)


def _back_to_table(project: Project, params: QueryDict) -> HttpResponse:
    return redirect(reverse("runs", args=[project.slug]) + link(params))


def _list_runs(project: Project) -> RunQuerySet:
    """Return the runs of a project that the reader is known to see; its index serves."""
    return Run.objects.filter(project=project, deleted_at=None)


def _get_run(request: HttpRequest, project: Project, uid: str) -> Run:
    visible = Run.objects.visible_to(get_principal(request)).select_related("project")
    run = visible.filter(project=project, uid=uid).first()
    if run is None:
        raise Http404
    return run
