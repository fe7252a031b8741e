"""Compaction: nobody can tell that it happened, whatever happens around it."""

from __future__ import annotations

import json
import math
import struct
import threading
import uuid
from pathlib import Path

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from runs import store
from runs.codecs import PCODEC, RAW
from runs.compaction import merge
from runs.compaction.plan import LEAST, MOST, Header, plan_merges
from runs.ingest import accept_batch
from runs.models import Chunk, Run, RunState
from runs.settling import settle_run
from scaledash.lib.jsonsafe import encode_float
from tests.fitting.waiting import wait_until
from tests.runs.factories import Job, make_api, open_run, read_series
from tests.teams.factories import make_project


def headers(*chunks: tuple[int, int, int]) -> list[Header]:
    """Return headers of one series from (attempt, codec, n)."""
    return [Header(1, attempt, codec, n, rev) for rev, (attempt, codec, n) in enumerate(chunks, 1)]


def revs(found: list[Header], is_ended: bool) -> list[tuple[int, ...]]:
    return [merge.revs for merge in plan_merges(found, is_ended)]


def test_open_end_of_a_running_series_is_left_alone() -> None:
    assert revs(headers(*[(0, RAW, 10)] * 99), False) == []
    assert revs(headers(*[(0, RAW, 10)] * 100), False) == [tuple(range(1, 101))]
    assert revs(headers(*[(0, RAW, 10)] * 99), True) == [tuple(range(1, 100))]


def test_attempts_are_never_merged_with_each_other() -> None:
    found = headers((0, RAW, 10), (1, RAW, 10), (0, RAW, 10), (0, RAW, 10))
    assert revs(found, True) == [(1,), (2,), (3, 4)]


def test_full_chunks_stay_and_bound_what_is_merged() -> None:
    found = headers((0, RAW, 10), (0, PCODEC, LEAST), (0, RAW, 10), (0, PCODEC, 20))
    assert revs(found, True) == [(1,), (3, 4)]


def test_merged_chunk_is_never_beyond_the_most() -> None:
    found = headers(*[(0, RAW, 3_000)] * 7)
    assert [len(group) for group in revs(found, False)] == [3, 3, 1]
    assert MOST >= 3 * 3_000


def test_small_chunks_become_one_and_every_read_stays_the_same(db: None) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    values = [math.sin(step) for step in range(1200)]
    values[700] = math.nan
    for first in range(0, 1200, 10):
        part = [encode_float(value) for value in values[first : first + 10]]
        job.log(range(first, first + 10), loss=part, times=[1.7e9 + first] * 10)
    before = (read_series(run, "loss")[0], bits(read_series(run, "loss")[1]))
    assert merge.compact_run(run.pk) == 2
    assert (read_series(run, "loss")[0], bits(read_series(run, "loss")[1])) == before
    chunk = Chunk.objects.get(run=run, metric__name="loss")
    assert (chunk.n, chunk.codec, chunk.rev_first, chunk.rev) == (1200, PCODEC, 1, 120)
    assert (chunk.n_nan, chunk.first_step, chunk.last_step) == (1, 0, 1199)
    assert chunk.last_value == values[-1]
    assert len(store.read_times([run.pk])[run.pk].steps) == 1200
    assert merge.compact_run(run.pk) == 0


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


def test_later_batch_still_wins_over_a_merged_one(db: None) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    job.log([1, 2], loss=[1.0, 2.0])
    job.log([2, 3], loss=[20.0, 3.0])
    Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED)
    assert merge.compact_run(run.pk) == 1
    job.log([3], loss=[30.0])
    assert read_series(run, "loss") == ([1, 2, 3], [1.0, 20.0, 30.0])


def test_rewind_reads_how_far_merged_points_reach(db: None) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    for step in range(50):
        job.log([step], loss=[1.0])
    Run.objects.filter(pk=run.pk).update(state=RunState.INTERRUPTED)
    merge.compact_run(run.pk)
    answer = api.post(f"runs/{run.uid}/rewind", {"id": str(uuid.uuid4()), "step": 30})
    assert answer.json()["last_step"] == 29


def test_ended_run_is_found_once_and_a_late_batch_brings_it_back(db: None) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    job.log([1], loss=[1.0])
    assert merge.find_runs() == []
    Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED)
    assert merge.find_runs() == [run.pk]
    merge.compact_run(run.pk)
    assert merge.find_runs() == []
    job.log([2], loss=[1.0])
    assert merge.find_runs() == [run.pk]


def test_running_run_is_found_every_so_many_batches_and_again_when_it_ends(db: None) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    for step in range(merge.BATCHES):
        job.log([step], loss=[1.0])
    assert merge.find_runs() == [run.pk]
    assert merge.compact_run(run.pk) == 0
    assert merge.find_runs() == []
    Run.objects.filter(pk=run.pk).update(state=RunState.FINISHED)
    assert merge.find_runs() == [run.pk]
    assert merge.compact_run(run.pk) == 1


METRICS = ("loss", "aux")
FLOATS = st.sampled_from([0.0, -0.0, 1.5, 0.1, 1e308, 5e-324, math.nan, math.inf, -math.inf, -3.25])
STEPS = st.lists(st.integers(0, 30), min_size=1, max_size=6)


class StoreMachine(RuleBasedStateMachine):
    """One run, three writers, and a list of points that says what must be read back."""

    def __init__(self) -> None:
        super().__init__()
        self.run = Run.objects.create(project=make_project(), uid="r")
        self.writers = [str(uuid.uuid4()) for _ in range(3)]
        self.seqs = [0, 0, 0]
        self.attempts: list[int | None] = [None, None, None]
        self.starts: dict[int, int] = {}
        self.points: list[tuple[str, int, int, float]] = []
        self.held_back: list[tuple[int, bytes, list[tuple[str, int, float]]]] = []
        self.sent: list[bytes] = []

    def visible(self, metric: str) -> dict[int, bytes]:
        found = {}
        for name, attempt, step, value in self.points:
            limit = min((s for no, s in self.starts.items() if no > attempt), default=10**9)
            if name == metric and step < limit:
                found[step] = struct.pack("<d", value)
        return dict(sorted(found.items()))

    def last_step(self) -> int:
        return max((step for metric in METRICS for step in self.visible(metric)), default=-1)

    @property
    def newest(self) -> int:
        return max(self.starts, default=0)

    def note(self, writer: int, points: list[tuple[str, int, float]]) -> None:
        if self.attempts[writer] is None:
            self.attempts[writer] = self.newest
        self.points += [(name, self.attempts[writer], step, value) for name, step, value in points]

    def make(
        self, writer: int, steps: list[int], values: list[float], **more: int
    ) -> tuple[bytes, list[tuple[str, int, float]]]:
        self.seqs[writer] += 1
        columns = {
            name: (values * (len(steps) + 1))[place : place + len(steps)]
            for place, name in enumerate(METRICS)
        }
        body = {
            "writer": self.writers[writer],
            "seq": self.seqs[writer],
            "steps": steps,
            "metrics": {name: [encode_float(v) for v in col] for name, col in columns.items()},
            **more,
        }
        points = [
            (name, step, value)
            for name, column in columns.items()
            for step, value in zip(steps, column, strict=True)
        ]
        return json.dumps(body).encode(), points

    def send(self, body: bytes) -> dict[str, int | None]:
        self.sent.append(body)
        return accept_batch(self.run, body)

    @rule(writer=st.integers(0, 2), steps=STEPS, values=st.lists(FLOATS, min_size=1, max_size=6))
    def log(self, writer: int, steps: list[int], values: list[float]) -> None:
        body, points = self.make(writer, steps, values)
        assert self.send(body)["accepted"] == len(points)
        self.note(writer, points)

    @rule(writer=st.integers(0, 2), steps=STEPS, values=st.lists(FLOATS, min_size=1, max_size=6))
    def hold_back(self, writer: int, steps: list[int], values: list[float]) -> None:
        self.held_back.append((writer, *self.make(writer, steps, values)))

    @rule()
    def deliver_late(self) -> None:
        while self.held_back:
            writer, body, points = self.held_back.pop()
            self.send(body)
            self.note(writer, points)

    @rule(place=st.integers(0, 99))
    def duplicate(self, place: int) -> None:
        if self.sent:
            assert accept_batch(self.run, self.sent[place % len(self.sent)])["accepted"] == 0

    @rule(writer=st.integers(0, 2), step=st.integers(0, 30), value=FLOATS)
    def rewind(self, writer: int, step: int, value: float) -> None:
        body, points = self.make(writer, [step], [value], rewind=step)
        self.send(body)
        newest = self.newest
        joins = newest and self.starts[newest] == step and self.attempts[writer] != newest
        if not joins:  # else this rank follows another one
            self.starts[newest + 1] = step
        self.attempts[writer] = self.newest
        self.note(writer, points)

    @rule(step=st.integers(0, 30), value=FLOATS)
    def restart(self, step: int, value: float) -> None:
        """A process with a writer of its own resumes at a step."""
        self.writers[0], self.seqs[0] = str(uuid.uuid4()), 0
        self.held_back = [held for held in self.held_back if held[0] != 0]
        newest = self.newest
        joins = newest and self.starts[newest] == step
        if step <= self.last_step() and not joins:
            self.starts[newest + 1] = step
        self.attempts[0] = self.newest
        body, points = self.make(0, [step], [value], start_step=step)
        self.send(body)
        self.note(0, points)

    @rule(is_ended=st.booleans())
    def compact(self, is_ended: bool) -> None:
        state = RunState.CRASHED if is_ended else RunState.RUNNING
        Run.objects.filter(pk=self.run.pk).update(state=state)
        merge.compact_run(self.run.pk)

    @rule()
    def kill_compaction(self) -> None:
        """It dies after its last statement and before COMMIT."""
        rows = store.fetch(merge.sql.READ_HEADERS, {"run": self.run.pk})
        plans = list(plan_merges([Header(*row) for row in rows], True))
        with transaction.atomic():
            for plan in plans:
                merge.apply_merge(self.run.pk, plan)
            transaction.set_rollback(True)

    @rule()
    def settle(self) -> None:
        settle_run(self.run.pk)

    @invariant()
    def every_read_equals_the_model(self) -> None:
        for metric in METRICS:
            steps, values = store.read_series(self.run.pk, metric)
            found = dict(zip(steps.tolist(), bits(values.tolist()), strict=True))
            assert found == self.visible(metric)

    @invariant()
    def stored_points_are_all_there(self) -> None:
        stored = sum(Chunk.objects.filter(run=self.run).values_list("n", flat=True))
        assert stored == len(self.points)


def run_machine(examples: int, steps: int) -> None:
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(StoreMachine, settings=limits)


def test_store_equals_a_dictionary_whatever_happens(db: None) -> None:
    run_machine(20, 15)


@pytest.mark.slow
def test_store_equals_a_dictionary_for_long(db: None) -> None:
    run_machine(100, 50)


@pytest.mark.django_db(transaction=True)
def test_compaction_beside_ingest_readers_and_itself_is_invisible() -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    done = threading.Event()
    problems: list[str] = []

    def compact() -> None:
        while not done.is_set():
            rows = store.fetch(merge.sql.READ_HEADERS, {"run": run.pk})
            for plan in plan_merges([Header(*row) for row in rows], True):
                merge.apply_merge(run.pk, plan)
        connection.close()

    def read() -> None:
        seen = 0
        while not done.is_set():
            steps, values = read_series(run, "loss")
            if len(steps) < seen or values != [float(step) for step in steps]:
                problems.append(f"{len(steps)} points after {seen}")
            seen = len(steps)
        connection.close()

    threads = [threading.Thread(target=work) for work in (compact, compact, read)]
    for thread in threads:
        thread.start()
    for first in range(0, 1500, 5):
        body = job.batch(range(first, first + 5), loss=[float(s) for s in range(first, first + 5)])
        accept_batch(run, json.dumps(body).encode())
    done.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert read_series(run, "loss") == (list(range(1500)), [float(step) for step in range(1500)])


@pytest.mark.django_db(transaction=True)
def test_worker_compacts_what_the_sweeper_finds(live_worker: Path, live_sweeper: Path) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    for step in range(30):
        job.log([step], loss=[1.0 / (step + 1)])
    api.post(f"runs/{run.uid}/finish", {"state": "finished"})
    chunks = Chunk.objects.filter(run=run)
    wait_until(lambda: chunks.count() == 1, "compaction by the worker")
    assert read_series(run, "loss")[1] == [1.0 / (step + 1) for step in range(30)]
