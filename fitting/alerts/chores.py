"""What the sweeper does for alerts: hand deliveries to workers, and keep the log short."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import InterfaceError, OperationalError, connection

from fitting.alerts import deliveries
from fitting.tasks import deliver_alerts
from runs.tasks import publish

logger = logging.getLogger(__name__)

SEND_SECONDS = 1.0
PRUNE_SECONDS = 3600.0
PATIENCE = timedelta(seconds=30)  # what has been due for longer has no worker
_helper: list[threading.Thread] = []  # one at most, where there is no broker


def send_alerts(since_seconds: float) -> threading.Thread | None:
    """Hand the hooks that wait to the workers; a thread sends where no broker or worker does.

    Not the sweeper's own thread: the other side may take seconds, and refits wait for the sweeper.
    """
    due = deliveries.find_due_hooks(PATIENCE)
    if not due:
        due = deliveries.find_due_hooks()
        if publish(deliver_alerts, due):
            return None
    if not any(thread.is_alive() for thread in _helper):
        _helper[:] = [threading.Thread(target=_deliver_here, args=(due,), daemon=True)]
        _helper[0].start()
    return _helper[0]


def _deliver_here(hook_ids: list[int]) -> None:
    try:
        for hook_id in hook_ids:
            deliveries.deliver(hook_id)
    except (OperationalError, InterfaceError) as error:
        logger.warning("no database for alerts; they are sent again: %s", str(error).strip())
    finally:
        connection.close()


def make_chores() -> list[tuple[str, float, Callable[[float], object]]]:
    """Return what the sweeper is to call: name, seconds between calls, function."""
    return [
        ("alerts", SEND_SECONDS, send_alerts),
        ("log of deliveries", PRUNE_SECONDS, deliveries.prune_log),
    ]
