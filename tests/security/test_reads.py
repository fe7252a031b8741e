"""Expensive, hostile and spreadsheet-bound reads."""

from __future__ import annotations

import csv
import io
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from fitting.models import Study
from runs.models import Run
from teams.models import Project
from tests.permissions.world import make_measurements
from tests.runs.factories import Job, make_api, open_run
from tests.security.payloads import FORMULAS
from tests.teams.factories import Api, api_of, error_of, get_user, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.mark.parametrize("text", FORMULAS)
def test_t08_formula_in_any_text_of_a_run_stays_text_in_the_csv(api: Api, text: str) -> None:
    open_run(api, name=text, group=text, tags=[text], config={text: text}, notes=text)
    answer = api.get(f"projects/{api.project.slug}/export")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    cells = [cell for row in rows for cell in row if text.strip() in cell]
    assert cells
    harmful = [c for c in cells if c.lstrip(" \t\r\n\u3000")[:1] in "=+-@\uff1d\uff0b\uff0d\uff20"]
    assert harmful == []


def test_t08_download_is_no_page_and_its_name_is_ours(api: Api) -> None:
    api.patch(f"projects/{api.project.slug}", {"name": 'x"; filename=evil.html\u202e'})
    answer = api.get(f"projects/{api.project.slug}/export")
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    assert answer["Content-Disposition"].isascii()
    assert "evil" not in answer["Content-Disposition"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"].startswith("text/csv")


def test_t20_page_of_a_list_is_bounded(api: Api) -> None:
    runs = [Run(project=api.project, uid=f"r{number}") for number in range(520)]
    Run.objects.bulk_create(runs)
    answer = api.get(f"runs?project={api.project.slug}&limit=99999").json()
    assert len(answer["items"]) == settings.MAX_PAGE_SIZE
    assert answer["next"]


def test_t20_page_of_chosen_columns_is_larger_and_bounded(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [Run(project=api.project, uid=f"r{number}") for number in range(520)]
    Run.objects.bulk_create(runs)
    path = f"runs?project={api.project.slug}&columns=state&limit=99999"
    assert len(api.get(path).json()["items"]) == 520
    monkeypatch.setattr(settings, "MAX_CHOSEN_PAGE_SIZE", 510)
    answer = api.get(path).json()
    assert len(answer["items"]) == 510
    assert answer["next"]


def test_t20_series_is_reduced_on_the_server(api: Api) -> None:
    run = open_run(api, "long")
    Job(api, run).log(range(20_000), loss=[1.0] * 20_000)
    drawn = api.get(f"series?project={api.project.slug}&runs=long&metric=loss")
    assert drawn.status_code == 200
    assert len(drawn.content) < 20_000 * 8


def test_t20_statement_that_takes_too_long_is_503(api: Api) -> None:
    slug = api.project.slug
    with connection.cursor() as cursor:  # a busy machine takes its time to build 3,000 runs
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    Run.objects.bulk_create(
        [Run(project=api.project, uid=f"r{number}", name="a" * 256) for number in range(3_000)]
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 1")
    answer = api.get(f'runs?project={slug}&filter=name ~ "(a*)*(a*)*(a*)*b"')
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "query_timeout")
    assert int(answer["Retry-After"]) >= 1


def test_t20_every_connection_has_its_longest_statement() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == (f"{settings.STATEMENT_TIMEOUT_SECONDS}s",)


CODE = (
    "__import__('os').system('id')",
    "lr > (select 1)",
    "name = 'x'; DROP TABLE runs_run",
    "lr > 1 or 1=1 --",
    "config.__class__.__mro__ > 1",
    "name ~ {{7*7}}",
)


@pytest.mark.parametrize("text", CODE)
def test_t32_filter_that_is_code_is_refused_or_matches_nothing(api: Api, text: str) -> None:
    open_run(api)
    answer = api.get(f"runs?project={api.project.slug}")
    before = len(answer.json()["items"])
    filtered = api.call("GET", f"runs?project={api.project.slug}&filter={quote(text)}")
    assert filtered.status_code == 422 or filtered.json()["items"] == []
    assert Run.objects.count() == before


@pytest.fixture
def study(db: None) -> Study:
    project: Project = make_project("alpha", ann="admin")
    return Study.objects.get(pk=make_measurements(project)["study_id"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"estimator": "__import__('os')"}, 422),
        ({"mapping": {"n": "__class__"}}, 422),
        ({"mapping": {"n": "config.x; import os"}}, 200),
        ({"tail_fraction": "0.1 + 0.1"}, 422),
        ({"selection": {"kind": "sql", "where": "1=1"}}, 422),
        ({"settings": {"law": "eval"}}, 422),
    ],
)
def test_t32_study_takes_names_and_numbers_only(
    study: Study, change: dict[str, object], status: int
) -> None:
    answer = api_of(get_user("ann")).patch(f"studies/{study.pk}", change)
    assert answer.status_code == status, answer.content


def test_t33_search_takes_wildcards_as_text(api: Api) -> None:
    open_run(api, "plain", name="plain")
    open_run(api, "odd", name="100%_done")
    found = api.get(f"runs?project={api.project.slug}&search=%25_d").json()["items"]
    assert [run["id"] for run in found] == ["odd"]


def test_t33_bad_pattern_is_422_with_its_place(api: Api) -> None:
    pattern = quote('name ~ "("')
    answer = api.get(f"runs?project={api.project.slug}&filter={pattern}")
    assert error_of(answer) == (422, "invalid", "filter")
    assert "8" in answer.json()["error"]["message"]


def test_t33_pattern_and_search_are_short(api: Api) -> None:
    slug, long = api.project.slug, "a" * 65
    pattern = quote(f'name ~ "{long}"')
    assert api.get(f"runs?project={slug}&filter={pattern}").status_code == 422
    assert api.get(f"runs?project={slug}&search={long}").status_code == 422
