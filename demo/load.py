"""Load the packed runs into a server through its ordinary write API.

Ids of runs, writers and requests are fixed, so that loading twice changes nothing.
"""

from __future__ import annotations

import gzip
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from demo.connection import ApiRefused, Connection, Document
from demo.forecasts import freeze_before, plan_stages
from demo.studies import PROJECT, STUDIES

DATA = Path(__file__).resolve().parent / "data" / "runs.jsonl.gz"
CONNECTIONS = 4
POINTS_A_BATCH = 40_000
REPLAY_ROWS_SECONDS = 0.5
Run = dict[str, Any]


def read_runs(path: Path = DATA) -> Iterator[Run]:
    """Runs of a packed file, one at a time."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def ensure_project(server: Connection) -> None:
    """Make the demo project; an existing one stays as its members left it."""
    try:
        server.post("/api/v1/projects", PROJECT)
    except ApiRefused as refusal:
        if refusal.status != 409:
            raise


def ensure_studies(server: Connection) -> None:
    """Make the studies; existing ones stay as their members left them."""
    for study in STUDIES:
        body = {"selection": {"kind": "list"}, **study, "project": PROJECT["slug"]}
        try:
            server.post("/api/v1/studies", body)
        except ApiRefused as refusal:
            if refusal.status != 409:
                raise


def load_run(server: Connection, run: Run) -> str:
    """Create, fill and finish one run; returns its name."""
    at = f"/api/v1/runs/{run['id']}"
    query = f"?project={PROJECT['slug']}"
    created = server.post("/api/v1/runs", describe_run(run))
    if created["state"] == run["state"]:
        return run["name"]
    writer = make_id(run["id"], "writer")
    batches = cut_batches(run["metrics"])
    for seq, batch in enumerate(batches, 1):
        server.post(f"{at}/metrics{query}", {"writer": writer, "seq": seq, **batch})
    end = {"state": run["state"], "exit_code": 0, "writer": writer, "last_seq": len(batches)}
    server.post(f"{at}/finish{query}", end)
    return run["name"]


def describe_run(run: Run) -> Document:
    """The body that creates a run; the part of the grid is its group."""
    return {
        "request_id": make_id(run["id"], "create"),
        "project": PROJECT["slug"],
        "resume": "allow",
        **{key: run[key] for key in ("id", "name", "group", "tags", "started_at")},
        "config": {key: value for key, value in run["config"].items() if key != "part"},
        "study": run["studies"] or None,
    }


def make_id(run_id: str, what: str) -> str:
    """A fixed UUID for one of the things that a run's requests name."""
    return str(uuid.uuid5(uuid.UUID(run_id), what))


def cut_batches(metrics: dict[str, Any]) -> list[Document]:
    """Batches of a run: series that share their steps travel under one list of steps."""
    groups: dict[tuple[int, ...], dict[str, Any]] = defaultdict(dict)
    for key, series in metrics.items():
        groups[tuple(series["steps"])][key] = series["values"]
    batches = []
    for steps, columns in groups.items():
        size = max(1, POINTS_A_BATCH // len(columns))
        for begin in range(0, len(steps), size):
            rows = slice(begin, begin + size)
            values = {key: column[rows] for key, column in columns.items()}
            batches.append({"steps": steps[rows], "metrics": values})
    return batches


def load_file(
    server: Connection,
    on_run: Callable[[str], None],
    path: Path = DATA,
    parallel: int = CONNECTIONS,
) -> int:
    """Load a packed file over a few connections; returns the number of runs.

    Before the largest runs, and before those beyond the fitted budgets, forecasts are frozen.
    """
    ensure_project(server)
    ensure_studies(server)
    count = 0
    for stage in plan_stages(list(read_runs(path))):
        freeze_before(server, stage)
        count += _load_runs(server, stage.runs, on_run, parallel)
    return count


def _load_runs(
    server: Connection, runs: list[Run], on_run: Callable[[str], None], parallel: int
) -> int:
    with ThreadPoolExecutor(parallel) as pool:
        for name in pool.map(lambda run: load_run(server, run), runs):
            on_run(name)
    return len(runs)


def replay_run(server: Connection, run: Run, on_rows: Callable[[int], None]) -> Document:
    """Log one run again at the speed it trained at, as a new run that is labelled a replay."""
    copy = {**run, "id": uuid.uuid4().hex, "name": f"replay of {run['name']}", "studies": []}
    copy |= {"group": "replay", "tags": ["replay"], "started_at": time.time()}
    created = server.post("/api/v1/runs", describe_run(copy))
    rows = list_rows(run["metrics"])
    pace_seconds = run["wall_seconds"] / max(1, rows[-1][0])
    at, query = f"/api/v1/runs/{copy['id']}", f"?project={PROJECT['slug']}"
    writer, seq, begun = make_id(copy["id"], "writer"), 0, time.monotonic()
    while rows:
        now_at = (time.monotonic() - begun) / pace_seconds
        due = [row for row in rows if row[0] <= now_at]
        rows = rows[len(due) :]
        if due:
            seq += 1
            batch = {"writer": writer, "seq": seq, "metrics": list_columns(due)}
            server.post(f"{at}/metrics{query}", batch)
            on_rows(len(due))
        time.sleep(REPLAY_ROWS_SECONDS)
    end = {"state": "finished", "exit_code": 0, "writer": writer, "last_seq": seq}
    server.post(f"{at}/finish{query}", end)
    return created


def list_rows(metrics: dict[str, Any]) -> list[tuple[int, Document]]:
    """The columns of a run as rows in the order of their steps."""
    rows: dict[int, Document] = defaultdict(dict)
    for key, series in metrics.items():
        for step, value in zip(series["steps"], series["values"], strict=True):
            rows[step][key] = value
    return sorted(rows.items())


def list_columns(rows: list[tuple[int, Document]]) -> Document:
    """Rows as columns again, each with its own steps."""
    columns: dict[str, Document] = {}
    for step, values in rows:
        for key, value in values.items():
            column = columns.setdefault(key, {"steps": [], "values": []})
            column["steps"].append(step)
            column["values"].append(value)
    return columns
