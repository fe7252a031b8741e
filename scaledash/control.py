"""The two commands around a launch: run it (in front or detached), and end it from elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from scaledash import local
from scaledash.launch import Launch, Options, Progress, explain_os_error
from scaledash.processes import StartError, rotate_log
from scaledash.supervisor import Interrupted, catch_stop_signals

STOP_DEADLINE_SECONDS = 90.0
INTERRUPTED_STATUS = 130
ROOT = Path(__file__).resolve().parent.parent


def run_up(options: Options, is_detached: bool) -> int:
    """Bring ScaleDash up; gives the exit status."""
    return _run_detached(options) if is_detached else _run(options, lambda: None)


def run_down(home: Path) -> int:
    """End the ScaleDash of this home and wait until it is gone."""
    progress = Progress()
    pid = local.find_holder(home)
    if pid is None:
        progress.say(f"ScaleDash does not run for {home}.")
        return 0
    with progress.step(f"Stopping ScaleDash of {home}"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_DEADLINE_SECONDS
        while local.find_holder(home) == pid and time.monotonic() < deadline:
            time.sleep(0.05)
    if local.find_holder(home) == pid:
        progress.say(
            f"Process {pid} did not stop in {STOP_DEADLINE_SECONDS:.0f} s; "
            f"see {home / 'logs'}, then end it with: kill -9 {pid}"
        )
        return 1
    return 0


def _run(options: Options, when_ready: Callable[[], None]) -> int:
    progress = Progress()
    with catch_stop_signals() as stop:
        try:
            Launch(options, progress, stop).run(when_ready)
        except Interrupted:
            progress.say("Stopped before it was ready.")
            return INTERRUPTED_STATUS
        except StartError as error:
            progress.say(f"ScaleDash did not start: {error}")
            if isinstance(error, local.AlreadyRuns):
                _offer_sign_in(options.home, progress)
            return 1
        except OSError as error:
            progress.say(f"ScaleDash did not start: {explain_os_error(error, options.home)}")
            return 1
    progress.say("Stopped.")
    return 0


def _offer_sign_in(home: Path, progress: Progress) -> None:
    """Print a fresh address that signs in, for who has lost the one of the start."""
    command = [sys.executable, str(ROOT / "manage.py"), "sign_in"]
    environment = {**os.environ, **local.read_environment(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        progress.say(f"Sign in to the one that runs (works once): {done.stdout.strip()}")


def _run_detached(options: Options) -> int:
    """Run in a session of its own; return when that is ready, or with its failure."""
    output, output_end = os.pipe()
    ready, ready_end = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.dup2(output_end, 1)
        os.dup2(output_end, 2)
        for descriptor in (output, ready, output_end):
            os.close(descriptor)
        os._exit(_run(options, lambda: _leave_terminal(options.home, ready_end)))
    os.close(output_end)
    os.close(ready_end)
    with _forward_signals(pid):
        while text := os.read(output, 4096):
            Progress().write(text.decode(errors="replace"))
    if os.read(ready, 1):
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _leave_terminal(home: Path, ready_end: int) -> None:
    """Write to a log from now on, and let the waiting command return."""
    log_path = home / "logs" / "up.log"
    rotate_log(log_path)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.write(ready_end, b"r")
    os.dup2(nowhere, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for descriptor in (log, nowhere, ready_end):
        os.close(descriptor)


@contextlib.contextmanager
def _forward_signals(pid: int) -> Iterator[None]:
    """Hand Ctrl-C on to the process that is starting in its own session."""

    def forward(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> int:
    """`python -m scaledash.control '<options as JSON>'`; manage.py up turns into this."""
    chosen = json.loads(sys.argv[1])
    options = Options(Path(chosen["home"]), chosen["bind"], chosen["port"], chosen["has_demo"])
    return run_up(options, chosen["is_detached"])


if __name__ == "__main__":
    sys.exit(main())
