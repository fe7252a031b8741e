"""Pages of signing in and out: /setup, /login, /login/once, /logout, /settings/password."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout, update_session_auth_hash
from django.contrib.auth.backends import ModelBackend
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from scaledash.lib.addresses import is_loopback
from teams import audit
from teams.accounts import end_other_devices, set_email
from teams.forms import EmailForm, PasswordForm, SetupForm, SignInForm
from teams.limiter import TooManyFailures, forgive, note_attempt
from teams.models import User
from teams.pages import read_form, require_sign_in
from teams.services import create_first_admin, use_login_link

BACKEND = f"{ModelBackend.__module__}.{ModelBackend.__qualname__}"
WRONG = "The user name or the password is wrong."


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def show_setup(request: HttpRequest) -> HttpResponse:
    """Make the first administrator; afterwards there is no such page."""
    if User.objects.exists():
        raise Http404
    form = SetupForm(read_form(request), needs_code=_is_open_to_others())
    if request.method != "POST" or not form.is_valid():
        return _show(request, "teams/setup.html", {"form": form})
    fields = form.cleaned_data
    email = fields.get("email", "")
    user = create_first_admin(fields["username"], fields["new_password"], email)
    if user is None:
        raise Http404
    login(request, user, BACKEND)
    return redirect(settings.LOGIN_REDIRECT_URL)


def _is_open_to_others() -> bool:
    """Say whether strangers may come: by the address bound, or through a proxy in front of it."""
    public = urlsplit(settings.SCALEDASH_BASE_URL).hostname or "localhost"
    here = is_loopback(settings.SCALEDASH_BIND) and is_loopback(public)
    return not here or settings.TRUSTED_PROXIES > 0


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def show_login(request: HttpRequest) -> HttpResponse:
    """Sign in with name and password."""
    target = _find_target(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(target)
    if not User.objects.exists():
        return redirect("setup")
    form = SignInForm(read_form(request))
    context = {"form": form, "next": target, "is_own_machine": not _is_open_to_others()}
    if request.method != "POST" or not form.is_valid():
        return _show(request, "teams/login.html", context)
    username = form.cleaned_data["username"]
    try:
        note_attempt(request, username)
    except TooManyFailures as refusal:
        return _show_too_many(request, context, refusal.retry_after_seconds)
    user = authenticate(request, username=username, password=form.cleaned_data["password"])
    if user is None:
        form.add_error(None, WRONG)
        return _show(request, "teams/login.html", context)
    forgive(request, username)
    login(request, user)
    return HttpResponseRedirect(target)


@require_GET
def use_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Sign in by the link that `make up` printed, once; leave its address at once."""
    user = use_login_link(secret)
    if user is None:
        return redirect("login")
    login(request, user, BACKEND)
    return redirect(settings.LOGIN_REDIRECT_URL)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("login")


@sensitive_post_parameters()
@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def show_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password; every other session of the user ends."""
    form = PasswordForm(read_form(request), user=request.user)
    if request.method != "POST" or not form.is_valid():
        return _show_account(request, form=form)
    request.user.set_password(form.cleaned_data["new_password"])
    request.user.save(update_fields=["password"])
    update_session_auth_hash(request, request.user)
    end_other_devices(request.user, request.session.session_key)
    audit.record("password.changed", None, request.user.username)
    return _show_account(request, 200, changed=True)


@sensitive_post_parameters()
@require_sign_in
@require_POST
def change_email(request: HttpRequest) -> HttpResponse:
    """Change one's own e-mail address; the owner's password is asked for, as it leads to it."""
    form = EmailForm(request.POST, user=request.user, auto_id="id_email_%s")
    if not settings.SENDS_EMAIL:
        raise Http404
    if not form.is_valid():
        return _show_account(request, email_form=form)
    set_email(request.user, form.cleaned_data["email"])
    messages.success(request, "Your e-mail address is saved.")
    return redirect("password")


def _show_account(request: HttpRequest, status: int | None = None, **more: object) -> HttpResponse:
    user = request.user
    email_form = EmailForm(user=user, initial={"email": user.email}, auto_id="id_email_%s")
    context = {
        "form": PasswordForm(user=user),
        "email_form": email_form if settings.SENDS_EMAIL else None,
        **more,
    }
    return _show(request, "teams/password.html", context, status)


def _find_target(request: HttpRequest) -> str:
    """Return where to go after signing in: a path of this server, else the first page."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    allowed = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts=None, require_https=request.is_secure()
    )
    return wanted if allowed else settings.LOGIN_REDIRECT_URL


def _show_too_many(
    request: HttpRequest, context: dict[str, object], retry_after_seconds: int
) -> HttpResponse:
    minutes = -(-retry_after_seconds // 60)
    context["form"].add_error(None, f"Too many wrong passwords; try again in {minutes} min.")
    response = _show(request, "teams/login.html", context, 429)
    response["Retry-After"] = str(retry_after_seconds)
    return response


def _show(
    request: HttpRequest, template: str, context: dict[str, object], status: int | None = None
) -> HttpResponse:
    """Render a form: 422 after a refused POST, so that programs see it too."""
    if status is None:
        status = 422 if request.method == "POST" else 200
    return render(request, template, context, status=status)
