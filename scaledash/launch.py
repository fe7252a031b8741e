"""`make up`: everything a person needs for a running ScaleDash on one machine, and its end.

This module stays free of Django, so that the process that watches the others stays small.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scaledash import embedded, local, programs
from scaledash.processes import StartError, explain_exit, wait_until_ready
from scaledash.supervisor import StopRequest, Supervisor

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MIN_FREE_BYTES = 300 * 1024**2
PREPARE_DEADLINE_SECONDS = 300.0
WEB_DEADLINE_SECONDS = 60.0
DEMO_DEADLINE_SECONDS = 900.0
OWNER_URL = "SCALEDASH_OWNER_DATABASE_URL"


@dataclass(frozen=True)
class Options:
    """What the person chose."""

    home: Path
    bind: str = "127.0.0.1"
    port: int = 8000
    has_demo: bool = True

    @property
    def url(self) -> str:
        """Where people open it."""
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        return os.environ.get("SCALEDASH_BASE_URL") or f"http://{host}:{self.port}"


class Progress:
    """One line for each step, with its seconds."""

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show the step while it lasts."""
        self.write(f"  {title} ... ")
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self.write("\n")
            raise
        self.write(f"{time.monotonic() - started:.1f} s\n")

    def say(self, text: str) -> None:
        """Write one line."""
        self.write(f"{text}\n")

    def write(self, text: str) -> None:
        """Write at once; a closed terminal is no reason to stop."""
        with contextlib.suppress(OSError):
            sys.stdout.write(text)
            sys.stdout.flush()


class Launch:
    """One start of the product, from the lock to the last stopped process."""

    def __init__(self, options: Options, progress: Progress, stop: StopRequest) -> None:
        self.options = options
        self.progress = progress
        self.stop = stop
        self.supervisor = Supervisor(progress.say, stop)
        self.environment: dict[str, str] = {}
        self.owner_url = os.environ.get(OWNER_URL, "")
        self.place = embedded.prepare_place(options.home)
        self.home = options.home.resolve()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Start, announce, watch until asked to stop, then stop everything."""
        with local.hold_home(self.home):
            try:
                prepared = self._start()
                self._serve(prepared, when_ready)
            finally:
                self.stop.defer()
                self.supervisor.stop()

    def _start(self) -> dict[str, str]:
        check_port(self.options.bind, self.options.port)
        check_disk(self.home)
        if not self.place.data.is_relative_to(self.home):
            self.progress.say(f"  Data live in {self.place.data.parent}, reachable for PostgreSQL")
        self.environment = {
            "SCALEDASH_HOME": str(self.home),
            "SCALEDASH_BIND": self.options.bind,
            "SCALEDASH_SECRET_KEY": os.environ.get("SCALEDASH_SECRET_KEY")
            or local.read_secret_key(self.home),
            "DATABASE_URL": os.environ.get("DATABASE_URL") or self._start_postgres(),
        }
        given = os.environ.get("REDIS_URL")
        self.environment["REDIS_URL"] = self._start_redis() if given is None else given
        self.environment[OWNER_URL] = ""  # what serves and fits never learns the owner's
        if self.options.bind in LOOPBACK:
            self.environment["SCALEDASH_BASE_URL"] = self.options.url
        local.write_environment(self.home, {**self.environment, OWNER_URL: self.owner_url})
        prepared = self._prepare()
        self._start_programs()
        return prepared

    def _start_postgres(self) -> str:
        with self.progress.step("Starting PostgreSQL"):
            has_split_roles = os.environ.get("SCALEDASH_DB_ROLE_SPLIT", "0") == "1"
            server = embedded.Postgres(self.place, has_split_roles)
            server.prepare()
            server.wait_ready(self.supervisor.start_service(server.command(), server.prepare))
        self.owner_url = server.owner_url if has_split_roles else ""
        return server.url

    def _start_redis(self) -> str:
        binary = embedded.find_redis_binary(self.place.account)
        if binary is None:
            self.progress.say("  No Redis found: refits still run, by the sweeper alone")
            return ""
        with self.progress.step("Starting Redis"):
            server = embedded.Redis(self.place, binary)
            server.wait_ready(self.supervisor.start_service(server.command()))
        return server.url

    def _prepare(self) -> dict[str, str]:
        """Run `manage.py prepare`, showing the steps that it names."""
        arguments = ["--local-admin"] if self.options.bind in LOOPBACK else []
        environment = {**self._full(), OWNER_URL: self.owner_url}
        command = programs.manage(environment, self.place.logs, "prepare", *arguments)
        with command.log_path.open("ab") as log, contextlib.ExitStack() as stack:
            with self.stop.hold():
                process = subprocess.Popen(
                    command.argv,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env=dict(command.env),
                    cwd=command.cwd,
                    start_new_session=True,
                    text=True,
                )
                stack.callback(process.wait)
                stack.callback(process.kill)
            timer = threading.Timer(PREPARE_DEADLINE_SECONDS, process.kill)
            timer.start()
            stack.callback(timer.cancel)
            result = self._follow(process)
        if result is None:
            raise StartError(f"Preparing {explain_exit(process.returncode, command.log_path)}")
        return result

    def _follow(self, process: subprocess.Popen[str]) -> dict[str, str] | None:
        assert process.stdout is not None
        with contextlib.ExitStack() as step:
            for line in process.stdout:
                step.close()
                kind, _, text = line.strip().partition(" ")
                if kind == "step":
                    step.enter_context(self.progress.step(text))
                if kind == "error":
                    raise StartError(text)
                if kind == "done":
                    return json.loads(text)
        process.wait()
        return None

    def _start_programs(self) -> None:
        options, logs, env = self.options, self.place.logs, self._full()
        processes = int(os.environ.get("SCALEDASH_WEB_PROCESSES", "1"))
        with self.progress.step("Starting web, worker and sweeper"):
            web = self.supervisor.start(
                programs.web(env, logs, options.bind, options.port, processes)
            )
            if self.environment["REDIS_URL"]:
                mark = hashlib.sha256(str(self.home).encode()).hexdigest()[:8]
                self.supervisor.start(programs.worker(env, logs, f"scaledash-{mark}@localhost"))
            self.supervisor.start(programs.sweeper(env, logs))
            wait_until_ready(web, self._is_serving, WEB_DEADLINE_SECONDS)
            self.supervisor.check()

    def _is_serving(self) -> bool:
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # nosec B104
        host = everywhere.get(self.options.bind, self.options.bind)
        connection = http.client.HTTPConnection(host, self.options.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status != http.HTTPStatus.SERVICE_UNAVAILABLE
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _serve(self, prepared: dict[str, str], when_ready: Callable[[], None]) -> None:
        with contextlib.ExitStack() as stack:
            if token := prepared.get("token"):
                stack.enter_context(local.announce(self.home, self.options.url, token))
                self._load_demo(token)
            self.progress.say(describe_ready(self.options.url, prepared))
            when_ready()
            self.stop.defer()
            self.supervisor.watch(lambda: False)
            self.progress.say("Stopping ...")

    def _load_demo(self, token: str) -> None:
        """Load the demo study on the first start; without it the product still runs."""
        mark = self.home / "demo.loaded"
        if not self.options.has_demo or mark.exists():
            return
        env = {**self._full(), "SCALEDASH_URL": self.options.url, "SCALEDASH_TOKEN": token}
        command = programs.manage(env, self.place.logs, "demo")
        self.progress.say("  Loading the demo study")
        deadline = time.monotonic() + DEMO_DEADLINE_SECONDS
        with contextlib.ExitStack() as stack:
            with self.stop.hold():
                process = subprocess.Popen(
                    command.argv, env=env, cwd=command.cwd, start_new_session=True
                )
                stack.callback(process.wait)
                stack.callback(process.kill)
            self.supervisor.watch(lambda: process.poll() is not None or time.monotonic() > deadline)
        if process.returncode == 0:
            mark.touch()
        else:
            self.progress.say("  The demo study did not load; try again with `make demo`")

    def _full(self) -> dict[str, str]:
        return programs.inherit_environment(self.environment)


def describe_ready(url: str, prepared: dict[str, str]) -> str:
    """The one line that a person waits for."""
    if path := prepared.get("login_path"):
        return f"ScaleDash is ready; sign in (works once): {url}{path}"
    if code := prepared.get("setup_code"):
        return f"ScaleDash is ready; make the first administrator: {url}/setup with code {code}"
    return f"ScaleDash is ready: {url}"


def check_port(bind: str, port: int) -> None:
    """Refuse a port that another program holds."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StartError(
                    f"Port {port} is taken; choose another: make up PORT={port + 1}"
                ) from None
            raise StartError(f"Cannot listen on {bind}:{port}: {error.strerror}.") from None


def check_disk(home: Path) -> None:
    """Refuse to start where the disk is about to be full."""
    free = shutil.disk_usage(home).free
    if free < MIN_FREE_BYTES:
        raise StartError(
            f"Only {free // 1024**2} MB are free on the disk of {home}; "
            f"ScaleDash needs {MIN_FREE_BYTES // 1024**2} MB to start."
        )


def explain_os_error(error: OSError, home: Path) -> str:
    """One sentence for what the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of {home} is full; free some space, then start again."
    return f"Cannot use {error.filename or home}: {error.strerror}."
