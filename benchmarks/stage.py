"""A ScaleDash of its own for measuring: PostgreSQL on the disk with fsync on, Redis, web.

The worker and the sweeper are left out, so that what is measured is what was asked for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 60.0
ANSWER_BYTES = 64 * 1024
WEB_PROCESSES = int(os.environ.get("SCALEDASH_WEB_PROCESSES", "1"))


@dataclass
class Stage:
    """A running server; `pids` are the web process and the postmaster."""

    port: int
    token: str
    project: str
    web_pid: int

    def connect(self) -> Client:
        """Return a client with a connection of its own."""
        return Client(self.port, self.token)


class Client:
    """One keep-alive connection; bodies may be encoded before the clock starts."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._connect()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request and return the body of a good answer."""
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data = json.dumps(body).encode()
        try:
            answer = self._send(method, path, data)
        except http.client.RemoteDisconnected:  # it was idle for too long, and nothing was taken
            self._connect()
            answer = self._send(method, path, data)
        content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
        return content

    def write_request(self, method: str, path: str, body: bytes) -> bytes:
        """Return a request as its bytes on the wire."""
        lines = [f"{method} /api/v1/{path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def exchange(self, request: bytes) -> None:
        """Send a request of `write_request` and read its answer, which must be good and short.

        For loads of many senders on the machine that they measure: `http.client` takes it more
        processor time for a request than the answer takes the database.
        """
        stream = self._connection.sock
        stream.sendall(request)
        answer = b""
        while True:
            part = stream.recv(ANSWER_BYTES)
            answer += part
            head, _, content = answer.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if length and len(content) >= int(length[1]):
                break
            if not part:
                raise RuntimeError(f"The server hung up: {answer[:400]!r}")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{request[:80]!r}: {answer[:400]!r}")

    def _connect(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _send(self, method: str, path: str, data: bytes | None) -> http.client.HTTPResponse:
        self._connection.request(method, f"/api/v1/{path}", data, self._headers)
        return self._connection.getresponse()

    def open_run(self, project: str, uid: str, **fields: object) -> None:
        """Create a run."""
        body = {"id": uid, "request_id": str(uuid.uuid4()), "project": project, **fields}
        self.call("POST", "runs", body)


@contextlib.contextmanager
def open_stage() -> Iterator[Stage]:
    """Start everything in an empty folder and remove it afterwards."""
    from scaledash import embedded

    folder = Path(tempfile.mkdtemp(prefix="sdb-", dir=os.environ.get("BENCH_DIR")))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        place = embedded.prepare_place(folder)
        os.environ["DATABASE_URL"] = stack.enter_context(embedded.run_postgres(place))
        os.environ["REDIS_URL"] = stack.enter_context(embedded.run_redis(place))
        os.environ |= {
            "SCALEDASH_HOME": str(folder),
            "SCALEDASH_SECRET_KEY": "only-for-benchmarks-" + "0" * 50,
            "DJANGO_SETTINGS_MODULE": "scaledash.settings",
            "SCALEDASH_STATIC_ROOT": str(folder / "static"),
        }
        (folder / "static").mkdir()
        yield stack.enter_context(_serve(folder))


@contextlib.contextmanager
def _serve(folder: Path) -> Iterator[Stage]:
    import django

    django.setup()
    from django.core.management import call_command

    from scaledash import programs
    from scaledash.processes import Child, wait_until_ready

    print("migrating ...", file=sys.stderr)
    call_command("migrate", verbosity=0)
    call_command("assets", stdout=sys.stderr)
    token = _make_token()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env = programs.inherit_environment({**_own_settings(), "SCALEDASH_BASE_URL": url})
    child = Child(programs.web(env, folder, "127.0.0.1", port, WEB_PROCESSES))
    try:
        wait_until_ready(child, lambda: _is_open(port), READY_SECONDS)
        yield Stage(port, token, "bench", child.pid)
    finally:
        child.stop()


def _own_settings() -> Mapping[str, str]:
    names = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")
    return {n: v for n, v in os.environ.items() if n in names or n.startswith("SCALEDASH_")}


def _make_token() -> str:
    from teams.models import Membership, Project, Role, Scope, User
    from teams.services import create_token

    user = User.objects.create_user("bench")
    project = Project.objects.create(slug="bench", name="bench")
    Membership.objects.create(project=project, user=user, role=Role.ADMIN)
    return create_token(user, "bench", Scope.ADMIN, project)[1]


def _is_open(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
