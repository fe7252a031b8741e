"""Webhooks of a project: make, remove, try, turn on again; and the secret that signs for each."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from fitting.alerts.models import Delivery, HookFormat, Level, Webhook
from fitting.alerts.sending import Forbidden, check_url
from fitting.services import Refused
from teams import audit
from teams.models import Project, User

MAX_HOOKS = 10
SALT = "fitting.alerts.webhook"
SHOWN_END = 4


@dataclass(frozen=True)
class HookWish:
    """A webhook as somebody asks for it."""

    name: str
    url: str
    format: str = HookFormat.SLACK
    least: str = Level.WARN


@transaction.atomic
def create_hook(project: Project, user: User | None, wish: HookWish) -> Webhook:
    """Let alerts of the project be sent to an address."""
    try:
        check_url(wish.url)
    except Forbidden as error:
        raise Refused("forbidden_address", str(error), "/url") from error
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if Webhook.objects.filter(project=project).count() >= MAX_HOOKS:
        message = f"At most {MAX_HOOKS} webhooks per project; remove one first."
        raise Refused("quota", message, "/url")
    hook = Webhook.objects.create(
        project=project,
        name=wish.name,
        url=wish.url,
        format=wish.format,
        least=wish.least,
        nonce=secrets.token_hex(16),
        created_by=user,
    )
    audit.record("webhook.created", project, hook.name, to=mask_url(hook.url), format=hook.format)
    return hook


@transaction.atomic
def remove_hook(hook: Webhook) -> None:
    """Send nothing more; its log goes with it."""
    audit.record("webhook.removed", hook.project, hook.name, to=mask_url(hook.url))
    hook.delete()


@transaction.atomic
def enable_hook(hook: Webhook) -> None:
    """Send again to a hook that the server has turned off."""
    off = Webhook.objects.filter(pk=hook.pk).exclude(disabled_at=None)
    if off.update(disabled_at=None, disabled_reason="", failures=0):
        audit.record("webhook.enabled", hook.project, hook.name)


@transaction.atomic
def send_test(hook: Webhook) -> Delivery:
    """Put a test on its way, by the same path as every alert."""
    if hook.disabled_at is not None:
        message = f"{hook.name} is off: {hook.disabled_reason}. Turn it on again first."
        raise Refused("disabled", message, "")
    audit.record("webhook.tested", hook.project, hook.name)
    return Delivery.objects.create(hook=hook)


def disable_hook(hook: Webhook, reason: str) -> None:
    """Turn a hook off because it keeps failing; its project's settings say why."""
    on = Webhook.objects.filter(pk=hook.pk, disabled_at=None)
    if on.update(disabled_at=timezone.now(), disabled_reason=reason[:300]):
        audit.record("webhook.disabled", hook.project, hook.name, reason=reason[:200])


def find_secret(hook: Webhook) -> str:
    """Return what signs the messages of a hook; it is stored nowhere."""
    return salted_hmac(SALT, hook.nonce, algorithm="sha256").hexdigest()


def mask_url(url: str) -> str:
    """Return an address without what would let its reader post there: "https://host/…f3x9"."""
    host = _find_origin(url)
    end = url[-SHOWN_END:] if len(url) > len(host) + 4 * SHOWN_END else ""
    return f"{host}/\N{HORIZONTAL ELLIPSIS}{end}"


def _find_origin(url: str) -> str:
    """Return scheme and host of an address."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
