"""What a hook is sent: Slack's text, or a document with everything that an alert holds."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from django.conf import settings

from fitting.alerts.hooks import find_secret
from fitting.alerts.models import Alert, Delivery, HookFormat, Webhook
from fitting.alerts.queries import describe_alert
from scaledash.lib import jsonsafe

MAX_SENTENCE = 600
SHAPES = {"critical": "\N{OCTAGONAL SIGN}", "warn": "\N{WARNING SIGN}", "info": "\N{BULLET}"}


def write_message(hook: Webhook, deliveries: Sequence[Delivery]) -> bytes:
    """Return the body that tells of these deliveries in one request."""
    alerts = [delivery.alert for delivery in deliveries if delivery.alert is not None]
    if hook.format == HookFormat.SLACK:
        lines = [write_line(alert) for alert in alerts] or [_write_test(hook)]
        return jsonsafe.dumps({"text": "\n".join(lines)})
    document = {
        "event": "alerts" if alerts else "test",
        "project": hook.project.slug,
        "alerts": [_describe(alert) for alert in alerts],
    }
    return jsonsafe.dumps(document)


def write_line(alert: Alert) -> str:
    """Return one alert in Slack's own markup, in which what users wrote can do nothing."""
    document = describe_alert(alert)
    title = escape(f"{document['title']}: {document['subject']}").replace("|", "\N{BROKEN BAR}")
    link = f"<{make_absolute(document['url'])}|{title}>" if settings.SCALEDASH_BASE_URL else title
    is_told = alert.first_step is None or f"since step {alert.first_step:,}" in alert.sentence
    since = "" if is_told else f" Since step {alert.first_step:,}."
    sentence = escape(alert.sentence[:MAX_SENTENCE])
    place = escape(str(document["project"]))
    return f"{SHAPES[alert.severity]} *{alert.severity}* {link} ({place})\n{sentence}{since}"


def _write_test(hook: Webhook) -> str:
    return f"Test from ScaleDash: alerts of project {escape(hook.project.slug)} arrive here."


def _describe(alert: Alert) -> dict[str, object]:
    document = describe_alert(alert)
    kept = {name: item for name, item in document.items() if name not in PERSONAL}
    return {**kept, "url": make_absolute(document["url"])}


PERSONAL = ("is_read", "is_muted", "is_quiet")


def make_absolute(path: object) -> str:
    """Return the address of a page; only its path where nobody has set the public URL."""
    return f"{settings.SCALEDASH_BASE_URL}{path}"


def escape(text: str) -> str:
    """Take the meaning from what Slack would read as a link or a call of everybody."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(plain.split())


def sign(hook: Webhook, body: bytes, at: int) -> Mapping[str, str]:
    """Return the headers by which a receiver knows the sender: HMAC-SHA256 of "time.body"."""
    signed = hmac.new(find_secret(hook).encode(), f"{at}.".encode() + body, hashlib.sha256)
    return {
        "X-ScaleDash-Timestamp": str(at),
        "X-ScaleDash-Signature": f"sha256={signed.hexdigest()}",
    }
