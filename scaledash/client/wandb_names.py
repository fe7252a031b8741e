"""The names of W&B's module beside ScaleDash's own, so that `import scaledash as wandb` runs.

docs/client.md lists what works, what warns once and does nothing, and what raises.
"""

from __future__ import annotations

import secrets
import string
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from scaledash.client import credentials, current
from scaledash.client.config import Config
from scaledash.client.discovery import find_server
from scaledash.client.errors import CommError, UsageError
from scaledash.client.identity import Identity
from scaledash.client.settings import Settings, is_silent
from scaledash.client.unstored import CLASSES, Idle, make_class, say_once
from scaledash.client.wandb_run import INSTEAD, WandbRun

MAX_ARTIFACT_NAME = 128
ID_CHARACTERS = string.ascii_lowercase + string.digits
MODULES = ("callbacks", "errors", "tensorboard")
# Where W&B keeps its classes: type hints name them there.
PLACES = ("sdk", "wandb_sdk", "wandb_run", "apis", "data_types")
CALLBACK = "use scaledash.callbacks.{0}, see docs/client.md"
ALTERNATIVES = {
    "keras": CALLBACK.format("keras.ScaleDashCallback"),
    "integration": CALLBACK.format("keras, .transformers or .lightning"),
    **dict.fromkeys(
        ("xgboost", "lightgbm", "catboost", "fastai", "sb3"),
        "log from the library's own callback with run.log()",
    ),
}
ON_RUN = (
    *("watch", "unwatch", "save", "log_code", "log_artifact", "log_model", "link_model"),
    *("use_artifact", "use_model", "restore", "pin_config_keys"),
)


class AlertLevel(str, Enum):  # noqa: UP042 - StrEnum came with Python 3.11
    """How urgent an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"

    def __str__(self) -> str:
        return self.value


def setup(settings: Settings | None = None) -> None:
    """Do nothing: there is no service to start."""


def teardown(exit_code: int | None = None) -> None:
    """Finish every run that this process has open."""
    for run in current.list_open():
        run.finish(exit_code)


def login(
    url: str | None = None,
    token: str | None = None,
    *,
    key: str | None = None,
    host: str | None = None,
    **ignored: object,
) -> Mapping[str, object]:
    """Keep a token after checking it, or say whether a server is known; never asks.

    Parameters
    ----------
    url, token : str, optional
        Server and token to check and to keep for this user, as `scaledash login` does.
    key, host : str, optional
        What scripts for W&B pass; a key that is no ScaleDash token is not sent anywhere.

    Returns
    -------
    mapping
        What the server says about the token, or its address if there was none to check; empty,
        and so false, where no server is known and runs are kept on disk.
    """
    given = token or key
    if given and (token or given.startswith("sd_")):
        return credentials.login(url or host, given)
    if given:
        say_once("login", "login(key=) is no ScaleDash token and is ignored: `scaledash login URL`")
    server = find_server()
    if server is None:
        say_once("no server", "no server is known: runs are kept on disk until `scaledash sync`")
        return {}
    return {"url": server.url, "source": server.source}


def generate_id(length: int = 8) -> str:
    """Return a random id of small letters and digits."""
    return "".join(secrets.choice(ID_CHARACTERS) for _ in range(length))


def make_artifact_name_safe(name: str) -> str:
    """Return the name with everything but letters, digits, `_ - .` replaced by `_`."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "_" for c in name)
    return safe if len(safe) <= MAX_ARTIFACT_NAME else f"{safe[:63]}..{safe[-63:]}"


def require(*arguments: object, **named: object) -> None:
    """Do nothing: there are no optional parts."""


def find_name(name: str) -> Any:
    """Return what W&B's module has under this name, or its stand-in.

    Raises
    ------
    AttributeError
        ScaleDash has nothing of the kind.
    """
    if name in _FOUND:
        return _FOUND[name]
    if name in CLASSES:
        return _FOUND.setdefault(name, make_class(name))
    if name in ON_RUN:
        return _FOUND.setdefault(name, _make_call(name))
    if name in INSTEAD:
        return _FOUND.setdefault(name, _make_refusal(name))
    if name in MODULES:
        return import_module(f"scaledash.{name}")
    if name in PLACES:
        return _FOUND.setdefault(name, Place(name))
    other = f": {ALTERNATIVES[name]}" if name in ALTERNATIVES else ""
    raise AttributeError(f"module 'scaledash' has no attribute {name!r}{other}")


class Place:
    """Stands for a module of W&B's: has the classes that ScaleDash has, under any path.

    Parameters
    ----------
    path : str
        Its name behind `wandb.`, for messages.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name.islower():
            return Place(f"{self._path}.{name}")
        return getattr(import_module("scaledash"), name)

    def __repr__(self) -> str:
        return f"<{self._path} of W&B, for its classes only>"


def _make_call(name: str) -> Callable[..., Any]:
    """Return a function that acts on the newest run, and works without one where W&B's does."""

    def call(*arguments: object, **named: object) -> Any:
        return getattr(current.get_run() or _no_run, name)(*arguments, **named)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = getattr(WandbRun, name).__doc__
    return call


def _make_refusal(name: str) -> Callable[..., Any]:
    def refuse(*arguments: object, **named: object) -> Any:
        raise UsageError(f"{name}: {INSTEAD[name]}")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


def _print_line(kind: str) -> Callable[..., None]:
    def print_line(text: str = "", *arguments: object, **named: object) -> None:
        if not is_silent():
            print(f"scaledash: {kind}{text}", file=sys.stderr)  # noqa: T201

    return print_line


_no_run = WandbRun(Identity("none"), None)
_FOUND: dict[str, Any] = {
    "CommError": CommError,
    **{name: Idle(name) for name in ("plot", "plots", "sklearn", "gym")},
    "Config": Config,
    "util": SimpleNamespace(
        generate_id=generate_id, make_artifact_name_safe=make_artifact_name_safe
    ),
    "require": require,
    "join": current.finish,
    "plot_table": Idle("wandb").plot_table,
    "termlog": _print_line(""),
    "termwarn": _print_line("warning: "),
    "termerror": _print_line("error: "),
}
