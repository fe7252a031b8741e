"""Send spools of this machine: idempotent, resumable, one bad run never stops the others."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from scaledash.client.batches import encode_batch
from scaledash.client.control import NAME, Control, ControlLog, plan_from_record, read_control
from scaledash.client.link import TROUBLE, Connect, Link, Paused, make_path
from scaledash.client.lock import SEND_LOCK, TRAIN_LOCK, DirectoryLock, is_held
from scaledash.client.opening import DEFAULT_DIRECTORY
from scaledash.client.sender import Sender, Step
from scaledash.client.settings import VARIABLES, Pace, read_variable
from scaledash.client.stream import SpoolReader, Stream, is_segment, is_spool
from scaledash.client.verdicts import Verdict

MAX_TRIES = 6
OWN_FILES = frozenset({NAME, TRAIN_LOCK, SEND_LOCK, "sender.log"})


@dataclass(frozen=True)
class SpoolState:
    """What is known of one spool.

    Attributes
    ----------
    state : str
        "sent", "pending", "running" (its process lives), "locked" (another sender), "damaged".
    rows, pending, dead : int
        Rows spooled, not yet stored by the server, refused by it.
    reason : str
        Why something is pending.
    """

    directory: Path
    run_id: str
    name: str
    state: str
    rows: int
    pending: int
    dead: int
    skipped_bytes: int
    reason: str = ""

    def to_json(self) -> dict[str, object]:
        """Return a JSON object for `--json`."""
        return {**self.__dict__, "directory": str(self.directory)}


def find_spools(paths: Iterable[Path]) -> list[Path]:
    """Return the spool directories among these paths and right below them, oldest first.

    Without paths: below SCALEDASH_DIR, else ./scaledash-runs.
    """
    bases = list(paths) or [Path(read_variable(os.environ, VARIABLES["dir"]) or DEFAULT_DIRECTORY)]
    return list(dict.fromkeys(found for base in bases for found in _look_into(base)))


def describe_spool(directory: Path) -> SpoolState:
    """Read a spool and its control log; changes nothing."""
    control = read_control(directory)
    reader = SpoolReader(directory)
    is_running = is_held(directory / TRAIN_LOCK)
    has_more, rows = True, 0
    while has_more:
        has_more = reader.read(final=not is_running)
        for stream in reader.streams.values():
            stream.forget(stream.end_row)
    rows = sum(stream.end_row for stream in reader.streams.values())
    acked = sum(progress.acked_row for progress in control.writers.values())
    main = reader.main
    state = _name_state(control, main, is_running, rows - acked)
    init = main.events[0] if main else {}
    return SpoolState(
        directory=directory,
        run_id=str(init.get("id") or directory.name),
        name=str(init.get("name") or init.get("id") or directory.name),
        state=state,
        rows=rows,
        pending=max(0, rows - acked),
        dead=len(control.dead),
        skipped_bytes=sum(stream.skipped_bytes for stream in reader.streams.values()),
        reason=str((control.trouble or {}).get("reason", "")),
    )


def sync_spool(
    directory: Path, connect: Connect, pace: Pace, say: Callable[[str], None], live: bool = False
) -> SpoolState:
    """Send what is left of one spool; return how it stands then.

    Parameters
    ----------
    directory : Path
        The spool.
    connect : callable
        Returns the transport.
    pace : Pace
        Waits between retries; six tries in a row without an answer end the attempt.
    say : callable
        Takes the server's warnings.
    live : bool
        Stay until the run has ended.
    """
    if read_control(directory).done and describe_spool(directory).pending == 0:
        return describe_spool(directory)
    lock = DirectoryLock(directory / SEND_LOCK)
    if not lock.acquire():
        return _with_reason(
            describe_spool(directory), "locked", f"{lock.read_holder()} sends it already"
        )

    def report(event: dict[str, object]) -> None:
        is_reason = str(event.get("cause")).startswith(TROUBLE)  # stands in the state
        if event.get("event") == "warning" and not is_reason:
            say(str(event.get("text")))

    sender = Sender(directory, connect, pace, report)
    try:
        step = _send_until_settled(sender, live)
    finally:
        sender.close()
        lock.release()
    state = describe_spool(directory)
    if step.state in ("retry", "stopped"):
        return _with_reason(state, "pending", step.reason)
    return state


def retry_dead(directory: Path, connect: Connect) -> int:
    """Send again what the server refused; return how many dead letters it takes now.

    Each letter becomes the next batch of its writer, which the server takes also after the end of
    the run. Its seq is on disk before it is sent, so a repetition after a lost reply stores nothing
    twice. Everything else must be delivered before.
    """
    lock = DirectoryLock(directory / SEND_LOCK)
    if not lock.acquire():
        return 0
    control = ControlLog(directory)
    link = Link(control, connect, lambda event: None)
    try:
        letters = [letter for letter in control.state.dead if "writer" in letter]
        return sum(_resend(directory, letter, link) for letter in letters)
    except Paused:
        return 0
    finally:
        link.close()
        control.close()
        lock.release()


def _resend(directory: Path, letter: dict[str, object], link: Link) -> bool:
    control = link.control
    progress = control.state.writer(str(letter["writer"]))
    if "as" not in letter:
        next_seq = {"as": progress.sent_as, "seq": progress.last_seq + 1}
        record = {"t": "retry", "id": letter["id"], "writer": letter["writer"], **next_seq}
        control.append(record, durable=True)
    name, row = letter.get("metric"), letter.get("row")
    plan = replace(
        plan_from_record(letter),
        only=(name if isinstance(name, str) else None, row if isinstance(row, int) else None),
    )
    reader = SpoolReader(directory)
    stream = reader.streams.setdefault(plan.writer, Stream(plan.writer))
    stream.forget(plan.first_row)
    while reader.read(final=True) and stream.end_row < plan.end_row:
        for other in reader.streams.values():
            other.forget(plan.first_row if other is stream else other.end_row)
    if reader.main is None:
        return False
    body, _ = encode_batch(stream, plan, progress.base)
    path = make_path(reader.main.events[0], "/metrics")
    if link.request("POST", path, body)[1] is not Verdict.STORED:
        return False
    control.append({"t": "revived", "id": letter["id"]}, durable=True)
    return True


def remove_sent(state: SpoolState) -> bool:
    """Remove a spool of which everything is stored by the server; say whether it was removed.

    Files that the script has put there (`run.dir`) stay, and their directory with them.
    """
    if state.state != "sent" or state.pending or state.dead or state.skipped_bytes:
        return False
    if is_held(state.directory / TRAIN_LOCK) or is_held(state.directory / SEND_LOCK):
        return False
    for path in state.directory.iterdir():
        if is_segment(path) or path.name in OWN_FILES:
            path.unlink()
    with contextlib.suppress(OSError):  # something of the script's is there
        state.directory.rmdir()
    return True


def _look_into(base: Path) -> Iterator[Path]:
    if not base.is_dir():
        return
    if is_spool(base):
        yield base
        return
    for path in sorted(base.iterdir()):
        if path.is_dir() and not path.is_symlink() and is_spool(path):
            yield path


def _send_until_settled(sender: Sender, live: bool) -> Step:
    while True:
        final = not is_held(sender.directory / TRAIN_LOCK)
        step = sender.advance(final=final, hurry=True)
        if step.state in ("done", "stopped"):
            return step
        if step.state == "idle" and not live and _is_created(sender):
            return step
        if step.state == "retry" and sender.link.failures >= MAX_TRIES and not live:
            return step
        time.sleep(step.wait_seconds)


def _is_created(sender: Sender) -> bool:
    return sender.control.state.created is not None


def _name_state(control: Control, main: Stream | None, is_running: bool, pending: int) -> str:
    if main is None:
        return "damaged"
    if is_running:
        return "running"
    return "sent" if control.done and pending <= 0 else "pending"


def _with_reason(state: SpoolState, name: str, reason: str) -> SpoolState:
    return SpoolState(**{**state.__dict__, "state": name, "reason": reason})
