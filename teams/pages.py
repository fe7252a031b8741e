"""What every page shares: sign-in, the project of the URL, the JSON twin."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, QueryDict

from scaledash.failures import render_error, wants_json
from scaledash.lib import jsonsafe
from teams.models import Project, Role
from teams.principals import Principal
from teams.queries import find_role

View = Callable[..., HttpResponse]


def require_sign_in(view: View) -> View:
    """Send strangers to the login form; a JSON twin answers 401."""

    @functools.wraps(view)
    def check(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if wants_json(request):
            return render_error(request, 401, "auth_required", "Sign in to read this.")
        return redirect_to_login(request.get_full_path())

    return check


def require_site_admin(view: View) -> View:
    """Answer 404 to everybody but administrators of the whole server."""

    @functools.wraps(view)
    def check(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not request.user.is_superuser:
            raise Http404
        return view(request, *args, **kwargs)

    return require_sign_in(check)


def is_held(request: HttpRequest, etag: str) -> bool:
    """Return whether the reader holds this answer; compressing one makes its tag a weak one."""
    return request.headers.get("If-None-Match", "").removeprefix("W/") == etag


def get_principal(request: HttpRequest) -> Principal:
    """Return who looks at the page."""
    return Principal(user_id=request.user.pk)


def get_project(request: HttpRequest, slug: str, role: Role = Role.VIEWER) -> Project:
    """Return the project if the reader has at least `role` in it, else raise Http404."""
    principal = get_principal(request)
    project = Project.objects.visible_to(principal).filter(slug=slug).first()
    held = find_role(principal, project) if project else None
    if project is None or held is None or not held.includes(role):
        raise Http404
    project.held_role = held
    return project


def read_form(request: HttpRequest) -> QueryDict | None:
    """Return what a form sent, or None where it is only shown."""
    return request.POST if request.method == "POST" else None


def answer_json(document: object, status: int = 200) -> HttpResponse:
    """Answer a page's JSON twin."""
    return HttpResponse(jsonsafe.dumps(document), status=status, content_type="application/json")
