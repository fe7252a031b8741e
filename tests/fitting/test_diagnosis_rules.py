"""Thresholds and metric names of a project: changed, stored, applied to all runs, and shown."""

from __future__ import annotations

import math

import pytest
from django.test import Client

from fitting.diagnoses.naming import forget_meaning, list_names, set_meaning
from fitting.diagnoses.thresholds import change_thresholds
from fitting.models import Dirty, FitKind, FitState, ProjectThreshold, RunDiagnosis
from runs.bulk import BulkWish, edit_runs, undo_edit
from runs.models import BulkAction, Run
from tests.fitting.factories import settle
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Role, add_member, make_user, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
STEPS = list(range(10, 1001, 10))
LOGIT = "attention_logits"


@pytest.fixture
def job() -> Job:
    api = make_api()
    found = Job(api, open_run(api, config={"total_steps": 1000}))
    found.log(STEPS, metrics={"attn.max_logit.L0": [60.0 if s > 500 else 5.0 for s in STEPS]})
    settle()
    return found


def verdict(job: Job, slug: str = LOGIT) -> dict[str, object]:
    verdicts = RunDiagnosis.objects.get(run=job.run).verdicts
    return next(item for item in verdicts if item["diagnostic"] == slug)


def n_waiting() -> int:
    return Dirty.objects.filter(kind=FitKind.RUN_DIAG).count()


def browser(job: Job, role: Role = Role.EDITOR) -> Client:
    return sign_in(add_member(job.run.project, make_user(), role))


def test_own_threshold_judges_every_run_again_and_so_does_taking_it_back(job: Job) -> None:
    user = make_user("ada")
    assert change_thresholds(job.run.project, user, LOGIT, {"watch": 50}) == ["watch"]
    settle()
    found = verdict(job)
    assert (found["severity"], found["first_step"]) == ("watch", 510)
    assert "set by ada" in found["thresholds"][0]["source"]
    change_thresholds(job.run.project, None, LOGIT, {"watch": None})
    settle()
    assert verdict(job)["severity"] == "ok"
    assert not ProjectThreshold.objects.exists()


def test_metric_mapped_by_hand_is_read_from_all_its_points(job: Job) -> None:
    job.log(STEPS, metrics={"weird": [2e4] * len(STEPS)})
    set_meaning(job.run.project, None, "weird", "attn.max_logit.L0")
    settle()
    assert verdict(job)["first_step"] == 10
    forget_meaning(job.run.project, "weird")
    settle()
    assert verdict(job)["severity"] == "ok"


def test_batch_of_a_mapped_metric_marks_the_run(job: Job) -> None:
    job.log([10], metrics={"weird": [1.0]})
    set_meaning(job.run.project, None, "weird", "attn.max_logit.L1")
    settle()
    job.log([20], metrics={"weird": [2.0]})
    assert n_waiting() == 1


def test_metric_that_is_read_by_nothing_makes_its_diagnostic_unknown(job: Job) -> None:
    set_meaning(job.run.project, None, "attn.max_logit.L0")
    settle()
    assert verdict(job)["severity"] == "unknown"


def test_guess_is_listed_first_and_can_be_confirmed(job: Job) -> None:
    guessed = "layers.4.attention.qk_max_logit"
    job.log(STEPS, metrics={guessed: [5.0] * len(STEPS)})
    settle()
    assert verdict(job)["confidence"] == "medium"
    first = list_names(job.run.project)["metrics"][0]
    assert (first["metric"], first["how"]) == (guessed, "likeness")
    set_meaning(job.run.project, None, guessed, first["key"])
    settle()
    assert verdict(job)["confidence"] == "high"


def test_perplexity_is_read_as_its_logarithm(job: Job) -> None:
    job.log(STEPS, metrics={"train_perplexity": [math.exp(3.0)] * len(STEPS)})
    settle()
    assert verdict(job, "loss_shape")["values"]["final"] == pytest.approx(3.0)


def test_norm_without_the_size_of_its_parameter_is_not_read_and_said(job: Job) -> None:
    job.log(STEPS, metrics={"grad/norm/mlp": [4.0] * len(STEPS)})
    settle()
    assert "needs numel.mlp in the config" in verdict(job, "evidence")["sentence"]
    job.api.patch(f"runs/{job.run.uid}", {"config": {"numel": {"mlp": 16}, "adam_eps": 1e-8}})
    settle()
    assert verdict(job, "gradient_epsilon")["values"]["ratio"] == pytest.approx(1e8)


def test_restored_run_is_judged_by_the_rules_of_today_and_a_tag_judges_nothing(job: Job) -> None:
    project, user = job.run.project, make_user("bob")
    runs = Run.objects.filter(pk=job.run.pk)
    edit_runs(project, user, runs, BulkWish(BulkAction.TAG, "x"))
    assert n_waiting() == 0
    deleted = edit_runs(project, user, runs, BulkWish(BulkAction.DELETE))
    settle()
    assert not FitState.objects.filter(kind=FitKind.RUN_DIAG).exists()
    change_thresholds(project, None, LOGIT, {"watch": 50})
    undo_edit(deleted)
    settle()
    assert verdict(job)["severity"] == "watch"
