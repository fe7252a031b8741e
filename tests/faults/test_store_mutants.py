"""The checker of points must fail on a store that breaks a promise; each mutant breaks one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np
import pytest
from django.db import transaction

from runs import attempts, ingest, points, store
from runs.compaction import merge
from runs.compaction import store as compaction
from runs.ingest import Storing
from runs.models import Batch, Chunk, Metric, Run
from runs.settling import settle_series
from tests.runs.factories import Job, make_api, open_run, settle

pytestmark = pytest.mark.django_db
Patch = pytest.MonkeyPatch


@dataclass
class History:
    """What was acknowledged, kept apart from the store: the losses that must be read back."""

    job: Job
    visible: dict[int, float] = field(default_factory=dict)
    bodies: list[dict[str, object]] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return Run.objects.get(pk=self.job.run.pk)

    def log(self, points: Mapping[int, float], **options: object) -> None:
        body = self.job.batch(list(points), loss=list(points.values()), **options)
        self.send(body, points)

    def send(self, body: dict[str, object], points: Mapping[int, float]) -> None:
        """Send a body; what is answered with 200 counts from then on."""
        if self.job.send(body).status_code != 200:
            return
        self.bodies.append(body)
        start = body.get("rewind")
        if start is not None:
            self.visible = {step: v for step, v in self.visible.items() if step < start}
        self.visible |= points

    def end(self) -> None:
        self.job.api.post(f"runs/{self.run.uid}/finish", {"state": "finished"})
        merge.compact_run(self.run.pk)


def check(history: History) -> list[str]:
    """Return what is violated, in words: I1, I2, I4 and I8."""
    run = settle(history.run)
    metric = Metric.objects.filter(project=run.project, name="loss").values_list("pk", flat=True)
    series = store.read_points([run.pk], list(metric)).get((run.pk, *metric), store.NO_POINTS)
    seen = dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    found = [] if seen == history.visible else [f"I1: read {seen}, acknowledged {history.visible}"]
    stored = sum(Chunk.objects.filter(run=run, metric__in=metric).values_list("n", flat=True))
    keyed = sum(Batch.objects.filter(run=run).values_list("n_points", flat=True))
    if stored != keyed:
        found.append(f"I2: {stored} points stored, {keyed} in batches")
    kept = dict(run.summary)
    settle_series(run, list(run.summary))
    if kept != run.summary:
        found.append(f"I8: summary {kept}, recomputed {run.summary}")
    return found + check_replay(history)


def check_replay(history: History) -> list[str]:
    """I4: the same batches once more change nothing."""
    before = count_rows(history.run)
    for body in history.bodies:
        if "rewind" not in body:
            history.job.send(body)
    after = count_rows(history.run)
    return [] if after == before else [f"I4: a replay made {after} of {before}"]


def count_rows(run: Run) -> tuple[int, int, int]:
    return Chunk.objects.filter(run=run).count(), Batch.objects.filter(run=run).count(), run.rev


@pytest.fixture
def history() -> History:
    api = make_api()
    return History(Job(api, open_run(api)))


def log_twice(history: History) -> None:
    history.log({1: 3.0, 2: 2.5})
    history.log({3: 2.2})


def reuse_a_seq(history: History) -> None:
    log_twice(history)
    first = history.bodies[0]
    history.send({**first, "metrics": {"loss": [9.0, 9.0]}}, {1: 9.0, 2: 9.0})


def overwrite_and_compact(history: History) -> None:
    history.log({1: 3.0, 2: 2.5})
    history.log({2: 2.0, 3: 1.9})
    history.end()


def rewind_past_a_point(history: History) -> None:
    history.log({1: 3.0, 2: 2.5, 3: 2.2})
    history.log({4: 1.8}, rewind=3)


SCENARIOS = (log_twice, reuse_a_seq, overwrite_and_compact, rewind_past_a_point)


@pytest.mark.parametrize("happen", SCENARIOS)
def test_nothing_is_violated(history: History, happen: Callable[[History], None]) -> None:
    happen(history)
    assert check(history) == []


def acknowledge_before_commit(patch: Patch) -> None:
    kept = Storing.store

    def answer_and_die(self: Storing) -> object:
        answer = kept(self)
        if self.batch.seq == 2:
            transaction.set_rollback(True)
        return answer

    patch.setattr(Storing, "store", answer_and_die)


def forget_keys(patch: Patch) -> None:
    claim = store.claim_batch

    def claim_anew(values: Mapping[str, object]) -> object:
        return claim({**values, "writer": uuid4()})

    patch.setattr(store, "claim_batch", claim_anew)


def compare_no_digest(patch: Patch) -> None:
    find = store.find_digest
    patch.setattr(store, "find_digest", lambda key: (None, find(key)[1]))


def let_the_older_win(patch: Patch) -> None:
    reverse = compaction.LOCK_CHUNKS.replace("ORDER BY rev ", "ORDER BY rev DESC ")
    patch.setattr(compaction, "LOCK_CHUNKS", reverse)


def hide_only_later_steps(patch: Patch) -> None:
    def compute(starts: Mapping[int, int], newest: int) -> object:
        return attempts.compute_limits(starts, newest) + np.int64(1)

    for module in (points, ingest):
        patch.setattr(module, "compute_limits", compute)


MUTANTS = {
    "2 acknowledges before commit": (acknowledge_before_commit, log_twice, "I1"),
    "4 has no batch key": (forget_keys, log_twice, "I4"),
    "7 compares no digest": (compare_no_digest, reuse_a_seq, "I1"),
    "9 lets the older batch win": (let_the_older_win, overwrite_and_compact, "I1"),
    "10 hides only later steps": (hide_only_later_steps, rewind_past_a_point, "I1"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(history: History, monkeypatch: Patch, name: str) -> None:
    break_it, happen, invariant = MUTANTS[name]
    break_it(monkeypatch)
    happen(history)
    assert any(line.startswith(invariant) for line in check(history))
