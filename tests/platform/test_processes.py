"""Child processes stop when asked, when stubborn, and when their parent is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scaledash.processes import (
    MAX_LOG_BYTES,
    Child,
    Command,
    StartError,
    explain_exit,
    rotate_log,
    wait_until_ready,
)
from scaledash.supervisor import Interrupted, StopRequest, Supervisor

STUBBORN = "trap '' TERM; sleep 300 & echo $!; wait; wait"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Command]:
    def make(script: str, stop_seconds: float = 5.0) -> Command:
        argv = ("/bin/sh", "-c", script)
        return Command("shell", argv, tmp_path / "shell.log", os.environ, stop_seconds=stop_seconds)

    return make


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    lines: list[str] = []
    made = Supervisor(lines.append, StopRequest())
    made.lines = lines
    yield made
    made.stop()


def test_a_stubborn_child_is_killed_with_its_children(shell: Callable[..., Command]) -> None:
    command = shell(STUBBORN, stop_seconds=0.2)
    child = Child(command)
    wait_for(lambda: command.log_path.read_text().strip() != "", "the grandchild's id is logged")
    grandchild = int(command.log_path.read_text())

    child.stop()

    wait_for(lambda: not is_alive(grandchild), "the grandchild ends")
    assert not is_alive(child.pid)


def test_children_of_a_killed_program_go_with_it(shell: Callable[..., Command]) -> None:
    command = shell("sleep 300 & echo $!; wait")
    child = Child(command)
    wait_for(lambda: command.log_path.read_text().strip() != "", "the grandchild's id is logged")
    grandchild = int(command.log_path.read_text())

    os.kill(child.pid, signal.SIGKILL)

    wait_for(lambda: child.poll() is not None and not is_alive(grandchild), "both end")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, time, pathlib; from scaledash.processes import Child, Command\n"
        f"log = pathlib.Path({str(tmp_path / 'x.log')!r})\n"
        "print(Child(Command('x', ('/bin/sleep', '300'), log, os.environ)).pid, flush=True)\n"
        "time.sleep(300)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert is_alive(child)

    parent.kill()
    parent.communicate()

    wait_for(lambda: not is_alive(child), "the child ends")


def test_a_child_that_never_gets_ready_is_stopped_and_its_log_named(
    shell: Callable[..., Command],
) -> None:
    child = Child(shell("sleep 300"))

    with pytest.raises(StartError, match=r"shell was not ready after 0 s; see .*shell\.log"):
        wait_until_ready(child, lambda: False, deadline_seconds=0.05)

    assert not is_alive(child.pid)


def test_a_full_disk_is_named_as_the_cause(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text('PANIC:  could not write to file "x": No space left on device\n')

    assert "the disk is full" in explain_exit(1, log)


def test_a_grown_log_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("wb") as file:
        file.truncate(MAX_LOG_BYTES + 1)

    rotate_log(log)

    assert [path.name for path in tmp_path.iterdir()] == ["web.log.1"]


def test_a_crashed_program_is_started_again_and_said(
    supervisor: Supervisor, shell: Callable[..., Command]
) -> None:
    first = supervisor.start(shell("sleep 300"))
    os.kill(first.pid, signal.SIGKILL)

    supervisor.watch(lambda: supervisor.programs[0].child is not first)

    assert is_alive(supervisor.programs[0].child.pid)
    assert "shell was killed by signal 9" in supervisor.lines[0]


def test_a_program_that_keeps_crashing_is_started_ever_more_rarely(
    supervisor: Supervisor, shell: Callable[..., Command]
) -> None:
    supervisor.start(shell("exit 3"))

    supervisor.watch(lambda: len(supervisor.lines) == 3)

    assert [line.rsplit("in ", 1)[1] for line in supervisor.lines] == ["0.5 s", "1.0 s", "2.0 s"]


def test_a_failed_preparation_is_tried_again(
    supervisor: Supervisor, shell: Callable[..., Command]
) -> None:
    outcomes = [StartError("not yet"), None]

    def prepare() -> None:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome

    first = supervisor.start_service(shell("sleep 300"), prepare)
    os.kill(first.pid, signal.SIGKILL)

    supervisor.watch(lambda: supervisor.programs[0].child is not first)

    assert "could not restart: not yet" in supervisor.lines[1]


def test_an_exit_during_the_start_is_a_failure(
    supervisor: Supervisor, shell: Callable[..., Command]
) -> None:
    child = supervisor.start(shell("exit 3"))
    wait_for(lambda: child.poll() is not None, "the program exits")

    with pytest.raises(StartError, match="shell exited with status 3"):
        supervisor.check()


def test_services_stop_after_the_programs_that_use_them(
    supervisor: Supervisor, shell: Callable[..., Command], tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    script = "trap 'echo {0} >> {1}; exit' TERM; echo up; sleep 300 & wait"
    supervisor.start_service(shell(script.format("service", journal)))
    supervisor.start(shell(script.format("program", journal)))
    log = tmp_path / "shell.log"
    wait_for(lambda: log.read_text().count("up") == 2, "both are up")

    supervisor.stop()

    assert journal.read_text().split() == ["program", "service"]


def test_a_stop_during_a_start_waits_until_the_process_is_noted() -> None:
    request = StopRequest()
    noted = []

    with pytest.raises(Interrupted), request.hold():
        request.handle(signal.SIGINT, None)
        noted.append("process")

    assert noted == ["process"]


def test_a_stop_interrupts_the_start_once_and_is_only_remembered_later() -> None:
    request = StopRequest()
    with pytest.raises(Interrupted):
        request.handle(signal.SIGINT, None)

    request.handle(signal.SIGINT, None)

    assert request.is_set
