"""The page of the first minutes, and the document that it polls."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from runs.quickstart import (
    DEFAULT_PROJECT,
    PLACEHOLDER,
    build_arrival,
    list_writable,
    read_since,
    write_snippets,
)
from scaledash.middleware import find_base_url
from teams.models import ApiToken, Project, Scope
from teams.pages import answer_json, get_principal, read_form, require_sign_in
from teams.services import create_token

TOKEN_NAME = "quickstart"


class QuickstartForm(forms.Form):
    """The project that the snippets log into."""

    project = forms.SlugField(max_length=64)


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def show_quickstart(request: HttpRequest) -> HttpResponse:
    """Show the snippets; POST makes a token, whose secret is on this one answer only."""
    principal = get_principal(request)
    projects = list_writable(principal)
    form = QuickstartForm(read_form(request))
    project = _choose_project(request, form, [project.slug for project in projects])
    known = next((one for one in projects if one.slug == project), None)
    wants_token = request.method == "POST" and form.is_valid()
    secret = _make_token(request, known) if wants_token else ""
    since = timezone.now().timestamp()
    context = {
        "snippets": write_snippets(find_base_url(request), secret, project),
        "placeholder": PLACEHOLDER,
        "secret": secret,
        "projects": projects,
        "project_slug": project,
        "is_bound": known is not None,
        "errors": form.errors.get("project", []) if request.method == "POST" else [],
        "since": f"{since:.3f}",
        "json_url": f"{reverse('quickstart-json')}?since={since:.3f}",
        "crumbs": [("Quickstart", None)],
    }
    status = 422 if context["errors"] else 200
    return render(request, "runs/quickstart.html", context, status=status)


@require_sign_in
@require_safe
def read_quickstart(request: HttpRequest) -> HttpResponse:
    """Answer whether a point has arrived since the page was opened; its revision is the ETag."""
    document = build_arrival(get_principal(request), read_since(request.GET.get("since", "")))
    tag = f'"{document["rev"]}"'
    if request.headers.get("If-None-Match") == tag:
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = answer_json(document)
    response["ETag"] = tag
    return response


def _choose_project(request: HttpRequest, form: QuickstartForm, known: list[str]) -> str:
    """Return the project that was asked for, where its name is one."""
    if request.method == "POST":
        return form.cleaned_data["project"] if form.is_valid() else DEFAULT_PROJECT
    asked = QuickstartForm({"project": request.GET.get("project", "")})
    if asked.is_valid():
        return asked.cleaned_data["project"]
    return next((slug for slug in known if slug != "demo"), DEFAULT_PROJECT)


def _make_token(request: HttpRequest, project: Project | None) -> str:
    """Make a token that logs runs, into the project if there is one; several are numbered."""
    mine = ApiToken.objects.filter(user=request.user, revoked_at=None)
    taken = set(mine.filter(name__startswith=TOKEN_NAME).values_list("name", flat=True))
    names = (f"{TOKEN_NAME} {number}" for number in range(1, len(taken) + 2))
    name = next(name for name in names if name not in taken)
    return create_token(request.user, name, Scope.WRITE, project)[1]
