"""Who is calling the API: a Bearer token, or a signed-in browser with its CSRF token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission

from teams import rates, store
from teams.api.errors import ApiError
from teams.principals import ANONYMOUS, Principal
from teams.services import resolve_token

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class BearerOrSession(BaseAuthentication):
    """Set `request.auth` to the Principal of a token, or else of the session's user."""

    def authenticate(self, request: Request) -> tuple[object, Principal] | None:
        """Read the Authorization header first, then the session cookie."""
        if "token" in request.query_params:
            message = "A token in a URL ends up in logs; send it as Authorization: Bearer."
            raise ApiError(400, "token_in_url", message)
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if header:
            return self._from_header(header, request)
        view = (request.parser_context or {}).get("view")
        return None if getattr(view, "bearer_only", False) else self._from_session(request)

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme that a 401 asks for."""
        return "Bearer"

    def _from_header(self, header: str, request: Request) -> tuple[object, Principal]:
        scheme, _, credentials = header.partition(" ")
        principal = None
        if scheme.lower() == "bearer":
            view = (request.parser_context or {}).get("view")
            find_token = getattr(view, "find_token", store.find_token)
            principal = resolve_token(credentials.strip(), find_token)
        if principal is None:
            raise exceptions.AuthenticationFailed
        check_rate(principal)
        return None, principal

    def _from_session(self, request: Request) -> tuple[object, Principal] | None:
        found = _CheckedSession().authenticate(request)
        if found is None:
            return None
        user = found[0]
        return user, Principal(user_id=user.pk)


def check_rate(principal: Principal) -> None:
    """Answer 429 to a token that asks more often than the server is set to allow."""
    if settings.REQUESTS_PER_SECOND <= 0 or principal.token_id is None:
        return
    wait_seconds = rates.buckets.take(principal.token_id, settings.REQUESTS_PER_SECOND)
    if wait_seconds:
        message = (
            f"This token makes more than {settings.REQUESTS_PER_SECOND:g} requests a second; "
            "send fewer and larger batches, or use a token for each job."
        )
        raise ApiError(429, "rate", message, None, wait_seconds)


class _CheckedSession(SessionAuthentication):
    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as error:
            raise ApiError(403, "csrf", "The CSRF token is missing or wrong; reload.") from error


class ScopeAllows(BasePermission):
    """Check what the view declares before any object is read.

    A view sets `scopes = {"GET": Scope.READ, ...}`, with None where any valid token will do;
    `bearer_only = True` refuses cookies.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Refuse nobody's requests with 401 and a token of another scope with 403."""
        principal = request.auth or ANONYMOUS
        if principal.is_anonymous:
            raise exceptions.NotAuthenticated
        method = "GET" if request.method == "HEAD" else request.method
        if method not in view.scopes:
            raise exceptions.MethodNotAllowed(request.method)
        needed = view.scopes[method]
        if needed is not None and not principal.allows(needed):
            message = (
                f"This call needs a token with scope {needed}; this one has {principal.scope}."
            )
            raise ApiError(403, "scope", message)
        return True
