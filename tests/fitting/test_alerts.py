"""Alerts: told once, on upward transitions only, to the people who want them."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from fitting import outbox, refit
from fitting.alerts.queries import AlertQuery, count_unread, list_alerts
from fitting.alerts.raising import raise_alerts
from fitting.alerts.verdicts import raise_study_verdicts, raise_verdicts
from fitting.diagnoses.publishing import describe
from fitting.maths.diagnose.verdict import Verdict
from fitting.models import Alert, AlertRead, Study
from fitting.services import add_runs
from runs.models import Run, RunState
from runs.services import mark_crashed_runs
from teams.models import Membership
from teams.principals import Principal
from tests.fitting.factories import make_run, make_study, settle, skip_gaps
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import get_user, make_project, sign_in

pytestmark = pytest.mark.django_db
WORSE = ("warn", "critical")
_numbers = itertools.count(1)


@pytest.fixture
def run() -> Run:
    project = make_project("alpha", ann="admin", vera="viewer")
    return make_run(project, loss=None, name="wide")


def judge(run: Run, severity: str, slug: str = "attention_logits") -> list[Alert]:
    sentence = f"Attention logits grow ({severity})."
    return raise_verdicts(run, {slug: Verdict(slug, severity, sentence, first_step=90)})


def tell(of: Run, **fields: object) -> Alert:
    values = {"title": "Loss", "sentence": "It grew.", "kind": "verdict", "severity": "warn"}
    values |= {"run": of, "key": f"told:{next(_numbers)}", **fields}
    return raise_alerts([Alert(project=of.project, **values)])[0]


def unread(name: str) -> int:
    return count_unread(Principal(user_id=get_user(name).pk))


def test_each_step_upwards_is_told_once_however_the_verdict_flaps(run: Run) -> None:
    course = ("ok", "warn", "ok", "warn", "critical", "warn", "critical", "ok")
    told = [alert.severity for severity in course for alert in judge(run, severity)]
    assert told == ["warn", "critical"]


def test_what_is_critical_at_once_is_not_told_as_warn_when_it_calms_down(run: Run) -> None:
    assert [len(judge(run, severity)) for severity in ("critical", "warn")] == [1, 0]


@pytest.mark.parametrize("severity", ["ok", "watch", "unknown"])
def test_nothing_below_warn_is_told(run: Run, severity: str) -> None:
    assert judge(run, severity) == []


def test_another_attempt_is_told_anew_and_the_earlier_one_says_so(run: Run) -> None:
    judge(run, "warn")
    run.attempt = 1
    run.save()
    (second,) = judge(run, "warn")
    assert second.attempt == 1
    page = sign_in(get_user("ann")).get("/alerts").content.decode()
    assert page.count("earlier attempt") == 1


def test_limits_of_the_evidence_are_no_instability(run: Run) -> None:
    assert judge(run, "warn", "evidence") == []


@pytest.mark.django_db(transaction=True)
def test_alert_is_written_with_the_verdict_that_a_worker_publishes() -> None:
    api = make_api()
    job = Job(api, open_run(api, config={"total_steps": 100}))
    job.log([1, 2, 3], metrics={"loss.train": [3.0, 2.9, "NaN"]})
    while refit.run_next(1):
        skip_gaps()
    found = Alert.objects.get(run=job.run, diagnostic="loss_shape")
    assert (found.severity, found.first_step) == ("critical", 3)
    assert found.evidence["thresholds"]
    outbox.mark_holders(job.run.pk)
    while refit.run_next(1):
        skip_gaps()
    assert Alert.objects.filter(run=job.run, diagnostic="loss_shape").count() == 1


def test_run_that_falls_silent_is_told_once(run: Run) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    for _ in range(2):
        Run.objects.update(state=RunState.RUNNING, heartbeat_at=long_ago, last_step=40)
        mark_crashed_runs()
    (told,) = Alert.objects.all()
    assert (told.kind, told.title) == ("ended", "Run crashed")
    assert "after step 40" in told.sentence


def test_run_that_finishes_is_not_told_and_one_that_fails_is() -> None:
    api = make_api()
    for state in ("finished", "failed"):
        uid = open_run(api).uid
        api.post(f"runs/{uid}/finish", {"state": state, "exit_code": 3})
    assert [alert.sentence for alert in Alert.objects.all()] == ["The run failed: exit code 3."]


def test_what_the_script_raises_is_passed_on_once() -> None:
    api = make_api()
    raised = [{"title": "Slow", "text": "below 100 k/s", "level": "ERROR", "at": 1.0}]
    uid = open_run(api, config={"_scaledash": {"alerts": raised}}).uid
    raised.append({"title": "Slow", "text": "again", "level": "INFO", "at": 90.0})
    for _ in range(2):
        api.patch(f"runs/{uid}", {"config": {"_scaledash": {"alerts": raised}}})
    found = Alert.objects.order_by("pk").values_list("severity", "sentence")
    assert list(found) == [("critical", "below 100 k/s"), ("info", "again")]


@pytest.mark.parametrize("junk", [7, {"alerts": 7}, {"alerts": [7, {}, {"title": ""}]}, [1]])
def test_junk_in_the_place_of_raised_alerts_is_passed_over(junk: object) -> None:
    api = make_api()
    open_run(api, config={"_scaledash": junk})
    assert not Alert.objects.exists()


def test_study_whose_target_lies_beyond_the_limit_is_told_once(run: Run) -> None:
    study = make_study(run.project)
    item = {"severity": "warn", "lr": 0.1, "variant": "none", "crossing": 1e9, "sentence": "At 1G."}
    result = {"forecasts": [item, {**item, "severity": "ok"}]}
    assert [len(raise_study_verdicts(study, [result])) for _ in range(2)] == [1, 0]
    assert Alert.objects.get().study == study


def judge_study(study: Study, severity: str, variant: str = "", slug: str = "lr_drift") -> int:
    verdict = Verdict(slug, severity, "2 of 3 sizes at the grid edge.", values={"variant": variant})
    return len(raise_study_verdicts(study, [{"verdicts": [describe(verdict)]}]))


def test_every_verdict_on_a_study_is_told_upwards_only(run: Run) -> None:
    study = make_study(run.project)
    course = ("ok", "warn", "ok", "warn", "critical", "warn", "critical", "watch", "unknown")
    told = [judge_study(study, severity) for severity in course]
    assert told == [0, 1, 0, 0, 1, 0, 0, 0, 0]
    assert judge_study(make_study(run.project), "critical") == 1


def test_each_variant_of_a_study_is_told_by_itself(run: Run) -> None:
    study = make_study(run.project)
    assert [judge_study(study, "warn", name) for name in ("a", "b", "a")] == [1, 1, 0]
    assert Alert.objects.first().title == "Drift of the best LR (a)"


def test_the_forecast_of_logits_is_told_once_not_as_a_verdict_too(run: Run) -> None:
    assert judge_study(make_study(run.project), "warn", slug="logit_forecast") == 0


@pytest.mark.django_db(transaction=True)
def test_a_sweep_at_the_grid_edge_is_told_by_the_worker() -> None:
    study = make_study()
    lrs = (1e-3, 3e-3, 1e-2, 3e-2)
    for size, lr in itertools.product((9e3, 3.7e4, 1.5e5), lrs):
        shape = {"n_params_non_embedding": size, "peak_lr": lr}
        add_runs(study, [make_run(study.project, 3.0 - lrs.index(lr) * 0.1, **shape)])
    settle()
    assert Alert.objects.get(study=study, diagnostic="lr_drift").severity == "warn"


def test_unread_counts_for_each_member_by_themselves(run: Run) -> None:
    alert = tell(run)
    make_project("beta", zoe="admin")
    sign_in(get_user("ann")).post("/alerts/read", {"id": alert.pk})
    assert [unread(name) for name in ("ann", "vera", "zoe")] == [0, 1, 0]


def test_alert_of_another_project_cannot_be_marked(run: Run) -> None:
    alert = tell(run)
    make_project("beta", zoe="admin")
    sign_in(get_user("zoe")).post("/alerts/read", {"id": alert.pk})
    assert not AlertRead.objects.exists()


def test_what_came_while_the_list_was_read_stays_unread(run: Run) -> None:
    shown = tell(run)
    tell(run)
    sign_in(get_user("ann")).post("/alerts/read", {"up_to": shown.pk})
    assert unread("ann") == 1


def test_new_member_hears_only_of_what_comes_after(run: Run) -> None:
    tell(run)
    Membership.objects.filter(user=get_user("vera")).update(created_at=timezone.now())
    tell(run)
    assert [unread("ann"), unread("vera")] == [2, 1]


def test_imported_runs_are_listed_but_not_counted(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(host={"import": {"source": "csv"}})
    run.refresh_from_db()
    judge(run, "critical")
    assert unread("ann") == 0
    assert b"imported, not counted" in sign_in(get_user("ann")).get("/alerts").content


def test_run_that_began_long_before_it_arrived_is_not_counted(run: Run) -> None:
    run.started_at = run.created_at - timedelta(days=2)
    assert [alert.is_quiet for alert in judge(run, "critical")] == [True]


@pytest.mark.parametrize("subject", ["run", "study", "project"])
def test_mute_silences_for_one_person_until_it_is_taken_back(run: Run, subject: str) -> None:
    study = make_study(run.project)
    add_runs(study, [run])
    tell(run)
    ann = sign_in(get_user("ann"))
    names = {"run": {"run": run.uid}, "study": {"study": study.slug}, "project": {}}
    ann.post("/p/alpha/alerts/mute", names[subject])
    assert [unread("ann"), unread("vera")] == [0, 1]
    (mute,) = ann.get("/alerts.json").json()["mutes"]
    ann.post(f"/alerts/mutes/{mute['id']}/end")
    assert unread("ann") == 1


def test_deleted_runs_take_their_alerts_along(run: Run) -> None:
    tell(run)
    Run.objects.filter(pk=run.pk).update(deleted_at=timezone.now())
    assert unread("ann") == 0


def test_page_leads_to_the_evidence_and_the_bell_counts(run: Run) -> None:
    judge(run, "critical")
    page = sign_in(get_user("ann")).get("/alerts?unread=1").content.decode()
    assert f"/p/alpha/r/{run.uid}#verdict-attention_logits" in page
    assert 'aria-label="Alerts: 1 unread"' in page


def test_list_narrows_to_a_study_and_its_runs(run: Run) -> None:
    study, other = make_study(run.project), make_run(run.project)
    add_runs(study, [run])
    mine = [tell(run), tell(run, run=None, study=study)]
    tell(other)
    query = AlertQuery(project="alpha", study=study.slug)
    found = list_alerts(Principal(user_id=get_user("ann").pk), query)
    assert {alert.pk for alert in found} == {alert.pk for alert in mine}


def test_list_of_many_alerts_asks_a_fixed_number_of_questions(
    run: Run, django_assert_max_num_queries: object
) -> None:
    for _ in range(30):
        tell(run)
    browser = sign_in(get_user("ann"))
    with django_assert_max_num_queries(12):
        browser.get("/alerts")


def test_api_lists_marks_and_mutes() -> None:
    api = make_api()
    run = open_run(api)
    run.refresh_from_db()
    first, second = judge(run, "warn"), judge(run, "critical")
    listed = api.get("alerts?unread=1").json()["items"]
    assert [item["severity"] for item in listed] == ["critical", "warn"]
    assert listed[0]["url"].startswith("http")
    assert api.post("alerts/read", {"ids": [first[0].pk]}).json() == {"marked": 1, "unread": 1}
    muted = api.post("alerts/mutes", {"project": api.project.slug, "run": run.uid})
    assert muted.status_code == 201
    assert api.get("alerts?unread=1").json()["items"] == []
    assert api.delete(f"alerts/mutes/{muted.json()['id']}").status_code == 204
    assert api.post("alerts/read", {"up_to": second[0].pk}).json()["unread"] == 0


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("alerts/read", {}, "required"),
        ("alerts/read", {"ids": [1], "up_to": 1}, "required"),
        ("alerts/read", {"ids": ["1"]}, "wrong_type"),
        ("alerts/mutes", {"project": "alpha", "run": "absent"}, "unknown_value"),
    ],
)
def test_api_refuses_what_it_cannot_do(path: str, body: dict[str, object], code: str) -> None:
    api = make_api()
    if "project" in body:
        body = {**body, "project": api.project.slug}
    answer = api.post(path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
