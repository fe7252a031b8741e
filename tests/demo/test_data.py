"""The committed runs are those of the grid, and their card says what they are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from demo.card import CARD
from demo.grid import PARTS, Cell, list_cells, list_studies
from demo.load import DATA, Run, read_runs
from demo.pack import MAX_BYTES
from demo.studies import PROJECT, STUDIES

PLANNED = {cell.uid: cell for cell in list_cells([*PARTS])}
NUMBER = r"([\d,]+)"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return list(read_runs())


@pytest.fixture(scope="module")
def card() -> str:
    return Path(CARD).read_text()


def read_fact(card: str, name: str) -> int:
    (found,) = re.findall(rf"^\| {name} \| {NUMBER}", card, re.MULTILINE)
    return int(found.replace(",", ""))


def test_the_file_is_small_enough_to_commit() -> None:
    assert DATA.stat().st_size <= MAX_BYTES


def test_every_run_is_a_cell_of_the_grid(runs: list[Run]) -> None:
    assert len({run["id"] for run in runs}) == len(runs)
    for run in runs:
        cell: Cell = PLANNED[run["id"]]
        assert (run["name"], run["group"]) == (cell.name, cell.part)
        assert set(run["studies"]) <= set(list_studies(cell))
        assert run["config"]["peak_lr"] == cell.lr


def test_every_run_was_logged_to_its_end(runs: list[Run]) -> None:
    short = [
        run["name"]
        for run in runs
        if run["metrics"]["loss.val"]["steps"][-1] != PLANNED[run["id"]].steps
    ]
    assert short == []


def test_all_runs_saw_one_text(runs: list[Run]) -> None:
    assert len({run["config"]["corpus_sha256"] for run in runs}) == 1


def test_every_study_has_runs(runs: list[Run]) -> None:
    named = {slug for run in runs for slug in run["studies"]}
    groups = {run["group"] for run in runs}
    for study in STUDIES:
        selection = study.get("selection", {})
        assert study["slug"] in named or selection.get("group") in groups


def test_the_card_is_of_this_file(runs: list[Run], card: str) -> None:
    assert hashlib.sha256(DATA.read_bytes()).hexdigest() in card
    assert read_fact(card, "runs") == len(runs)
    points = sum(len(series["values"]) for run in runs for series in run["metrics"].values())
    assert read_fact(card, "points") == points


def test_the_project_says_how_many_runs_it_has(runs: list[Run]) -> None:
    assert f"{len(runs)} real training runs" in str(PROJECT["description"])
