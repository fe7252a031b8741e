"""Pages of tokens and of a project's settings."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from teams.contexts import (
    ROLE_MEANINGS,
    SCOPE_MEANINGS,
    build_project_settings,
    build_tokens,
    describe_token,
)
from teams.forms import (
    DeleteForm,
    HandOverForm,
    InvitationForm,
    MemberForm,
    ProjectForm,
    RoleForm,
    TokenForm,
)
from teams.models import ApiToken, Project, Role, Scope, User
from teams.pages import answer_json, get_principal, get_project, read_form, require_sign_in
from teams.services import (
    Refused,
    check_token_wish,
    create_token,
    delete_project,
    hand_over,
    remove_member,
    revoke_token,
    set_member,
    update_project,
)


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def show_tokens(request: HttpRequest) -> HttpResponse:
    """List and create tokens; a new secret is on this one answer and nowhere else."""
    principal = get_principal(request)
    form = TokenForm(read_form(request), principal=principal)
    secret = _create_token(request, form) if request.method == "POST" else None
    context = {
        **build_tokens(principal, _wants_own(request)),
        "form": TokenForm(principal=principal) if secret else form,
        "secret": secret,
        "scopes": SCOPE_MEANINGS,
        "crumbs": [("API tokens", None)],
    }
    refused = request.method == "POST" and secret is None
    return render(request, "teams/tokens.html", context, status=422 if refused else 200)


@require_sign_in
@require_safe
def read_tokens(request: HttpRequest) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(build_tokens(get_principal(request), _wants_own(request)))


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, key: str) -> HttpResponse:
    """Ask, then make a token useless."""
    token = get_object_or_404(ApiToken.objects.visible_to(get_principal(request)), key=key)
    if request.method != "POST":
        return render(request, "teams/token_revoke.html", {"token": describe_token(token)})
    revoke_token(token)
    messages.success(request, f"Token {token.name} is revoked.")
    return redirect("tokens")


def _create_token(request: HttpRequest, form: TokenForm) -> str | None:
    if not form.is_valid():
        return None
    fields, expires_at = form.cleaned_data, form.expires_at
    scope, project = Scope(fields["scope"]), fields["project"]
    try:
        check_token_wish(form.principal, scope, project, expires_at)
    except Refused as refusal:
        form.add_error("scope", refusal.message)
        return None
    return create_token(request.user, fields["name"], scope, project, expires_at)[1]


def _wants_own(request: HttpRequest) -> bool:
    return request.GET.get("own") == "1"


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def show_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a project's settings; POST changes name and description."""
    if request.method != "POST":
        return show_project_settings(request, get_project(request, slug, Role.EDITOR))
    project = get_project(request, slug, Role.ADMIN)
    form = ProjectForm(request.POST)
    if not form.is_valid():
        return show_project_settings(request, project, project_form=form)
    update_project(project, **form.cleaned_data)
    messages.success(request, "Saved.")
    return _back_to(project)


@require_sign_in
@require_safe
def read_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the twin of the page."""
    project = get_project(request, slug, Role.EDITOR)
    return answer_json(build_project_settings(project, project.held_role))


@require_sign_in
@require_POST
def add_member(request: HttpRequest, slug: str) -> HttpResponse:
    """Add a member by user name, or change the role of one."""
    project = get_project(request, slug, Role.ADMIN)
    form = MemberForm(request.POST)
    if not form.is_valid():
        return show_project_settings(request, project, member_form=form)
    user = User.objects.get(username=form.cleaned_data["username"])
    return _set_member(request, project, user, form.cleaned_data["role"])


@require_sign_in
@require_POST
def change_member(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Change a member's role."""
    project = get_project(request, slug, Role.ADMIN)
    member = _get_member(project, username)
    form = RoleForm(request.POST)
    if not form.is_valid():
        return show_project_settings(request, project, refusal="Choose one of the three roles.")
    return _set_member(request, project, member, form.cleaned_data["role"])


@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def drop_member(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Ask, then take somebody's membership."""
    project = get_project(request, slug, Role.ADMIN)
    member = _get_member(project, username)
    if request.method != "POST":
        context = {"project": project, "username": member.username}
        return render(request, "teams/member_remove.html", context)
    try:
        remove_member(project, member)
    except Refused as refusal:
        return show_project_settings(request, project, refusal=refusal.message)
    messages.success(request, f"{member.username} is no longer a member of {project.name}.")
    return _back_to(project) if member != request.user else HttpResponseRedirect("/")


@require_sign_in
@require_POST
def give_project(request: HttpRequest, slug: str) -> HttpResponse:
    """Make another member admin in one's own place."""
    project = get_project(request, slug, Role.ADMIN)
    member = _get_member(project, request.POST.get("member", ""))
    try:
        hand_over(project, request.user, member)
    except Refused as refusal:
        return show_project_settings(request, project, refusal=refusal.message)
    messages.success(request, f"{member.username} is admin of {project.name}; you are an editor.")
    return _back_to(project)


@require_sign_in
@require_POST
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Delete the project, once its slug is typed."""
    project = get_project(request, slug, Role.ADMIN)
    form = DeleteForm(request.POST, slug=project.slug)
    if not form.is_valid():
        return show_project_settings(request, project, delete_form=form)
    delete_project(project)
    messages.success(request, f"{project.name} is deleted.")
    return HttpResponseRedirect("/")


def _set_member(request: HttpRequest, project: Project, user: User, role: str) -> HttpResponse:
    try:
        set_member(project, user, Role(role))
    except Refused as refusal:
        return show_project_settings(request, project, refusal=refusal.message)
    messages.success(request, f"{user.username} is {role} of {project.name}.")
    stepped_down = user == request.user and role == Role.VIEWER
    return HttpResponseRedirect("/") if stepped_down else _back_to(project)


def _get_member(project: Project, username: str) -> User:
    return get_object_or_404(User, username=username, memberships__project=project)


def _back_to(project: Project) -> HttpResponse:
    return HttpResponseRedirect(reverse("project-settings", args=[project.slug]))


def show_project_settings(
    request: HttpRequest, project: Project, status: int = 422, **more: object
) -> HttpResponse:
    """Answer the page of settings, after a refused form with it and status 422."""
    role = project.held_role
    current = {"name": project.name, "description": project.description}
    document = build_project_settings(project, role)
    others = [m["user"] for m in document["members"] if m["user"] != request.user.username]
    context = {
        **document,
        "may_manage": role == Role.ADMIN,
        "roles": ROLE_MEANINGS,
        "project_form": ProjectForm(initial=current),
        "member_form": MemberForm(),
        "invitation_form": InvitationForm(auto_id="id_invitation_%s"),
        "hand_over_form": HandOverForm(names=others) if others else None,
        "delete_form": DeleteForm(slug=project.slug),
        "section": "settings",
        **more,
    }
    status = status if more else 200
    return render(request, "teams/project_settings.html", context, status=status)
