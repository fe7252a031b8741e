"""A whole installation of its own whose parts can be killed: PostgreSQL, Redis, worker, sweeper."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from fitting.hints import hints
from fitting.models import Dirty, Fit, FitState, Study
from runs.models import Run
from scaledash import embedded, programs
from scaledash.embedded.redis_server import Redis, find_redis_binary
from scaledash.processes import Child, Command
from scaledash.settings import _database
from tests.fitting.waiting import wait_until
from tests.ports import find_free_port
from tests.scratch import make_scratch_folder

LEASE_SECONDS = "2"
PROGRAMS = ("web", "sweeper", "worker")


@dataclass
class World:
    """Servers and processes by name; each can be killed and started again."""

    place: embedded.Place
    env: dict[str, str] = field(default_factory=dict)
    running: dict[str, Child] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        """Where the processes log."""
        return self.place.logs

    def start_postgres(self) -> None:
        server = embedded.Postgres(self.place)
        server.prepare()
        self.running["postgres"] = Child(server.command())
        server.wait_ready(self.running["postgres"])
        self.env["DATABASE_URL"] = server.url

    def start_redis(self) -> None:
        binary = find_redis_binary(self.place.account)
        assert binary is not None
        server = Redis(self.place, binary)
        self.running["redis"] = Child(server.command())
        server.wait_ready(self.running["redis"])
        self.env["REDIS_URL"] = server.url

    def flush_redis(self) -> None:
        with redis.Redis.from_url(self.env["REDIS_URL"]) as client:
            client.flushall()

    def start_worker(self) -> None:
        command = programs.worker(self.environment(), self.logs, f"faults-{os.getpid()}@localhost")
        lines_before = _count(command.log_path, " ready.")
        self._start(command)
        ready = " ready."
        wait_until(lambda: _count(command.log_path, ready) > lines_before, "the worker")

    def start_sweeper(self) -> None:
        self._start(programs.sweeper(self.environment(), self.logs))

    def start_web(self, port: int | None = None) -> str:
        port = port or find_free_port()
        self._start(programs.web(self.environment(), self.logs, "127.0.0.1", port))
        return f"http://127.0.0.1:{port}"

    def _start(self, command: Command) -> None:
        self.running[command.name] = Child(command)

    def environment(self) -> dict[str, str]:
        """The environment of a program of this installation."""
        own = {**self.env, "SCALEDASH_REFIT_LEASE_SECONDS": LEASE_SECONDS}
        return programs.inherit_environment(own)

    def kill(self, name: str) -> None:
        """kill -9; what is left of its process group goes with it, as on a lost machine."""
        child = self.running.pop(name)
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: child.poll() is not None, f"the end of {name}")

    def kill_children(self, name: str) -> None:
        """kill -9 of what the process has started; itself goes on."""
        parent = self.running[name].pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        assert children
        for pid in children:
            os.kill(int(pid), signal.SIGKILL)

    def stop_programs(self) -> None:
        for name in PROGRAMS:
            if name in self.running:
                self.kill(name)

    def start_missing_servers(self) -> None:
        if "postgres" not in self.running:
            self.start_postgres()
        if "redis" not in self.running:
            self.start_redis()

    def empty(self) -> None:
        """Forget what the last test left."""
        self.flush_redis()
        connections["default"].close()
        for model in (Dirty, Fit, FitState, Study, Run):
            model.objects.all().delete()
        for name in PROGRAMS:
            (self.logs / f"{name}.log").unlink(missing_ok=True)

    def stop_all(self) -> None:
        for name in (*PROGRAMS, "redis", "postgres"):
            child = self.running.pop(name, None)
            if child is not None:
                child.stop()

    def read_logs(self) -> str:
        """What our own programs wrote."""
        paths = (self.logs / f"{name}.log" for name in PROGRAMS)
        return "\n".join(path.read_text() for path in paths if path.exists())


def _count(path: Path, text: str) -> int:
    return path.read_text().count(text) if path.exists() else 0


@contextlib.contextmanager
def run_world() -> Iterator[World]:
    """Start databases and point this process's Django at them, and back again afterwards."""
    folder = make_scratch_folder()
    world = World(embedded.prepare_place(folder))
    try:
        world.start_postgres()
        world.start_redis()
        with _use_database(world.env["DATABASE_URL"]), _use_redis(world.env["REDIS_URL"]):
            call_command("migrate", verbosity=0)
            yield world
    finally:
        world.stop_all()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _use_database(url: str) -> Iterator[None]:
    inside = connections.settings["default"]
    kept = dict(inside)
    connections["default"].close()
    inside.update(_database(url))
    try:
        yield
    finally:
        connections["default"].close()
        inside.clear()
        inside.update(kept)


@contextlib.contextmanager
def _use_redis(url: str) -> Iterator[None]:
    kept = (settings.REDIS_URL, settings.CELERY_BROKER_URL)
    settings.REDIS_URL = url
    settings.CELERY_BROKER_URL = url.replace("unix://", "redis+socket://", 1)
    hints.reset()
    try:
        yield
    finally:
        settings.REDIS_URL, settings.CELERY_BROKER_URL = kept
        hints.reset()
