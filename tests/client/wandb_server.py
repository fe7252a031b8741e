"""W&B's server as its own client package asks it: GraphQL queries answered from a list of rows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
LIGHT = ("config", "summaryMetrics", "systemMetrics")  # lists of runs lack them
NAME = re.compile(r"query\s+(\w+)")


@dataclass
class WandbServer:
    """One project of entity `e` with one run; `limits` history requests are answered with 429."""

    rows: list[Json]
    config: Json
    limits: int = 0
    asked: list[str] = field(default_factory=list)

    def answer(self, query: str, variables: Json) -> Json:
        """Return the data of an answer."""
        found = NAME.search(query)
        self.asked.append(found[1] if found else "?")
        if "viewer {" in query:
            user = {"id": "V", "entity": "e", "username": "ann", "email": "", "flags": "{}"}
            return {"viewer": {**user, "teams": {"edges": []}}}
        if "runs(" in query:
            light = {key: value for key, value in self.describe().items() if key not in LIGHT}
            page = {"endCursor": "c", "hasNextPage": False}
            edges = [{"node": light, "cursor": "c"}]
            about = {"internalId": "1", "runCount": 1, "readOnly": False}
            return {"project": {**about, "runs": {"edges": edges, "pageInfo": page}}}
        run = self.describe()
        if "history(" in query:
            inside = range(variables["minStep"], variables["maxStep"])
            run["history"] = [json.dumps(row) for row in self.rows if row["_step"] in inside]
        return {"project": {"internalId": "1", "run": run}}

    def describe(self) -> Json:
        """Return every field of the run that a query may name."""
        texts = {"id": "UnVuOnYx", "name": "abc", "displayName": "first", "state": "finished"}
        times = {"createdAt": "2026-01-02T03:04:05Z", "heartbeatAt": "2026-01-02T04:04:05Z"}
        return {
            **texts,
            **times,
            **dict.fromkeys(("sweepName", "commit", "jobType", "description"), None),
            "group": "sweep",
            "notes": "a note",
            "tags": ["t"],
            "readOnly": False,
            "projectId": "1",
            "config": json.dumps(self.config),
            "systemMetrics": "{}",
            "summaryMetrics": "{}",
            "historyLineCount": len(self.rows),
            "historyKeys": {"lastStep": self.rows[-1]["_step"], "keys": {}},
            "user": {"name": "Ann", "username": "ann"},
            "parquetHistory": {"parquetUrls": [], "liveData": self.rows},
            "fileCount": 0,
            "files": {"edges": [], "pageInfo": {"endCursor": None, "hasNextPage": False}},
        }


@contextmanager
def serve(about: WandbServer) -> Iterator[str]:
    """Serve it; gives the address."""

    class Handler(Answering):
        owner = about

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Answering(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    owner: WandbServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        raw = self.read_chunks() if self.headers.get("Transfer-Encoding") else self.read_body()
        if self.path != "/graphql":
            self.reply(404, {})
            return
        body = json.loads(raw)
        owner = self.owner
        if owner.limits and "history(minStep" in body["query"]:
            owner.limits -= 1
            self.reply(429, {"errors": [{"message": "too many requests"}]})
            return
        self.reply(200, {"data": owner.answer(body["query"], body.get("variables") or {})})

    def read_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply(self, status: int, document: Json) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
