"""Verdicts in the runs table: as columns, in filters, as order and as groups."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from fitting.diagnoses.queries import find_first_bad_step, list_bad
from fitting.models import RunDiagnosis
from runs.models import Run
from teams.models import Project
from tests.teams.factories import Api, get_user, make_project, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(db: None) -> Project:
    """A project of four runs: two bad ones, a good one, one that was never judged."""
    found = make_project("judged", reader="viewer")
    for uid in ("late", "early", "fine", "new"):
        Run.objects.create(project=found, uid=uid)
    diagnose(found, "late", "warn", attention_logits="warn", evidence="critical")
    diagnose(found, "early", "critical", attention_logits="critical", loss_shape="warn")
    diagnose(found, "fine", "ok", attention_logits="ok", loss_shape="unknown")
    return found


@pytest.fixture
def reader(project: Project) -> Client:
    return sign_in(get_user("reader"))


def diagnose(project: Project, uid: str, worst: str, **severities: str) -> None:
    RunDiagnosis.objects.create(
        run=Run.objects.get(project=project, uid=uid),
        attempt=0,
        token=1,
        rev=1,
        digest="",
        state=b"",
        severities=severities,
        worst=worst,
        data_at=timezone.now(),
        duration_seconds=0.1,
        is_rebuilt=False,
    )


def verdict(diagnostic: str, severity: str, step: int | None) -> dict[str, object]:
    return {"diagnostic": diagnostic, "severity": severity, "first_step": step}


def read(reader: Client, **query: str) -> dict[str, object]:
    answer = reader.get(f"/p/judged/runs.json?{urlencode(query)}")
    assert answer.status_code in (200, 422), answer.content
    return answer.json()


def uids(reader: Client, **query: str) -> list[str]:
    return [run["uid"] for run in read(reader, **query)["runs"]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("severity >= warn", {"late", "early"}),
        ("severity < warn", {"fine"}),
        ("severity = unknown", {"new"}),
        ("severity != critical", {"late", "fine", "new"}),
        ("severity in (ok, warn)", {"late", "fine"}),
        ("verdict.D1 = critical", {"early"}),
        ("verdict.attention_logits >= warn", {"late", "early"}),
        ("verdict.loss_shape = unknown", {"late", "fine", "new"}),
        ("not verdict.D1 >= warn", {"fine", "new"}),
    ],
)
def test_a_filter_compares_severities_by_their_order(
    reader: Client, text: str, wanted: set[str]
) -> None:
    assert set(uids(reader, f=text)) == wanted


def test_a_severity_that_does_not_exist_is_refused_at_its_place(reader: Client) -> None:
    error = read(reader, f="severity >= bad")["error"]
    assert error["position"] == 13
    assert "ok, watch, warn, critical, unknown" in error["message"]


def test_the_table_sorts_by_severity_not_by_its_letters(reader: Client) -> None:
    assert uids(reader, s="-severity", cols="severity") == ["early", "late", "fine", "new"]
    assert uids(reader, s="verdict.D1", cols="severity") == ["fine", "late", "early", "new"]


def test_the_first_bad_step_is_the_earliest_of_what_is_bad_now() -> None:
    bad = [
        verdict("loss_shape", "critical", 400),
        verdict("attention_logits", "warn", 90),
        verdict("sharpness", "watch", 10),
        verdict("clipping", "warn", None),
        verdict("evidence", "warn", 3),  # limits the other verdicts, is no instability
    ]
    assert find_first_bad_step(bad) == 90
    assert find_first_bad_step(bad[2:]) is None
    assert [item["diagnostic"] for item in list_bad(bad)] == [
        "attention_logits",
        "loss_shape",
        "clipping",
    ]


def test_the_first_bad_step_is_a_column_a_filter_and_an_order(
    project: Project, reader: Client
) -> None:
    for uid, step in (("early", 90), ("late", 700)):
        RunDiagnosis.objects.filter(run__uid=uid).update(first_bad_step=step)
    document = read(reader, cols="first_bad_step", s="first_bad_step")
    cells = {run["uid"]: run["cells"]["first_bad_step"] for run in document["runs"]}
    assert list(cells.items())[:2] == [("early", 90), ("late", 700)]
    assert cells["fine"] is None
    assert uids(reader, f="first_bad_step < 100") == ["early"]
    assert set(uids(reader, f="first_bad_step = null")) == {"fine", "new"}


def test_the_page_shows_severities_as_pills_with_their_word(reader: Client) -> None:
    page = reader.get("/p/judged/runs?cols=severity,verdict.D1").content.decode()
    assert '<span class="pill critical">critical</span>' in page
    assert 'title="Attention-logit growth"' in page


def test_groups_count_their_runs_by_severity(reader: Client) -> None:
    document = read(reader, by="severity", cols="verdict.D1", s="-verdict.D1")
    labels = [group["label"] for group in document["groups"]]
    assert labels[0] == "Severity = critical"
    assert document["groups"][0]["cells"]["verdict.D1"]["counts"] == {"critical": 1}
    page = reader.get("/p/judged/runs?by=!seed&cols=severity").content.decode()
    assert "1 critical" in page


def test_the_list_of_the_api_filters_and_orders_by_verdicts(project: Project) -> None:
    from tests.teams.factories import Role, add_member, api_of, make_user

    api: Api = api_of(add_member(project, make_user(), Role.ADMIN), "admin", project)
    query = urlencode({"project": "judged", "filter": "severity >= warn", "order": "-severity"})
    found = api.get(f"runs?{query}").json()["items"]
    assert [run["id"] for run in found] == ["early", "late"]
    names = {item["name"]: item for item in api.get("projects/judged/fields").json()["items"]}
    assert names["severity"]["values"] == ["ok", "watch", "warn", "critical", "unknown"]
    assert names["first_bad_step"]["kind"] == "number"
    assert "verdict.D1" in names
