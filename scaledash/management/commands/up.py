"""`manage.py up`: start everything (see docs/operations.md)."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Start PostgreSQL, Redis, web, worker and sweeper, and watch over them."""

    help = "Start ScaleDash on this machine; Ctrl-C stops it."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options; their defaults come from the environment, so that `make up PORT=` works."""
        env = os.environ
        parser.add_argument("--port", default=env.get("PORT") or "8000")
        parser.add_argument("--bind", default=env.get("BIND") or settings.SCALEDASH_BIND)
        parser.add_argument("--no-demo", action="store_true", default=env.get("DEMO") == "0")
        parser.add_argument("--detach", action="store_true", default=env.get("DETACH") == "1")

    def handle(self, *args: object, **options: object) -> None:
        """Become the launcher: a small process without Django."""
        port = str(options["port"])
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise CommandError(f"PORT must be a number from 1 to 65535, not {port!r}.")
        chosen = {
            "home": os.path.abspath(settings.SCALEDASH_HOME),
            "bind": options["bind"],
            "port": int(port),
            "has_demo": not options["no_demo"],
            "is_detached": options["detach"],
        }
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "scaledash.control", json.dumps(chosen)])
