"""Headers on every response, and plain answers while the database is away."""

import secrets
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from scaledash.failures import answer_outage, render_error

GetResponse = Callable[[HttpRequest], HttpResponse]
SECRET_PATHS = ("/login/once/", "/s/", "/invitation/", "/reset/")
# For a form at a secret address: tells nobody the path, yet under "no-referrer" a browser would
# send it with "Origin: null", which the CSRF check refuses.
FORM_REFERRER_POLICY = "strict-origin"
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; script-src 'self'; "
    "style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class NoncedRequest(HttpRequest):
    """A request that carries the nonce of its answer's content security policy."""

    csp_nonce: str


class SecurityHeaders:
    """Add the content security policy and its companions to every response."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: NoncedRequest) -> HttpResponse:
        """Serve the request with a fresh nonce."""
        request.csp_nonce = secrets.token_urlsafe(16)
        response = self.get_response(request)
        response.headers.setdefault(
            "Content-Security-Policy", CONTENT_SECURITY_POLICY.format(nonce=request.csp_nonce)
        )
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("X-Frame-Options", "DENY")
        if request.path.startswith(SECRET_PATHS):
            if response.headers.get("Referrer-Policy") != FORM_REFERRER_POLICY:
                response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Robots-Tag"] = "noindex"
        response.headers.setdefault("Referrer-Policy", "same-origin")
        if not request.path.startswith(settings.STATIC_URL):
            response.headers["Cache-Control"] = "private, no-store"
        return response


class Outages:
    """Answer 503 with Retry-After while the database is away or too slow, never 500.

    Errors inside other middleware become responses before they get here: errors.server_error
    looks for them.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve the request; errors of views arrive in process_exception."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Turn a lost database connection into 503."""
        if isinstance(error, OperationalError | InterfaceError):
            return answer_outage(request, error)
        return None


class PlainUrls:
    """Refuse NUL characters in URLs: PostgreSQL can neither store nor look for them."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Look at path and query before anything reads them."""
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            message = "The URL must not contain the NUL character."
            return render_error(request, 400, "bad_character", message)
        return self.get_response(request)


def render_form(
    request: HttpRequest, template: str, context: dict[str, object], status: int = 200
) -> HttpResponse:
    """Render a page at a secret address that holds a form."""
    response = render(request, template, context, status=status)
    response.headers["Referrer-Policy"] = FORM_REFERRER_POLICY
    return response


def page_context(request: HttpRequest) -> dict[str, object]:
    """Give every template the nonce of its policy and the version of the server."""
    return {
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "version": settings.VERSION,
        "base_url": find_base_url(request),
    }


def find_base_url(request: HttpRequest) -> str:
    """Return the public URL; the page that refuses a Host must not repeat it."""
    if settings.SCALEDASH_BASE_URL:
        return settings.SCALEDASH_BASE_URL
    try:
        return request.build_absolute_uri("/").rstrip("/")
    except DisallowedHost:
        return ""
