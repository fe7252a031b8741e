"""The control log: what the sender has cut, sent, set aside. Written only by the sender.

Records (`t`), each a META frame:

created  the server knows the run: its answer to POST /runs
base     step from which relative rows of a writer count
batch    boundary of (writer, seq), on disk before its first send: rows, cut, without
ack      rows of a writer up to `end` are stored by the server
event    records of the main writer before `n` are delivered
strip    part of a description that the server refused, by JSON pointer
dead     rows or records that the server refused, with its reason
retry    a dead letter is sent again, as the next batch of its writer
revived  a dead letter was accepted after all
rewriter rows of a writer from `row` on are sent under another writer id
trouble  why nothing could be sent, for `scaledash status`
done     the end of the run is delivered
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scaledash.client.records import MAGIC, META, RecordFile, pack_meta, unpack_meta
from scaledash.client.stream import read_int

NAME = "control.log"


@dataclass(frozen=True)
class Plan:
    """The boundary of one batch; its body is a pure function of this and the spool.

    Attributes
    ----------
    writer, sent_as : str
        Writer of the segments, and the id under which the server knows it.
    first_row, end_row : int
        Rows of the writer's stream, half open.
    cut : dict or None
        The marker before the first row, if that opens an attempt.
    without : tuple of (name or None, row or None)
        Points left out because the server refused them; None means all.
    only : (name or None, row or None) or None
        Nothing but these points, to send a dead letter again.
    """

    writer: str
    sent_as: str
    seq: int
    first_row: int
    end_row: int
    cut: dict[str, object] | None = None
    without: tuple[tuple[str | None, int | None], ...] = ()
    only: tuple[str | None, int | None] | None = None


@dataclass
class Progress:
    """How far one writer's rows have come."""

    sent_as: str
    acked_row: int = 0
    last_seq: int = 0
    base: int | None = None
    plan: Plan | None = None


@dataclass
class Control:
    """State of a spool as its sender left it.

    Attributes
    ----------
    created : dict or None
        The server's answer to the creation of the run.
    done : str
        State that was delivered as the end of the run, or "".
    dead : list of dict
        What the server refused.
    """

    created: dict[str, object] | None = None
    created_with_host: bool = False
    done: str = ""
    events: int = 0
    dead: list[dict[str, object]] = field(default_factory=list)
    stripped: list[tuple[int, str]] = field(default_factory=list)
    trouble: dict[str, object] | None = None
    writers: dict[str, Progress] = field(default_factory=dict)

    def writer(self, name: str) -> Progress:
        """Return the progress of a writer, from the beginning if it is new."""
        return self.writers.setdefault(name, Progress(sent_as=name))

    @property
    def dead_rows(self) -> int:
        """Rows and points that the server refused."""
        return sum(max(1, read_int(item, "count")) for item in self.dead if "writer" in item)

    def apply(self, record: Mapping[str, object]) -> None:
        """Take one record into account."""
        handler = getattr(self, f"_apply_{record.get('t')}", None)
        if handler is not None:
            handler(dict(record))

    def _apply_created(self, record: dict[str, object]) -> None:
        run = record.get("run")
        self.created = run if isinstance(run, dict) else {}
        self.created_with_host = record.get("host") is True

    def _apply_base(self, record: dict[str, object]) -> None:
        self.writer(str(record["writer"])).base = read_int(record, "base")

    def _apply_batch(self, record: dict[str, object]) -> None:
        progress = self.writer(str(record["writer"]))
        progress.plan = plan_from_record(record)

    def _apply_ack(self, record: dict[str, object]) -> None:
        progress = self.writer(str(record["writer"]))
        progress.acked_row = read_int(record, "end")
        progress.last_seq = read_int(record, "seq")
        progress.plan = None
        self.trouble = None

    def _apply_event(self, record: dict[str, object]) -> None:
        self.events = read_int(record, "n")

    def _apply_strip(self, record: dict[str, object]) -> None:
        self.stripped.append((read_int(record, "n"), str(record.get("pointer", ""))))
        self.dead.append(record)

    def _apply_dead(self, record: dict[str, object]) -> None:
        place = [record.get(name) for name in ("writer", "rows", "metric", "row")]
        known = [
            [item.get(name) for name in ("writer", "rows", "metric", "row")] for item in self.dead
        ]
        if place not in known:  # buried again after a crash before the batch was re-cut
            self.dead.append(record)

    def _apply_retry(self, record: dict[str, object]) -> None:
        for item in self.dead:
            if item.get("id") == record.get("id"):
                item |= {"as": record["as"], "seq": record["seq"]}
        progress = self.writer(str(record["writer"]))
        progress.last_seq = max(progress.last_seq, read_int(record, "seq"))

    def _apply_revived(self, record: dict[str, object]) -> None:
        self.dead = [item for item in self.dead if item.get("id") != record.get("id")]

    def _apply_rewriter(self, record: dict[str, object]) -> None:
        progress = self.writer(str(record["writer"]))
        progress.sent_as = str(record["as"])
        progress.last_seq = 0
        progress.plan = None

    def _apply_trouble(self, record: dict[str, object]) -> None:
        self.trouble = record

    def _apply_done(self, record: dict[str, object]) -> None:
        self.done = str(record.get("state", ""))
        self.trouble = None


def plan_from_record(record: Mapping[str, object]) -> Plan:
    """Read the boundary that a "batch" record holds."""
    rows, without, cut = record["rows"], record.get("without"), record.get("cut")
    assert isinstance(rows, list)
    pairs = without if isinstance(without, list) else []
    return Plan(
        writer=str(record["writer"]),
        sent_as=str(record["as"]),
        seq=read_int(dict(record), "seq"),
        first_row=int(rows[0]),
        end_row=int(rows[1]),
        cut=cut if isinstance(cut, dict) else None,
        without=tuple((name, row) for name, row in pairs),
    )


def plan_to_record(plan: Plan) -> dict[str, object]:
    """Return the "batch" record of a boundary."""
    record: dict[str, object] = {
        "t": "batch",
        "writer": plan.writer,
        "as": plan.sent_as,
        "seq": plan.seq,
        "rows": [plan.first_row, plan.end_row],
    }
    if plan.cut is not None:
        record["cut"] = plan.cut
    if plan.without:
        record["without"] = [list(pair) for pair in plan.without]
    return record


class ControlLog:
    """The control log of a directory, opened for appending by the holder of the send lock."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self.state = read_control(directory)
        self._file: int | None = None

    def append(self, record: dict[str, object], durable: bool = False) -> None:
        """Write a record and apply it; `durable` returns after it has reached the disk."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._file = os.open(self.path, flags, 0o600)
            if os.fstat(self._file).st_size == 0:
                os.write(self._file, MAGIC)
        _write_all(self._file, pack_meta(record))
        if durable:
            os.fsync(self._file)
        self.state.apply(record)

    def close(self) -> None:
        """Flush and close."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None


def read_control(directory: Path) -> Control:
    """Return the state that the control log of a directory tells; damaged records are skipped."""
    state = Control()
    path = directory / NAME
    if not path.exists():
        return state
    for payload in RecordFile(path).read_new(final=True):
        if payload[0] == META:
            state.apply(unpack_meta(payload))
    return state


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
