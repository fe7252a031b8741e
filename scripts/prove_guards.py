"""Take each guard away in a copy of the checkout and show that a test fails without it.

`python scripts/prove_guards.py [words]`: all guards, or those whose threat holds one of the words.
The tests must pass before and fail after; takes some 10 s a guard. `--after-only` believes that the
suite passes as things are, and takes half the time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parent.parent
TESTS_FAILED = 1  # pytest's status; others say that it could not run them
TOO_SLOW = 124
AFTER_ONLY = "--after-only"
DEADLINE_SECONDS = 300


def main(words: Sequence[str]) -> int:
    """Prove the guards; gives 1 if one could be taken away unnoticed."""
    wanted = [word for word in words if word != AFTER_ONLY]
    chosen = [guard for guard in GUARDS if not wanted or any(w in guard.threat for w in wanted)]
    unnoticed = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "checkout"
        copy_checkout(copy)
        for guard in chosen:
            verdict = prove(copy, guard, is_trusted=AFTER_ONLY in words)
            print(f"{verdict:>10}  {guard.threat}", flush=True)
            if verdict != "caught":
                unnoticed.append(guard.threat)
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} guards are proved.")
    return 1 if unnoticed else 0


def copy_checkout(copy: Path) -> None:
    """Copy what git knows of the checkout, and the front-end packages as a link."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / "node_modules").symlink_to(ROOT / "node_modules")


def prove(copy: Path, guard: Guard, is_trusted: bool = False) -> str:
    """Return "caught" if the tests pass with the guard and fail without it."""
    if not is_trusted and run_tests(copy, guard) != 0:
        return "broken"  # the tests do not pass as things are
    path = copy / guard.path
    text = path.read_text()
    path.write_text(text.replace(guard.before, guard.after))
    try:
        status = run_tests(copy, guard)
    finally:
        path.write_text(text)
    if status == TESTS_FAILED:
        return "caught"
    return "unnoticed" if status == 0 else f"status {status}"


def run_tests(copy: Path, guard: Guard) -> int:
    """Return pytest's exit status."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", *guard.tests]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return TOO_SLOW
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
