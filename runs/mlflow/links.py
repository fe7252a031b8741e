"""Where the address leads that MLflow's client prints after a run."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from runs.models import Run
from teams.pages import get_principal, require_sign_in


@require_sign_in
@require_safe
def follow_run(request: HttpRequest, uid: str) -> HttpResponse:
    """Lead to the page of a run by its id alone, which MLflow's clients take for enough."""
    visible = Run.objects.visible_to(get_principal(request)).select_related("project")
    run = visible.filter(uid=uid).first()
    if run is None:
        raise Http404
    return redirect("run", run.project.slug, run.uid)
