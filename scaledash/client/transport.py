"""HTTP with keep-alive, gzip and a Bearer token; never follows a redirect."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from scaledash.client.discovery import Server
from scaledash.client.settings import Pace

GZIP_FROM_BYTES = 1_024
MAX_REPLY_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes
    ----------
    status : int
        HTTP status; 0 when there was no answer, and then `problem` says why.
    body : bytes
        Body as sent.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    def read_json(self) -> dict[str, object] | None:
        """Return the JSON object of the body, or None when it is not one."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def read_error(self) -> tuple[str, str, str | None]:
        """Return code, message and field of an error body; as far as there is one."""
        found = (self.read_json() or {}).get("error")
        error = found if isinstance(found, dict) else {}
        pointer = error.get("field")
        message = str(error.get("message") or self.problem or f"HTTP status {self.status}")
        return (
            str(error.get("code") or ""),
            message,
            pointer if isinstance(pointer, str) else None,
        )

    def read_retry_after(self) -> float | None:
        """Return the seconds that the server asks to wait; dates are ignored."""
        try:
            return max(0.0, float(self.headers.get("retry-after", "")))
        except ValueError:
            return None


class Transport:
    """One connection to a server, opened when it is needed and kept.

    Parameters
    ----------
    server : Server
        Address and token.
    pace : Pace
        Time limits.
    """

    def __init__(self, server: Server, pace: Pace | None = None) -> None:
        self.server = server
        self._pace = pace or Pace()
        parts = urlsplit(server.url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._valid = parts.scheme in ("http", "https") and bool(self._host)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """Send a request and return the reply; a network error is a reply with status 0.

        A kept connection that the server has closed meanwhile is opened anew once: every write of
        the client is idempotent.
        """
        if not self._valid:
            return Reply(0, problem=f"{self.server.url!r} is not an http or https address")
        headers = {"Authorization": f"Bearer {self.server.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            if len(body) >= GZIP_FROM_BYTES:
                body = gzip.compress(body, compresslevel=3, mtime=0)
                headers["Content-Encoding"] = "gzip"
        was_kept = self._connection is not None
        reply = self._try(method, path, body, headers)
        if reply is None and was_kept:
            reply = self._try(method, path, body, headers)
        return reply or Reply(0, problem="the server closed the connection without an answer")

    def send_json(self, method: str, path: str, body: object = None) -> Reply:
        """Send an object as JSON."""
        data = None if body is None else encode_json(body)
        return self.send(method, path, data)

    def download(self, path: str, file: BinaryIO) -> Reply:
        """Write the body of a GET to a file, piece by piece; the reply holds it only on an error.

        A body that ends early is a reply with status 0.
        """
        if not self._valid:
            return Reply(0, problem=f"{self.server.url!r} is not an http or https address")
        headers = {"Authorization": f"Bearer {self.server.token}", "Accept": "*/*"}
        try:
            self.close()  # a kept connection that is gone shows only when it is used
            connection = self._connect()
            connection.request("GET", self._prefix + path, None, headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            if response.status != 200:
                return Reply(response.status, response.read(MAX_REPLY_BYTES), found)
            while piece := response.read(PIECE_BYTES):
                file.write(piece)
            if response.length:  # of the announced bytes some are missing
                return Reply(0, problem="the server closed the connection early")
            return Reply(200, headers=found)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Reply(0, problem=f"{self._host}:{self._port}: {describe_problem(error)}")
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
            self._connection = None

    def _try(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> Reply | None:
        """Return the reply; None when a connection ended before the first byte of it."""
        try:
            connection = self._connect()
            connection.request(method, self._prefix + path, body, headers)
            response = connection.getresponse()
            data = response.read(MAX_REPLY_BYTES)
            found = {name.lower(): value for name, value in response.getheaders()}
            if response.will_close or not response.isclosed():
                self.close()
            return Reply(response.status, data, found)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            return None
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Reply(0, problem=f"{self._host}:{self._port}: {describe_problem(error)}")

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            return self._connection
        proxy = None if self._host in LOOPBACK else self._find_proxy()
        host, port = proxy or (self._host, self._port)
        limit = self._pace.connect_seconds
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=limit, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=limit)
        if proxy is not None:
            connection.set_tunnel(self._host, self._port)
        connection.connect()
        connection.sock.settimeout(self._pace.read_seconds)
        with contextlib.suppress(OSError):
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        return connection

    def _find_proxy(self) -> tuple[str, int] | None:
        scheme = "https" if self._secure else "http"
        address = getproxies().get(scheme)
        if not address or proxy_bypass(self._host):
            return None
        parts = urlsplit(address if "://" in address else f"http://{address}")
        return (parts.hostname, parts.port or 8080) if parts.hostname else None


def encode_json(body: object) -> bytes:
    """Return compact JSON in UTF-8."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def describe_problem(error: Exception) -> str:
    """Say in a few words what went wrong with a connection."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({error.verify_message}); if an authority of your own"
            " signed it, export SSL_CERT_FILE=<file with the root certificate>"
        )
    return str(error) or type(error).__name__
