"""kill -9 of a process that compacts, at every stage of a merge: nothing is lost, nothing twice."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg2
import pytest
from django.db import connection

from runs import store
from runs.compaction.merge import compact_run
from runs.ingest import accept_batch
from runs.models import Chunk, Run, RunState
from tests.faults.world import World
from tests.fitting.waiting import wait_until
from tests.runs.factories import Job, make_api, open_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LOCK = 4711
ODD = {7: "NaN", 1_003: "Infinity", 1_999: "-Infinity"}
COMPACT = (
    "import sys, django; django.setup(); "
    "from runs.compaction.merge import compact_run; compact_run(int(sys.argv[1]))"
)
STAGES = {
    "before it deletes": "BEFORE DELETE ON runs_chunk",
    "between delete and insert": "BEFORE INSERT ON runs_chunk",
    "at its commit": "AFTER INSERT ON runs_chunk DEFERRABLE INITIALLY DEFERRED",
}
WAIT = f"""
CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock({LOCK});
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$
"""


@contextlib.contextmanager
def waiting_at(world: World, stage: str) -> Iterator[None]:
    """Let every merge stand still at a stage until the block ends."""
    kind = "CONSTRAINT TRIGGER" if "DEFERRABLE" in stage else "TRIGGER"
    other = psycopg2.connect(world.env["DATABASE_URL"])
    other.autocommit = True
    with other.cursor() as cursor:
        cursor.execute(WAIT)
        cursor.execute(f"CREATE {kind} waits {stage} FOR EACH ROW EXECUTE FUNCTION wait_here()")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
            cursor.execute("DROP TRIGGER waits ON runs_chunk; DROP FUNCTION wait_here()")
    other.close()


def count_waiting() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return int(cursor.fetchone()[0])


def make_run() -> Run:
    """An ended run of 2,000 points in 100 small chunks, some of them not finite."""
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    for first in range(0, 2_000, 20):
        steps = range(first, first + 20)
        body = job.batch(steps, loss=[ODD.get(step, 1.0 / (step + 1)) for step in steps])
        accept_batch(run, json.dumps(body).encode())
    Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED)
    return run


def read_bits(run: Run) -> tuple[list[int], bytes]:
    steps, values = store.read_series(run.pk, "loss")
    return steps.tolist(), np.asarray(values, np.float64).tobytes()


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_compacting_process_killed_loses_nothing(world: World, stage: str) -> None:
    run = make_run()
    before = read_bits(run)
    n_chunks = Chunk.objects.filter(run=run).count()
    with waiting_at(world, stage):
        process = subprocess.Popen(
            [sys.executable, "-c", COMPACT, str(run.pk)],
            env={**world.environment(), "DJANGO_SETTINGS_MODULE": "scaledash.settings"},
            cwd=ROOT,
        )
        try:
            wait_until(lambda: count_waiting() > 0, "the stage of the merge")
            assert read_bits(run) == before
        finally:
            process.kill()
            process.wait(30)
        assert read_bits(run) == before
    wait_until(lambda: is_alone(), "the end of the killed process's session")
    assert read_bits(run) == before
    compact_run(run.pk)
    assert read_bits(run) == before
    assert Chunk.objects.filter(run=run).count() < n_chunks / 10


def is_alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0] == 0
