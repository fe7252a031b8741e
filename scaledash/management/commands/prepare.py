"""`manage.py prepare`: what `up` needs done between the database's start and the web's.

Writes one line for each step to standard output: `step <title>`, `error <sentence>`, and at the
end `done <json>`.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, SystemCheckError
from django.db import OperationalError

from scaledash.assets import collect_if_stale
from scaledash.local import write_private
from scaledash.owner import act_as_owner
from teams.models import Scope, User
from teams.services import (
    compute_setup_code,
    create_login_link,
    create_token,
    resolve_token,
)

ADMIN_NAME = "admin"
TOKEN_FILE = "admin.token"
TOKEN_NAME = "this machine"


class Command(BaseCommand):
    """Check, migrate, collect static files, and make the local administrator."""

    help = "Check settings, migrate, collect static files, make the local administrator."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whether this machine's own administrator is wanted."""
        parser.add_argument("--local-admin", action="store_true")

    def handle(self, *args: object, **options: object) -> None:
        """Do each step, or say in one sentence why not."""
        try:
            self._prepare(has_local_admin=bool(options["local_admin"]))
        except SystemCheckError as error:
            sentences = [line.strip() for line in str(error).splitlines() if line.strip()]
            self._fail(" ".join(line for line in sentences if ": (" in line))
        except OperationalError as error:
            self._fail(f"The database does not answer: {str(error).splitlines()[0]}")

    def _prepare(self, has_local_admin: bool) -> None:
        call_command("check", databases=["default"])
        self._write("step", "Migrating the database")
        with act_as_owner():
            call_command("migrate", interactive=False, verbosity=0)
        self._write("step", "Collecting static files")
        collect_if_stale()
        result = make_local_admin() if has_local_admin else describe_setup()
        self._write("done", json.dumps(result))

    def _write(self, kind: str, text: str) -> None:
        self.stdout.write(f"{kind} {text}")
        self.stdout.flush()

    def _fail(self, sentence: str) -> None:
        self._write("error", sentence)
        sys.exit(1)


def make_local_admin() -> dict[str, str]:
    """The administrator of this machine: a token for its programs, a sign-in link for its owner."""
    user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if user is None:
        user = User.objects.create_superuser(ADMIN_NAME)
    path = settings.SCALEDASH_HOME / TOKEN_FILE
    token = path.read_text() if path.exists() else ""
    if resolve_token(token) is None:
        token = create_token(user, TOKEN_NAME, Scope.ADMIN)[1]
        write_private(path, token)
    return {"token": token, "login_path": f"/login/once/{create_login_link(user)}"}


def describe_setup() -> dict[str, str]:
    """Where strangers can reach the server, its first administrator proves to see the terminal."""
    return {} if User.objects.exists() else {"setup_code": compute_setup_code()}
