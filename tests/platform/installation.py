"""A whole ScaleDash, driven by the commands that a person would type."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scaledash.processes import Account, as_account

ROOT = Path(__file__).resolve().parent.parent.parent
COMMAND_SECONDS = 120


@dataclass
class Installation:
    """One home and one port, and the commands that a person would type for them."""

    home: Path
    port: int
    python: str = sys.executable
    account: Account | None = None
    environment: dict[str, str] = field(default_factory=dict)
    command_seconds: int = COMMAND_SECONDS

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.full_environment(), **changes},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.command_seconds,
            check=False,
            **as_account(self.account),
        )

    def start_in_front(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.python, "manage.py", "up"],
            cwd=ROOT,
            env=self.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def up(self) -> str:
        done = self.manage("up", DETACH="1")
        assert done.returncode == 0, done.stdout
        return done.stdout

    def down(self) -> subprocess.CompletedProcess[str]:
        return self.manage("down")

    def full_environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "SCALEDASH_STATIC_ROOT")}
        return {
            **kept,
            "HOME": str(self.home.parent),
            "XDG_CONFIG_HOME": str(self.home.parent / "config"),
            "SCALEDASH_HOME": str(self.home),
            "PORT": str(self.port),
            "DEMO": "0",
            **self.environment,
        }

    def processes(self) -> dict[str, int]:
        """Process ids by what they are, found by the home in their environment or arguments."""
        marks = {
            "supervisor": "scaledash.control",
            "web": "granian",
            "worker": "celery",
            "sweeper": "sweep",
            "redis": "redis-server",
            "postgres": "postgres -D",
        }
        found = {}
        for pid in sorted(find_processes_of(self.home)):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            for name, mark in marks.items():
                if mark in command:
                    found.setdefault(name, pid)
        return found


def find_processes_of(home: Path) -> list[int]:
    """Every process whose arguments, environment or working directory name the home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) != os.getpid() and _names(entry, str(home)):
            found.append(int(entry.name))
    return found


def _names(entry: Path, home: str) -> bool:
    try:
        if entry.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return False
        texts = [entry.joinpath("cmdline").read_bytes(), entry.joinpath("environ").read_bytes()]
        return home.encode() in b"\0".join([*texts, os.fsencode(entry.joinpath("cwd").readlink())])
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.05)


def read_local(installation: Installation) -> dict[str, str]:
    return json.loads((installation.home / "local.json").read_text())


def find_link(text: str) -> str:
    return re.search(r"http://\S+/login/once/\S+", text)[0]
