"""A clean environment, a peer to talk to, and short waits."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import scaledash
from scaledash.client import current

HERE = Path(__file__).resolve().parent
FAST = {
    "flush_seconds": 0.05,
    "backoff_seconds": 0.02,
    "backoff_cap_seconds": 0.1,
    "recheck_seconds": 0.1,
    "linger_seconds": 5.0,
}


def _load_peer() -> Any:
    spec = importlib.util.spec_from_file_location("client_peer", HERE / "peer.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["client_peer"] = module
    spec.loader.exec_module(module)
    return module


peer_module = sys.modules.get("client_peer") or _load_peer()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("SCALEDASH_", "WANDB_", "SLURM_", "RANK", "TORCHELASTIC_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SCALEDASH_DISABLE_GIT", "1")
    monkeypatch.setenv("SCALEDASH_SILENT", "1")
    monkeypatch.chdir(tmp_path)
    yield
    for run in current.list_open():
        run.finish(timeout=1)


@pytest.fixture
def peer() -> Iterator[Any]:
    server = peer_module.Peer()
    yield server
    server.close()


@pytest.fixture
def settings(peer: Any) -> scaledash.Settings:
    """Settings that reach the peer, with short waits."""
    return scaledash.Settings(base_url=peer.url, api_key=peer_module.TOKEN, **FAST)


@pytest.fixture
def start(settings: scaledash.Settings) -> Callable[..., scaledash.Run]:
    """Start an online run."""

    def init(**arguments: Any) -> scaledash.Run:
        return scaledash.init("demo", **{"settings": settings, **arguments})

    return init


@pytest.fixture
def start_offline() -> Callable[..., scaledash.Run]:
    """Start a run that is only spooled."""

    def init(**arguments: Any) -> scaledash.Run:
        return scaledash.init("demo", **{"mode": "offline", **arguments})

    return init


@pytest.fixture
def sync(peer: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `scaledash sync` against the peer."""
    from scaledash.client import cli

    def run(*arguments: str) -> int:
        monkeypatch.setenv("SCALEDASH_URL", peer.url)
        monkeypatch.setenv("SCALEDASH_TOKEN", peer_module.TOKEN)
        monkeypatch.setattr(cli, "Pace", lambda: scaledash.Settings(**FAST).pace)
        return cli.main(["sync", *arguments])

    return run
