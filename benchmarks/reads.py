"""Reads: lists of runs, series, many series into numpy; and the memory of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.ingest import make_losses
from benchmarks.stage import Client, Stage
from benchmarks.table import Row, time_median

LISTED_RUNS = 5_000
KEYS, MANY_KEYS = 30, 300  # of a config: as usual, and as the largest
SERIES_RUNS, SERIES_STEPS = 1_000, 1_000
COLUMNS = "name,state,config.optim.lr,config.model.width,summary.loss.val,summary.loss.train"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows of reads."""
    client = stage.connect()
    make_listed_runs("listed", KEYS)
    make_listed_runs("wide", MANY_KEYS)
    path = f"runs?project=listed&columns={COLUMNS}"
    seconds = time_median(lambda: client.call("GET", f"{path}&limit=20"), 20)
    yield Row("list 20 of 5,000 runs with params and finals", seconds * 1e3, "ms", 8)
    seconds = time_median(lambda: read_all_pages(client, path))
    yield Row("list 5,000 runs with params and finals", seconds * 1e3, "ms", 80)
    path = f"runs?project=wide&columns={COLUMNS}"
    wish = "filter=lr%20%3E%3D%201e-3%20and%20n_params%20%3E%20100M&order=loss&limit=100"
    seconds = time_median(lambda: client.call("GET", f"{path}&{wish}"), 10)
    yield Row("300 keys each: filter by lr and n_params, sort by loss", seconds * 1e3, "ms", 80)
    yield from measure_series(client)


def read_all_pages(client: Client, path: str) -> int:
    """Read a list to its end."""
    n_runs, cursor = 0, ""
    while cursor is not None:
        page = json.loads(client.call("GET", f"{path}&limit=5000&cursor={cursor}"))
        n_runs, cursor = n_runs + len(page["items"]), page["next"]
    return n_runs


def measure_series(client: Client) -> Iterator[Row]:
    """Series of one, 20 and 1,000 runs."""
    from runs import store
    from runs.models import Run

    make_series_runs()
    path = "runs/long/history?project=series&metrics=loss"
    seconds = time_median(lambda: client.call("GET", path), 20)
    yield Row("one series of 10,000 points, full", seconds * 1e3, "ms", 6)
    uids = ",".join(f"s{place}" for place in range(20))
    path = f"series?project=series&metric=loss&runs={uids}"
    seconds = time_median(lambda: client.call("GET", path), 20)
    yield Row("one metric, 20 runs x 1,000 points", seconds * 1e3, "ms", 20)
    ids = list(Run.objects.filter(uid__startswith="s").values_list("pk", flat=True))
    seconds = time_median(lambda: store.read_many(ids, "loss"), 5)
    yield Row("one metric, 1,000 runs x 1,000 points into numpy", seconds * 1e3, "ms", 50)


def make_listed_runs(slug: str, n_keys: int, n_runs: int = LISTED_RUNS) -> None:
    """Create runs with some keys of config each; those of a project that is there stay."""
    from django.db import connection

    from runs.models import Metric, Run
    from teams.models import Project

    project, is_new = Project.objects.get_or_create(slug=slug, defaults={"name": slug})
    if not is_new:
        return
    let_in(project)
    for name in ("loss.val", "loss.train"):
        Metric.objects.create(project=project, name=name)
    rng = np.random.default_rng(0)
    rates, losses = 10 ** rng.uniform(-5, -1, n_runs), rng.normal(3, 0.2, n_runs)
    entry = {"last_step": 1000, "min": 1.0, "max": 9.0, "count": 100}
    runs = [
        Run(
            project=project,
            uid=f"l{place}",
            name=f"run {place}",
            peak_lr=rates[place],
            n_params=10 ** rng.uniform(6, 10),
            config={
                "optim": {"lr": rates[place]},
                "model": {"width": 64 * (place % 9)},
                **{f"section.key{number}": number * 0.25 for number in range(n_keys)},
            },
            summary={
                "loss.val": {"last": losses[place], **entry},
                "loss.train": {"last": losses[place] - 0.1, **entry},
            },
        )
        for place in range(n_runs)
    ]
    Run.objects.bulk_create(runs, batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE runs_run")  # what autovacuum does within a minute


def make_series_runs() -> None:
    """Create 1,000 compacted runs of 1,000 points, and one of 10,000; once."""
    from runs.compaction.merge import compact_run
    from runs.ingest import accept_batch
    from runs.models import Run, RunState
    from teams.models import Project

    project, is_new = Project.objects.get_or_create(slug="series", defaults={"name": "series"})
    if not is_new:
        return
    let_in(project)
    for place in range(-1, SERIES_RUNS):
        n = SERIES_STEPS if place >= 0 else 10_000
        uid = f"s{place}" if place >= 0 else "long"
        run = Run.objects.create(project=project, uid=uid, state=RunState.RUNNING)
        body = {"steps": list(range(n)), "metrics": {"loss": make_losses(n, place)}}
        accept_batch(run, json.dumps(body).encode())
        Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED)
        compact_run(run.pk)


def let_in(project: object) -> None:
    """Make the reader of the benchmarks a member, and its token good for every project."""
    from teams.models import ApiToken, Membership, Role, User

    user = User.objects.get(username="bench")
    Membership.objects.create(project=project, user=user, role=Role.ADMIN)
    ApiToken.objects.update(project=None)


def measure_memory(stage: Stage) -> Row:
    """Proportional memory of the web process and all of PostgreSQL, after all the rest."""
    total = sum(read_pss(pid) for pid in find_group(stage.web_pid) | find_postgres())
    return Row("memory, web + PostgreSQL", total / 2**20, "MiB", 350)


def read_pss(pid: int) -> int:
    """Return the bytes of a process, shared pages divided among those that share them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024


def find_group(leader: int) -> set[int]:
    """Return a process and all below it."""
    found = {leader}
    parents = dict(_read_parents())
    for _ in range(4):
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found


def find_postgres() -> set[int]:
    """Return the postmaster that serves this benchmark, and its children."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    parent = dict(_read_parents())[backend]
    return find_group(parent) - {backend}


def _read_parents() -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            yield int(folder.name), int(text.rpartition(")")[2].split()[1])
