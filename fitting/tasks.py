"""The Celery face of the refit engine: a tick is a hint, PostgreSQL decides what it means."""

from __future__ import annotations

import logging

from celery import shared_task
from celery.signals import worker_init

logger = logging.getLogger(__name__)


@shared_task(name="fitting.refit_tick", ignore_result=True, expires=30)
def refit_tick() -> None:
    """Fit the study whose change is oldest; tick again where more can be done now."""
    from fitting import refit
    from fitting.hints import hints

    try:
        if refit.run_next() and refit.is_anything_waiting():
            hints.send_again()
    except refit.OUTAGES as error:
        logger.warning("no database for a refit; the sweeper hints again: %s", error)


@shared_task(name="fitting.deliver_alerts", ignore_result=True, expires=30)
def deliver_alerts(hook_id: int) -> None:
    """Send a webhook what is due to it."""
    from fitting import refit
    from fitting.alerts import deliveries

    try:
        deliveries.deliver(hook_id)
    except refit.OUTAGES as error:
        logger.warning("no database for alerts; the sweeper sends them again: %s", error)


@worker_init.connect
def load_maths(**kwargs: object) -> None:
    """Import what fits need once, before the worker forks."""
    from fitting import refit  # noqa: F401
