"""`manage.py backup FILE`: everything in the database, in one file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from scaledash.dumps import DumpFailed, write_dump


class Command(BaseCommand):
    """Back the database up while it runs."""

    help = "Write everything in the database into FILE, which must not exist yet."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("file", type=Path)

    def handle(self, *args: object, **options: object) -> None:
        """Do it, or say in one sentence why not."""
        target = Path(str(options["file"]))
        try:
            size_bytes = write_dump(connection.settings_dict, target)
        except DumpFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{target}: {size_bytes:,} bytes")
