"""Pages of accounts: one's signed-in browsers, everybody's accounts, the password link."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from scaledash.middleware import render_form
from teams import accounts
from teams.forms import ForgottenForm, NewPasswordForm
from teams.limiter import TooManyFailures
from teams.models import User
from teams.pages import answer_json, read_form, require_sign_in, require_site_admin
from teams.password_mail import request_links
from teams.services import Refused

MAX_PEOPLE_SHOWN = 500


@require_sign_in
@require_safe
def show_devices(request: HttpRequest) -> HttpResponse:
    """List the browsers in which the reader is signed in."""
    context = {
        **_build_devices(request),
        "crumbs": [("Signed-in browsers", None)],
        "json_url": reverse("devices-json"),
    }
    return render(request, "teams/devices.html", context)


@require_sign_in
@require_safe
def read_devices(request: HttpRequest) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build_devices(request))


@require_sign_in
@require_POST
def end_one(request: HttpRequest, device: str) -> HttpResponse:
    """Sign one browser out."""
    if not accounts.end_device(request.user, device):
        raise Http404
    messages.success(request, "That browser is signed out.")
    return redirect("devices")


@require_sign_in
@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    """Sign all browsers out but this one."""
    n_ended = accounts.end_other_devices(request.user, request.session.session_key)
    noun = "browser is" if n_ended == 1 else "browsers are"
    messages.success(request, f"{n_ended} other {noun} signed out.")
    return redirect("devices")


def _build_devices(request: HttpRequest) -> dict[str, object]:
    key = request.session.session_key
    found = accounts.list_devices(request.user)
    return {"devices": [accounts.describe_device(session, key) for session in found]}


@require_safe
@require_site_admin
def show_people(request: HttpRequest) -> HttpResponse:
    """List the accounts of the server."""
    return _show_people(request)


@require_POST
@require_site_admin
def switch_active(request: HttpRequest, username: str) -> HttpResponse:
    """Let somebody sign in, or not any more."""
    person = get_object_or_404(User, username=username)
    is_active = request.POST.get("is_active") == "1"
    try:
        accounts.set_active(person, is_active, request.user)
    except Refused as refusal:
        return _show_people(request, 422, refusal=refusal.message)
    state = "may sign in" if is_active else "is signed out and may not sign in"
    messages.success(request, f"{username} {state}.")
    return redirect("people")


@require_POST
@require_site_admin
def make_reset_link(request: HttpRequest, username: str) -> HttpResponse:
    """Make a password link; its address is on this one answer and nowhere else."""
    person = get_object_or_404(User, username=username, is_active=True)
    address = reverse("reset", args=[accounts.create_reset_link(person)])
    return _show_people(request, address=address, person=username)


def _show_people(request: HttpRequest, status: int = 200, **more: object) -> HttpResponse:
    people = accounts.list_users()
    shown = people[:MAX_PEOPLE_SHOWN]
    context = {"people": shown, "total": people.count(), "crumbs": [("People", None)], **more}
    return render(request, "teams/people.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def show_forgotten(request: HttpRequest) -> HttpResponse:
    """Mail a link for a forgotten password; the answer is the same whether there is an account."""
    form = ForgottenForm(read_form(request))
    context = {
        "form": form,
        "sends_email": settings.SENDS_EMAIL,
        "minutes": settings.MAILED_LINK_MINUTES,
    }
    if not settings.SENDS_EMAIL or request.method != "POST":
        return render(request, "teams/forgot.html", context)
    if not form.is_valid():
        return render(request, "teams/forgot.html", context, status=422)
    try:
        request_links(request, form.cleaned_data["wanted"])
    except TooManyFailures as refusal:
        minutes = -(-refusal.retry_after_seconds // 60)
        form.add_error(None, f"Too many requests from here; try again in {minutes} min.")
        response = render(request, "teams/forgot.html", context, status=429)
        response["Retry-After"] = str(refusal.retry_after_seconds)
        return response
    return render(request, "teams/forgot.html", {**context, "asked": True})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def use_reset_link(request: HttpRequest, reset_secret: str) -> HttpResponse:
    """Let the holder of a password link set a new password, once."""
    link = accounts.find_reset_link(reset_secret)
    if link is None:
        return _answer_gone(request)
    form = NewPasswordForm(read_form(request), user=link.user)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "username": link.user.username, "secret": reset_secret}
        status = 422 if request.method == "POST" else 200
        return render_form(request, "teams/reset.html", context, status)
    if not accounts.reset_password(link, form.cleaned_data["new_password"]):
        return _answer_gone(request)
    messages.success(request, "Your password is set; sign in with it.")
    return redirect("login")


def _answer_gone(request: HttpRequest) -> HttpResponse:
    return render_form(request, "teams/link_gone.html", {"what": "password link"}, 404)
