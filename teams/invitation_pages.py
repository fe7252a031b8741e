"""Pages of invitations: admins make and revoke links, the invited open one and join."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from scaledash.middleware import render_form
from teams.forms import AccountForm, InvitationForm, SignInForm
from teams.invitations import (
    accept_invitation,
    create_invitation,
    find_invitation,
    join_with_account,
    revoke_invitation,
)
from teams.models import Invitation, Role, User
from teams.pages import get_project, require_sign_in
from teams.signin import BACKEND
from teams.views import show_project_settings


@require_sign_in
@require_POST
def invite(request: HttpRequest, slug: str) -> HttpResponse:
    """Make an invitation; its address is on this one answer and nowhere else."""
    project = get_project(request, slug, Role.ADMIN)
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return show_project_settings(request, project, invitation_form=form)
    fields = form.cleaned_data
    role, label = Role(fields["role"]), fields["label"]
    _, secret = create_invitation(project, request.user, role, form.expires_at, label)
    address = reverse("invitation", args=[secret])
    return show_project_settings(request, project, status=200, invitation_address=address)


@require_sign_in
@require_POST
def revoke(request: HttpRequest, slug: str, invitation_id: int) -> HttpResponse:
    """Make an invitation useless at once."""
    project = get_project(request, slug, Role.ADMIN)
    invitation = get_object_or_404(Invitation, project=project, pk=invitation_id)
    revoke_invitation(invitation)
    messages.success(request, "The invitation is revoked.")
    return redirect("project-settings", project.slug)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def show_invitation(request: HttpRequest, invite_secret: str) -> HttpResponse:
    """Show who invites to what; POST joins, with the account signed in or with a new one."""
    invitation = find_invitation(invite_secret)
    if invitation is None:
        return _answer_gone(request)
    if request.user.is_authenticated:
        if request.method != "POST":
            return _show(request, invitation, invite_secret)
        return _join(request, invitation, request.user)
    form = AccountForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return _show(request, invitation, invite_secret, form, status)
    fields = form.cleaned_data
    email = fields.get("email", "")
    user = join_with_account(invitation, fields["username"], fields["new_password"], email)
    if user is None:
        return _answer_gone(request)
    login(request, user, BACKEND)
    return redirect("runs", invitation.project.slug)


def _join(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponse:
    if not accept_invitation(invitation, user):
        return _answer_gone(request)
    return redirect("runs", invitation.project.slug)


def _show(
    request: HttpRequest,
    invitation: Invitation,
    secret: str,
    form: AccountForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "invitation": invitation,
        "address": reverse("invitation", args=[secret]),
        "form": form,
        "sign_in_form": SignInForm(auto_id="id_known_%s"),
    }
    return render_form(request, "teams/invitation.html", context, status)


def _answer_gone(request: HttpRequest) -> HttpResponse:
    """Answer the one 404 of links that are unknown, used, expired or revoked."""
    return render_form(request, "teams/link_gone.html", {"what": "invitation"}, 404)
