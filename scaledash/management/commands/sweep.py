"""`manage.py sweep`: find what hints have missed, twice a second (see docs/architecture.md)."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from types import FrameType

from django.core.management.base import BaseCommand
from django.db import connection

from fitting.alerts.chores import make_chores
from fitting.sweeper import CONNECTION_NAME, Chore, Sweeper, serve_child
from runs import tasks


class Command(BaseCommand):
    """Sweep until SIGTERM or Ctrl-C."""

    help = "Keep fits, summaries and the states of runs current, whatever else is away."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The sweeper starts its own child with this option."""
        parser.add_argument("--child", action="store_true", help="only used by the sweeper itself")

    def handle(self, *args: object, **options: object) -> None:
        """Run until asked to stop."""
        if options["child"]:
            serve_child()
            return
        connection.settings_dict["OPTIONS"]["application_name"] = CONNECTION_NAME
        chores = [*tasks.make_chores(), *make_chores()]
        sweeper = Sweeper([Chore(*chore) for chore in chores])

        def stop(number: int, frame: FrameType | None) -> None:
            sweeper.stopping.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        sweeper.run()
