"""Find or install a Chromium, then run pytest on all cores: `run_tests.py [pytest arguments]`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_CHROME = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
INSTALL_DEADLINE_SECONDS = 900
MAX_PROCESSES = 4


def main(arguments: Sequence[str]) -> int:
    """Run the tests; gives pytest's exit status."""
    chromium = find_chromium() or install_chromium()
    if chromium is None:
        print(
            "The tests need Chrome or Chromium and none could be installed; "
            "install one, or name it: SCALEDASH_CHROMIUM=/path/to/chromium make test",
            file=sys.stderr,
        )
        return 1
    processes = min(os.cpu_count() or 1, MAX_PROCESSES)
    environment = {**os.environ, "SCALEDASH_CHROMIUM": chromium, "OMP_NUM_THREADS": "1"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    spread = ["-n", str(processes), "--dist", "worksteal"]
    command = [sys.executable, "-m", "pytest", *spread, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def find_chromium() -> str | None:
    """The given browser, one on PATH, or the one that playwright installed."""
    given = os.environ.get("SCALEDASH_CHROMIUM")
    if given:
        return given
    found = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    return found or (str(MAC_CHROME) if MAC_CHROME.exists() else None) or find_playwright_chromium()


def find_playwright_chromium() -> str | None:
    """The Chromium in playwright's own folder, if it is there."""
    code = (
        "from playwright.sync_api import sync_playwright as p\n"
        "with p() as q: print(q.chromium.executable_path)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    path = done.stdout.strip()
    return path if path and Path(path).exists() else None


def install_chromium() -> str | None:
    """Install one with playwright, else, as root on Debian, with apt-get."""
    print("No Chromium found; installing one ...", flush=True)
    if _runs([sys.executable, "-m", "playwright", "install", "chromium"]):
        return find_playwright_chromium()
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _runs(["apt-get", "update", "-qq"])
        _runs(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"])
    return find_chromium()


def _runs(command: Sequence[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=INSTALL_DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
