"""Parquet files of neptune-exporter."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scaledash.client.errors import UsageError
from scaledash.client.importers.model import Tally, Unreadable
from scaledash.client.importers.neptune import NeptuneExport
from tests.client.sources import entries_of, list_runs, only, series_of

WHEN = pa.timestamp("ms", tz="UTC")
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("project_id", "run_id")),
        *((name, pa.string()) for name in ("attribute_path", "attribute_type")),
        ("step", pa.decimal128(18, 6)),
        ("timestamp", WHEN),
        ("int_value", pa.int64()),
        ("float_value", pa.float64()),
        ("string_value", pa.string()),
        ("bool_value", pa.bool_()),
        ("datetime_value", WHEN),
        ("string_set_value", pa.list_(pa.string())),
        ("file_value", pa.struct([("path", pa.string())])),
        (
            "histogram_value",
            pa.struct(
                [
                    ("type", pa.string()),
                    ("edges", pa.list_(pa.float64())),
                    ("values", pa.list_(pa.float64())),
                ]
            ),
        ),
    ]
)
AT = datetime(2026, 1, 2, tzinfo=UTC)
Row = dict[str, object]


def attribute(path: str, kind: str, run: str = "RUN-1", **value: object) -> Row:
    return {"project_id": "w/p", "run_id": run, "attribute_path": path, "attribute_type": kind,
            **value}  # fmt: skip


def point(step: str, value: float, path: str = "train/loss", run: str = "RUN-1") -> Row:
    return attribute(path, "float_series", run, step=Decimal(step), float_value=value, timestamp=AT)


def write(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path)
    return path


def read(path: Path) -> NeptuneExport:
    return NeptuneExport(path, Tally())


def test_a_run_is_read_completely(tmp_path: Path) -> None:
    rows = [
        attribute("sys/name", "string", string_value="first"),
        attribute("sys/creation_time", "datetime", datetime_value=AT),
        attribute("sys/tags", "string_set", string_set_value=["a", "b"]),
        attribute("params/lr", "float", float_value=3e-4),
        attribute("params/n", "int", int_value=125_000_000),
        attribute("params/bias", "bool", bool_value=True),
        point("0", 3.0),
        point("1", 2.0),
    ]
    source = read(write(tmp_path / "p/run_part_0.parquet", rows))
    run = only(source)
    assert series_of(run, source) == {"train/loss": [(0, 3.0), (1, 2.0)]}
    assert run.config == {"params.lr": 3e-4, "params.n": 125_000_000, "params.bias": True}
    assert (run.name, run.tags, run.started_at) == ("first", ["a", "b"], AT.timestamp())
    assert entries_of(run, source)[0].time == AT.timestamp()


def test_decimal_steps_get_one_multiplier_for_the_whole_import(tmp_path: Path) -> None:
    write(tmp_path / "a_part_0.parquet", [point("0.5", 3.0), point("1", 2.0)])
    write(tmp_path / "b_part_0.parquet", [point("2", 1.0, run="RUN-2")])
    source = read(tmp_path)
    runs = list_runs(source)
    assert series_of(runs["RUN-1"], source) == {"train/loss": [(5, 3.0), (10, 2.0)]}
    assert series_of(runs["RUN-2"], source) == {"train/loss": [(20, 1.0)]}
    assert source._tally.notes == ["steps have 1 decimals: all of them are multiplied by 10"]


def test_steps_that_would_collide_are_refused() -> None:
    from scaledash.client.importers import neptune

    source = object.__new__(neptune.NeptuneExport)
    rows = [point("0.4", 1.0), point("0.6", 2.0)]
    source._iterate = lambda path, columns: iter(rows)  # type: ignore[method-assign]
    with pytest.raises(Unreadable, match="would both be 0"):
        list(source._read(neptune.Found("w/p", "RUN-1"), Path("x"), 1))


def test_the_parts_of_a_run_are_joined_in_their_order(tmp_path: Path) -> None:
    for number in (0, 1, 2, 10):
        write(tmp_path / f"p/run_part_{number}.parquet", [point(str(number), float(number))])
    source = read(tmp_path)
    run = only(source)
    assert [part.name for part in run.parts] == [f"run_part_{n}.parquet" for n in (0, 1, 2, 10)]
    assert series_of(run, source)["train/loss"] == [(n, float(n)) for n in (0, 1, 2, 10)]


def test_a_fork_names_its_parent(tmp_path: Path) -> None:
    rows = [
        attribute("sys/custom_run_id", "string", string_value="child"),
        attribute("sys/forking/parent", "string", string_value="parent"),
        attribute("sys/forking/step", "float", float_value=7.0),
        point("8", 1.0),
    ]
    run = only(read(write(tmp_path / "a_part_0.parquet", rows)))
    assert run.fork == ("w/p/parent", 7)
    assert run.key == "w/p/child"


def test_parents_come_before_their_forks_and_fork_steps_share_the_multiplier(
    tmp_path: Path,
) -> None:
    for number, (run, parent) in enumerate({"c": "b", "b": "a", "a": None}.items()):
        rows = [
            attribute(
                "sys/creation_time", "datetime", run, datetime_value=AT.replace(day=9 - number)
            ),
            point("1", 1.0, run=run),
        ]
        if parent:
            rows.append(attribute("sys/forking/parent", "string", run, string_value=parent))
            rows.append(attribute("sys/forking/step", "float", run, float_value=10.5))
        write(tmp_path / f"p/{run}_part_0.parquet", rows)
    runs = list_runs(read(tmp_path))
    assert [run.key for run in runs.values()] == ["w/p/a", "w/p/b", "w/p/c"]
    assert [run.fork for run in runs.values()] == [None, ("w/p/a", 105), ("w/p/b", 105)]


def test_other_series_are_counted(tmp_path: Path) -> None:
    rows = [
        point("0", 3.0),
        attribute("log", "string_series", step=Decimal(0), string_value="x"),
        attribute("hist", "histogram_series", step=Decimal(0)),
        attribute("model", "file", file_value={"path": "x"}),
    ]
    source = read(write(tmp_path / "a_part_0.parquet", rows))
    assert list(series_of(only(source), source)) == ["train/loss"]
    assert list(source._tally.counts.values()) == [3]


def test_models_of_the_registry_are_no_runs(tmp_path: Path) -> None:
    write(tmp_path / "p/run_part_0.parquet", [point("0", 3.0)])
    write(tmp_path / "p/model_versions/MOD-1_part_0.parquet", [attribute("sys/name", "string")])
    source = read(tmp_path)
    assert only(source).name == "RUN-1"
    assert dict(source._tally.counts) == {
        "files of the model registry, which hold no runs, left out": 1
    }


def test_true_ids_come_from_the_columns(tmp_path: Path) -> None:
    source = read(write(tmp_path / "W_P_RUN_1_sanitised_part_0.parquet", [point("0", 1.0)]))
    assert only(source).key == "w/p/RUN-1"


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match="pip install pyarrow"):
        read(Path("x"))
