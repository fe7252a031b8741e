"""Files by which one machine finds its own ScaleDash: lock, secret key, local.json, pointer."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from scaledash.processes import StartError

LOCK_NAME = "up.lock"


class AlreadyRuns(StartError):
    """There is a ScaleDash of this home already."""


@contextlib.contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Be the only `up` of this home; the kernel lets go when the process ends, however it ends."""
    with (home / LOCK_NAME).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRuns(
                f"ScaleDash already runs for {home} (process {find_holder(home)}); "
                "stop it with `make down`, or choose another SCALEDASH_HOME."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def find_holder(home: Path) -> int | None:
    """Process id of the `up` that runs for this home, or None."""
    path = home / LOCK_NAME
    if not path.exists():
        return None
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0) or None
    return None


def read_secret_key(home: Path) -> str:
    """The secret key of this home, made on the first start."""
    path = home / "secret.key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(64))
    return path.read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Replace a file at once with one that only its owner can read."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    scratch.replace(path)


def write_environment(home: Path, environment: Mapping[str, str]) -> None:
    """Leave the server's variables in shell form, for management commands typed by hand."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
    write_private(home / "environment", "".join(lines))


def read_environment(home: Path) -> dict[str, str]:
    """The variables that `write_environment` left; none where nothing runs or ran."""
    path = home / "environment"
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = [line.removeprefix("export ").partition("=") for line in lines]
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}


@contextlib.contextmanager
def announce(home: Path, url: str, token: str) -> Iterator[None]:
    """Let clients on this machine find the server while it runs."""
    description = home / "local.json"
    pointer = find_pointer()
    write_private(description, json.dumps({"url": url, "token": token, "pid": os.getpid()}))
    with contextlib.suppress(OSError):  # a read-only home directory costs discovery only
        pointer.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        write_private(pointer, str(description))
    try:
        yield
    finally:
        description.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            if pointer.read_text().strip() == str(description):
                pointer.unlink()


def find_pointer() -> Path:
    """The file in the user's configuration directory that names the newest local.json."""
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "scaledash" / "local"
