"""MLflow's folders, databases and servers as sources."""

from __future__ import annotations

import math
import shutil
import sqlite3
from pathlib import Path

import pytest

from scaledash.client.errors import UsageError
from scaledash.client.importers.mlflow import convert_value, open_mlflow
from scaledash.client.importers.model import SourceRun, Tally
from tests.client.sources import DATA, entries_of, list_runs, only, series_of

FLOAT_MAX = 1.7976931348623157e308
SCHEMA = """
create table experiments (experiment_id integer, name text);
create table runs (run_uuid text, name text, status text, start_time integer, end_time integer,
                   lifecycle_stage text, experiment_id integer);
create table metrics (key text, value real, timestamp integer, run_uuid text, step integer,
                      is_nan boolean);
create table params (key text, value text, run_uuid text);
create table tags (key text, value text, run_uuid text);
insert into experiments values (0, 'Default'), (7, 'sweep');
insert into runs values ('a1', 'first', 'FINISHED', 1700000000000, 1700000009000, 'active', 7),
                        ('b2', 'gone', 'FAILED', 1700000001000, null, 'deleted', 0);
insert into params values ('lr', '3e-4', 'a1');
insert into tags values ('kind', 'x', 'a1'), ('mlflow.user', 'ann', 'a1');
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(SCHEMA)
    return path


def insert(path: Path, *rows: tuple[str, float, int, int, bool]) -> None:
    """Add metrics to the first run: key, value, milliseconds, step, is_nan."""
    with sqlite3.connect(path) as connection:
        for key, value, millis, step, is_nan in rows:
            values = (key, value, millis, "a1", step, is_nan)
            connection.execute("insert into metrics values (?, ?, ?, ?, ?, ?)", values)


def read(path: Path) -> tuple[SourceRun, dict[str, list[tuple[int, float]]], Tally]:
    tally = Tally()
    source = open_mlflow(str(path), tally, with_deleted=False)
    run = only(source)
    return run, series_of(run, source), tally


def test_a_real_folder_is_read_completely() -> None:
    run, found, tally = read(DATA / "mlruns")
    assert found["train/loss"] == [(0, 3.0), (1, 1.5), (2, 1.0)]
    assert found["pile"] == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert math.isnan(found["odd"][0][1])
    assert found["odd"][1] == (2, math.inf)
    assert (run.name, run.group, run.state) == ("first", "sweep", "finished")
    assert (run.config, run.tags) == ({"lr": "0.0003"}, ["kind=x"])
    assert tally.counts == {"deleted runs, left out (--deleted takes them)": 1}


def test_deleted_runs_are_read_when_asked_for(tmp_path: Path) -> None:
    shutil.copytree(DATA / "mlruns", tmp_path / "mlruns")
    source = open_mlflow(str(tmp_path), Tally(), with_deleted=True)  # the folder above will do
    assert sorted(list_runs(source)) == ["first", "gone"]


def test_a_database_is_read_without_being_written(database: Path) -> None:
    insert(database, ("loss", 2.5, 1_700_000_000_500, 3, False))
    before = database.read_bytes()
    run, found, _ = read(database)
    assert found == {"loss": [(3, 2.5)]}
    assert (run.key, run.name, run.group, run.config) == ("a1", "first", "sweep", {"lr": "3e-4"})
    assert (run.started_at, run.ended_at, run.host) == (1.7e9, 1.7e9 + 9, {"user": "ann"})
    assert database.read_bytes() == before


def test_nan_has_a_flag_of_its_own(database: Path) -> None:
    insert(database, ("loss", 0.0, 1, 1, True), ("acc", 0.0, 1, 1, False))
    _, found, _ = read(database)
    assert math.isnan(found["loss"][0][1])
    assert found["acc"] == [(1, 0.0)]


@pytest.mark.parametrize(("sign", "value"), [(1, math.inf), (-1, -math.inf)])
def test_the_largest_floats_are_infinities(database: Path, sign: int, value: float) -> None:
    insert(database, ("loss", sign * FLOAT_MAX, 1, 1, False))
    assert read(database)[1] == {"loss": [(1, value)]}
    assert convert_value(1.7e308) == 1.7e308


def test_a_pile_at_step_0_is_numbered_by_time(database: Path) -> None:
    insert(database, ("loss", 2.0, 20, 0, False), ("loss", 3.0, 10, 0, False))
    _, found, tally = read(database)
    assert found == {"loss": [(0, 3.0), (1, 2.0)]}
    assert tally.notes == ["loss: all points have step 0, so they are numbered by their times"]


def test_one_real_step_leaves_step_0_alone(database: Path) -> None:
    insert(database, ("loss", 3.0, 10, 0, False), ("loss", 2.0, 20, 5, False))
    assert read(database)[1] == {"loss": [(0, 3.0), (5, 2.0)]}


def test_points_keep_their_times(database: Path) -> None:
    insert(database, ("loss", 3.0, 1_700_000_000_500, 1, False))
    source = open_mlflow(str(database), Tally(), with_deleted=False)
    (point,) = entries_of(only(source), source)
    assert point.time == 1_700_000_000.5


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    sqlite3.connect(path).execute("create table x (y)")
    with pytest.raises(UsageError, match="no database of MLflow"):
        open_mlflow(str(path), Tally(), with_deleted=False)


def test_an_absent_place_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing at"):
        open_mlflow("nowhere", Tally(), with_deleted=False)
