"""TensorBoard's event files: records with checksums, and the scalars in them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scaledash.client.importers.crc32c import compute_masked
from scaledash.client.importers.model import Tally
from scaledash.client.importers.wire import (
    Malformed,
    read_fields,
    read_packed_doubles,
    read_packed_floats,
    read_packed_varints,
    to_double,
    to_float,
    to_signed,
    to_text,
)

HEADER_BYTES, FOOTER_BYTES = 12, 4
MAX_RECORD_BYTES = 1 << 30
HPARAMS = "hparams"
SESSION_START = 1
STATUSES = {1: "finished", 2: "failed", 3: None}


@dataclass
class Session:
    """What the hparams plugin says of a run."""

    config: dict[str, object] = field(default_factory=dict)
    status: int = 0

    def join(self, later: Session) -> None:
        """Take what a later event adds: start and end of a session come in events of their own."""
        self.config |= later.config
        self.status = later.status or self.status


@dataclass
class Event:
    """One event with what matters here of it."""

    wall_time: float = 0.0
    step: int = 0
    scalars: list[tuple[str, float]] = field(default_factory=list)
    session: Session | None = None
    is_restart: bool = False


def read_records(path: Path, tally: Tally) -> Iterator[bytes]:
    """Yield the records of a file up to its torn tail, or up to damage, which is counted."""
    with path.open("rb") as file:
        while True:
            header = file.read(HEADER_BYTES)
            if len(header) < HEADER_BYTES:
                return  # the end, or a record that is being written
            size, checksum = struct.unpack("<QI", header)
            if compute_masked(header[:8]) != checksum or size > MAX_RECORD_BYTES:
                tally.count(f"{path.name}: damaged at byte {file.tell() - HEADER_BYTES}; files")
                return
            data = file.read(size + FOOTER_BYTES)
            if len(data) < size + FOOTER_BYTES:
                return
            if compute_masked(data[:size]) != struct.unpack("<I", data[size:])[0]:
                tally.count(f"{path.name}: damaged at byte {file.tell() - len(data)}; files")
                return
            yield data[:size]


def read_events(path: Path, tally: Tally) -> Iterator[Event]:
    """Yield the events of a file that hold scalars, hyperparameters or a restart."""
    for record in read_records(path, tally):
        try:
            event = parse_event(record, tally)
        except (Malformed, struct.error, UnicodeDecodeError):
            tally.count(f"{path.name}: events that are no messages, left out")
            continue
        if event.scalars or event.session or event.is_restart:
            yield event


def parse_event(data: bytes, tally: Tally) -> Event:
    """Return an event; a step that is not there is 0."""
    event = Event()
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, bytes):
            event.wall_time = to_double(value)
        elif number == 2 and isinstance(value, int):
            event.step = to_signed(value)
        elif number == 5 and isinstance(value, bytes):
            _parse_summary(value, event, tally)
        elif number == 7 and isinstance(value, bytes):
            event.is_restart = dict(read_fields(value)).get(1) == SESSION_START
    return event


def _parse_summary(data: bytes, event: Event, tally: Tally) -> None:
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, bytes):
            _parse_value(value, event, tally)


def _parse_value(data: bytes, event: Event, tally: Tally) -> None:
    tag, found, is_other = "", None, False
    plugin, content = "", b""
    for number, value in read_fields(data):
        if number == 1:
            tag = to_text(value)
        elif number == 2 and isinstance(value, bytes):
            found = to_float(value)
        elif number == 8 and isinstance(value, bytes):
            found = parse_tensor(value)
            is_other = found is None
        elif number == 9 and isinstance(value, bytes):
            plugin, content = _parse_metadata(value)
        elif number in (4, 5, 6):
            is_other = True
    if plugin == HPARAMS:
        event.session = _parse_hparams(content, event.session or Session())
    elif found is not None:
        event.scalars.append((tag, found))
    elif is_other:
        tally.count("images, histograms, texts and other summaries, left out")


def _parse_metadata(data: bytes) -> tuple[str, bytes]:
    plugin = dict(read_fields(data)).get(1, b"")
    fields = dict(read_fields(plugin)) if isinstance(plugin, bytes) else {}
    content = fields.get(2, b"")
    return to_text(fields.get(1, b"")), content if isinstance(content, bytes) else b""


_FORMATS = {1: "<f", 2: "<d", 3: "<i", 9: "<q", 19: "<e"}  # types of tensor_content
_LISTS = {5: read_packed_floats, 6: read_packed_doubles}


def parse_tensor(data: bytes) -> float | None:
    """Return a tensor of one number, None for any other."""
    kind, size, values = 0, 1, []
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, bytes):
            size = math.prod(_read_dimensions(value))
        elif number == 4 and isinstance(value, bytes):
            values += _unpack(kind, value)
        elif number in _LISTS and isinstance(value, bytes):
            values += _read_list(number, value)
        elif number in (7, 10):
            values += read_packed_varints(value) if isinstance(value, bytes) else [to_signed(value)]
    return float(values[0]) if size == 1 and len(values) == 1 else None


def _read_list(number: int, value: bytes) -> list[float]:
    if len(value) == 4 and number == 5:
        return [to_float(value)]
    return _LISTS[number](value)


def _read_dimensions(shape: bytes) -> Iterator[int]:
    for number, value in read_fields(shape):
        if number == 2 and isinstance(value, bytes):
            size = dict(read_fields(value)).get(1, 0)
            yield size if isinstance(size, int) else 0


def _unpack(kind: int, content: bytes) -> list[float]:
    if kind == 14 and len(content) == 2:  # bfloat16: the upper half of a float32
        return [to_float(b"\x00\x00" + content)]
    form = _FORMATS.get(kind)
    if form is None or len(content) != struct.calcsize(form):
        return []
    return [float(struct.unpack(form, content)[0])]


def _parse_hparams(content: bytes, session: Session) -> Session:
    for number, value in read_fields(content):
        if number == 3 and isinstance(value, bytes):
            session.config |= _parse_start(value)
        elif number == 4 and isinstance(value, bytes):
            status = dict(read_fields(value)).get(1, 0)
            session.status = status if isinstance(status, int) else 0
    return session


def _parse_start(data: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    for number, value in read_fields(data):
        if number == 1 and isinstance(value, bytes):
            entry = dict(read_fields(value))
            held = entry.get(2, b"")
            key = to_text(entry.get(1, b""))
            found[key] = _parse_wrapped(held) if isinstance(held, bytes) else None
    return {key: value for key, value in found.items() if value is not None}


def _parse_wrapped(data: bytes) -> object:
    for number, value in read_fields(data):
        if number == 2 and isinstance(value, bytes):
            return to_double(value)
        if number == 3:
            return to_text(value)
        if number == 4:
            return bool(value)
    return None
