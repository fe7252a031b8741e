"""The runs table through its twin: filter, sort, columns, pages; and the counting of a filter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client

from runs.models import Metric, Run
from runs.revisions import read_project_revision
from runs.table import PAGE_SIZE
from runs.table_page import count_runs
from teams.models import Project
from tests.teams.factories import Api, get_user, make_project, sign_in

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def project(db: None) -> Project:
    return make_project("tables", reader="viewer")


@pytest.fixture
def reader(project: Project) -> Client:
    return sign_in(get_user("reader"))


def make_run(project: Project, uid: str, loss: object = None, **fields: object) -> Run:
    if loss is not None:
        fields["summary"] = {"loss": {"last": loss, "last_step": 1, "min": 1.0, "max": 9.0}}
        Metric.objects.get_or_create(project=project, name="loss")
    n_runs = Run.objects.count()
    return Run.objects.create(
        project=project, uid=uid, created_at=START + timedelta(minutes=n_runs), **fields
    )


def read(reader: Client, twin: str = "runs.json", **query: str) -> dict[str, object]:
    answer = reader.get(f"/p/tables/{twin}?{urlencode(query)}")
    assert answer.status_code in (200, 422), answer.content
    return answer.json()


def uids(reader: Client, **query: str) -> list[str]:
    return [run["uid"] for run in read(reader, **query)["runs"]]


def test_a_filter_leaves_exactly_the_runs_for_which_it_is_true(
    project: Project, reader: Client
) -> None:
    make_run(project, "slow", peak_lr=1e-4, outcome="diverged")
    make_run(project, "fine", peak_lr=1e-2, outcome="healthy")
    make_run(project, "wild", peak_lr=1e-2, outcome="diverged")
    document = read(reader, f="lr >= 1e-3 and outcome = diverged")
    assert [run["uid"] for run in document["runs"]] == ["wild"]
    assert (document["total"], document["all_runs"]) == (1, 3)


def test_a_mistake_is_named_with_its_place_and_drawn(project: Project, reader: Client) -> None:
    make_run(project, "one")
    document = read(reader, f="lr >= fast")
    assert document["runs"] == []
    assert document["error"]["field"] == "f"
    assert document["error"]["position"] == 7
    assert document["error"]["caret"] == "lr >= fast\n      ^"
    page = reader.get("/p/tables/runs?f=lr+%3E%3D+fast")
    assert page.status_code == 200
    assert "is no number such as 1e-3" in page.content.decode()


def test_names_and_ids_are_searched_by_regular_expression(project: Project, reader: Client) -> None:
    for uid, name in (("a1", "Ladder-7"), ("b2", "ladder-12"), ("ladder-x", "")):
        make_run(project, uid, name=name)
    assert uids(reader, q=r"ladder-\d+$") == ["b2", "a1"]
    assert uids(reader, q="^ladder-x") == ["ladder-x"]


def test_a_broken_pattern_is_an_error_of_its_field(project: Project, reader: Client) -> None:
    error = read(reader, q="(")["error"]
    assert error["field"] == "q"
    assert "PostgreSQL says" in error["message"]


def test_a_filter_is_counted_before_it_is_applied(project: Project, reader: Client) -> None:
    make_run(project, "one", peak_lr=0.5)
    make_run(project, "two", peak_lr=0.1)
    found = read(reader, "runs/count.json", f="lr > 0.2")
    assert found == {"total": 1, "all_runs": 2, "error": None}
    assert read(reader, "runs/count.json", f="lr >")["error"]["position"] == 5


def test_runs_are_sorted_by_final_loss_and_those_without_come_last(
    project: Project, reader: Client
) -> None:
    for uid, loss in (("none", None), ("nan", "NaN"), ("high", 3.0), ("low", 2.0)):
        make_run(project, uid, loss)
    make_run(project, "infinite", "Infinity")
    assert uids(reader, s="loss")[:3] == ["low", "high", "infinite"]
    assert uids(reader, s="-loss")[:3] == ["infinite", "high", "low"]


def test_any_key_of_config_and_metric_is_a_column_and_an_order(
    project: Project, reader: Client
) -> None:
    make_run(project, "b", 2.0, config={"optim": {"lr": 0.5, "name": "sgd"}})
    make_run(project, "a", 3.0, config={"optim": {"lr": 0.25, "name": "adamw"}})
    cols = "config.optim.lr,config.optim.name,summary.loss.max"
    document = read(reader, cols=cols, s="config.optim.lr")
    assert document["columns"] == ["name", *cols.split(",")]
    assert document["runs"][0]["cells"] == {
        "name": "a",
        "config.optim.lr": 0.25,
        "config.optim.name": "adamw",
        "summary.loss.max": 9.0,
    }
    assert uids(reader, s="config.optim.name") == ["a", "b"]
    assert uids(reader, s="-config.optim.name") == ["b", "a"]


def test_text_that_is_cut_is_whole_in_its_title_and_ages_are_dates_without_scripts(
    project: Project, reader: Client
) -> None:
    make_run(project, "long", config={"path": "x" * 50, "short": "y" * 5})
    page = reader.get("/p/tables/runs?cols=config.path,config.short,age").content.decode()
    assert f'<td title="{"x" * 50}">{"x" * 50}</td>' in page
    assert f"<td>{'y' * 5}</td>" in page
    assert "</time> ago" not in page


@pytest.mark.parametrize(("n", "text"), [(0, "0 runs"), (1, "1 run"), (1584, "1,584 runs")])
def test_runs_are_counted_in_words(n: int, text: str) -> None:
    assert count_runs(n) == text


def test_a_column_with_odd_characters_is_quoted_and_escaped(
    project: Project, reader: Client
) -> None:
    make_run(project, "a", config={"a,b": 7})
    document = read(reader, cols=r'config."a\,b"')
    assert document["runs"][0]["cells"] == {"name": "a", 'config."a,b"': 7}


def test_keys_that_make_no_sense_give_the_default(project: Project, reader: Client) -> None:
    make_run(project, "old")
    make_run(project, "new")
    document = read(reader, s="nonsense", p="-4", cols="nothing,at.all", state="lost")
    assert [run["uid"] for run in document["runs"]] == ["new", "old"]
    assert (document["page"], document["columns"], document["sort"]) == (1, ["name"], "")


def test_pages_join_without_gap_or_overlap_and_the_last_stands_for_later_ones(
    project: Project, reader: Client
) -> None:
    Run.objects.bulk_create(
        Run(project=project, uid=f"r{place:03}", name="same") for place in range(PAGE_SIZE + 5)
    )
    first, second = uids(reader, s="name"), uids(reader, s="name", p="2")
    assert len(first) == PAGE_SIZE
    assert len(set(first) | set(second)) == PAGE_SIZE + 5
    assert read(reader, p="99")["page"] == 2
    assert "101\N{EN DASH}105 of 105" in reader.get("/p/tables/runs?p=2").content.decode()


def test_the_largest_logit_is_that_of_the_highest_layer(project: Project, reader: Client) -> None:
    summary = {f"attn.max_logit.L{layer}": {"max": high} for layer, high in enumerate((3.0, 40.0))}
    for name in summary:
        Metric.objects.create(project=project, name=name)
    make_run(project, "a", summary=summary)
    assert read(reader, cols="logit")["runs"][0]["cells"]["logit"] == 40.0


def test_a_page_reads_no_more_the_more_runs_it_shows(
    project: Project, reader: Client, django_assert_num_queries: object
) -> None:
    make_run(project, "a", 2.0)
    read(reader, s="loss")
    with django_assert_num_queries(9) as few:
        read(reader, s="loss")
    for place in range(20):
        make_run(project, f"r{place}", 2.0)
    with django_assert_num_queries(len(few)):
        read(reader, s="loss")


def test_a_project_whose_runs_all_changed_at_once_has_a_revision(project: Project) -> None:
    Run.objects.bulk_create(
        (Run(project=project, uid=f"r{place}", changed_at=START) for place in range(6_000)),
        batch_size=500,
    )
    before = read_project_revision(project)["rev"]
    Run.objects.filter(uid="r7").update(changed_at=START + timedelta(microseconds=1))
    assert read_project_revision(project)["rev"] != before


def test_fields_name_keys_and_metrics_as_a_filter_writes_them(api: Api) -> None:
    config = {"optim": {"name": "adamw"}, "odd key": 1}
    Run.objects.create(project=api.project, uid="a", config=config, tags=["x"])
    Metric.objects.create(project=api.project, name="val loss")
    found = api.get(f"projects/{api.project.slug}/fields").json()
    values = {item["name"]: item["values"] for item in found["items"]}
    assert values["config.optim.name"] == ["adamw"]
    assert {'config."odd key"', 'summary."val loss"', "lr", "loss"} <= set(values)
    assert values["tag"] == ["x"]
    assert "running" in values["state"]


def test_fields_are_found_by_a_part_of_their_name(api: Api) -> None:
    Run.objects.create(project=api.project, uid="a", config={"no_anneal": 1, "anneal": 2})
    found = api.get(f"projects/{api.project.slug}/fields?search=anneal").json()
    names = [item["name"] for item in found["items"]]
    assert names == ["config.anneal", "config.no_anneal"]
    assert found["total"] == 2
