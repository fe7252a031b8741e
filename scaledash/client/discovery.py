"""Find the server: arguments, environment, credentials file, the server on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Server:
    """Where to send, with which token, and how we know.

    Attributes
    ----------
    url : str
        Base address without a trailing slash.
    token : str
        Sent in the Authorization header only; never written to the spool, argv or a URL.
    source : str
        "argument", "environment", "credentials" or "local".
    """

    url: str
    token: str
    source: str

    def __repr__(self) -> str:
        return f"Server(url={self.url!r}, source={self.source!r})"


def find_server(
    url: str | None = None, token: str | None = None, environ: Mapping[str, str] | None = None
) -> Server | None:
    """Return the server to use, or None when no address with a token is known.

    A token from a file is used only with the address that stands beside it, so that a key never
    reaches another server than the one it was made for.
    """
    environ = os.environ if environ is None else environ
    found_url = url or environ.get("SCALEDASH_URL") or None
    found_token = (
        token or environ.get("SCALEDASH_TOKEN") or environ.get("SCALEDASH_API_KEY") or None
    )
    source = "argument" if url or token else "environment"
    if found_url and found_token:
        return Server(found_url.rstrip("/"), found_token, source)
    for known in (_read_credentials(environ), _read_pointer(environ)):
        if known is None or (found_url and found_url.rstrip("/") != known.url):
            continue
        return Server(known.url, found_token or known.token, known.source)
    return None


def find_config_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Return the user's configuration directory of ScaleDash."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(base) / "scaledash"


def _read_credentials(environ: Mapping[str, str]) -> Server | None:
    return _read_server(find_config_directory(environ) / "credentials.json", "credentials")


def _read_pointer(environ: Mapping[str, str]) -> Server | None:
    try:
        text = (find_config_directory(environ) / "local").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return _read_server(Path(text.strip()), "local") if text.strip() else None


def _read_server(path: Path, source: str) -> Server | None:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        url, token = str(found["url"]), str(found["token"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Server(url.rstrip("/"), token, source) if url and token else None
