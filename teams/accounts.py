"""Accounts: signed-in browsers, passwords set by link, people who may or may not sign in."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from teams import audit
from teams.models import ResetLink, Session, User
from teams.services import Refused, hash_secret

DEVICE_ID_LENGTH = 16
# The first that stands in a User-Agent names it: Edge and Opera also call themselves Chrome.
BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def list_devices(user: User) -> QuerySet[Session]:
    """Return the browsers in which somebody is signed in, the last used first."""
    live = Session.objects.filter(user=user, expire_date__gt=timezone.now())
    return live.order_by("-seen_at", "session_key")


def describe_device(session: Session, current_key: str | None) -> dict[str, object]:
    """Return a browser as its owner sees it: never the key of its session."""
    return {
        "id": name_device(session),
        "browser": describe_agent(session.agent),
        "agent": session.agent,
        "address": session.address,
        "signed_in_at": session.signed_in_at,
        "seen_at": session.seen_at,
        "is_current": session.session_key == current_key,
    }


def name_device(session: Session) -> str:
    """Return what names a session without giving its key away."""
    return hash_secret(session.session_key)[:DEVICE_ID_LENGTH]


def describe_agent(agent: str) -> str:
    """Say which browser on which system a User-Agent means."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    return " on ".join(word for word in (browser, system) if word) or "unknown browser"


def end_device(user: User, device_id: str) -> bool:
    """Sign one browser out; False where there is no such one."""
    keys = [s.session_key for s in list_devices(user) if name_device(s) == device_id]
    return bool(Session.objects.filter(session_key__in=keys).delete()[0])


def end_other_devices(user: User, current_key: str | None) -> int:
    """Sign all browsers out but this one; returns how many."""
    return Session.objects.filter(user=user).exclude(session_key=current_key).delete()[0]


def list_users() -> QuerySet[User]:
    """Return everybody, by name, with the number of live projects of each."""
    projects = Count("memberships", filter=Q(memberships__project__deleted_at=None))
    return User.objects.annotate(n_projects=projects).order_by("username")


@transaction.atomic
def set_active(user: User, is_active: bool, by: User) -> None:
    """Let somebody sign in or not; who may not is out at once, tokens included."""
    if user == by:
        raise Refused("own_account", "You cannot disable your own account.")
    changed = User.objects.filter(pk=user.pk).exclude(is_active=is_active)
    if changed.update(is_active=is_active):
        Session.objects.filter(user=user).delete()
        audit.record("user.enabled" if is_active else "user.disabled", None, user.username)


@transaction.atomic
def create_reset_link(user: User) -> str:
    """Return the secret of an administrator's link to a new password; earlier links end."""
    ResetLink.objects.filter(user=user, used_at=None).delete()
    secret = add_reset_link(user, timedelta(hours=settings.RESET_LINK_HOURS))
    audit.record("password_link.created", None, user.username)
    return secret


def add_reset_link(user: User, lifetime: timedelta) -> str:
    """Return the secret of a link that sets a new password once, beside those there are."""
    secret = secrets.token_urlsafe(32)
    expires_at = timezone.now() + lifetime
    ResetLink.objects.create(sha256=hash_secret(secret), user=user, expires_at=expires_at)
    return secret


def find_reset_link(secret: str) -> ResetLink | None:
    """Return the link of a secret, or None if it is unknown, used or expired."""
    live = ResetLink.objects.filter(
        used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    )
    return live.filter(sha256=hash_secret(secret)).select_related("user").first()


@transaction.atomic
def reset_password(link: ResetLink, password: str) -> bool:
    """Set the new password, end every session and other link; False where it was used meanwhile."""
    now = timezone.now()
    if not ResetLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now):
        return False
    user = User.objects.get(pk=link.user_id)
    ResetLink.objects.filter(user=user, used_at=None).delete()
    user.set_password(password)
    user.save(update_fields=["password"])
    Session.objects.filter(user=user).delete()
    audit.act_as(user)
    audit.record("password.set_by_link", None, user.username)
    return True


@transaction.atomic
def set_email(user: User, address: str) -> None:
    """Keep the address that password links are mailed to; links to an earlier one end."""
    ResetLink.objects.filter(user=user, used_at=None).delete()
    user.email = address
    user.save(update_fields=["email"])
    audit.record("email_address.changed", None, user.username)
