"""Ingest over HTTP: bulk, live flushes, many writers, whole runs, and the bytes that stay."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import struct
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence

from benchmarks.stage import Client, Stage
from benchmarks.table import Row, time_median, time_once

BULK_STEPS, BULK_METRICS, BULK_REQUESTS = 1_000, 10, 60
FLUSHES = 300
WRITERS, WRITER_PROCESSES, WRITER_SECONDS = 64, 2, 8.0
RUNS = 60
STORED_RUNS, STORED_STEPS = 20, 10_000


def make_losses(n: int, seed: int, start: int = 0) -> list[float]:
    """Return what a float32 training loop logs: a falling loss with noise."""
    dice = random.Random(f"{seed}:{start}")
    exact = [3.0 + 2.0 * (start + i + 1) ** -0.3 + dice.gauss(0, 0.02) for i in range(n)]
    return list(struct.unpack(f"{n}f", struct.pack(f"{n}f", *exact)))


def make_bodies(
    writer: str, n_batches: int, n_steps: int, n_metrics: int, stride: int = 1
) -> list[bytes]:
    """Return the batches of one writer, encoded."""
    bodies = []
    for seq in range(n_batches):
        first = seq * n_steps
        steps = [stride * step for step in range(first, first + n_steps)]
        metrics = {f"m{m}/loss": make_losses(n_steps, m, first) for m in range(n_metrics)}
        body = {"writer": writer, "seq": seq + 1, "steps": steps, "metrics": metrics}
        times = [1.76e9 + 0.25 * step for step in steps]
        bodies.append(json.dumps({**body, "times": times}).encode())
    return bodies


def open_run(client: Client, stage: Stage) -> str:
    """Create a run and return the path of its batches."""
    uid = uuid.uuid4().hex
    client.open_run(stage.project, uid)
    return f"runs/{uid}/metrics"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows of ingest."""
    client = stage.connect()
    yield measure_bulk(stage, client)
    yield from measure_flushes(stage, client)
    yield measure_writers(stage)
    yield from measure_runs(stage, client)


def measure_bulk(stage: Stage, client: Client) -> Row:
    """10,000 points a request, one after the other on one connection."""

    def send() -> float:
        path = open_run(client, stage)
        bodies = make_bodies(str(uuid.uuid4()), BULK_REQUESTS, BULK_STEPS, BULK_METRICS)
        return time_once(lambda: [client.call("POST", path, body) for body in bodies])

    seconds = sorted(send() for _ in range(4))[1]  # of three after a first one; the better middle
    n_points = BULK_REQUESTS * BULK_STEPS * BULK_METRICS
    what = "bulk ingest, 10,000 points a request, one connection"
    return Row(what, n_points / seconds, "points/s", 1e6, is_rate=True)


def measure_flushes(stage: Stage, client: Client) -> Iterator[Row]:
    """10 metrics x 10 steps a request."""
    path = open_run(client, stage)
    bodies = make_bodies(str(uuid.uuid4()), FLUSHES, 10, 10)
    costs = [time_once(lambda body=body: client.call("POST", path, body)) for body in bodies]
    middle = sorted(costs[20:])[(len(costs) - 20) // 2]
    yield Row("live flush, 10 metrics x 10 steps", 100 / middle, "points/s", 40_000, is_rate=True)
    yield Row("the same, a request", middle * 1e3, "ms", 2.5)


def measure_writers(stage: Stage) -> Row:
    """64 writers with a run each, small batches, for some seconds."""
    with multiprocessing.get_context("spawn").Pool(WRITER_PROCESSES) as pool:
        share = WRITERS // WRITER_PROCESSES
        wishes = [(stage.port, stage.token, stage.project, share)] * WRITER_PROCESSES
        rates = pool.starmap(write_for_a_while, wishes)
    return Row("64 concurrent writers, 10 points a batch", sum(rates), "batches/s", 1000, True)


def write_for_a_while(port: int, token: str, project: str, n_writers: int) -> float:
    """Return the batches per second of some writers, each a thread with a connection."""
    stage = Stage(port, token, project, 0)
    counts = [0] * n_writers
    ready, go = threading.Barrier(n_writers + 1), threading.Event()
    until = [math.inf]

    def write(place: int) -> None:
        client = stage.connect()
        path = open_run(client, stage)
        bodies = make_bodies(str(uuid.uuid4()), 400, 1, 10)
        requests = [client.write_request("POST", path, body) for body in bodies]
        ready.wait()
        go.wait()
        for request in requests:
            if time.monotonic() > until[0]:
                return
            client.exchange(request)
            counts[place] += 1

    threads = [threading.Thread(target=write, args=(place,)) for place in range(n_writers)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.monotonic()
    until[0] = start + WRITER_SECONDS
    go.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def measure_runs(stage: Stage, client: Client) -> Iterator[Row]:
    """Create a run with a config, log 500 points, finish it: in one request, and in three."""
    config = {f"group.key{number}": number * 0.5 for number in range(30)}
    batch = make_bodies("WRITER", 1, 100, 5)[0]

    def send_whole() -> None:
        uid, writer = uuid.uuid4().hex, str(uuid.uuid4())
        finish = {"state": "finished", "exit_code": 0, "writer": writer, "last_seq": 1}
        fields = {"id": uid, "request_id": str(uuid.uuid4()), "project": stage.project}
        head = json.dumps({**fields, "config": config, "finish": finish}).encode()
        own = batch.replace(b"WRITER", writer.encode())
        client.call("POST", "runs", head[:-1] + b', "batches": [' + own + b"]}")

    def send_parts() -> None:
        uid, writer = uuid.uuid4().hex, str(uuid.uuid4())
        client.open_run(stage.project, uid, config=config)
        own = batch.replace(b"WRITER", writer.encode())
        client.call("POST", f"runs/{uid}/metrics", own)
        client.call("POST", f"runs/{uid}/finish", {"state": "finished", "exit_code": 0})

    what = "create, config, 500 points, finish"
    for how, send in (("one request", send_whole), ("three requests", send_parts)):
        rate = RUNS / time_median(lambda send=send: [send() for _ in range(RUNS)])
        yield Row(f"{what}: {how}", rate, "runs/s", 250, is_rate=True)


def measure_disk(stage: Stage) -> Iterator[Row]:
    """Bytes on disk a point: tables, indexes, keys, summaries; after compaction and vacuum."""
    from django.db import connection

    from runs.compaction.merge import compact_run, find_runs

    client = stage.connect()
    pack_tables(connection)  # what was there already is packed another way than it was written
    before = read_size(connection)
    for _ in range(STORED_RUNS):
        path = open_run(client, stage)
        for body in make_bodies(str(uuid.uuid4()), STORED_STEPS // 100, 100, 10):
            client.call("POST", path, body)
        client.call("POST", path.replace("metrics", "finish"), {"state": "finished"})
    n_points = STORED_RUNS * STORED_STEPS * 10
    raw = (read_size(connection) - before) / n_points
    start = time.perf_counter()
    while found := find_runs():
        for run_id in found:
            compact_run(run_id, 600)
    seconds = time.perf_counter() - start
    pack_tables(connection)
    stored = (read_size(connection) - before) / n_points
    yield Row("disk after compaction, everything counted", stored, "bytes/point", 4.5)
    print(
        f"  before: {raw:.1f} bytes/point; compaction: {n_points / seconds:,.0f} points/s",
        file=sys.stderr,
    )


TABLES: Sequence[str] = (
    *("runs_chunk", "runs_batch", "runs_writer", "runs_attempt", "runs_run", "runs_metric"),
)


def pack_tables(connection: object) -> None:
    """Give back the space of dead rows."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"VACUUM FULL {table}")


def read_size(connection: object) -> int:
    """Return the bytes of all tables of runs with their indexes and what is stored aside."""
    with connection.cursor() as cursor:
        sizes = " + ".join(f"pg_total_relation_size('{table}')" for table in TABLES)
        cursor.execute(f"SELECT {sizes}")
        return int(cursor.fetchone()[0])
