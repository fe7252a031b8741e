"""Pages of studies: list, one study with its figures, the form, exclusions; and the first page."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fitting import contexts, figures, tabs
from fitting.forecast_page import read_target
from fitting.forecasting import Prediction, predict
from fitting.forms import ExclusionForm, StudyForm, read_study
from fitting.lr_figures import MODES
from fitting.models import Study, StudyRun
from fitting.projects import build_projects, find_demo, list_sources
from fitting.queries import (
    StudyView,
    find_study,
    list_studies,
    read_revision,
    read_switched_off,
    view_study,
)
from fitting.services import (
    Refused,
    StudyWish,
    add_runs,
    create_study,
    edit_study,
    freeze_forecast,
    set_exclusion,
)
from fitting.study_file import answer_file
from fitting.switches import describe_switches
from fitting.versions import add_history, describe_pin, pin_version
from runs.filters import BadFilter
from runs.models import Run
from runs.table import TableQuery, narrow_table
from scaledash.lib import jsonsafe
from scaledash.lib.urlstate import note_choice
from teams.comments import add_mark, build_comments
from teams.models import Project, Role
from teams.pages import answer_json, get_principal, get_project, is_held, require_sign_in
from teams.queries import find_role

FORECAST_KEYS = ("quantity", "n", "d", "c", "lr", "approach", "variant")
Crumbs = list[tuple[str, str | None]]
FIELD_OF_POINTER = {"/slug": "name", "/selection": "group", "/variant_keys": "variant_keys"}


@require_sign_in
@require_safe
def show_projects(request: HttpRequest) -> HttpResponse:
    """Show the projects of the reader."""
    document = build_projects(get_principal(request), request.GET.get("p", "1"))
    page = document["page"]
    json_url = reverse("projects-json") + (f"?p={page}" if page != 1 else "")
    context = {**document, **find_demo(document), "json_url": json_url}
    return render(request, "fitting/projects.html", context)


@require_sign_in
@require_safe
def read_projects(request: HttpRequest) -> HttpResponse:
    """Answer the twin of the page, which is also its revision endpoint."""
    document = build_projects(get_principal(request), request.GET.get("p", "1"))
    return _answer_tagged(request, document, document["rev"])


@require_sign_in
@require_safe
def show_studies(request: HttpRequest, slug: str) -> HttpResponse:
    """List the studies of a project."""
    project = get_project(request, slug)
    context = {
        **_build_list(request, project),
        "project": project,
        "section": "studies",
        "crumbs": _crumbs(project, ("Studies", None)),
        "may_edit": _may_edit(request, project),
        "json_url": reverse("studies-json", args=[project.slug]),
    }
    return render(request, "fitting/studies.html", context)


@require_sign_in
@require_safe
def read_studies(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build_list(request, get_project(request, slug)))


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_study(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a study: by rule, or of the runs chosen in the runs table."""
    project = get_project(request, slug, Role.EDITOR)
    chosen = _list_chosen(request, project)
    form = StudyForm(request.POST or None, initial={"runs": ",".join(chosen)})
    if request.method == "POST" and form.is_valid():
        study = _create(request, project, form)
        if study is not None:
            return redirect("study", project.slug, study.slug)
    crumbs = _crumbs(project, ("Studies", reverse("studies", args=[slug])), ("New study", None))
    return _show_form(request, project, form, crumbs=crumbs, n_chosen=len(chosen))


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def change_study(request: HttpRequest, slug: str, study_slug: str) -> HttpResponse:
    """Edit what a study reads; its fits follow."""
    project = get_project(request, slug, Role.EDITOR)
    study = _get_study(request, project, study_slug)
    form = StudyForm(request.POST or None, initial=read_study(study))
    if request.method == "POST" and form.is_valid():
        try:
            edit_study(study, form.list_changes())
            return redirect("study", project.slug, study.slug)
        except Refused as refusal:
            _show_refusal(form, refusal)
    crumbs = [*_study_crumbs(project, study, is_last=False), ("Edit", None)]
    switches = describe_switches(read_switched_off(study))
    return _show_form(request, project, form, crumbs=crumbs, study=study, switches=switches)


@require_sign_in
@require_safe
def show_study(request: HttpRequest, slug: str, study_slug: str) -> HttpResponse:
    """Show a study: what it concludes, its plots, its tables."""
    project = get_project(request, slug)
    study = _get_study(request, project, study_slug)
    rev = add_mark(read_revision(study), project.pk, "study", study.pk)["rev"]
    view = view_study(study)
    tab = _find_tab(request, view)
    analysis = tabs.find_analysis(tab, request.GET.get("law", ""))
    view = _pin(request, view, analysis)
    document = contexts.build_study(view, tab, request.GET.dict())
    page = contexts.build_study_page(view, document, tab, request.GET.urlencode())
    context = {
        **add_history(page, analysis if view.progress.is_pinned else ""),
        "project": project,
        "section": "studies",
        "crumbs": _study_crumbs(project, study),
        "may_edit": _may_edit(request, project),
        "comment_box": build_comments(
            get_principal(request), project, "study", (study.pk, study.slug)
        ),
        "rev": rev,
        "notes": _list_notes(request),
        "pinned": describe_pin(view, analysis) if view.progress.is_pinned else None,
    }
    return render(request, "fitting/study.html", context)


@require_sign_in
@require_safe
def read_study_page(request: HttpRequest, slug: str, study_slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    study = _get_study(request, get_project(request, slug), study_slug)
    view = view_study(study)
    tab = _find_tab(request, view)
    view = _pin(request, view, tabs.find_analysis(tab, request.GET.get("law", "")))
    return answer_json(contexts.build_study(view, tab, request.GET.dict()))


@require_sign_in
@require_safe
def download_study(request: HttpRequest, slug: str, study_slug: str) -> StreamingHttpResponse:
    """Answer the whole study as one HTML file that opens without a server."""
    return answer_file(request, _get_study(request, get_project(request, slug), study_slug))


@require_sign_in
@require_safe
@gzip_page
def read_figure(request: HttpRequest, slug: str, study_slug: str, name: str) -> HttpResponse:
    """Answer one figure of a study; its revision and options are the ETag."""
    study = _get_study(request, get_project(request, slug), study_slug)
    if name not in figures.FIGURES:
        raise Http404
    rev = read_revision(study)["rev"]
    options = request.GET.urlencode()
    tag = f"{rev}&{options}"
    if is_held(request, _quote(tag)):
        return _answer_unchanged(tag)
    view = _pin(request, view_study(study), tabs.find_figure_analysis(name))
    document = figures.build_figure(name, view, request.GET.dict(), rev)
    return _answer_tagged(request, document, tag)


@require_sign_in
@require_POST
def exclude(request: HttpRequest, slug: str, study_slug: str, uid: str) -> HttpResponse:
    """Leave a run out of the fits, with a reason."""
    member = _get_member(request, slug, study_slug, uid)
    form = ExclusionForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else "left out by hand"
    set_exclusion(member, request.user, excluded=True, reason=reason)
    return _back_to_runs(slug, study_slug)


@require_sign_in
@require_POST
def include(request: HttpRequest, slug: str, study_slug: str, uid: str) -> HttpResponse:
    """Take a run in again."""
    member = _get_member(request, slug, study_slug, uid)
    set_exclusion(member, request.user, excluded=False)
    return _back_to_runs(slug, study_slug)


@require_sign_in
@require_POST
def freeze(request: HttpRequest, slug: str, study_slug: str) -> HttpResponse:
    """Freeze what the current fit predicts, if it is still what the form showed."""
    project = get_project(request, slug, Role.EDITOR)
    view = view_study(_get_study(request, project, study_slug))
    asked = {key: request.POST.get(key, "") for key in FORECAST_KEYS}
    target, problem = read_target(asked)
    found = None if problem else predict(view, target)
    back = reverse("study", args=[slug, study_slug]) + "?tab=forecasts"
    if not isinstance(found, Prediction):
        return redirect(f"{back}&{urlencode(asked)}")
    if found.fit.input_digest != request.POST.get("digest"):
        messages.warning(request, "The fit has moved on; this is its new prediction. Freeze it?")
        return redirect(f"{back}&{urlencode(asked)}")
    freeze_forecast(view, request.user, target)
    messages.success(request, "The forecast is frozen.")
    return redirect(back)


def _build_list(request: HttpRequest, project: Project) -> dict[str, object]:
    studies = list_studies(get_principal(request), project)
    return {"studies": [contexts.describe_study(study) for study in studies]}


def _get_study(request: HttpRequest, project: Project, slug: str) -> Study:
    study = find_study(get_principal(request), project, slug)
    if study is None:
        raise Http404
    return study


def _pin(request: HttpRequest, view: StudyView, analysis: str) -> StudyView:
    """Return the study as the version that the address names saw it, else as it is."""
    text = request.GET.get("version", "")
    if not text:
        return view
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    pinned = pin_version(view, analysis, int(text)) if is_number else None
    if pinned is None:
        raise Http404
    return pinned


def _get_member(request: HttpRequest, slug: str, study_slug: str, uid: str) -> StudyRun:
    project = get_project(request, slug, Role.EDITOR)
    study = _get_study(request, project, study_slug)
    return get_object_or_404(study.study_runs, run__uid=uid, run__deleted_at=None)


def _may_edit(request: HttpRequest, project: Project) -> bool:
    role = find_role(get_principal(request), project)
    return role is not None and role.includes(Role.EDITOR)


def _find_tab(request: HttpRequest, view: StudyView) -> str:
    tab = request.GET.get("tab", "")
    return tab if tab in (*tabs.TABS, tabs.HISTORY) else tabs.choose_tab(view)


def _list_notes(request: HttpRequest) -> list[str]:
    """Say what in the address was not understood; the default is shown."""
    return [
        *note_choice(request.GET, "tab", (*tabs.TABS, tabs.HISTORY)),
        *note_choice(request.GET, "ys", tuple(MODES)),
    ]


def _create(request: HttpRequest, project: Project, form: StudyForm) -> Study | None:
    changes = form.list_changes()
    wish = StudyWish(slug=form.find_slug(changes["name"]), **changes)
    try:
        study = create_study(project, request.user, wish)
    except Refused as refusal:
        _show_refusal(form, refusal)
        return None
    visible = Run.objects.visible_to(get_principal(request)).filter(project=project)
    chosen = visible.filter(uid__in=form.list_runs())
    if chosen:
        add_runs(study, chosen)
    return study


def _list_chosen(request: HttpRequest, project: Project) -> list[str]:
    """Return the ids of the runs that the runs table sends: some by name, or all it shows."""
    if request.GET.get("every") != "1":
        return request.GET.getlist("run")
    runs = Run.objects.visible_to(get_principal(request)).filter(project=project)
    try:
        return list(narrow_table(runs, TableQuery.read(request.GET)).values_list("uid", flat=True))
    except BadFilter:
        return []


def _show_refusal(form: StudyForm, refusal: Refused) -> None:
    field = FIELD_OF_POINTER.get(refusal.field)
    if refusal.field.startswith("/mapping/"):
        field = f"axis_{refusal.field.rpartition('/')[2]}"
    form.add_error(field if field in form.fields else None, refusal.message)


def _show_form(
    request: HttpRequest, project: Project, form: StudyForm, **more: object
) -> HttpResponse:
    context = {
        "project": project,
        "section": "studies",
        "form": form,
        "sources": list_sources(project),
        **more,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "fitting/study_form.html", context, status=status)


def _back_to_runs(slug: str, study_slug: str) -> HttpResponse:
    return redirect(reverse("study", args=[slug, study_slug]) + "?tab=runs")


def _crumbs(project: Project, *rest: tuple[str, str | None]) -> Crumbs:
    return [(project.name or project.slug, reverse("runs", args=[project.slug])), *rest]


def _study_crumbs(project: Project, study: Study, is_last: bool = True) -> Crumbs:
    here = None if is_last else reverse("study", args=[project.slug, study.slug])
    return _crumbs(
        project, ("Studies", reverse("studies", args=[project.slug])), (study.name, here)
    )


def _quote(tag: str) -> str:
    return f'"{tag}"'


def _answer_unchanged(tag: str) -> HttpResponse:
    response = HttpResponseNotModified()
    response["ETag"] = _quote(tag)
    return response


def _answer_tagged(request: HttpRequest, document: object, tag: str) -> HttpResponse:
    if is_held(request, _quote(tag)):
        return _answer_unchanged(tag)
    response = HttpResponse(jsonsafe.dumps(document), content_type="application/json")
    response["ETag"] = _quote(tag)
    return response
