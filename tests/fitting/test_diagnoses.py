"""Diagnoses of runs through the outbox: incremental, rebuilt, published, and the outcome."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from django.db import connection, transaction

from fitting import outbox, refit
from fitting.diagnoses.outcome import override_outcome, restore_outcome
from fitting.diagnoses.work import diagnose
from fitting.maths.diagnose.state import unpack_state
from fitting.models import Alert, Dirty, FitKind, FitState, RunDiagnosis
from fitting.rows import read_rows
from fitting.services import Refused, add_runs
from runs.models import Outcome, Run
from tests.fitting.factories import make_study, skip_gaps
from tests.runs.factories import Job, make_api, open_run, settle

pytestmark = pytest.mark.django_db(transaction=True)
CONFIG = {"total_steps": 1000, "loss_at_init": 10.0, "seq_len": 64, "adam_eps": 1e-8, "clip": 1.0}
STEPS = list(range(10, 1001, 10))


def make_loss(seed: int = 0) -> list[float]:
    noise = np.random.default_rng(seed).normal(0, 0.02, len(STEPS))
    return [float(value) for value in 2.4 + 7 * (1 + np.array(STEPS) / 20) ** -0.8 + noise]


@pytest.fixture
def job() -> Job:
    api = make_api()
    return Job(api, open_run(api, config=CONFIG))


def work() -> None:
    """Do what is due until nothing is."""
    skip_gaps()
    while refit.run_next(1):
        skip_gaps()


def read(run: Run) -> RunDiagnosis:
    return RunDiagnosis.objects.get(run=run)


def verdict(run: Run, slug: str) -> dict[str, object]:
    return next(item for item in read(run).verdicts if item["diagnostic"] == slug)


def log_all(job: Job, loss: list[float], **metrics: list[float]) -> None:
    job.log(STEPS, metrics={"loss.train": loss, **metrics})


def test_batch_marks_the_run_and_a_worker_publishes_its_verdicts(job: Job) -> None:
    log_all(job, make_loss())
    assert Dirty.objects.filter(subject=job.run.pk, kind=FitKind.RUN_DIAG).exists()
    work()
    assert read(job.run).severities["loss_shape"] == "ok"
    assert not Dirty.objects.filter(kind=FitKind.RUN_DIAG).exists()


def test_metric_that_nothing_reads_marks_nothing(job: Job) -> None:
    work()
    job.log([1], metrics={"throughput": [5.0]})
    assert not Dirty.objects.filter(kind=FitKind.RUN_DIAG).exists()


def test_later_batches_are_read_alone_and_end_where_a_rebuild_does(job: Job) -> None:
    loss = make_loss()
    logit = [float(step) for step in STEPS]
    for first in range(0, len(STEPS), 20):
        part = slice(first, first + 20)
        metrics = {"loss.train": loss[part], "attn/max_logit/L1": logit[part]}
        job.log(STEPS[part], metrics=metrics)
        work()
    grown = read(job.run)
    assert not grown.is_rebuilt
    RunDiagnosis.objects.update(digest="")
    outbox.mark_holders(job.run.pk)
    work()
    rebuilt = read(job.run)
    assert rebuilt.is_rebuilt
    assert rebuilt.verdicts == grown.verdicts
    assert set(unpack_state(bytes(rebuilt.state))["state"]) == set(grown.severities)


@pytest.mark.parametrize("change", ["late", "config", "rewind"])
def test_what_is_not_simply_later_rebuilds(job: Job, change: str) -> None:
    loss = make_loss()
    job.log(STEPS[50:], metrics={"loss.train": loss[50:]})
    work()
    if change == "late":
        job.log(STEPS[:50], metrics={"loss.train": loss[:50]})
        settle(job.run)
    elif change == "config":
        job.api.patch(f"runs/{job.run.uid}", {"config": {"clip": 2.0}})
    else:
        job.log(STEPS[60:], metrics={"loss.train": loss[60:]}, rewind=STEPS[60])
        settle(job.run)
    work()
    found = read(job.run)
    assert found.is_rebuilt
    evidence = verdict(job.run, "loss_shape")["evidence"]
    assert evidence["n_points"] == (100 if change == "late" else 50)


def test_points_of_a_rewound_attempt_take_no_part(job: Job) -> None:
    loss = make_loss()
    bad = [*loss[:60], *[50.0] * 40]
    log_all(job, bad)
    work()
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.DIVERGED
    job.log(STEPS[60:], metrics={"loss.train": loss[60:]}, rewind=STEPS[60])
    settle(job.run)
    work()
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.HEALTHY
    assert read(job.run).attempt == 1


def test_outcome_carries_its_evidence(job: Job) -> None:
    log_all(job, [*make_loss()[:60], *[50.0] * 40])
    work()
    run = Run.objects.get(pk=job.run.pk)
    assert (run.outcome, run.outcome_evidence["class"]) == (Outcome.DIVERGED, "fast_divergence")
    assert run.outcome_evidence["step"] == 610
    assert "fast divergence from step 610" in run.outcome_evidence["sentence"]


def test_study_counts_what_the_diagnosis_decided(job: Job) -> None:
    study = make_study(project=job.run.project)
    add_runs(study, [job.run])
    log_all(job, [*make_loss()[:60], *[50.0] * 40])
    work()
    assert [row.diverged for row in read_rows(study).rows] == [True]


def test_person_overrides_the_outcome_and_takes_it_back(job: Job) -> None:
    log_all(job, [*make_loss()[:60], *[50.0] * 40])
    work()
    override_outcome(job.run, None, "healthy", "a planned change of the data")
    work()
    run = Run.objects.get(pk=job.run.pk)
    assert (run.outcome, run.outcome_evidence["override"]["reason"]) == (
        Outcome.HEALTHY,
        "a planned change of the data",
    )
    restore_outcome(run)
    work()
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.DIVERGED


def test_override_outlives_a_loss_that_is_not_finite(job: Job) -> None:
    log_all(job, make_loss())
    override_outcome(job.run, None, "healthy", "known")
    job.log([1010], metrics={"loss.train": ["NaN"]})
    work()
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.HEALTHY


def test_override_wants_a_reason(job: Job) -> None:
    with pytest.raises(Refused, match="Say why"):
        override_outcome(job.run, None, "healthy", "  ")


def test_escalation_is_noted_once_however_often_it_is_recomputed(job: Job) -> None:
    logit = [10.0 * step for step in STEPS]
    for part in (slice(0, 50), slice(50, 100)):
        metrics = {"loss.train": make_loss()[part], "attn.max_logit.L0": logit[part]}
        job.log(STEPS[part], metrics=metrics)
        work()
    outbox.mark_holders(job.run.pk)
    work()
    found = Alert.objects.filter(run=job.run, diagnostic="attention_logits")
    assert list(found.values_list("severity", "first_step")) == [("warn", 100), ("critical", 1000)]


def test_superseded_worker_publishes_nothing(job: Job) -> None:
    log_all(job, make_loss())
    old = outbox.claim([FitKind.RUN_DIAG], 1)
    assert old is not None
    found = diagnose(old)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fitting_fitstate SET lease_until = NULL WHERE kind = 'run_diag'")
    new = outbox.claim([FitKind.RUN_DIAG], 1)
    assert new is not None
    assert not refit.publish_diagnosis(old, found, 0.1)
    assert not RunDiagnosis.objects.exists()
    assert refit.run_claim(new)


def test_change_during_a_diagnosis_stays_marked(job: Job) -> None:
    log_all(job, make_loss())
    held = outbox.claim([FitKind.RUN_DIAG], 1)
    assert held is not None
    found = diagnose(held)
    job.log([1010], metrics={"loss.train": [2.5]})
    assert refit.publish_diagnosis(held, found, 0.1)
    work()
    assert verdict(job.run, "loss_shape")["evidence"]["n_points"] == 101


def test_divergence_that_arrived_meanwhile_is_not_overwritten(job: Job) -> None:
    log_all(job, make_loss())
    held = outbox.claim([FitKind.RUN_DIAG], 1)
    assert held is not None
    found = diagnose(held)
    job.log([1010], metrics={"loss.train": ["NaN"]})
    refit.publish_diagnosis(held, found, 0.1)
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.DIVERGED


def test_lease_of_a_deleted_run_goes_with_its_last_change(job: Job) -> None:
    log_all(job, make_loss())
    job.api.delete(f"runs/{job.run.uid}")
    work()
    assert not FitState.objects.filter(subject=job.run.pk, kind=FitKind.RUN_DIAG).exists()
    assert not Dirty.objects.filter(kind=FitKind.RUN_DIAG).exists()


def test_thousand_batches_cost_few_diagnoses(job: Job) -> None:
    loss = itertools.cycle(make_loss())
    for step in range(40):
        job.log([step], metrics={"loss.train": [next(loss)]})
    assert refit.run_next(1)
    assert outbox.claim([FitKind.RUN_DIAG], 1) is None
    assert Dirty.objects.filter(kind=FitKind.RUN_DIAG).count() == 0


def test_batch_does_not_wait_for_the_lease_that_a_worker_updates(job: Job) -> None:
    log_all(job, make_loss())
    held = outbox.claim([FitKind.RUN_DIAG], 1)
    assert held is not None
    found = diagnose(held)
    done = threading.Event()

    def log_more() -> None:
        try:
            job.log([1010], metrics={"loss.train": [2.5]})
            done.set()
        finally:
            connection.close()

    with transaction.atomic():
        assert outbox.release(held, 0.1, "{}")
        thread = threading.Thread(target=log_more)
        thread.start()
        assert done.wait(30)
        assert found.verdicts
    thread.join()
