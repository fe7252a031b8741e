"""Backup and restore: one file of `pg_dump`, written whole or not at all."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scaledash.embedded.binaries import find_postgres_bin
from scaledash.processes import StartError

DEADLINE_SECONDS = 6 * 3600
Database = Mapping[str, object]  # an entry of Django's DATABASES


class DumpFailed(Exception):
    """One sentence for the person at the terminal."""


def write_dump(database: Database, target: Path) -> int:
    """Write everything in the database into a file that did not exist; returns its bytes."""
    if target.exists():
        raise DumpFailed(f"{target} exists; choose another name, nothing was overwritten.")
    partial = target.with_name(target.name + ".partial")
    command = ["pg_dump", "--format=custom", "--no-owner", f"--file={partial}"]
    try:
        partial.touch(mode=0o600)
        _run(command, database)
        partial.rename(target)
    except OSError as error:
        raise DumpFailed(f"{target} could not be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def restore_dump(database: Database, source: Path) -> None:
    """Put a dump in the place of everything in the database, in one transaction."""
    if not source.is_file():
        raise DumpFailed(f"There is no file {source}.")
    options = ("--single-transaction", "--clean", "--if-exists", "--no-owner", "--exit-on-error")
    _run(["pg_restore", *options, f"--dbname={database['NAME']}", str(source)], database)


def _run(command: list[str], database: Database) -> None:
    program = find_program(command[0])
    try:
        done = subprocess.run(
            [program, *command[1:]],
            env=make_environment(database),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DumpFailed(f"{command[0]} did not end in {DEADLINE_SECONDS // 3600} hours.") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise DumpFailed(f"{command[0]} failed, and nothing was changed: {lines[0]}")


def find_program(name: str) -> str:
    """The bundled program, which matches the bundled server; else the one on PATH."""
    try:
        return str(find_postgres_bin(None) / name)
    except StartError:
        found = shutil.which(name)
        if found is None:
            raise DumpFailed(f"There is no {name}; install PostgreSQL's client programs.") from None
        return found


def make_environment(database: Database) -> dict[str, str]:
    """libpq's variables for a database; a password never stands on a command line."""
    names = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}
    given = {variable: str(database[key]) for key, variable in names.items() if database.get(key)}
    return {"PGDATABASE": str(database["NAME"]), **given}
