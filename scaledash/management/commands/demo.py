"""`manage.py demo`: load the project's own real runs, or replay one of them live."""

from __future__ import annotations

import os
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from demo.connection import ApiRefused, Connection
from demo.load import DATA, Run, load_file, read_runs, replay_run
from demo.progress import Progress
from demo.studies import PROJECT


class Command(BaseCommand):
    """Load the demo runs through the public API; a second time changes nothing."""

    help = "Load the demo runs into a running server, or replay one at training speed."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the server is, and what to do there."""
        env = os.environ
        parser.add_argument("--url", default=env.get("SCALEDASH_URL") or "http://127.0.0.1:8000")
        parser.add_argument("--token", default=env.get("SCALEDASH_TOKEN") or "")
        parser.add_argument("--replay", metavar="NAME", help="replay the run with this name, live")

    def handle(self, *args: object, **options: object) -> None:
        """Do it, or say in one sentence why not."""
        if not DATA.exists():
            raise CommandError(f"{DATA} is missing; it is made by `python demo/pack.py`.")
        if not options["token"]:
            raise CommandError("Give a token with --token or SCALEDASH_TOKEN.")
        server = Connection(str(options["url"]), str(options["token"]))
        try:
            if options["replay"]:
                self._replay(server, str(options["replay"]))
            else:
                self._load(server)
        except (ApiRefused, OSError) as error:
            raise CommandError(f"The demo did not load: {error}") from error

    def _load(self, server: Connection) -> None:
        progress = Progress("  demo runs", sum(1 for _ in read_runs()))
        count = load_file(server, progress.advance)
        progress.close()
        self.stdout.write(f"  {count} runs are in the project {PROJECT['name']!r}")

    def _replay(self, server: Connection, name: str) -> None:
        run = find_run(name)
        n_rows = len({step for column in run["metrics"].values() for step in column["steps"]})
        progress = Progress("  replay", n_rows)
        created = replay_run(server, run, lambda n: progress.advance(by=n))
        progress.close()
        self.stdout.write(f"  replayed: {created['url']}")


def find_run(name: str) -> Run:
    """The packed run of this name, or a sentence with names that exist."""
    names = []
    for run in read_runs():
        if run["name"] == name:
            return run
        names.append(run["name"])
    few = ", ".join(names[:: max(1, len(names) // 5)])
    raise CommandError(f"No demo run is called {name!r}; some names: {few}.")
