"""Password links by e-mail: anybody may ask for one, only the owner of an address gets it.

The answer to whoever asks is always the same, and mail is handed over in a thread, so that neither
its words nor its time say whether an account exists. Requests are counted per caller before
anything is looked up, and links per account, so that nobody's mailbox is filled.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Thread

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from teams import audit
from teams.accounts import add_reset_link
from teams.limiter import note_attempt
from teams.models import ResetLink, User

logger = logging.getLogger(__name__)

COUNTED_AS = "password e-mail"  # no user name holds a space
MAX_LINKS_PER_HOUR = 3
MAX_ACCOUNTS_OF_ADDRESS = 5


def request_links(request: HttpRequest, wanted: str) -> None:
    """Mail a link to each account of this name or address, if there is any.

    Raises
    ------
    TooManyFailures
        This caller has asked too often.
    """
    note_attempt(request, COUNTED_AS)
    letters = _write_letters(wanted)
    if letters:
        Thread(target=_send, args=(letters,), daemon=True).start()


@transaction.atomic
def _write_letters(wanted: str) -> list[EmailMessage]:
    people = User.objects.filter(is_active=True).exclude(email="")
    found = people.filter(Q(username=wanted) | Q(email__iexact=wanted)).order_by("pk")
    since = timezone.now() - timedelta(hours=1)
    letters = []
    for user in found[:MAX_ACCOUNTS_OF_ADDRESS]:
        if ResetLink.objects.filter(user=user, created_at__gt=since).count() < MAX_LINKS_PER_HOUR:
            letters.append(_write_letter(user))
            audit.record("password_link.mailed", None, user.username)
    return letters


def _write_letter(user: User) -> EmailMessage:
    secret = add_reset_link(user, timedelta(minutes=settings.MAILED_LINK_MINUTES))
    context = {
        "username": user.username,
        "address": settings.SCALEDASH_BASE_URL + reverse("reset", args=[secret]),
        "base_url": settings.SCALEDASH_BASE_URL,
        "minutes": settings.MAILED_LINK_MINUTES,
    }
    text = render_to_string("teams/password_mail.txt", context)
    # To the address that is stored, never to the one that was typed.
    return EmailMessage("Your ScaleDash password", text, to=[user.email])


def _send(letters: list[EmailMessage]) -> None:
    try:
        get_connection().send_messages(letters)
    except OSError as error:  # smtplib's own errors are among them
        logger.error("%d password e-mails were not sent: %s", len(letters), error)
