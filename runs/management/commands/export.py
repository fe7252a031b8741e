"""`manage.py export PROJECT`: runs, or all their points, as CSV, JSONL or Parquet on stdout."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from runs import export
from runs.filters import BadFilter, apply_filter
from runs.models import Run
from teams.models import Project


class Command(BaseCommand):
    """Write an export to stdout. The web process runs this for Parquet, with ids on stdin."""

    help = "Export the runs of a project, or all their points."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which runs, what of them, and in which format."""
        parser.add_argument("project", nargs="?", help="slug of the project")
        parser.add_argument("--what", choices=("runs", "points"), default="runs")
        parser.add_argument("--format", choices=("csv", "jsonl", "parquet"), default="csv")
        parser.add_argument("--filter", default="", help='such as: lr >= 1e-3 and name ~ "qk"')
        parser.add_argument("--metric", action="append", default=[], help="as often as wanted")
        parser.add_argument("--ids", action="store_true", help="read ids of runs from stdin")

    def handle(self, *args: object, **options: object) -> None:
        """Stream to stdout."""
        runs = self._find_runs(options)
        is_runs, metrics = options["what"] == "runs", options["metric"]
        if options["format"] == "parquet":
            self._write_parquet(runs, is_runs, metrics)
            return
        for piece in export.write(runs, is_runs, str(options["format"]), metrics):
            sys.stdout.buffer.write(piece)

    def _find_runs(self, options: dict[str, object]) -> QuerySet[Run]:
        if options["ids"]:
            wish = json.loads(sys.stdin.read())
            options["metric"] = wish["metrics"]
            return Run.objects.filter(pk__in=wish["runs"], deleted_at=None).order_by("id")
        project = Project.objects.filter(slug=options["project"], deleted_at=None).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']!r}.")
        runs = Run.objects.filter(project=project, deleted_at=None).order_by("id")
        try:
            return apply_filter(runs, str(options["filter"]))
        except BadFilter as error:
            raise CommandError(error.message) from error

    def _write_parquet(self, runs: QuerySet[Run], is_runs: bool, metrics: list[str]) -> None:
        from runs import parquet  # pyarrow takes half a second; the other formats need none

        if not is_runs:
            parquet.write_points(export.read_all_points(runs, metrics), sys.stdout.buffer)
            return
        columns = export.find_columns(runs)
        kinds = parquet.find_kinds(export.read_rows(runs, columns), columns)
        parquet.write_runs(export.read_rows(runs, columns), kinds, sys.stdout.buffer)
