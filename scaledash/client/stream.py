"""Read the spool: rows of each writer in order, and the records between them."""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scaledash.client.records import (
    META,
    ROWS,
    SCHEMA,
    Block,
    RecordFile,
    unpack_meta,
    unpack_rows,
    unpack_schema,
)

AHEAD_POINTS = 60_000  # read no further ahead of what is sent, so that a backlog needs no memory
_SEGMENT = re.compile(r"([0-9a-f-]{36})\.(\d{6})\.seg")


@dataclass
class Stream:
    """What one writer has spooled and nobody has dealt with yet.

    Attributes
    ----------
    blocks : deque of Block
        Rows from `first_row` on.
    cuts : dict
        Row index -> marker ({"t": "resume"} or {"t": "rewind", ...}) that stands before that row.
    events : deque of dict
        Other records in order; `n` counts them from 0.
    is_complete : bool
        A finish or close record was read.
    """

    writer: str
    blocks: deque[Block] = field(default_factory=deque)
    cuts: dict[int, dict[str, object]] = field(default_factory=dict)
    events: deque[dict[str, object]] = field(default_factory=deque)
    first_row: int = 0
    end_row: int = 0
    is_complete: bool = False
    skipped_bytes: int = 0
    _files: list[RecordFile] = field(default_factory=list)
    _current: int = 0
    _schemas: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _events_read: int = 0
    _ahead_points: int = 0

    def add_segment(self, path: Path) -> None:
        """Take note of a further segment; they come in the order of their numbers."""
        if all(known.path != path for known in self._files):
            self._files.append(RecordFile(path))

    def read(self, final: bool) -> bool:
        """Read on until enough rows are at hand; say whether anything is left unread.

        Parameters
        ----------
        final : bool
            The writer is gone: a torn end is skipped and counted.
        """
        while self._current < len(self._files):
            file = self._files[self._current]
            has_next = self._current + 1 < len(self._files)
            for payload in file.read_new(final or has_next):
                self._take(payload)
                if self._ahead_points >= AHEAD_POINTS:
                    return True
            self.skipped_bytes = sum(known.skipped_bytes for known in self._files)
            if not has_next:
                return False
            self._current += 1
            self._schemas = {}
        return False

    def forget(self, row: int) -> None:
        """Let go of rows before this one."""
        self.first_row = max(self.first_row, row)
        while self.blocks and self.blocks[0].end_row <= row:
            gone = self.blocks.popleft()
            self._ahead_points -= len(gone.values)
        for index in [index for index in self.cuts if index < row]:
            del self.cuts[index]

    def forget_events(self, events: list[dict[str, object]]) -> None:
        """Let go of records that are delivered."""
        gone = {read_int(event, "n") for event in events}
        self.events = deque(event for event in self.events if event["n"] not in gone)

    def count_pending(self) -> int:
        """Return the rows read and not forgotten."""
        return sum(block.end_row - max(block.first_row, self.first_row) for block in self.blocks)

    def _take(self, payload: bytes) -> None:
        try:
            if payload[0] == ROWS:
                self._take_rows(unpack_rows(payload, self._schemas))
            elif payload[0] == SCHEMA:
                schema_id, names = unpack_schema(payload)
                self._schemas[schema_id] = names
            elif payload[0] == META:
                self._take_record(unpack_meta(payload))
        except (KeyError, ValueError, struct.error):
            self.skipped_bytes += len(payload)

    def _take_rows(self, block: Block) -> None:
        self.end_row = block.end_row
        if block.end_row > self.first_row:
            self.blocks.append(block)
            self._ahead_points += len(block.values)

    def _take_record(self, record: dict[str, object]) -> None:
        kind = record.get("t")
        if kind in ("resume", "rewind"):
            row = read_int(record, "row")
            if row >= self.first_row:
                self.cuts[row] = merge_cuts(self.cuts.get(row), record)
            return
        record["n"] = self._events_read
        self._events_read += 1
        self.events.append(record)
        if kind in ("finish", "close"):
            self.is_complete = True


def merge_cuts(old: dict[str, object] | None, new: dict[str, object]) -> dict[str, object]:
    """Join markers with no row between them: the earliest step that any of them opens wins."""
    if old is None or old["t"] == "resume" or new["t"] == "resume":
        return new
    return old if read_int(old, "step") <= read_int(new, "step") else new


def read_int(record: dict[str, object], name: str) -> int:
    """Return an integer of a record, 0 when it has none of that name."""
    value = record.get(name)
    return value if isinstance(value, int) else 0


class SpoolReader:
    """All writers of a spool directory.

    Parameters
    ----------
    directory : Path
        One run's spool.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.streams: dict[str, Stream] = {}

    def read(self, final: bool) -> bool:
        """Look for new segments and read on; say whether anything is left unread."""
        for match, path in self._list_segments():
            writer = match.group(1)
            self.streams.setdefault(writer, Stream(writer)).add_segment(path)
        unread = [stream.read(final) for stream in self.streams.values()]
        return any(unread)

    @property
    def main(self) -> Stream | None:
        """The stream of the process that called `init`; it tells config and end of the run."""
        for stream in self.streams.values():
            if stream.events and stream.events[0].get("t") == "init":
                return stream
        return None

    def _list_segments(self) -> Iterator[tuple[re.Match[str], Path]]:
        for path in sorted(self.directory.iterdir()):
            match = _SEGMENT.fullmatch(path.name)
            if match:
                yield match, path


def is_spool(directory: Path) -> bool:
    """Say whether a directory is the spool of a run."""
    return directory.is_dir() and any(is_segment(path) for path in directory.iterdir())


def is_segment(path: Path) -> bool:
    """Say whether a file holds what a writer has spooled."""
    return _SEGMENT.fullmatch(path.name) is not None
