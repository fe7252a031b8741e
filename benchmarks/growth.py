"""Does the store stay as fast with 200M points as with 1M? `python -m benchmarks.growth [points]`.

Points of other runs are loaded straight into the store, in compacted chunks of 10,000, a tenth of
the way at a time; after each, the same ingest, list and series requests are measured over HTTP.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator

import numpy as np

from benchmarks.ingest import make_bodies, open_run
from benchmarks.stage import Client, Stage, open_stage
from benchmarks.table import time_median, time_once, write_number

POINTS = 200_000_000
MARKS = (0.005, 0.05, 0.25, 0.5, 1.0)
CHUNK = 10_000
CHUNKS_A_RUN = 100
VARIANTS = 50  # different chunks: all equal ones would lie in the caches


def main(arguments: list[str]) -> int:
    """Load and measure in turns."""
    total = int(float(arguments[0])) if arguments else POINTS
    with open_stage() as stage:
        client = stage.connect()
        print("| points stored | load | 1 flush | 10,000 points | list 20 | series of 20 runs |")
        print("|---|---|---|---|---|---|")
        path, seq = open_run(client, stage), 0
        prepare_series(client, stage)
        loaded, chunks = 0, make_chunks()
        for mark in MARKS:
            wanted = int(total * mark) - loaded
            seconds = time_once(lambda n=wanted: load(n, chunks))
            loaded += wanted
            figures = list(measure(client, stage, path, seq))
            rate = write_number(wanted / seconds)
            cells = " | ".join(f"{figure * 1e3:.1f} ms" for figure in figures)
            print(f"| {loaded:,} | {rate}/s | {cells} |", flush=True)
    return 0


def measure(client: Client, stage: Stage, path: str, seq: int) -> Iterator[float]:
    """Yield the seconds of a flush, a bulk request, a list and curves."""
    small = iter(make_bodies(str(uuid.uuid4()), 60, 10, 10))
    yield time_median(lambda: client.call("POST", path, next(small)), 50)
    bulk, bulk_path = iter(make_bodies(str(uuid.uuid4()), 12, 1_000, 10)), open_run(client, stage)
    yield time_median(lambda: client.call("POST", bulk_path, next(bulk)), 9)
    columns = "name,state,config.lr,summary.m0/loss"
    listed = f"runs?project={stage.project}&limit=20&columns={columns}"
    yield time_median(lambda: client.call("GET", listed), 20)
    uids = ",".join(f"fixed{place}" for place in range(20))
    curves = f"series?project={stage.project}&metric=m0/loss&runs={uids}"
    yield time_median(lambda: client.call("GET", curves), 20)


def prepare_series(client: Client, stage: Stage) -> None:
    """Create the 20 runs whose curves are read each time."""
    for place in range(20):
        client.open_run(stage.project, f"fixed{place}")
        body = make_bodies(str(uuid.uuid4()), 1, 1_000, 1)[0]
        client.call("POST", f"runs/fixed{place}/metrics", body)


def make_chunks() -> list[dict[str, object]]:
    """Return some merged chunks as the store holds them."""
    from runs.compaction.merge import describe_points

    rng = np.random.default_rng(0)
    found = []
    for _ in range(VARIANTS):
        steps = np.arange(CHUNK, dtype=np.int64) + int(rng.integers(0, 10**6))
        noise = rng.normal(0, 0.02, CHUNK)
        losses = (3 + 2 * (steps + 1.0) ** -0.3 + noise).astype(np.float32).astype(np.float64)
        found.append(describe_points(steps, losses))
    return found


def load(n_points: int, chunks: list[dict[str, object]]) -> None:
    """Store points of new runs with ten metrics each."""
    from runs.models import Chunk, Metric, Run, RunState
    from teams.models import Project

    project = Project.objects.get(slug="bench")
    names = [f"big{number}" for number in range(10)]
    metrics = [Metric.objects.get_or_create(project=project, name=name)[0] for name in names]
    n_chunks = n_points // CHUNK
    for first in range(0, n_chunks, CHUNKS_A_RUN):
        uid = uuid.uuid4().hex
        run = Run.objects.create(
            project=project, uid=uid, name=uid, state=RunState.FINISHED, config={"lr": 0.1}
        )
        rows = []
        for place in range(first, min(first + CHUNKS_A_RUN, n_chunks)):
            fields = dict(chunks[place % VARIANTS])
            fields["last_step"] = fields.pop("end_step")
            rev = place - first + 1
            metric = metrics[place % 10]
            rows.append(Chunk(run=run, metric=metric, rev=rev, rev_first=rev, attempt=0, **fields))
        Chunk.objects.bulk_create(rows)


if __name__ == "__main__":
    start = time.perf_counter()
    status = main(sys.argv[1:])
    print(f"{time.perf_counter() - start:.0f} s", file=sys.stderr)
    sys.exit(status)
