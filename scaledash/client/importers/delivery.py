"""Send a run of a source: completely, once, and from where an earlier import stopped.

What has arrived is kept with the run on the server, in `host["import"]`: for each part the rows
that are stored, a digest of them, and the end of the batch that is about to be sent. A batch is
therefore cut the same way again after a crash, and its key (writer, seq) makes it count once.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import quote

from scaledash.client.errors import AuthError, Refused
from scaledash.client.importers.model import (
    Entry,
    Part,
    Point,
    Rewind,
    SourceRun,
    Tally,
    clean,
    make_uid,
    make_writer,
)
from scaledash.client.jsonable import mask_text, to_json
from scaledash.client.nonfinite import write_value
from scaledash.client.transport import Reply, Transport, encode_json

MAX_POINTS = 5_000  # of a batch: with times it stays below 1 MiB of JSON
MAX_TAGS, MAX_TEXT, MAX_NOTES_BYTES = 64, 256, 64_000
ENDED = ("finished", "failed", "interrupted")
RETRIED = (0, 429, 500, 502, 503, 504)
PATIENCE_SECONDS = 600.0
MAX_WAIT_SECONDS = 300.0


@dataclass(frozen=True)
class Cursor:
    """How far a part has come.

    Attributes
    ----------
    generation : int
        Counts how often the part was found to be another one than before.
    rows, digest : int, str
        Entries that are stored, and what they were.
    seq : int
        Number of the batch that holds the last of them.
    end, end_digest : int, str
        The same after the batch that is on its way.
    """

    generation: int = 0
    rows: int = 0
    seq: int = 0
    digest: str = ""
    end: int = 0
    end_digest: str = ""

    def advance(self) -> Cursor:
        """Return the cursor after the batch on its way was stored."""
        return replace(self, rows=self.end, seq=self.seq + 1, digest=self.end_digest)


class Changed(Exception):
    """The rows that were sent are no longer those of the source."""


@dataclass
class Result:
    """What became of a run."""

    uid: str
    points: int = 0
    is_new: bool = False
    is_reread: bool = False


class Delivery:
    """The way of runs into a project.

    Parameters
    ----------
    transport : Transport
        Connection to the server.
    project : str
        Slug of the project.
    studies : sequence of str
        Studies that new runs join.
    kind : str
        Kind of the source.
    sleep : callable
        Waits between tries.
    """

    def __init__(
        self,
        transport: Transport,
        project: str,
        kind: str,
        studies: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.project = project
        self.kind = kind
        self._transport = transport
        self._studies = list(studies)
        self._sleep = sleep

    def deliver(
        self, run: SourceRun, scale: Mapping[str, object], tally: Tally, show: Callable[[int], None]
    ) -> Result:
        """Send what the server does not have yet of a run.

        Raises
        ------
        AuthError, Refused
            The server does not take it.
        """
        shipment = _Shipment(self, run, scale, tally, show)
        return shipment.send()

    def request(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """Send a request until it is answered; returns the answer."""
        data = None if body is None else encode_json(body)
        waited, wait = 0.0, 0.5
        while True:
            reply = self._transport.send(method, path, data)
            if reply.status not in RETRIED:
                return self._read(reply)
            pause = min(reply.read_retry_after() or wait, MAX_WAIT_SECONDS)
            # A limit is waited for as long as it takes; an outage for ten minutes.
            if reply.status != 429 and waited + pause > PATIENCE_SECONDS:
                return self._read(reply)
            self._sleep(pause)
            waited, wait = waited + pause, min(wait * 2, 60.0)

    def _read(self, reply: Reply) -> dict[str, object]:
        code, message, pointer = reply.read_error()
        if reply.status in (401, 403):
            raise AuthError(message)
        if not 200 <= reply.status < 300:
            raise Refused(message, reply.status, code, pointer)
        return reply.read_json() or {}

    def find(self, uid: str) -> dict[str, object] | None:
        """Return the run of this id, None where there is none."""
        try:
            return self.request("GET", self.write_path(uid))
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def write_path(self, uid: str, rest: str = "", query: str = "") -> str:
        """Return the address of a run in this project."""
        return f"/api/v1/runs/{uid}{rest}?project={quote(self.project, safe='')}{query}"

    def write_creation(self, run: SourceRun, uid: str) -> dict[str, object]:
        """Return the body that opens a run, without its host facts."""
        body: dict[str, object] = {
            "id": uid,
            "request_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"import:{uid}")),
            "project": self.project,
            "name": _cut_text(run.name),
            "group": _cut_text(run.group),
            "job_type": _cut_text(run.job_type),
            "tags": [_cut_text(tag) for tag in run.tags if tag][:MAX_TAGS],
            "notes": mask_text(run.notes.encode()[:MAX_NOTES_BYTES].decode(errors="ignore")),
            "config": to_json(run.config),
        }
        if run.started_at is not None:
            body["started_at"] = run.started_at
        if self._studies:
            body["study"] = self._studies
        return body


class _Shipment:
    """One run on its way."""

    def __init__(
        self,
        delivery: Delivery,
        run: SourceRun,
        scale: Mapping[str, object],
        tally: Tally,
        show: Callable[[int], None],
    ) -> None:
        self.delivery = delivery
        self.run = run
        self.scale = scale
        self.tally = tally
        self.show = show
        self.result = Result(make_uid(delivery.kind, run.key))
        self.cursors: dict[str, Cursor] = {}
        self.is_open = False
        self.is_known = False

    def send(self) -> Result:
        document = self.delivery.find(self.result.uid)
        self.is_known = document is not None
        self.cursors = _read_cursors(document)
        for part in self.run.parts:
            self._send_part(part)
        if not self.is_known and not self.is_open:
            self._open()
        self._finish(document)
        return self.result

    def _send_part(self, part: Part) -> None:
        cursor = self._settle(part)
        try:
            self._send_rows(part, cursor)
        except Changed:
            self.result.is_reread = True
            self._send_rows(part, Cursor(generation=cursor.generation + 1))

    def _settle(self, part: Part) -> Cursor:
        """Return the cursor of a part, after asking what became of the batch on its way."""
        cursor = self.cursors.get(part.name, Cursor())
        if cursor.end <= cursor.rows:
            return cursor
        writer = make_writer(self.result.uid, part.name, cursor.generation)
        path = self.delivery.write_path(self.result.uid, "/cursor", f"&writer={writer}")
        last_seq = self.delivery.request("GET", path).get("last_seq")
        is_stored = isinstance(last_seq, int) and last_seq > cursor.seq
        return cursor.advance() if is_stored else cursor

    def _send_rows(self, part: Part, cursor: Cursor) -> None:
        digest = hashlib.blake2b(digest_size=16)
        entries = clean(part.read(), self.tally)
        for _ in range(cursor.rows):
            entry = next(entries, None)
            if entry is None:
                raise Changed
            digest.update(_write_row(entry))
        if cursor.rows and digest.hexdigest() != cursor.digest:
            raise Changed
        planned = cursor.end - cursor.rows
        for batch in cut(entries, planned):
            for entry in batch:
                digest.update(_write_row(entry))
            cursor = self._send_batch(part, cursor, batch, digest.hexdigest())

    def _send_batch(self, part: Part, cursor: Cursor, batch: list[Entry], digest: str) -> Cursor:
        end = cursor.rows + len(batch)
        is_planned = cursor.end > cursor.rows
        if is_planned and (end, digest) != (cursor.end, cursor.end_digest):
            raise Changed
        cursor = replace(cursor, end=end, end_digest=digest)
        self.cursors[part.name] = cursor
        if not self.is_open:
            self._open()
        elif not is_planned:
            self._keep()
        writer = make_writer(self.result.uid, part.name, cursor.generation)
        body = write_batch(batch, writer, cursor.seq + 1)
        path = self.delivery.write_path(self.result.uid, "/metrics")
        answer = self.delivery.request("POST", path, body)
        self.result.points += int(str(answer.get("accepted") or 0))
        self.show(self.result.points)
        return cursor.advance()

    def _describe_host(self) -> dict[str, object]:
        cursors = {name: asdict(cursor) for name, cursor in self.cursors.items()}
        about: dict[str, object] = {"kind": self.delivery.kind, "key": self.run.key,
                                    "parts": cursors}  # fmt: skip
        if self.run.link:
            about["link"] = self.run.link
        if self.run.fork is not None:
            about["fork_from"] = self._write_fork(*self.run.fork)
        return {"import": about}

    def _write_fork(self, parent: str, step: int) -> str:
        return f"{make_uid(self.delivery.kind, parent)}?_step={step}"

    def _describe_parent(self) -> dict[str, object]:
        """Return where the run was forked from, if the server has that run: parents go first."""
        if self.run.fork is None:
            return {}
        is_there = self.delivery.find(make_uid(self.delivery.kind, self.run.fork[0])) is not None
        return {"fork_from": self._write_fork(*self.run.fork)} if is_there else {}

    def _open(self) -> None:
        """Create the run, or let it go on, with the plan of its next batch."""
        body = self.delivery.write_creation(self.run, self.result.uid)
        host = self._describe_host()
        if self.is_known:
            kept = {name: body[name] for name in ("id", "project")}
            body = {**kept, "request_id": str(uuid.uuid4()), "resume": "allow", "host": host}
        else:
            described = to_json(self.run.host)
            assert isinstance(described, dict)
            body |= {"host": {**described, **host}}
            if self.scale:
                body["scale"] = to_json(dict(self.scale))
            body |= self._describe_parent()
        answer = self.delivery.request("POST", "/api/v1/runs", body)
        self.result.is_new = bool(answer.get("created"))
        self.is_open = self.is_known = True

    def _keep(self) -> None:
        path = self.delivery.write_path(self.result.uid)
        self.delivery.request("PATCH", path, {"host": self._describe_host()})

    def _finish(self, document: Mapping[str, object] | None) -> None:
        """End the run as its source did, unless it has ended here."""
        if self.run.state is None:
            return
        if not self.is_open and document is not None and document.get("state") in ENDED:
            return
        body: dict[str, object] = {"state": self.run.state}
        if self.run.ended_at is not None:
            body["ended_at"] = self.run.ended_at
        self.delivery.request("POST", self.delivery.write_path(self.result.uid, "/finish"), body)


def _read_cursors(document: Mapping[str, object] | None) -> dict[str, Cursor]:
    host = (document or {}).get("host")
    about = host.get("import") if isinstance(host, Mapping) else None
    parts = about.get("parts") if isinstance(about, Mapping) else None
    if not isinstance(parts, Mapping):
        return {}
    names = set(asdict(Cursor()))
    return {
        str(name): Cursor(**{key: part[key] for key in names if key in part})
        for name, part in parts.items()
    }


def _cut_text(text: str) -> str:
    return mask_text(text)[:MAX_TEXT]


def cut(entries: Iterator[Entry], planned: int = 0) -> Iterator[list[Entry]]:
    """Yield batches; the first has the planned length, and a rewind always begins one."""
    batch: list[Entry] = []
    for entry in entries:
        is_full = len(batch) >= (planned or MAX_POINTS)
        if batch and (is_full or isinstance(entry, Rewind)):
            yield batch
            batch, planned = [], 0
        batch.append(entry)
    if batch and not all(isinstance(entry, Rewind) for entry in batch):
        yield batch


def write_batch(batch: Sequence[Entry], writer: str, seq: int) -> dict[str, object]:
    """Return the body of a batch; the same entries give the same body."""
    body: dict[str, object] = {"writer": writer, "seq": seq}
    if isinstance(batch[0], Rewind):
        body["rewind"] = batch[0].step
    series: dict[str, list[Point]] = {}
    for entry in batch:
        if isinstance(entry, Point):
            series.setdefault(entry.metric, []).append(entry)
    body["metrics"] = {name: _write_series(points) for name, points in series.items()}
    return body


def _write_series(points: Sequence[Point]) -> dict[str, object]:
    found: dict[str, object] = {
        "steps": [point.step for point in points],
        "values": [write_value(point.value) for point in points],
    }
    times = [point.time for point in points if point.time is not None]
    if len(times) == len(points):
        found["times"] = times
    return found


def _write_row(entry: Entry) -> bytes:
    if isinstance(entry, Rewind):
        return f"rewind {entry.step}\n".encode()
    return f"{entry.metric}\t{entry.step}\t{entry.value!r}\n".encode("utf-8", "replace")
