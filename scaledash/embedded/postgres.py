"""The embedded PostgreSQL server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from scaledash.embedded.binaries import POSTGRES_MAJOR, find_postgres_bin
from scaledash.embedded.place import QUIET_ENVIRONMENT, Place, make_private
from scaledash.processes import (
    Child,
    Command,
    StartError,
    as_account,
    explain_exit,
    wait_until_ready,
)

DATABASE = "scaledash"
OWNER = "postgres"  # may do everything, and is used at the first start only
WEB_ROLE = "scaledash_web"  # with split roles: reads and writes rows, and changes no table
WEB_ROLE_MEMBER_OF = ("pg_read_all_data", "pg_write_all_data", "pg_read_all_settings")
START_DEADLINE_SECONDS = 60.0  # crash recovery replays at most max_wal_size
PROGRAM_DEADLINE_SECONDS = 120.0
LEFTOVER_DEADLINE_SECONDS = 30.0
POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "60",
    "shared_buffers": "48MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "min_wal_size": "80MB",
    "max_wal_size": "512MB",
    "wal_compression": "on",
    "io_method": "sync",  # the default starts three more processes
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_permissions": "0700",
    "logging_collector": "off",
}


class Postgres:
    """The embedded PostgreSQL server of one place."""

    def __init__(self, place: Place, has_split_roles: bool = False) -> None:
        """Find the programs."""
        self.place = place
        self.has_split_roles = has_split_roles
        self.bin = find_postgres_bin(place.account)
        self.log_path = place.logs / "postgres.log"
        host = quote(str(place.sockets), safe="/")
        self.owner_url = f"postgresql://{DATABASE}@/{DATABASE}?host={host}"
        self.url = self.owner_url.replace(f"{DATABASE}@", f"{WEB_ROLE}@", has_split_roles)

    def prepare(self) -> None:
        """Create the data directory on the first start; end a server left over by a crash."""
        version_file = self.place.data / "PG_VERSION"
        if not version_file.exists():
            self._create_data_directory()
        found = version_file.read_text().strip()
        if found != POSTGRES_MAJOR:
            raise StartError(
                f"{self.place.data} was made by PostgreSQL {found}, this is {POSTGRES_MAJOR}; "
                "restore a backup into a new SCALEDASH_HOME."
            )
        self._end_leftover()

    def command(self) -> Command:
        """The server process."""
        options = {**POSTGRES_SETTINGS, "unix_socket_directories": str(self.place.sockets)}
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        return Command(
            name="PostgreSQL",
            argv=(str(self.bin / "postgres"), "-D", str(self.place.data), *flags),
            log_path=self.log_path,
            env=QUIET_ENVIRONMENT,
            account=self.place.account,
            stop_signal=signal.SIGINT,  # "fast": disconnects clients, then a clean checkpoint
            stop_seconds=30.0,
        )

    def wait_ready(self, child: Child) -> None:
        """Wait for connections and make sure that the database exists."""
        wait_until_ready(child, self._is_up, START_DEADLINE_SECONDS)
        if not self._answers("postgres"):
            self._create_role()
        if not self._answers(DATABASE):
            self._run("createdb", *self._as_owner(), "--owner", DATABASE, DATABASE)
        if self.has_split_roles and not self._answers(DATABASE, WEB_ROLE):
            rights = ("--no-superuser", "--no-createrole", "--no-createdb")
            groups = [part for name in WEB_ROLE_MEMBER_OF for part in ("--member-of", name)]
            self._run("createuser", *self._as_owner(), *rights, *groups, WEB_ROLE)

    def _is_up(self) -> bool:
        return self._answers("postgres") or self._answers("postgres", OWNER)

    def _create_role(self) -> None:
        """Create the role of the application: it owns its database and is no superuser.

        A data directory of an earlier version has one role, which is both.
        """
        rights = ("--no-superuser", "--no-createrole", "--createdb")
        readable = ("--member-of", "pg_read_all_settings")
        self._run("createuser", *self._as_owner(), *rights, *readable, DATABASE)

    def _as_owner(self) -> tuple[str, ...]:
        user = OWNER if self._answers("postgres", OWNER) else DATABASE
        return ("-h", str(self.place.sockets), "-U", user)

    def _answers(self, database: str, user: str = DATABASE) -> bool:
        import psycopg2

        try:
            psycopg2.connect(
                host=str(self.place.sockets), user=user, dbname=database, connect_timeout=5
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _create_data_directory(self) -> None:
        make_private(self.place.data, self.place.account)
        try:
            self._run(
                "initdb",
                *("--pgdata", str(self.place.data), "--username", OWNER, "--encoding", "UTF8"),
                *("--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
                *("--auth-local", "trust", "--auth-host", "reject"),
            )
        except BaseException:
            shutil.rmtree(self.place.data, ignore_errors=True)  # half of a directory helps nobody
            raise

    def _end_leftover(self) -> None:
        """Stop a server that outlived its supervisor, and see its last processes off.

        postmaster.pid guards the data against a second server while processes of a killed one
        still run, so it is removed only when none does and its number belongs to a stranger.
        """
        pid_file = self.place.data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().splitlines()[0])
        if _is_running(pid) and _serves(pid, self.place.data):
            seconds = str(int(LEFTOVER_DEADLINE_SECONDS))
            self._run("pg_ctl", "stop", "-D", str(self.place.data), "-m", "fast", "-t", seconds)
            return
        deadline = time.monotonic() + LEFTOVER_DEADLINE_SECONDS
        while leftovers := _find_processes_in(self.place.data):
            if time.monotonic() > deadline:
                raise StartError(f"Processes {leftovers} of an old PostgreSQL still run; end them.")
            time.sleep(0.05)
        if _is_running(pid) and Path("/proc/self").exists():
            pid_file.unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        self.log_path.parent.mkdir(exist_ok=True)
        with self.log_path.open("ab") as log:
            try:
                done = subprocess.run(
                    [str(self.bin / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=QUIET_ENVIRONMENT,
                    cwd="/",
                    timeout=PROGRAM_DEADLINE_SECONDS,
                    check=False,
                    **as_account(self.place.account),
                )
            except subprocess.TimeoutExpired:
                limit = f"{PROGRAM_DEADLINE_SECONDS:.0f} s"
                raise StartError(
                    f"{program} did not finish in {limit}; see {self.log_path}"
                ) from None
        if done.returncode:
            raise StartError(f"{program} {explain_exit(done.returncode, self.log_path)}")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, data: Path) -> bool:
    """Whether the process is a PostgreSQL server of this data directory."""
    if Path("/proc/self").exists():
        return pid in _find_processes_in(data)
    listing = subprocess.run(
        ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return str(data) in listing.stdout


def _find_processes_in(directory: Path) -> list[int]:
    """Processes whose working directory this is; every PostgreSQL process works in its data."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if entry.readlink() == directory:
                found.append(int(entry.parent.name))
    return found


@contextlib.contextmanager
def run_postgres(place: Place) -> Iterator[str]:
    """Run PostgreSQL for a while; gives its DATABASE_URL."""
    server = Postgres(place)
    server.prepare()
    child = Child(server.command())
    try:
        server.wait_ready(child)
        yield server.url
    finally:
        child.stop()
