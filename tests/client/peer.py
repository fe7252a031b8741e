"""A server on this machine that keeps the documented wire contract in dicts, and fails on demand.

It is the other side of the network for tests of the client; it shares no code with the client or
with the real server.
"""

from __future__ import annotations

import atexit
import gzip
import hashlib
import json
import math
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "sd_1_peer-token"
NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass
class StoredRun:
    """What the server knows of a run."""

    uid: str
    project: str
    request_id: str
    document: dict[str, Any]
    state: str = "running"
    batches: dict[tuple[str, int], str] = field(default_factory=dict)
    points: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    times: list[float] = field(default_factory=list)
    markers: list[tuple[str, int]] = field(default_factory=list)
    beats: int = 0
    finish: dict[str, Any] | None = None
    rewinds: dict[str, int] = field(default_factory=dict)

    @property
    def last_step(self) -> int | None:
        steps = [step for series in self.points.values() for step, _ in series]
        return max(steps, default=None)


@dataclass
class Fault:
    """Makes some requests fail.

    `kind`: a status number, "drop" (commit, then close without a reply), "hole" (never answer),
    "html" (200 that is no JSON), "redirect".
    """

    kind: int | str
    times: int = 1
    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    when: Callable[[dict[str, Any]], bool] = lambda body: True

    def matches(self, method: str, path: str, body: dict[str, Any]) -> bool:
        is_meant = self.method in ("", method) and self.path in path
        return self.times > 0 and is_meant and self.when(body)


class ApiRefusal(Exception):
    def __init__(self, status: int, code: str, message: str, pointer: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, "field": pointer}}


class QuietServer(ThreadingHTTPServer):
    """A client that goes away is no news."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Peer:
    """The server: state, faults, and the requests it has seen."""

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.faults: list[Fault] = []
        self.takes_whole_runs = True
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.tokens = {TOKEN}
        self.changed = threading.Condition()
        peer = self

        class Handler(PeerHandler):
            owner = peer

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """End the server and keep its port, or a late sender would talk to the next peer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        keeper = socket.socket()
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(self._server.server_address)
        atexit.register(keeper.close)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        """Wait until something is true of the state, or fail."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the condition did not come true"

    @property
    def run(self) -> StoredRun:
        """The only run."""
        (run,) = self.runs.values()
        return run

    def count(self, method: str, tail: str) -> int:
        return sum(verb == method and path.endswith(tail) for verb, path, _ in self.requests)

    def answer(self, method: str, path: str, query: dict[str, Any], raw: bytes) -> tuple[int, Any]:
        parts = path.removeprefix("/api/v1/").split("/")
        body = json.loads(raw, parse_constant=_refuse_constant) if raw else {}
        if len(parts) == 1:
            return self._answer_for_all(method, parts[0], query, body, raw)
        run = self._find(parts[1])
        tail = parts[2] if len(parts) > 2 else method
        if tail == "metrics":
            return 200, self._store(run, body, hashlib.sha256(raw).hexdigest())
        if tail == "history":
            wanted = query.get("metric") or list(run.points)
            return 200, {"series": {name: _spell(run.points[name]) for name in wanted}}
        if tail == "heartbeat":
            run.beats += 1
        elif tail == "finish":
            run.finish, run.state = body, body["state"]
        elif tail == "rewind":
            run.rewinds[body["id"]] = body["step"]
        elif tail == "PATCH":
            _merge(run.document, body)
        return 200, self._describe(run)

    def _answer_for_all(
        self, method: str, noun: str, query: dict[str, Any], body: dict[str, Any], raw: bytes
    ) -> tuple[int, Any]:
        if noun == "ping":
            return 200, {"version": "0", "scope": "write", "user": "peer", "time": time.time()}
        if noun == "projects":
            slugs = sorted({run.project for run in self.runs.values()})
            return 200, {"items": [{"slug": slug, "name": slug} for slug in slugs], "next": None}
        return self._open(body, raw) if method == "POST" else (200, self._list(query))

    def _open(self, body: dict[str, Any], raw: bytes) -> tuple[int, Any]:
        """Create a run; where the peer knows whole runs, with its batches and its end."""
        whole = {name: body.pop(name) for name in ("batches", "finish") if name in body}
        if whole and not self.takes_whole_runs:
            raise ApiRefusal(422, "unknown_field", "there is no field batches", "/batches")
        status, answer = self._create(body)
        run = self.runs[body["id"]]
        piece = raw.partition(b',"batches":[')[2][:-2]  # the client sends one, and sends it last
        digest = hashlib.sha256(piece).hexdigest()
        stored = [self._store(run, batch, digest) for batch in whole.get("batches", [])]
        if "finish" in whole:
            run.finish, run.state = whole["finish"], whole["finish"]["state"]
        return status, {**answer, "state": run.state} | ({"batches": stored} if whole else {})

    def _list(self, query: dict[str, Any]) -> dict[str, Any]:
        """Two runs a page."""
        first = int(query.get("cursor", ["0"])[0])
        rows = [run for run in self.runs.values() if run.project == query["project"][0]]
        items = [self._describe(run) for run in rows[first : first + 2]]
        return {"items": items, "next": str(first + 2) if len(rows) > first + 2 else None}

    def _find(self, uid: str) -> StoredRun:
        if uid not in self.runs:
            raise ApiRefusal(404, "not_found", f"run {uid} does not exist")
        return self.runs[uid]

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        uid, mode = body["id"], body["resume"]
        known = self.runs.get(uid)
        if known is None:
            if mode == "must":
                raise ApiRefusal(404, "not_found", f"run {uid} does not exist")
            document = {key: body[key] for key in body if key not in ("request_id", "resume")}
            run = StoredRun(uid, body["project"], body["request_id"], document)
            self.runs[uid] = run
            return 201, self._describe(run)
        if known.request_id != body["request_id"]:
            if mode in (None, "never"):
                raise ApiRefusal(409, "run_exists", f"run {uid} exists")
            known.state = "running"
        return 200, self._describe(known)

    def _describe(self, run: StoredRun) -> dict[str, Any]:
        return {
            "id": run.uid,
            "project": run.project,
            "name": run.document.get("name") or run.uid,
            "url": f"{self.url}/p/{run.project}/r/{run.uid}",
            "state": run.state,
            "last_step": run.last_step,
            "attempt": 0,
            "config": run.document.get("config", {}),
            "summary": {name: {"count": len(rows)} for name, rows in run.points.items()},
        }

    def _store(self, run: StoredRun, body: dict[str, Any], digest: str) -> dict[str, Any]:
        key = (body["writer"], body["seq"])
        n_points = sum(len(_values(column)) for column in body["metrics"].values())
        if key in run.batches:
            if run.batches[key] != digest:
                raise ApiRefusal(409, "seq_reuse", "this seq carried another body")
            return {"accepted": 0, "duplicates": n_points, "overwritten": 0, "last_seq": key[1]}
        if run.state != "running" and all(writer != key[0] for writer, _ in run.batches):
            raise ApiRefusal(409, "run_finished", f"run {run.uid} has ended")
        assert len(body["times"]) == len(body["steps"])
        for name, column in body["metrics"].items():
            steps = column["steps"] if isinstance(column, dict) else body["steps"]
            values = [NONFINITE.get(value, value) for value in _values(column)]
            run.points[name] += zip(steps, values, strict=True)
        for marker in ("start_step", "rewind"):
            if marker in body:
                run.markers.append((marker, body[marker]))
        run.times += body["times"]
        run.batches[key] = digest
        return {"accepted": n_points, "duplicates": 0, "overwritten": 0, "last_seq": key[1]}


class PeerHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: Peer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle_request(self) -> None:
        peer = self.owner
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        raw = gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data
        url = urlsplit(self.path)
        body = json.loads(raw) if raw else {}
        with peer.changed:
            peer.requests.append((self.command, url.path, body))
            fault = self._find_fault(url.path, body)
            if fault is not None and fault.kind != "drop":
                self._fail(fault)
            else:
                self._answer(url.path, parse_qs(url.query), raw, is_dropped=fault is not None)
            peer.changed.notify_all()

    do_GET = do_POST = do_PATCH = handle_request

    def _find_fault(self, path: str, body: dict[str, Any]) -> Fault | None:
        for fault in self.owner.faults:
            if fault.matches(self.command, path, body):
                fault.times -= 1
                return fault
        return None

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "hole":
            self.close_connection = True
            self.rfile.raw._sock.settimeout(0.3)  # type: ignore[attr-defined]
            self.owner.changed.wait(0.3)
            return
        if fault.kind == "html":
            return self._reply(200, b"<html>proxy</html>", {})
        if fault.kind == "redirect":
            return self._reply(307, b"", {"Location": "http://127.0.0.1:9/steal"})
        error = {"code": "injected", "message": "injected", "field": None, **fault.error}
        self._reply(int(fault.kind), json.dumps({"error": error}).encode(), fault.headers)

    def _answer(self, path: str, query: dict[str, Any], raw: bytes, is_dropped: bool) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            if token not in self.owner.tokens:
                raise ApiRefusal(401, "not_authenticated", "this token is not known")
            status, answer = self.owner.answer(self.command, path, query, raw)
        except ApiRefusal as refusal:
            status, answer = refusal.status, refusal.body
        if is_dropped:
            self.close_connection = True
            return
        self._reply(status, json.dumps(answer).encode(), {})

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _spell(rows: list[tuple[int, float]]) -> dict[str, Any]:
    names = {repr(value): name for name, value in NONFINITE.items()}
    values = [names.get(repr(value), value) for _, value in rows]
    return {"steps": [step for step, _ in rows], "values": values}


def _values(column: Any) -> list[Any]:
    return column["values"] if isinstance(column, dict) else column


def _merge(document: dict[str, Any], change: dict[str, Any]) -> None:
    for key, value in change.items():
        if key in ("config", "scale", "summary"):
            document[key] = {**document.get(key, {}), **value}
        else:
            document[key] = value


def _refuse_constant(text: str) -> float:
    raise ApiRefusal(400, "nonfinite", f"bare {text}; write it as a string")
