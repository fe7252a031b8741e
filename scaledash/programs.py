"""How each of the server's own programs is started: web, worker, sweeper, one-off commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from scaledash.processes import Command

BASE_DIR = Path(__file__).resolve().parent.parent
WEB_THREADS = 8  # requests wait for PostgreSQL most of the time
DEFAULT_WORKERS = "2"
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
# Each thread of glibc's malloc keeps what its largest answer took; one arena that gives back what
# is free holds 153 MiB after the explorer has shown 1,000 curves, where eight held 256.
LEAN = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "8388608",
    "MALLOC_MMAP_THRESHOLD_": "4194304",
}
# `prepare` has checked everything; checking again would load every page and its libraries.
UNCHECKED = {"CELERY_SKIP_CHECKS": "1"}


def web(env: Mapping[str, str], logs: Path, bind: str, port: int, workers: int = 1) -> Command:
    """Serve pages and the API with granian."""
    argv = (
        *(sys.executable, "-m", "granian", "--interface", "wsgi", "scaledash.wsgi:application"),
        *("--host", bind, "--port", str(port), "--no-ws", "--http", "1"),
        *("--workers", str(workers), "--blocking-threads", str(WEB_THREADS)),
        *("--respawn-failed-workers", "--respawn-interval", "1"),
        *("--workers-kill-timeout", "5", "--log-level", "warning"),
    )
    return Command("web", argv, logs / "web.log", {**LEAN, **env}, cwd=BASE_DIR)


def worker(env: Mapping[str, str], logs: Path, hostname: str) -> Command:
    """Run refits and imports with Celery; needs a broker."""
    argv = (
        *(sys.executable, "-m", "celery", "-A", "scaledash.celery", "worker"),
        *("--queues", "refit,import", "--hostname", hostname, "--loglevel", "INFO"),
        *("--pool", "prefork", "--concurrency", env.get("SCALEDASH_WORKERS", DEFAULT_WORKERS)),
        *("--without-gossip", "--without-mingle"),
    )
    env = {**env, **SINGLE_THREADED, **UNCHECKED}
    return Command("worker", argv, logs / "worker.log", env, cwd=BASE_DIR)


def sweeper(env: Mapping[str, str], logs: Path) -> Command:
    """Find what hints have missed, twice a second."""
    argv = (sys.executable, "manage.py", "sweep")
    return Command("sweeper", argv, logs / "sweeper.log", {**env, **SINGLE_THREADED}, cwd=BASE_DIR)


def manage(env: Mapping[str, str], logs: Path, *arguments: str) -> Command:
    """Run one management command."""
    argv = (sys.executable, "manage.py", *arguments)
    log_path = logs / f"{arguments[0]}.log"
    return Command(arguments[0], argv, log_path, env, cwd=BASE_DIR)


def inherit_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with these changes."""
    return {**os.environ, **changes}
