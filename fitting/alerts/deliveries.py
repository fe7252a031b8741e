"""From a stored alert to the other side: queue, claim, send, note how it went.

Deliveries are written with their alert. A worker claims what is due by moving it a minute into the
future, sends outside any transaction, and notes the answer. One that is lost in between sends
nothing more, and after that minute another sends it again: at least once, never never.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from fitting.alerts.hooks import disable_hook
from fitting.alerts.messages import sign, write_message
from fitting.alerts.models import Alert, Delivery, DeliveryState, Level, Webhook
from fitting.alerts.sending import GONE, Answer, post

MAX_IN_ONE = 20  # alerts in one message: a storm must not become hundreds
CLAIMED_FOR = timedelta(seconds=60)
RETRY_SECONDS = (10, 60, 360, 2160, 7200)  # then it has failed, after three hours
MAX_FAILURES = 10  # requests in a row, then the hook is turned off
WORK_SECONDS = 10.0  # well below the time limit of a task
LOG_DAYS = 30
RELATED = ("hook__project", "alert__project", "alert__run", "alert__study")


def queue_deliveries(alerts: Sequence[Alert]) -> int:
    """Let the hooks of the project hear of new alerts; called in the alerts' transaction."""
    loud = [alert for alert in alerts if not alert.is_quiet]
    if not loud:
        return 0
    hooks = Webhook.objects.filter(
        project=loud[0].project_id, project__deleted_at=None, disabled_at=None
    )
    rows = [
        Delivery(hook=hook, alert=alert)
        for hook in hooks
        for alert in loud
        if Level(hook.least).includes(alert.severity)
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def find_due_hooks(waited: timedelta = timedelta(0)) -> list[int]:
    """Return the hooks for which something is due, and has been for that long."""
    due = Delivery.objects.filter(state=DeliveryState.PENDING, next_at__lte=Now() - waited)
    return list(due.order_by("hook_id").values_list("hook_id", flat=True).distinct())


def deliver(hook_id: int) -> int:
    """Send what is due to one hook, for some seconds; returns the number of requests."""
    end, sent = time.monotonic() + WORK_SECONDS, 0
    while time.monotonic() < end:
        batch = claim(hook_id)
        if not batch:
            break
        send(batch)
        sent += 1
    return sent


@transaction.atomic
def claim(hook_id: int) -> list[Delivery]:
    """Take what is due, oldest first, so that nobody else sends it for a minute."""
    due = Delivery.objects.filter(hook=hook_id, state=DeliveryState.PENDING, next_at__lte=Now())
    locked = due.select_for_update(of=("self",), skip_locked=True).order_by("pk")
    found = list(locked.select_related(*RELATED)[:MAX_IN_ONE])
    batch = found[:1] if found and found[0].alert_id is None else _keep_alerts(found)
    Delivery.objects.filter(pk__in=[item.pk for item in batch]).update(
        next_at=Now() + CLAIMED_FOR, attempts=F("attempts") + 1
    )
    return batch


def _keep_alerts(found: Sequence[Delivery]) -> list[Delivery]:
    return [item for item in found if item.alert_id is not None]


def send(batch: Sequence[Delivery]) -> Answer:
    """Send one message for a batch, outside any transaction, and note how it went."""
    hook = batch[0].hook
    body = write_message(hook, batch)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"ScaleDash/{settings.VERSION}",
        "X-ScaleDash-Delivery": str(batch[0].pk),
        **sign(hook, body, int(time.time())),
    }
    answer = post(hook.url, body, headers)
    note(hook, batch, answer)
    return answer


@transaction.atomic
def note(hook: Webhook, batch: Sequence[Delivery], answer: Answer) -> None:
    """Write the answer into the log; plan the next try, or give up and say why."""
    failures = 0 if answer.is_ok else F("failures") + 1
    Webhook.objects.filter(pk=hook.pk).update(failures=failures)
    for item in batch:
        _note_one(item, answer)
    if answer.is_ok:
        return
    held = Webhook.objects.select_related("project").filter(pk=hook.pk, disabled_at=None).first()
    if held is not None and (answer.code == GONE or held.failures >= MAX_FAILURES):
        _turn_off(held, answer)


def _note_one(item: Delivery, answer: Answer) -> None:
    changes: dict[str, object] = {
        "code": answer.code,
        "reason": answer.reason[:300],
        "seconds": answer.seconds,
    }
    tries = item.attempts + 1  # as claimed
    if answer.is_ok:
        changes |= {"state": DeliveryState.DELIVERED, "ended_at": timezone.now()}
    elif answer.is_final or tries > len(RETRY_SECONDS) or item.alert_id is None:
        changes |= {"state": DeliveryState.FAILED, "ended_at": timezone.now()}
    else:
        wait = max(RETRY_SECONDS[tries - 1], answer.retry_after_seconds)
        changes["next_at"] = Now() + timedelta(seconds=wait)
    Delivery.objects.filter(pk=item.pk, state=DeliveryState.PENDING).update(**changes)


def _turn_off(hook: Webhook, answer: Answer) -> None:
    times = "gone for good" if answer.code == GONE else f"{hook.failures} requests in a row failed"
    disable_hook(hook, f"{times}; the last: {answer.reason}")
    waiting = Delivery.objects.filter(hook=hook, state=DeliveryState.PENDING)
    waiting.update(
        state=DeliveryState.FAILED, reason="the webhook was turned off", ended_at=timezone.now()
    )


def prune_log(since_seconds: float = 0.0) -> int:
    """Forget ended deliveries of more than a month ago."""
    ended = Delivery.objects.filter(ended_at__lt=Now() - timedelta(days=LOG_DAYS))
    return ended.delete()[0]
