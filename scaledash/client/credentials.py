"""The credentials file: address and token of the server this user logs in to."""

from __future__ import annotations

import getpass
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from scaledash.client.discovery import Server, find_config_directory, find_server
from scaledash.client.errors import AuthError, Refused, UsageError
from scaledash.client.transport import Transport

PING = "/api/v1/ping"


def login(url: str | None = None, token: str | None = None) -> dict[str, object]:
    """Check a token and keep it for this user, in a file only they can read.

    Parameters
    ----------
    url : str, optional
        Address of the server; that of the server known so far by default.
    token : str, optional
        Asked for on a terminal when it is not given; never asked for elsewhere.

    Returns
    -------
    dict
        What the server says about the token: version, scope, project, user.

    Raises
    ------
    UsageError
        No address or token is known, and nobody can be asked.
    AuthError
        The server does not accept the token.
    Refused
        The server cannot be reached.
    """
    known = find_server(url, token)
    address = (url or (known.url if known else "")).rstrip("/")
    if not address:
        raise UsageError("which server? scaledash login https://your-server")
    if urlsplit(address).scheme not in ("http", "https"):
        raise UsageError(f"{address!r} is no address; write it as https://your-server")
    secret = token or _ask_for_token(address)
    answer = check_server(Server(address, secret, "argument"))
    write_credentials(address, secret)
    return answer


def check_server(server: Server) -> dict[str, object]:
    """Ask the server who we are.

    Raises
    ------
    AuthError
        The server does not accept the token.
    Refused
        The server cannot be reached, or is not a ScaleDash server.
    """
    transport = Transport(server)
    reply = transport.send("GET", PING)
    transport.close()
    answer = reply.read_json()
    if reply.status in (401, 403):
        raise AuthError(f"{server.url} does not accept the token: {reply.read_error()[1]}")
    if not reply.status:
        raise Refused(reply.problem)
    if reply.status != 200 or answer is None:
        code, message, _ = reply.read_error()
        raise Refused(
            f"{server.url} does not answer as a ScaleDash server: {message}", reply.status, code
        )
    return answer


def write_credentials(url: str, token: str) -> Path:
    """Replace the credentials file at once, mode 0600."""
    folder = find_config_directory()
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = folder / "credentials.json"
    scratch = folder / f".credentials.{os.getpid()}"
    file = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump({"url": url, "token": token}, stream)
    scratch.replace(path)
    return path


def _ask_for_token(address: str) -> str:
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError("no token given: pass token=, or --token-stdin on the command line")
    return getpass.getpass(f"Token for {address} (made in its settings): ").strip()
