"""`manage.py restore FILE`: a backup in the place of everything in the database."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections

from scaledash.dumps import DumpFailed, restore_dump
from scaledash.owner import act_as_owner


class Command(BaseCommand):
    """Restore a backup and bring its tables to this version."""

    help = "Replace everything in the database by what FILE holds."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which file, and whether to ask."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: object, **options: object) -> None:
        """Ask, do it, migrate."""
        if not options["yes"]:
            self._ask(str(connection.settings_dict["NAME"]))
        connections.close_all()
        with act_as_owner():
            try:
                restore_dump(connection.settings_dict, Path(str(options["file"])))
            except DumpFailed as error:
                raise CommandError(str(error)) from error
            call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write(f"Restored {options['file']}.")

    def _ask(self, name: str) -> None:
        if not sys.stdin.isatty():
            raise CommandError(f"This replaces everything in {name!r}; say --yes if that is meant.")
        self.stdout.write(f"This replaces everything in the database {name!r}. Type yes: ")
        if sys.stdin.readline().strip() != "yes":
            raise CommandError("Nothing was changed.")
