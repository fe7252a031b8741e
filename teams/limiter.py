"""The login limiter: few wrong passwords per name and address, counted in PostgreSQL.

An attempt is written down before the password is looked at, so that a hundred guesses sent at
the same moment cannot all pass the count.
"""

from __future__ import annotations

import unicodedata
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from scaledash.lib.addresses import find_client
from teams.models import LoginFailure

NAME_LENGTH = 150


class TooManyFailures(Exception):
    """Too many wrong passwords; `retry_after_seconds` says when the next try is allowed."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.retry_after_seconds = retry_after_seconds


def note_attempt(request: HttpRequest, username: str) -> None:
    """Count one attempt as failed, or raise TooManyFailures; success calls `forgive`."""
    now = timezone.now()
    window = timedelta(minutes=settings.LOGIN_FAILURE_MINUTES)
    LoginFailure.objects.filter(at__lte=now - window).delete()
    name, address = _fold(username), address_of(request)
    attempt = LoginFailure.objects.create(username=name, address=address, at=now)
    failures = LoginFailure.objects.filter(username=name, address=address).order_by("at", "pk")
    times = list(failures.values_list("at", flat=True))
    if len(times) <= settings.LOGIN_FAILURES_ALLOWED:
        return
    attempt.delete()
    remaining = (times[-settings.LOGIN_FAILURES_ALLOWED - 1] + window - now).total_seconds()
    raise TooManyFailures(max(1, int(remaining) + 1))


def forgive(request: HttpRequest, username: str) -> None:
    """Forget the failures of somebody who has signed in."""
    LoginFailure.objects.filter(username=_fold(username), address=address_of(request)).delete()


def _fold(username: str) -> str:
    return unicodedata.normalize("NFKC", username).casefold()[:NAME_LENGTH]


def address_of(request: HttpRequest) -> str:
    """Return the address of the caller, as far as it can be believed."""
    return find_client(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        settings.TRUSTED_PROXIES,
    )
