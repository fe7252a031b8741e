"""What the browser asks of a run's diagnoses: the twin of the panel, and a person's override."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from fitting.diagnoses.outcome import override_outcome, restore_outcome
from fitting.diagnoses.queries import build_diagnoses
from fitting.services import Refused
from runs.models import Run
from teams.models import Project, Role
from teams.pages import answer_json, get_principal, get_project, require_sign_in


@require_sign_in
@require_safe
def read_diagnoses(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Answer the verdicts of a run."""
    return answer_json(build_diagnoses(_get_run(request, get_project(request, slug), uid)))


@require_sign_in
@require_POST
def change_outcome(request: HttpRequest, slug: str, uid: str) -> HttpResponse:
    """Set the outcome of a run by hand, or take that back."""
    run = _get_run(request, get_project(request, slug, Role.EDITOR), uid)
    outcome = request.POST.get("outcome", "")
    if outcome == "server":
        restore_outcome(run)
    else:
        try:
            override_outcome(run, request.user, outcome, request.POST.get("reason", ""))
        except Refused as refusal:
            messages.error(request, refusal.message)
    return redirect("run", slug, uid)


def _get_run(request: HttpRequest, project: Project, uid: str) -> Run:
    visible = Run.objects.visible_to(get_principal(request)).select_related("project")
    run = visible.filter(project=project, uid=uid).first()
    if run is None:
        raise Http404
    return run
