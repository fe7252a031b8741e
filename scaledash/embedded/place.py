"""Where the embedded servers keep data and sockets, and the user they run as."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scaledash.processes import Account, as_account

ACCOUNT_NAME = "scaledash"
SHARED_ROOT = Path("/var/lib/scaledash")
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un.sun_path, less the closing zero
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"
QUIET_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Place:
    """Where the servers keep data and sockets, and the user they run as."""

    data: Path
    sockets: Path
    logs: Path
    account: Account | None


def find_account() -> Account | None:
    """The user to run as: none for an ordinary user, an own system user under root."""
    if os.geteuid() != 0:
        return None
    for attempt in (_create_account, None):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(ACCOUNT_NAME)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
        if attempt:
            attempt()
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _create_account() -> None:
    command = ["useradd", "--system", "--no-create-home", "--user-group"]
    with contextlib.suppress(OSError):
        subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", ACCOUNT_NAME],
            capture_output=True,
            check=False,
            timeout=30,
        )


def make_home(home: Path, account: Account | None) -> None:
    """Create the home: 0700, or 0710 for the group of the database user under root."""
    home.mkdir(parents=True, exist_ok=True)
    if account is None:
        home.chmod(0o700)
        return
    os.chown(home, 0, account.gid)
    home.chmod(0o710)


def prepare_place(home: Path) -> Place:
    """Choose and create the directories of the servers, reachable for their user."""
    account = find_account()
    make_home(home, account)
    home = home.resolve()
    logs = home / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    base = _choose_base(home, account)
    make_private(base, account)
    sockets = base / "run"
    if len(os.fsencode(sockets / LONGEST_SOCKET_NAME)) > SOCKET_PATH_LIMIT:
        sockets = _short_socket_directory(home)
    make_private(sockets, account)
    return Place(base / "postgres", sockets, logs, account)


def _choose_base(home: Path, account: Account | None) -> Path:
    inside = home / "services"
    if account is None or _can_enter(home, account):
        return inside
    note = home / "services.path"
    if not note.exists():
        note.write_text(str(SHARED_ROOT / f"home-{secrets.token_hex(8)}"))
    SHARED_ROOT.mkdir(mode=0o711, parents=True, exist_ok=True)
    return Path(note.read_text().strip())


def _short_socket_directory(home: Path) -> Path:
    """A private short directory for the sockets of a home with a long path."""
    note = home / "sockets.path"
    known = Path(note.read_text().strip()) if note.exists() else None
    if known and known.is_dir():
        return known
    made = Path(tempfile.mkdtemp(prefix="scaledash-", dir="/tmp"))  # nosec B108
    note.write_text(str(made))
    return made


def make_private(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    if account:
        os.chown(path, account.uid, account.gid)


def _can_enter(directory: Path, account: Account) -> bool:
    probe = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)]
    return succeeds(probe, account)


def succeeds(argv: list[str], account: Account | None) -> bool:
    try:
        done = subprocess.run(
            argv, capture_output=True, check=False, cwd="/", timeout=30, **as_account(account)
        )
    except PermissionError:
        return False
    return done.returncode == 0
