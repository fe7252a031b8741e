"""CSV and JSON lines: which of three shapes a file has, and its cells."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from scaledash.client.importers.facts import read_number
from scaledash.client.importers.model import Tally
from scaledash.client.importers.table import Tables
from tests.client.sources import list_runs, only, series_of


def read(path: Path, text: str, *as_config: str) -> Tables:
    path.write_text(text, encoding="utf-8")
    return Tables(path, Tally(), set(as_config))


def test_a_row_per_step_is_wide(tmp_path: Path) -> None:
    source = read(tmp_path / "a.csv", "step,loss,lr\n0,3.5,0.1\n10,2.5,0.1\n")
    run = only(source)
    assert run.name == "a"
    assert series_of(run, source) == {"loss": [(0, 3.5), (10, 2.5)], "lr": [(0, 0.1), (10, 0.1)]}
    assert source._tally.notes == ["a.csv is read as one step a row, step 'step'"]


def test_a_wide_file_may_hold_several_runs(tmp_path: Path) -> None:
    text = "run,step,loss,config.lr,note\na,0,3,0.1,x\nb,0,4,0.2,y\na,1,2,0.1,x\n"
    source = read(tmp_path / "runs.csv", text)
    runs = list_runs(source)
    assert series_of(runs["a"], source) == {"loss": [(0, 3.0), (1, 2.0)]}
    assert runs["a"].config == {"lr": 0.1, "note": "x"}
    assert (runs["b"].config["lr"], runs["b"].group) == (0.2, "runs")


def test_a_row_per_point_is_long(tmp_path: Path) -> None:
    text = "run_id,metric,step,value,timestamp\na,loss,0,3,1700000000\na,acc,0,0.5,1700000000\n"
    source = read(tmp_path / "a.csv", text)
    run = only(source)
    assert series_of(run, source) == {"loss": [(0, 3.0)], "acc": [(0, 0.5)]}
    assert (run.started_at, run.ended_at) == (1.7e9, 1.7e9)


def test_a_row_per_run_holds_facts_and_final_losses(tmp_path: Path) -> None:
    text = "name,N,tokens,steps,optimizer,final_loss\nA,125M,2.5B,1000,adamw,3.2\nB,1.3e9,,,,2.5\n"
    source = read(tmp_path / "study.csv", text)
    runs = list_runs(source)
    assert runs["A"].scale == {"n_params": 125e6, "n_tokens": 2.5e9}
    assert runs["A"].config["optimizer"] == "adamw"
    assert series_of(runs["A"], source) == {"final_loss": [(1000, 3.2)]}
    assert runs["B"].scale == {"n_params": 1.3e9}


def test_json_lines_are_read_alike(tmp_path: Path) -> None:
    text = '{"step": 0, "train": {"loss": 3.5}}\n{"step": 1, "train": {"loss": NaN}}\n{"st'
    source = read(tmp_path / "a.jsonl", text)
    (points,) = series_of(only(source), source).values()
    assert points[0] == (0, 3.5)
    assert math.isnan(points[1][1])


def test_a_broken_line_is_named_and_other_files_follow(tmp_path: Path) -> None:
    read(tmp_path / "a.jsonl", '{"step": 0}\n{oops\n')
    source = read(tmp_path / "b.csv", "step,loss\n0,1\n")
    found = list(Tables(tmp_path, source._tally, set()).list_runs())
    assert "line 2 is no JSON" in str(found[0])
    assert len(found) == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("125M", 125e6), ("1.2e20", 1.2e20), ("300B", 3e11), ("4k", 4e3), ("7", 7.0), (" 2.5 ", 2.5)],
)
def test_numbers_may_have_units(text: str, value: float) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize("text", ["x", "1,5", "1.2.3", "", "12 apples", "0x10", "1_000"])
def test_other_texts_are_no_numbers(text: str) -> None:
    assert read_number(text) is None


def test_a_file_with_semicolons_has_decimal_commas(tmp_path: Path) -> None:
    source = read(tmp_path / "a.csv", "step;loss\n0;3,25\n1;1,5e-3\n2;7\n")
    assert series_of(only(source), source) == {"loss": [(0, 3.25), (1, 0.0015), (2, 7.0)]}


def test_nan_and_inf_are_values_and_empty_is_not_logged(tmp_path: Path) -> None:
    source = read(tmp_path / "a.csv", "step,loss\n0,nan\n1,inf\n2,\n3,-Infinity\n4,None\n")
    values = [value for _, value in series_of(only(source), source)["loss"]]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfstep,loss\n0,1\n")
    source = Tables(path, Tally(), set())
    assert series_of(only(source), source) == {"loss": [(0, 1.0)]}


def test_rows_without_a_whole_step_are_counted(tmp_path: Path) -> None:
    source = read(tmp_path / "a.csv", "step,loss\n0.5,1\nx,1\n,1\n2,1\n")
    assert series_of(only(source), source) == {"loss": [(2, 1.0)]}
    assert source._tally.counts == {"rows without a whole step, left out": 3}


def test_columns_of_map_describe_the_run(tmp_path: Path) -> None:
    source = read(tmp_path / "a.csv", "step,loss,size\n0,1,125M\n1,1,125M\n", "size")
    run = only(source)
    assert run.config == {"size": 125e6}
    assert list(series_of(run, source)) == ["loss"]
