"""Pages on which members make, list and revoke share links."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from scaledash.failures import render_error
from teams.forms import ShareForm
from teams.models import Project, Role, Share
from teams.pages import get_principal, get_project, read_form, require_sign_in
from teams.previews import keep_preview, say_too_large
from teams.services import Refused
from teams.sharing import KINDS, ShareWish, Subject, create_share, revoke_share

PREVIEW_STATUSES = {"too_large": 413, "conflict": 409}


@sensitive_post_parameters("password")
@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def new_share(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a link to what the query names; its address is on this one answer and nowhere else."""
    project = get_project(request, slug, Role.EDITOR)
    subject = _choose(request, project)
    takes = KINDS[request.GET["kind"]].takes
    form = ShareForm(read_form(request), initial={"title": subject.title}, takes=takes)
    made = _create(request, project, form, subject) if request.method == "POST" else None
    context = {
        "project": project,
        "crumbs": [(project.name, reverse("runs", args=[slug])), ("Share", None)],
        "form": form,
        "subject": subject,
        "kind": request.GET["kind"],
        "share": made[0] if made else None,
        "address": reverse("share", args=[made[1]]) if made else None,
    }
    refused = request.method == "POST" and made is None
    return render(request, "teams/share_new.html", context, status=422 if refused else 200)


@require_sign_in
@require_POST
def revoke(request: HttpRequest, slug: str, share_id: int) -> HttpResponse:
    """Make a link useless at once."""
    project = get_project(request, slug, Role.EDITOR)
    shares = Share.objects.visible_to(get_principal(request)).filter(project=project)
    share = get_object_or_404(shares, pk=share_id)
    revoke_share(share)
    messages.success(request, f"The link to {share.title} is revoked.")
    return redirect("project-settings", project.slug)


@require_sign_in
@require_POST
def take_preview(request: HttpRequest, slug: str, share_id: int) -> HttpResponse:
    """Keep the picture that the browser drew of what is shared."""
    project = get_project(request, slug, Role.EDITOR)
    shares = Share.objects.visible_to(get_principal(request)).filter(project=project)
    share = get_object_or_404(shares, pk=share_id, revoked_at=None)
    if request.content_type != "image/png":
        return render_error(
            request, 415, "unsupported_media_type", "Send the picture as image/png."
        )
    try:
        keep_preview(share, request.body)
    except RequestDataTooBig:
        return render_error(request, 413, "too_large", say_too_large())
    except Refused as refusal:
        status = PREVIEW_STATUSES.get(refusal.code, 422)
        return render_error(request, status, refusal.code, refusal.message)
    return HttpResponse(status=204)


def _choose(request: HttpRequest, project: Project) -> Subject:
    query: QueryDict = request.GET
    kind = KINDS.get(query.get("kind", ""))
    subject = kind.choose(get_principal(request), project, query) if kind else None
    if subject is None:
        raise Http404
    return subject


def _create(
    request: HttpRequest, project: Project, form: ShareForm, subject: Subject
) -> tuple[Share, str] | None:
    if not form.is_valid():
        return None
    fields = form.cleaned_data
    wish = ShareWish(
        kind=request.GET["kind"],
        subject=subject,
        title=fields["title"],
        is_frozen=fields["mode"] == "frozen",
        with_notes=fields.get("with_notes", False),
        with_comments=fields.get("with_comments", False),
        password=fields["password"],
        expires_at=form.expires_at,
    )
    try:
        return create_share(project, request.user, wish)
    except Refused as refusal:
        form.add_error(None, refusal.message)
        return None
