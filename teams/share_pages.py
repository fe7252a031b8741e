"""What the holder of a share link sees: the page, its data, the password form, or one same 404."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_safe

from scaledash.lib import jsonsafe
from scaledash.middleware import render_form
from teams import previews, sharing
from teams.limiter import TooManyFailures, forgive, note_attempt
from teams.models import Share
from teams.pages import is_held
from teams.sealing import place_html, seal_json

COOKIE = "scaledash_share"
NAVIGATIONS = (None, "document")  # a page that reads itself again is not opened again
GONE = {"error": {"code": "not_found", "message": "This link shows nothing.", "field": None}}


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def show_share(request: HttpRequest, token: str) -> HttpResponse:
    """Show the shared page; POST brings its password, where it has one."""
    share = sharing.find_share(token)
    if share is None or (request.method == "POST" and not share.password):
        return _answer_gone(request)
    if request.method == "POST":
        return _unlock(request, share, token)
    if not sharing.is_unlocked(share, request.COOKIES.get(COOKIE, "")):
        return render_form(request, "teams/share_locked.html", {"token": token})
    page = sharing.build_page(share, request.GET)
    if page is None:
        return _answer_gone(request)
    if request.method == "GET" and request.headers.get("Sec-Fetch-Dest") in NAVIGATIONS:
        sharing.count_opening(share)
    context = {
        "share": share,
        # The page is rendered by autoescaping templates, then sealed.
        "content": mark_safe(place_html(page.html, token)),  # nosec B308, B703
        "revision_url": "" if share.is_frozen else reverse("share-part", args=[token, "rev.json"]),
        "comments": sharing.read_comments(share),
        "rev": page.rev,
        "is_active": page.is_active,
        "draws_plots": "data-plot=" in page.html,
        "draws_curves": any(mark in page.html for mark in ("data-curves", "data-explore ")),
        "preview_url": _name_preview(share, token),
    }
    return render(request, "teams/share.html", context)


@require_safe
@gzip_page
def read_share(request: HttpRequest, token: str, part: str) -> HttpResponse:
    """Answer the data behind a part of the page; what was not shared is not there."""
    share = sharing.find_share(token)
    if share is None or not sharing.is_unlocked(share, request.COOKIES.get(COOKIE, "")):
        return _answer_gone(request, as_json=True)
    if part == previews.PREVIEW:
        return _answer_preview(request, share)
    document = sharing.read_part(share, part, request.GET)
    if document is None:
        return _answer_gone(request, as_json=True)
    body = jsonsafe.dumps(seal_json(document))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if is_held(request, tag):
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = HttpResponse(body, content_type="application/json")
    response["ETag"] = tag
    return response


def _name_preview(share: Share, token: str) -> str:
    return (
        reverse("share-part", args=[token, previews.PREVIEW]) if previews.has_preview(share) else ""
    )


def _answer_preview(request: HttpRequest, share: Share) -> HttpResponse:
    picture = previews.load_preview(share)
    if picture is None:
        return _answer_gone(request, as_json=True)
    return HttpResponse(picture, content_type="image/png")


def _unlock(request: HttpRequest, share: Share, token: str) -> HttpResponse:
    name = f"share:{share.pk}"
    try:
        note_attempt(request, name)
    except TooManyFailures as refusal:
        minutes = -(-refusal.retry_after_seconds // 60)
        error = f"Too many wrong passwords; try again in {minutes} min."
        response = _ask_again(request, token, error, 429)
        response["Retry-After"] = str(refusal.retry_after_seconds)
        return response
    cookie = sharing.unlock(share, request.POST.get("password", ""))
    if cookie is None:
        return _ask_again(request, token, "This is not the password of this link.", 422)
    forgive(request, name)
    here = reverse("share", args=[token])
    response = HttpResponseRedirect(here)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=sharing.UNLOCKED_FOR,
        path=here,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _ask_again(request: HttpRequest, token: str, error: str, status: int) -> HttpResponse:
    context = {"token": token, "error": error}
    return render_form(request, "teams/share_locked.html", context, status)


def _answer_gone(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """Answer the one 404 of links that are unknown, revoked, expired or without their subject."""
    if as_json:
        return HttpResponse(jsonsafe.dumps(GONE), status=404, content_type="application/json")
    return render(request, "teams/share_gone.html", status=404)
