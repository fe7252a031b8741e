"""Verdicts on the run's page, its twin and the API; the outcome set by hand."""

from __future__ import annotations

import pytest
from django.test import Client

from fitting import refit
from runs.models import Outcome, Run
from teams.models import AuditEntry
from tests.fitting.factories import make_study
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Role, add_member, make_user, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
STEPS = list(range(10, 1001, 10))
CONFIG = {"total_steps": 1000, "loss_at_init": 10.0}


@pytest.fixture
def job() -> Job:
    api = make_api()
    found = Job(api, open_run(api, config=CONFIG))
    logit = [2e4 if step > 500 else 5.0 for step in STEPS]
    found.log(STEPS, metrics={"loss.train": [3.0] * 100, "attn.max_logit.L0": logit})
    while refit.run_next(1):
        pass
    return found


def browser(job: Job, role: Role = Role.EDITOR) -> Client:
    return sign_in(add_member(job.run.project, make_user(), role))


def address(job: Job, end: str = "") -> str:
    return f"/p/{job.run.project.slug}/r/{job.run.uid}{end}"


def test_page_shows_every_verdict_the_unknown_ones_with_their_reason(job: Job) -> None:
    page = browser(job, Role.VIEWER).get(address(job)).content.decode()
    assert page.count('class="verdict"') == 15
    assert page.count("Attention logits grow: layer 0 reached 20k at step 510.") >= 2  # and events
    assert "reached 2e+04" not in page
    assert "Not logged: attn.entropy.L*" in page
    assert "Wortsman et al. 2023, section 3.3" in page
    assert "set by hand" not in page


def test_only_what_asks_for_attention_stands_open(job: Job) -> None:
    page = browser(job, Role.VIEWER).get(address(job)).content.decode()
    before, _, folded = page.partition('class="verdict-rest"')
    assert "Attention-logit growth" in before
    assert "Not logged: attn.entropy.L*" not in before
    assert "Not logged: attn.entropy.L*" in folded


def test_page_shows_what_the_script_summed_up(job: Job) -> None:
    job.api.call(
        "PATCH", f"runs/{job.run.uid}", {"summary": {"best": {"acc": 0.91}, "note": "a<b"}}
    )
    page = browser(job).get(address(job)).content.decode()
    assert 'data-key="best.acc"><th scope="row">best.acc</th><td>0.91</td>' in page
    assert "<td>a&lt;b</td>" in page


def test_page_of_a_run_without_metrics_says_so(job: Job) -> None:
    other = open_run(job.api)
    while refit.run_next(1):
        pass
    page = browser(job).get(f"/p/{job.run.project.slug}/r/{other.uid}").content.decode()
    assert "Not logged: loss.train" in page


def test_twin_and_api_answer_with_the_same_rows(job: Job) -> None:
    twin = browser(job).get(address(job, "/diagnoses.json")).json()
    answer = job.api.get(f"runs/{job.run.uid}/diagnoses").json()
    assert answer == twin
    found = {item["diagnostic"]: item for item in answer["diagnoses"]}
    assert found["attention_logits"]["first_step"] == 510
    assert found["attention_logits"]["thresholds"][2]["value"] == 1e4
    assert sum(answer["counts"].values()) == 15


def test_study_counts_severities_of_its_runs(job: Job) -> None:
    study = make_study(job.run.project)
    job.api.post(f"studies/{study.pk}/runs", {"runs": [job.run.uid]})
    answer = job.api.get(f"studies/{study.pk}/diagnoses").json()
    assert answer["counts"]["attention_logits"] == {"critical": 1}
    assert answer["runs"][0]["run"] == job.run.uid


def test_editor_sets_the_outcome_on_the_page(job: Job) -> None:
    editor = browser(job)
    editor.post(
        address(job, "/outcome"), {"outcome": "diverged", "reason": "logits <b>exploded</b>"}
    )
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.DIVERGED
    page = editor.get(address(job)).content.decode()
    assert "logits &lt;b&gt;exploded&lt;/b&gt;" in page
    editor.post(address(job, "/outcome"), {"outcome": "server"})
    assert Run.objects.get(pk=job.run.pk).outcome == Outcome.HEALTHY
    told = AuditEntry.objects.filter(action__startswith="outcome.").order_by("pk")
    assert [entry.action for entry in told] == ["outcome.set", "outcome.restored"]
    assert told[0].details == {"outcome": "diverged", "reason": "logits <b>exploded</b>"}


def test_outcome_without_a_reason_is_refused(job: Job) -> None:
    path = f"runs/{job.run.uid}/outcome"
    answer = job.api.call("PUT", path, {"outcome": "healthy", "reason": " "})
    assert answer.status_code == 422
    assert job.api.call("PUT", path, {"outcome": "fine", "reason": "x"}).status_code == 422
    assert job.api.call("PUT", path, {"outcome": "diverged", "reason": "x"}).status_code == 200
    assert job.api.delete(path).json()["outcome"] == "healthy"


def test_verdicts_stand_on_the_curves_of_what_they_judge(job: Job) -> None:
    events = browser(job).get(address(job, ".json")).json()["events"]
    (logit,) = (event for event in events if event.get("anchor") == "verdict-attention_logits")
    assert (logit["step"], logit["tone"], logit["is_drawn"]) == (510, "critical", True)
    assert logit["metrics"] == ["attn.max_logit.L0"]
    page = browser(job).get(address(job)).content.decode()
    assert '<a href="#verdict-attention_logits">' in page
