"""How long a sign-in lasts: some days in all, fewer without use, whatever the cookie says."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from teams import audit
from teams.limiter import address_of
from teams.models import Session, User
from teams.session_store import ADDRESS, AGENT, SEEN_AT, SIGNED_IN_AT

SEEN_RESOLUTION_SECONDS = 3600  # a write an hour, not one a request
AGENT_LENGTH = 200


@receiver(user_logged_in, dispatch_uid="teams.sessions")
def stamp_session(sender: object, request: HttpRequest, user: User, **kwargs: object) -> None:
    """Note when, from where and in which browser; forget the person's sessions that have ended."""
    now = int(time.time())
    request.session[SIGNED_IN_AT] = now
    request.session[SEEN_AT] = now
    request.session[ADDRESS] = address_of(request)
    agent = request.META.get("HTTP_USER_AGENT", "")
    request.session[AGENT] = "".join(filter(str.isprintable, agent))[:AGENT_LENGTH]
    Session.objects.filter(user=user, expire_date__lt=timezone.now()).delete()
    audit.record("user.signed_in", None, user.username)


class SessionLimits:
    """End sessions that are too old or were unused for too long."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Check the session, if the browser brings one."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            self._check(request)
        return self.get_response(request)

    def _check(self, request: HttpRequest) -> None:
        session, now = request.session, int(time.time())
        if SESSION_KEY not in session:
            return
        seen = session.get(SEEN_AT, 0)
        age, idle = now - session.get(SIGNED_IN_AT, 0), now - seen
        if age > settings.SESSION_COOKIE_AGE or idle > settings.SESSION_IDLE_SECONDS:
            session.flush()
        elif idle > SEEN_RESOLUTION_SECONDS:
            session[SEEN_AT] = now
