"""Odd data from training jobs: kept as it is, counted, bounded, and never in the way of others."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from runs.models import Metric, Run
from teams.models import Role, Scope
from tests.runs.factories import Job, count_rows, make_api, open_run, read_history, settle
from tests.teams.factories import Api, add_member, error_of, make_project, make_user, sign_in

pytestmark = pytest.mark.django_db
YEAR_2000 = 946_684_800.0


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.fixture
def run(api: Api) -> Run:
    return open_run(api, "run-1", name="odd one")


@pytest.fixture
def job(api: Api, run: Run) -> Job:
    return Job(api, run)


@pytest.fixture
def browser(api: Api) -> Client:
    return sign_in(add_member(api.project, make_user("reader"), Role.VIEWER))


def refuse_constant(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def test_t15_values_that_are_not_finite_break_no_page_and_no_json(
    api: Api, run: Run, job: Job, browser: Client
) -> None:
    job.log(range(4), loss=["NaN", "Infinity", "-Infinity", 2.5], other=["NaN"] * 4)
    slug = api.project.slug
    for path in (f"/p/{slug}/runs", f"/p/{slug}/r/run-1", "/"):
        assert browser.get(path).status_code == 200
    twins = [
        *(f"/p/{slug}/runs.json", f"/p/{slug}/r/run-1.json"),
        f"/p/{slug}/r/run-1/curves.json?m=loss&m=other",
        *(f"/api/v1/runs?project={slug}", f"/api/v1/runs/run-1?project={slug}"),
        f"/api/v1/series?project={slug}&runs=run-1&metric=loss",
    ]
    for path in twins:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        json.loads(answer.content, parse_constant=refuse_constant)
    assert read_history(api, run)["loss"]["values"] == ["NaN", "Infinity", "-Infinity", 2.5]


def test_t15_jsonb_never_holds_a_bare_nan(run: Run, job: Job) -> None:
    job.log([1, 2], loss=["NaN", "Infinity"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(r)::text FROM runs_run r WHERE id = %s", [run.pk])
        text = cursor.fetchone()[0]
    assert re.search(r"[:\[, ](NaN|-?Infinity)\b", text) is None
    assert '"NaN"' in text


def test_t16_replayed_batch_is_answered_and_changes_nothing(run: Run, job: Job) -> None:
    body = job.batch([1, 2], loss=[3.0, 2.0])
    job.send(body)
    before = count_rows(run)
    again = job.send(body)
    assert (again.status_code, again.json()["duplicates"]) == (200, 2)
    assert count_rows(run) == before


def test_t16_same_key_with_another_body_is_409(run: Run, job: Job) -> None:
    body = job.batch([1], loss=[3.0])
    job.send(body)
    before = count_rows(run)
    assert error_of(job.send({**body, "metrics": {"loss": [9.0]}}))[:2] == (409, "seq_reuse")
    assert count_rows(run) == before


def test_t16_steps_sent_again_are_counted_and_the_last_wins(api: Api, run: Run, job: Job) -> None:
    job.log([1, 2], loss=[3.0, 2.0])
    job.log([2, 1], loss=[1.5, 3.0])
    settle(run)
    assert (run.overwritten, run.repeated) == (1, 1)
    assert read_history(api, run)["loss"]["values"] == [3.0, 1.5]


def test_t16_rewind_hides_and_keeps(api: Api, run: Run, job: Job) -> None:
    job.log([1, 2, 3], loss=[3.0, 2.0, 1.0])
    api.post("runs/run-1/rewind", {"id": str(uuid.uuid4()), "step": 2})
    assert read_history(api, run)["loss"]["values"] == [3.0]
    assert read_history(api, run, "attempts=all")["loss"]["values"] == [3.0, 2.0, 1.0]


@pytest.mark.parametrize("seconds", [-1e12, 0, 1e13])
def test_t17_clock_that_is_years_off_is_clamped_and_flagged(
    api: Api, run: Run, job: Job, seconds: float
) -> None:
    job.log([1, 2], loss=[3.0, 2.0], times=[seconds, seconds + 1])
    run.refresh_from_db()
    assert run.clock_clamped
    found = read_history(api, run, "times=1")["loss"]["times"]
    assert all(YEAR_2000 <= time <= run.received_at.timestamp() + 86_400 for time in found)


def test_t17_clock_of_the_client_does_not_rule_liveness(run: Run, job: Job) -> None:
    job.log([1], loss=[3.0], times=[0.0])
    run.refresh_from_db()
    assert run.heartbeat_at.year > 2000
    assert run.received_at.year > 2000


def test_t17_order_is_that_of_steps_whatever_the_clock_says(api: Api, run: Run, job: Job) -> None:
    job.log([1, 2, 3], loss=[3.0, 2.0, 1.0], times=[1.9e9, 1.8e9, 1.7e9])
    assert read_history(api, run)["loss"]["values"] == [3.0, 2.0, 1.0]


def test_t18_metric_names_are_bounded_and_the_batch_is_refused_whole(run: Run, job: Job) -> None:
    limit = settings.MAX_METRICS_PER_RUN
    job.log([1], metrics={f"m{number}": [0.0] for number in range(limit)})
    before = count_rows(run)
    answer = job.send(job.batch([2], metrics={"m0": [0.0], "one.more": [0.0]}))
    assert error_of(answer) == (422, "quota", "/metrics")
    assert f"{limit:,}" in answer.json()["error"]["message"]
    assert count_rows(run) == before


def test_t18_one_full_project_leaves_others_alone(
    api: Api, run: Run, job: Job, settings: object
) -> None:
    settings.MAX_RUNS_PER_PROJECT = 1
    body = {"id": "second", "request_id": str(uuid.uuid4()), "project": api.project.slug}
    assert error_of(api.post("runs", body))[:2] == (422, "quota")
    other = make_api(make_project("other"))
    assert open_run(other, "second").project.slug == "other"


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("tags", [f"t{number}" for number in range(65)], "/tags"),
        ("notes", "x" * (64 * 1024 + 1), "/notes"),
        ("config", {"k": "x" * (256 * 1024)}, "/config"),
        ("host", {"diff": "x" * (1024 * 1024)}, "/host"),
    ],
)
def test_t18_what_describes_a_run_is_bounded(
    api: Api, run: Run, field: str, value: object, place: str
) -> None:
    assert error_of(api.patch("runs/run-1", {field: value})) == (422, "quota", place)


def test_t18_names_of_one_project_are_not_those_of_another(run: Run, job: Job) -> None:
    job.log([1], loss=[1.0])
    other = make_api(make_project("other"), Scope.ADMIN)
    Job(other, open_run(other)).log([1], loss=[1.0])
    assert Metric.objects.filter(name="loss").count() == 2
