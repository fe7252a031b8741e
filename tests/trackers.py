"""Environments with the real packages of other trackers, made once and kept beside `.venv`.

`find_python("trackers")` installs `requirements-trackers.txt` into `.venv-trackers`, unless
SCALEDASH_TRACKERS_PYTHON names an interpreter that has the packages.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INSTALL_SECONDS = 600
# Read before any test cleans the environment.
GIVEN = {name: path for name, path in os.environ.items() if name.endswith("_PYTHON")}


def find_python(name: str) -> str:
    """Return the interpreter of an environment; skip where its packages cannot be installed."""
    given = GIVEN.get(f"SCALEDASH_{name.upper()}_PYTHON")
    if given:
        return given
    requirements = Path(__file__).with_name(f"requirements-{name}.txt")
    folder = ROOT / f".venv-{name}"
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    folder.mkdir(exist_ok=True)
    with (ROOT / f".venv-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other processes of the same test run wait
        stamp = folder / "stamp"
        if not stamp.exists() or stamp.read_text() != digest:
            install(folder, requirements)
            stamp.write_text(digest)
    return str(folder / "bin" / "python")


def install(folder: Path, requirements: Path) -> None:
    """Make the environment anew."""
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
    options = ["--disable-pip-version-check", "--no-input", "-r", str(requirements)]
    done = subprocess.run(
        [*pip, *options], capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"{requirements.name} cannot be installed here: {reason}")
