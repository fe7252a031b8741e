"""The switches of a study's analyses: one form at each tab and in the study's settings."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from fitting import tabs
from fitting.queries import SWITCHABLE, find_study
from fitting.services import switch_analysis
from teams.models import Role
from teams.pages import get_principal, get_project, require_sign_in


@require_sign_in
@require_POST
def switch(request: HttpRequest, slug: str, study_slug: str, analysis: str) -> HttpResponse:
    """Let a study make an analysis, or no longer, and go back to where the switch stands."""
    project = get_project(request, slug, Role.EDITOR)
    study = find_study(get_principal(request), project, study_slug)
    if study is None or analysis not in SWITCHABLE:
        raise Http404
    switch_analysis(study, request.user, analysis, request.POST.get("on") == "1")
    tab = request.POST.get("tab", "")
    if tab in tabs.TABS:
        return redirect(f"{reverse('study', args=[slug, study_slug])}?tab={tab}")
    return redirect(f"{reverse('study-edit', args=[slug, study_slug])}#analyses")
