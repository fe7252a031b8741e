"""The way between a training job and a server, made bad on purpose."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30
RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes close() send RST
COPIES = 10
HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "date"})


@dataclass
class Request:
    """A request on its way; `number` counts those that carry points."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    number: int

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON object that it carries."""
        raw = gzip.decompress(self.raw) if self.headers.get("Content-Encoding") == "gzip" else None
        return json.loads(raw or self.raw)


# What happens to a request: None passes it on; a status answers in the server's place; "drop"
# passes it on and resets the connection without a reply; "cut" resets it inside the reply;
# "copies" passes it on ten times, between older ones in any order.
Rule = Callable[[Request], int | str | None]


@dataclass
class Way:
    """An HTTP proxy in front of a server."""

    upstream: str
    rule: Rule
    retry_after: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_open = False
        self._lock = threading.Lock()
        self._number = 0
        self._seen: list[Request] = []
        self._chance = random.Random(0)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Let requests through; outside of it, connections are refused."""
        way = self

        class Handler(Passing):
            owner = way

        server = Quiet(("127.0.0.1", self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.is_open = True
        try:
            yield
        finally:
            self.is_open = False  # connections that are kept alive end with their next request
            server.shutdown()
            server.server_close()
            thread.join()

    def judge(self, request: Request) -> int | str | None:
        """Return what happens to a request; only those that carry points meet the rule."""
        if not request.path.split("?")[0].endswith("/metrics"):
            return None
        with self._lock:
            self._number += 1
            request.number = self._number
            verdict = self.rule(request)
            self.counts[str(verdict)] = self.counts.get(str(verdict), 0) + 1
        return verdict

    def pass_on(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Send a request to the server and return its reply."""
        link = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(link):
            link.request(request.method, request.path, request.raw, request.headers)
            reply = link.getresponse()
            return reply.status, dict(reply.getheaders()), reply.read()

    def pass_copies(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Send a request ten times, shuffled with requests that were sent before."""
        with self._lock:
            older = self._chance.sample(self._seen, min(len(self._seen), COPIES))
            self._seen.append(request)
            copies = [request] * (COPIES - 1) + older
            self._chance.shuffle(copies)
        for copy in copies:
            status, _, answer = self.pass_on(copy)
            assert status == 200, answer
        return self.pass_on(request)


class Quiet(ThreadingHTTPServer):
    """A client that goes away is no news."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Passing(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: Way

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle_request(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.owner.is_open:
            self._reset()
            return
        request = Request(self.command, self.path, dict(self.headers.items()), raw, 0)
        verdict = self.owner.judge(request)
        if isinstance(verdict, int):
            error = {"error": {"code": "injected", "message": "injected", "field": None}}
            headers = {"Retry-After": self.owner.retry_after} if self.owner.retry_after else {}
            self._reply(verdict, headers, json.dumps(error).encode())
            return
        passing = self.owner.pass_copies if verdict == "copies" else self.owner.pass_on
        status, headers, answer = passing(request)
        if verdict == "drop":
            self._reset()
        elif verdict == "cut":
            self._reply(status, headers, answer, sent=len(answer) // 2)
            self._reset()
        else:
            self._reply(status, headers, answer)

    do_GET = do_POST = do_PATCH = handle_request

    def _reply(
        self, status: int, headers: dict[str, str], answer: bytes, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[:sent])

    def _reset(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.connection.close()
