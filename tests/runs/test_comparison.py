"""Runs side by side, the config diff of a run, notes, and the groups of its charts."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.test import Client

from runs.metric_groups import group_names
from runs.models import Run
from runs.services import digest_notes
from teams.models import Project
from tests.teams.factories import get_user, make_project, sign_in


@pytest.fixture
def project(db: None) -> Project:
    return make_project("pair", viewer="viewer", editor="editor")


@pytest.fixture
def reader(project: Project) -> Client:
    return sign_in(get_user("viewer"))


def make_run(project: Project, uid: str, **fields: object) -> Run:
    return Run.objects.create(project=project, uid=uid, **fields)


def test_metrics_are_grouped_by_their_first_part_dotted_or_slashed() -> None:
    names = ["grad.norm", "loss.train", "lr", "loss.val", "attn.max_logit.L10", "attn.max_logit.L2"]
    assert group_names([*names, "loss/odd"]) == {
        "loss": ["loss.train", "loss.val", "loss/odd"],
        "attn": ["attn.max_logit.L2", "attn.max_logit.L10"],
        "grad": ["grad.norm"],
        "metrics": ["lr"],
    }


def test_ranks_that_log_a_metric_each_are_one_group() -> None:
    ranks = [f"rank{number}/tokens_per_second" for number in range(12)]
    layers = [f"L{layer}/{name}" for layer in (0, 1, 2) for name in ("k", "q", "v")]
    groups = group_names([*ranks, *layers, "gpu0/temp", "gpu1/temp"])
    assert groups["rank0 … rank11"] == ranks
    assert list(groups) == ["L0", "L1", "L2", "gpu0", "gpu1", "rank0 … rank11"]


@pytest.mark.parametrize("name", [".hidden", "/root", "a", "L²", "x..y"])
def test_odd_names_have_a_group_too(name: str) -> None:
    assert list(group_names([name]).values()) == [[name]]


def test_the_page_of_a_run_shows_the_groups(project: Project, reader: Client) -> None:
    entry = {"last": 1.0, "count": 1}
    make_run(project, "a", summary={"attn.max_logit.L0": entry, "loss.train": entry})
    page = reader.get("/p/pair/r/a").content.decode()
    assert page.index('data-key="group-loss"') < page.index('data-key="group-attn"')


def test_the_diff_names_what_differs_and_what_is_missing(project: Project, reader: Client) -> None:
    make_run(project, "a", config={"optim": {"lr": 0.1, "name": "adamw"}, "only_here": True})
    make_run(project, "b", name="baseline", config={"optim": {"lr": 0.3, "name": "adamw"}})
    diff = reader.get("/p/pair/r/a.json?base=baseline").json()["diff"]
    assert diff["base"] == {"uid": "b", "name": "baseline"}
    assert {line["key"]: line["cells"] for line in diff["differing"]} == {
        "only_here": ["true", None],
        "optim.lr": ["0.1", "0.3"],
    }
    assert [line["key"] for line in diff["equal"]] == ["optim.name"]


def test_a_base_is_found_by_id_before_name(project: Project, reader: Client) -> None:
    make_run(project, "a")
    make_run(project, "b", name="first")
    make_run(project, "c", name="b")
    assert reader.get("/p/pair/r/a.json?base=b").json()["diff"]["base"]["uid"] == "b"
    assert '"/p/pair/compare?sel=a,b"' in reader.get("/p/pair/r/a?base=b").content.decode()


def test_a_base_that_is_no_run_of_the_project_is_said(project: Project, reader: Client) -> None:
    make_run(project, "a", config={"lr": 1})
    make_run(make_project("elsewhere"), "foreign")
    page = reader.get("/p/pair/r/a?base=foreign").content.decode()
    assert "There is no run &#x27;foreign&#x27; in this project." in page


def test_chosen_runs_are_compared_in_their_order(project: Project, reader: Client) -> None:
    summary = {"loss": {"last": 2.5}}
    make_run(project, "a", n_params=1e6, config={"lr": 0.1}, summary=summary)
    make_run(project, "b", n_params=1e6, config={"lr": 0.2}, summary={"loss": {"last": "NaN"}})
    found = reader.get("/p/pair/compare.json?sel=b,a,absent").json()
    assert [run["uid"] for run in found["runs"]] == ["b", "a"]
    assert found["unknown"] == ["absent"]
    assert found["config"] == [{"key": "lr", "cells": ["0.2", "0.1"], "differs": True}]
    assert found["facts"] == [{"key": "n_params", "cells": ["1M", "1M"], "differs": False}]
    assert found["metrics"] == [{"key": "loss", "cells": ["NaN", "2.5"], "differs": True}]


def test_keys_that_all_runs_have_come_before_those_of_some(
    project: Project, reader: Client
) -> None:
    make_run(project, "a", config={"args": {"amp": True, "fsdp": 2}, "seed": 1, "wd": 0})
    make_run(project, "b", config={"seed": 2, "wd": 0})
    found = reader.get("/p/pair/compare.json?sel=a,b").json()
    keys = ["seed", "wd", "args.amp", "args.fsdp"]
    assert [line["key"] for line in found["config"]] == keys
    page = reader.get("/p/pair/compare?sel=a,b").content.decode()
    marks = ['data-key="seed"', "Only some of the runs have", 'data-key="args.amp"']
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_one_run_is_nothing_to_compare(project: Project, reader: Client) -> None:
    make_run(project, "a")
    assert "Nothing to compare" in reader.get("/p/pair/compare?sel=a").content.decode()


def test_deleted_runs_and_those_of_others_are_not_compared(
    project: Project, reader: Client
) -> None:
    make_run(project, "a")
    make_run(make_project("elsewhere"), "foreign")
    found = reader.get(f"/p/pair/compare.json?{urlencode({'sel': 'a,foreign'})}").json()
    assert found["unknown"] == ["foreign"]


def save(client: Client, run: Run, text: str, before: str | None = None) -> object:
    digest = digest_notes(run) if before is None else before
    return client.post(f"/p/pair/r/{run.uid}/notes", {"notes": text, "before": digest})


def test_notes_are_markdown_without_scripts(project: Project) -> None:
    run, editor = make_run(project, "a"), sign_in(get_user("editor"))
    text = "# Why\r\n**bold** <script>alert(1)</script> [x](javascript:alert(1))"
    assert save(editor, run, text).status_code == 302
    run.refresh_from_db()
    assert run.notes == text.replace("\r\n", "\n")
    page = editor.get("/p/pair/r/a").content.decode()
    assert "<strong>bold</strong>" in page
    assert "<script>alert" not in page
    assert 'href="javascript:' not in page


def test_notes_that_somebody_else_changed_are_not_overwritten(project: Project) -> None:
    run, editor = make_run(project, "a", notes="theirs"), sign_in(get_user("editor"))
    answer = save(editor, run, "mine", before="of an older text")
    assert answer.status_code == 409
    assert ">mine</textarea>" in answer.content.decode()
    run.refresh_from_db()
    assert run.notes == "theirs"


def test_notes_that_are_too_long_are_refused_and_kept_in_the_field(project: Project) -> None:
    run, editor = make_run(project, "a"), sign_in(get_user("editor"))
    answer = save(editor, run, "x" * (settings.MAX_NOTES_BYTES + 1))
    assert answer.status_code == 409
    assert "bytes of notes per run" in answer.content.decode()


def test_a_viewer_reads_notes_and_has_no_field_for_them(project: Project, reader: Client) -> None:
    make_run(project, "a", notes="*read me*")
    page = reader.get("/p/pair/r/a").content.decode()
    assert "<em>read me</em>" in page
    assert "<textarea" not in page


def test_facts_are_written_the_way_people_speak_of_them(project: Project, reader: Client) -> None:
    make_run(project, "a", flops=1e13, n_params=656_352, total_steps=2423, width=1024, seed=1234)
    facts = {
        fact["key"]: fact["text"] for fact in reader.get("/p/pair/r/a.json").json()["scale_facts"]
    }
    assert facts["n_params"] == "656k"
    assert facts["flops"] == "10¹³"
    assert (facts["total_steps"], facts["width"], facts["seed"]) == ("2,423", "1,024", "1234")


def test_what_the_client_keeps_for_itself_is_no_config(project: Project, reader: Client) -> None:
    kept = {
        "marks": [
            {"kind": "checkpoint", "step": 30, "reason": "saved"},
            {"kind": "odd", "step": 1},
        ],
        "traceback": "ValueError: no such file",
    }
    make_run(project, "a", config={"lr": 1, "_scaledash": kept})
    page = reader.get("/p/pair/r/a").content.decode()
    assert 'data-key="lr"' in page
    assert "_scaledash" not in page
    assert "ValueError: no such file" in page
    events = reader.get("/p/pair/r/a.json").json()["events"]
    assert [(event["step"], event["tone"], event["text"]) for event in events] == [
        (30, "checkpoint", "saved")
    ]


def test_a_run_without_points_says_how_to_log_one_while_it_runs(
    project: Project, reader: Client
) -> None:
    make_run(project, "a", state="running")
    make_run(project, "b", state="crashed")
    assert "id=&quot;a&quot;, resume=" in reader.get("/p/pair/r/a").content.decode()
    page = reader.get("/p/pair/r/b").content.decode()
    assert "crashed before anything was logged" in page
    assert 'class="snippet"' not in page


def test_a_comparison_begins_with_losses_and_folds_what_is_equal(
    project: Project, reader: Client
) -> None:
    for uid, lr in (("a", 0.1), ("b", 0.3)):
        summary = {"loss.val": {"last": lr}, "grad.norm": {"last": 1.0}}
        make_run(project, uid, config={"lr": lr, "depth": 4}, summary=summary)
    page = reader.get("/p/pair/compare?sel=a,b").content.decode()
    tables = ["compare-loss", "compare-config", "compare-grad"]
    places = [page.index(f'data-table="{name}"') for name in tables]
    assert places == sorted(places)
    assert "show 1 equal" in page
    assert "Nothing is known of these runs" in page
