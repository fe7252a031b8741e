"""The runs of a study by its name: in lists, in exports, in the table."""

from __future__ import annotations

import csv
import io
from urllib.parse import urlencode

import pytest

from fitting.services import add_runs
from tests.fitting.factories import make_study
from tests.runs.factories import make_api, open_run
from tests.teams.factories import Api, error_of, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    """A project of three runs, and two studies that share one of them."""
    found = make_api(make_project("sweep"))
    runs = {uid: open_run(found, uid) for uid in ("one", "both", "none")}
    add_runs(make_study(found.project, "lr-sweep"), [runs["one"], runs["both"]])
    add_runs(make_study(found.project, "depth"), [runs["both"]])
    return found


def listed(api: Api, text: str) -> set[str]:
    answer = api.get(f"runs?{urlencode({'filter': text})}")
    assert answer.status_code == 200, answer.content
    return {item["id"] for item in answer.json()["items"]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("study = lr-sweep", {"one", "both"}),
        ("study = lr-sweep and study = depth", {"both"}),
        ("study in (depth, lr-sweep)", {"one", "both"}),
        ("study != depth", {"one", "none"}),
        ('study ~ "^lr"', {"one", "both"}),
        ("study = nosuch", set()),
    ],
)
def test_a_filter_finds_the_runs_of_a_study(api: Api, text: str, wanted: set[str]) -> None:
    assert listed(api, text) == wanted


def test_an_export_holds_the_runs_of_a_study(api: Api) -> None:
    query = urlencode({"filter": "study = lr-sweep"})
    answer = api.get(f"projects/sweep/export?{query}")
    rows = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert [row["id"] for row in rows] == ["one", "both"]


@pytest.mark.parametrize("text", ["study > depth", "study = null"])
def test_other_comparisons_of_a_study_are_refused_with_a_place(api: Api, text: str) -> None:
    answer = api.get(f"runs?{urlencode({'filter': text})}")
    assert error_of(answer)[2] == "filter"
    assert "study" in answer.json()["error"]["message"]
