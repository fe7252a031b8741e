"""The documented REST API over kept-alive connections, with the standard library alone."""

from __future__ import annotations

import gzip
import http.client
import json
import random
import threading
import time
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60.0
MAX_TRIES = 8
MAX_WAIT_SECONDS = 30.0
COMPRESS_FROM_BYTES = 2_000
BUSY = {429, 502, 503}
Document = dict[str, Any]


class ApiRefused(Exception):
    """The server answered with an error; `status` and its sentence say which."""

    def __init__(self, status: int, what: str, message: str) -> None:
        super().__init__(f"{what}: {status} {message}")
        self.status = status


class Connection:
    """One server; every thread that calls gets a connection of its own."""

    def __init__(self, url: str, token: str) -> None:
        self.parts = urlsplit(url)
        self.token = token
        self._local = threading.local()
        self._opened: list[http.client.HTTPConnection] = []

    def get(self, path: str) -> Document:
        return self.call("GET", path)

    def post(self, path: str, body: Document) -> Document:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Document | None = None) -> Document:
        """Send until there is an answer; every request here may safely be sent twice."""
        content = b"" if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if len(content) >= COMPRESS_FROM_BYTES:
            content = gzip.compress(content, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        for tries in range(1, MAX_TRIES + 1):
            try:
                status, answer, wait_seconds = self._send(method, path, content, headers)
            except (OSError, http.client.HTTPException):
                self._close()
                if tries == MAX_TRIES:
                    raise
                status, answer, wait_seconds = 503, b"", None
            if status not in BUSY or tries == MAX_TRIES:
                break
            pause = 0.2 * 2**tries * random.random() if wait_seconds is None else wait_seconds
            time.sleep(min(MAX_WAIT_SECONDS, pause))
        return read_answer(status, answer, f"{method} {path}")

    def _send(
        self, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes, float | None]:
        connection = self._open()
        connection.request(method, self.parts.path.rstrip("/") + path, content, headers)
        response = connection.getresponse()
        given = response.getheader("Retry-After") or ""
        return response.status, response.read(), float(given) if given.isdigit() else None

    def _open(self) -> http.client.HTTPConnection:
        if getattr(self._local, "connection", None) is None:
            is_https = self.parts.scheme == "https"
            kind = http.client.HTTPSConnection if is_https else http.client.HTTPConnection
            host = self.parts.hostname or "127.0.0.1"
            self._local.connection = kind(host, self.parts.port, timeout=TIMEOUT_SECONDS)
            self._opened.append(self._local.connection)
        return self._local.connection

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()

    def _close(self) -> None:
        self._open().close()
        self._local.connection = None


def read_answer(status: int, answer: bytes, what: str) -> Document:
    """The JSON document of a 2xx answer; anything else is raised with the server's sentence."""
    try:
        document = json.loads(answer) if answer else {}
    except ValueError:
        document = {}
    if 200 <= status < 300:
        return document
    message = document.get("error", {}).get("message") or answer[:200].decode(errors="replace")
    raise ApiRefused(status, what, message)
