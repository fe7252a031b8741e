"""Names of projects as scripts give them, and as the server takes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from client_peer import Fault

import scaledash
from scaledash.client.description import choose_strip
from scaledash.client.names import make_slug

Start = Callable[..., scaledash.Run]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("demo", "demo"),
        ("UPPER_case-2", "UPPER_case-2"),
        ("-x-", "-x-"),
        ("llama-3.1", "llama-3-1"),
        ("My Project / 2!", "My-Project-2"),
        ("\u00dcn\u00ef", "Uni"),
        ("a" * 100, "a" * 64),
    ],
)
def test_name_of_a_project_becomes_a_slug(name: str, slug: str) -> None:
    assert make_slug(name) == slug


def test_names_without_latin_letters_stay_apart() -> None:
    slugs = {
        make_slug(name) for name in ("\u9879\u76ee", "\u6a21\u578b", "\u6a21\u578b v2", " ", "...")
    }
    assert len(slugs) == 5
    assert all(re.fullmatch("[A-Za-z0-9_-]{1,64}", slug) for slug in slugs)


def test_run_of_an_oddly_named_project_is_stored_and_said(
    settings: scaledash.Settings,
    peer: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SCALEDASH_SILENT")
    monkeypatch.setenv("WANDB_PROJECT", "llama 3.1")
    with scaledash.init(settings=settings) as run:
        run.log({"loss": 1.0})
    assert run.project == peer.run.project == "llama-3-1"
    assert "project 'llama 3.1' is llama-3-1 here" in capsys.readouterr().err


def test_what_must_stay_is_not_taken_out_and_nothing_else_is(start: Start, peer: Any) -> None:
    assert choose_strip({"project": "x", "host": {}, "tags": []}, "/project") is None
    error = {"code": "invalid", "message": "not like this", "field": "/project"}
    peer.faults.append(Fault(422, times=1, error=error))
    with start(tags=["kept"]) as run:
        run.log({"loss": 1.0})
        peer.wait_for(lambda: bool(peer.runs))
    assert peer.run.document["tags"] == ["kept"]


def test_study_is_named_as_the_server_takes_it(start: Start, peer: Any) -> None:
    start(study=["LR sweep 1.0", "plain"]).finish()
    assert peer.run.document["study"] == ["LR-sweep-1-0", "plain"]


def test_long_texts_are_cut_and_said(
    start: Start, peer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SCALEDASH_SILENT")
    with start(name="n" * 400, group="\u00e9" * 200, notes="x" * 70_000) as run:
        run.name = "m" * 300
    document = peer.run.document
    assert (document["name"], document["group"]) == ("m" * 256, "\u00e9" * 128)
    assert len(document["notes"]) == 60_000
    said = capsys.readouterr().err
    assert all(f"the {field} is cut" in said for field in ("name", "group", "notes"))


def test_names_that_no_store_takes_are_mended(start: Start, peer: Any) -> None:
    with start(config={"nul\0": "\0", "bad\ud800": "\ud800", "": 1}) as run:
        run.summary["bad\ud800"] = "x\0"
    assert peer.run.document["config"] == {"nul_": "_", "bad_": "_", "": 1}
    assert peer.run.document["summary"] == {"bad_": "x_"}


def test_change_that_is_refused_whole_holds_nothing_up(start: Start, peer: Any) -> None:
    error = {"code": "quota", "message": "too much", "field": "/summary"}
    peer.faults.append(Fault(422, times=1, method="PATCH", error=error))
    with start() as run:
        peer.wait_for(lambda: bool(peer.runs))
        run.flush(5)
        run.summary["best"] = 1
        run.log({"loss": 1.0})
    assert peer.run.points == {"loss": [(0, 1.0)]}
    assert peer.run.state == "finished"


def test_summary_key_that_is_too_large_is_left_out_and_counted(start: Start, peer: Any) -> None:
    run = start()
    run.summary.update({"huge": "x" * 300_000, "best": 1})
    assert run.finish().dropped == 1
    assert peer.run.document["summary"] == {"best": 1}
