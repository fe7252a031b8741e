"""Groups of the runs table: every run in one group, means of all members, labels that tell."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client

from runs.models import Metric, Run
from runs.table_page import MAX_MEMBERS
from teams.models import Project
from tests.teams.factories import get_user, make_project, sign_in


@pytest.fixture
def project(db: None) -> Project:
    made = make_project("grouped", reader="viewer")
    Metric.objects.create(project=made, name="loss")
    return made


@pytest.fixture
def reader(project: Project) -> Client:
    return sign_in(get_user("reader"))


def make_run(project: Project, uid: str, loss: object, **fields: object) -> Run:
    summary = {} if loss is None else {"loss": {"last": loss}}
    return Run.objects.create(project=project, uid=uid, summary=summary, **fields)


def read(reader: Client, **query: str) -> dict[str, object]:
    answer = reader.get(f"/p/grouped/runs.json?{urlencode(query)}")
    assert answer.status_code == 200
    return answer.json()


def labels(document: dict[str, object]) -> dict[str, int]:
    return {group["label"]: group["n"] for group in document["groups"]}


def test_a_group_shows_mean_and_range_of_all_its_runs(project: Project, reader: Client) -> None:
    for uid, loss in (("a", 1.0), ("b", 2.0), ("c", 6.0)):
        make_run(project, uid, loss, config={"optimizer": "adamw"})
    make_run(project, "d", 5.0, config={"optimizer": "lion"})
    document = read(reader, by="config.optimizer")
    assert labels(document) == {"optimizer = adamw": 3, "optimizer = lion": 1}
    assert document["groups"][0]["cells"]["loss"] == {
        "n": 3,
        "mean": 3.0,
        "low": 1.0,
        "high": 6.0,
        "n_nonfinite": 0,
        "counts": {},
    }
    assert (document["total"], document["n_groups"], document["runs"]) == (4, 2, [])


def test_losses_that_are_not_finite_are_counted_and_no_part_of_the_mean(
    project: Project, reader: Client
) -> None:
    for uid, loss in (("a", 2.0), ("b", "NaN"), ("c", "Infinity"), ("d", None)):
        make_run(project, uid, loss)
    [group] = read(reader, by="state")["groups"]
    assert group["cells"]["loss"] | {"low": 0, "high": 0} == {
        "n": 1,
        "mean": 2.0,
        "low": 0,
        "high": 0,
        "n_nonfinite": 2,
        "counts": {},
    }
    assert group["n"] == 4


def test_several_keys_make_one_group_for_each_combination(project: Project, reader: Client) -> None:
    for place, (lr, norm) in enumerate([(0.1, True), (0.1, False), (0.1, True), (0.3, True)]):
        make_run(project, f"r{place}", 1.0, peak_lr=lr, config={"qk_norm": norm})
    assert labels(read(reader, by="lr,config.qk_norm")) == {
        "LR = 0.1, qk_norm = false": 1,
        "LR = 0.1, qk_norm = true": 2,
        "LR = 0.3, qk_norm = true": 1,
    }


def test_runs_without_the_key_are_a_group_of_their_own(project: Project, reader: Client) -> None:
    make_run(project, "with", 1.0, config={"optimizer": "lion"})
    make_run(project, "without", 1.0)
    assert labels(read(reader, by="config.optimizer")) == {
        "optimizer = lion": 1,
        "optimizer = not set": 1,
    }


def test_all_but_seed_joins_replicas_only(project: Project, reader: Client) -> None:
    for seed in (0, 1, 2):
        config = {"train": {"seed": seed, "lr": 0.1}, "loss_at_init": 5.0 + seed}
        make_run(project, f"small-{seed}", 1.0, config=config, n_params=1e6)
    make_run(project, "large", 1.0, config={"train": {"seed": 0, "lr": 0.1}}, n_params=2e6)
    document = read(reader, by="!seed")
    assert labels(document) == {"n_params = 1000000": 3, "n_params = 2000000": 1}
    assert document["by"] == ["!seed"]


def test_labels_do_not_say_what_a_group_lacks_beside_what_it_has(
    project: Project, reader: Client
) -> None:
    for uid, config in (
        ("a", {"lr": 1}),
        ("b", {"lr": 2}),
        ("c", {"lr": 2, "amp": True, "seed": 1}),
        ("d", {}),
    ):
        make_run(project, uid, 1.0, config=config)
    assert labels(read(reader, by="!seed")) == {
        "lr = 1": 1,
        "lr = 2": 1,
        "amp = true, lr = 2": 1,
        "amp = not set, lr = not set": 1,
    }


def test_labels_leave_out_what_follows_from_another_key(project: Project, reader: Client) -> None:
    for width in (16, 32, 64):
        for lr in (0.1, 0.2):
            config = {"width": width, "lr": lr, "n_params": 12 * width**2 + int(lr * 10)}
            make_run(project, f"w{width}-{lr}", 1.0, config=config)
    found = labels(read(reader, by="!seed"))
    assert len(found) == 6
    assert "lr = 0.1, width = 16" in found


def test_all_but_a_rate_leaves_out_every_name_of_the_rate(project: Project, reader: Client) -> None:
    make_run(project, "a", 1.0, config={"learning_rate": 0.1}, peak_lr=0.1)
    make_run(project, "b", 1.0, config={"learning_rate": 0.3}, peak_lr=0.3)
    assert [group["n"] for group in read(reader, by="!lr")["groups"]] == [2]


def test_groups_are_sorted_by_their_mean_and_opened_in_the_same_order(
    project: Project, reader: Client
) -> None:
    for uid, loss, name in (("a", 1.0, "x"), ("b", 9.0, "x"), ("c", 2.0, "y"), ("d", 3.0, "y")):
        make_run(project, uid, loss, group=name)
    closed = read(reader, by="group", s="loss")["groups"]
    assert [group["values"]["group"] for group in closed] == ["y", "x"]
    assert closed[0]["runs"] == []
    opened = read(reader, by="group", s="-loss", open=closed[0]["id"])["groups"]
    assert [group["values"]["group"] for group in opened] == ["x", "y"]
    assert [run["uid"] for run in opened[1]["runs"]] == ["d", "c"]


def test_a_large_group_says_how_many_of_its_runs_it_shows(project: Project, reader: Client) -> None:
    n_runs = MAX_MEMBERS + 7
    Run.objects.bulk_create(Run(project=project, uid=f"r{n}", group="x") for n in range(n_runs))
    [group] = read(reader, by="group")["groups"]
    assert group["n"] == n_runs
    page = reader.get(f"/p/grouped/runs?by=group&open={group['id']}").content.decode()
    assert f"{MAX_MEMBERS} of {n_runs} shown" in page


def test_a_filter_narrows_the_groups_too(project: Project, reader: Client) -> None:
    make_run(project, "a", 1.0, group="x")
    make_run(project, "b", 3.0, group="y")
    assert labels(read(reader, by="group", f="loss > 2")) == {"Group = y": 1}


def test_a_grouping_by_nothing_known_is_none(project: Project, reader: Client) -> None:
    make_run(project, "a", 1.0)
    document = read(reader, by="nothing,tags")
    assert (document["by"], [run["uid"] for run in document["runs"]]) == ([], ["a"])
