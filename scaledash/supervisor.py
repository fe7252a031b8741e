"""Keep a set of programs running: start, watch, restart with back-off, stop in order."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from scaledash.processes import Child, Command, StartError, explain_exit

WATCH_SECONDS = 0.1
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 60.0


@dataclass
class Program:
    """One supervised program; `prepare` runs before every restart."""

    command: Command
    prepare: Callable[[], None] | None = None
    is_service: bool = False
    child: Child | None = None
    started_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    restart_at: float | None = None

    def start(self) -> Child:
        """Start it now."""
        self.restart_at = None
        self.started_at = time.monotonic()
        self.child = Child(self.command)
        return self.child


class Supervisor:
    """Services that others need, and programs; programs stop first, all at once."""

    def __init__(self, say: Callable[[str], None], stop: StopRequest) -> None:
        self.programs: list[Program] = []
        self._say = say
        self._stop = stop

    def start(self, command: Command) -> Child:
        """Start a program and watch it from now on."""
        return self._add(Program(command))

    def start_service(self, command: Command, prepare: Callable[[], None] | None = None) -> Child:
        """Start a server that programs need; it stops after them."""
        return self._add(Program(command, prepare, is_service=True))

    def watch(self, is_done: Callable[[], bool]) -> None:
        """Restart what exits, until done or asked to stop."""
        while not (is_done() or self._stop.is_set):
            for program in self.programs:
                self._look_after(program)
            time.sleep(WATCH_SECONDS)

    def check(self) -> None:
        """Raise if a program has exited: at the start that is a failure, not a crash."""
        for program in self.programs:
            status = program.child.poll() if program.child else None
            if status is not None:
                command = program.command
                raise StartError(f"{command.name} {explain_exit(status, command.log_path)}")

    def stop(self) -> None:
        """Stop everything; no process is left."""
        for is_service in (False, True):
            children = [
                program.child
                for program in reversed(self.programs)
                if program.child and program.is_service is is_service
            ]
            for child in children:
                child.ask_to_stop()
            for child in children:
                child.stop()

    def _add(self, program: Program) -> Child:
        with self._stop.hold():
            self.programs.append(program)
            return program.start()

    def _look_after(self, program: Program) -> None:
        if program.restart_at is not None:
            if time.monotonic() >= program.restart_at:
                self._restart(program)
            return
        status = program.child.poll() if program.child else None
        if status is None:
            return
        if time.monotonic() - program.started_at > STABLE_SECONDS:
            program.pause_seconds = FIRST_PAUSE_SECONDS
        self._plan_restart(program, explain_exit(status, program.command.log_path))

    def _restart(self, program: Program) -> None:
        try:
            if program.prepare:
                program.prepare()
            program.start()
        except (StartError, OSError) as error:
            self._plan_restart(program, f"could not restart: {error}")

    def _plan_restart(self, program: Program, reason: str) -> None:
        pause = program.pause_seconds
        self._say(f"{program.command.name} {reason}; starting it again in {pause:.1f} s")
        program.restart_at = time.monotonic() + pause
        program.pause_seconds = min(pause * 2, LONGEST_PAUSE_SECONDS)


class Interrupted(Exception):
    """The person, or `make down`, asked to stop."""


class StopRequest:
    """Remembers that a stop was asked for; before `defer` it interrupts the start at once."""

    def __init__(self) -> None:
        self.is_set = False
        self._raises = True
        self._is_held = False

    def defer(self) -> None:
        """From now on only remember the request."""
        self._raises = False

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let a process be started and noted; an interruption in between would lose it."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        self._interrupt()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Signal handler."""
        self.is_set = True
        self._interrupt()

    def _interrupt(self) -> None:
        if self.is_set and self._raises and not self._is_held:
            self._raises = False
            raise Interrupted


@contextlib.contextmanager
def catch_stop_signals() -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGHUP into a stop request."""
    request = StopRequest()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, request.handle) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
