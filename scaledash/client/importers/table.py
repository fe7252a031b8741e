"""CSV and JSON lines: a row per step (wide), a row per point (long), or a row per run.

Which of the three a file is, is guessed from its columns, and said.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scaledash.client.frames import flatten
from scaledash.client.importers.dates import read_date
from scaledash.client.importers.facts import read_number
from scaledash.client.importers.model import Part, Point, SourceRun, Tally, Unreadable

RUN = ("run", "run_id", "run_name", "experiment", "run name", "name", "id")
STEP = ("step", "_step", "global_step", "iteration", "iter", "trainer/global_step")
METRIC = ("metric", "key", "tag", "variable", "metric_name")
VALUE = ("value", "metric_value", "val")
TIME = ("time", "timestamp", "wall_time", "_timestamp", "walltime", "date", "datetime")
LOSS = ("loss", "nll", "perplexity", "ppl", "bpb", "cross_entropy", "accuracy", "acc", "bits")
LAST_STEP = ("steps", "total_steps", "n_steps", "num_steps", "step", "last_step", "max_steps")
FACTS = {
    "n_params": ("n_params", "params", "parameters", "n", "num_params", "model_size"),
    "n_tokens": ("n_tokens", "tokens", "d", "num_tokens", "training_tokens"),
    "flops": ("flops", "c", "compute", "training_flops"),
}
CONFIG = ("config.", "config/", "params.", "param.", "hparams.", "hparams/")
SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
MILLIS_FROM = 1e11  # beyond it a time is in milliseconds
NOT_LOGGED = ("", "none", "null", "na", "n/a", "-")

Cell = object
Row = Mapping[str, Cell]


@dataclass
class Columns:
    """What the columns of a file are; None and () where there is none."""

    run: str | None = None
    step: str | None = None
    metric: str | None = None
    value: str | None = None
    time: str | None = None
    others: list[str] = field(default_factory=list)

    @property
    def shape(self) -> str:
        """Return long, wide or summary."""
        if self.metric and self.value:
            return "long"
        return "wide" if self.step else "summary"


class Tables:
    """CSV and JSON-lines files.

    Parameters
    ----------
    path : Path
        A file, or a folder of them.
    tally : Tally
        Takes what is left out and guessed.
    as_config : set of str
        Columns that describe the run and are no metrics.
    """

    kind = "csv"

    def __init__(self, path: Path, tally: Tally, as_config: set[str]) -> None:
        self._path = path
        self._tally = tally
        self._as_config = as_config

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs of all files."""
        paths = [self._path]
        if self._path.is_dir():
            found = (path for path in self._path.rglob("*") if path.suffix.lower() in SUFFIXES)
            paths = sorted(path for path in found if path.is_file())
        for path in paths:
            try:
                yield from self._read_file(path)
            except (Unreadable, OSError, ValueError, csv.Error) as error:
                yield Unreadable(f"{path}: {error}")

    def _read_file(self, path: Path) -> Iterator[SourceRun]:
        rows = _Rows(path)
        names = rows.list_names()
        if not names:
            raise Unreadable("there are no columns")
        columns = self._judge(names, rows)
        said = {"long": "one point a row", "wide": "one step a row", "summary": "one run a row"}
        self._tally.say(
            f"{path.name} is read as {said[columns.shape]}"
            + (f", run {columns.run!r}" if columns.run else "")
            + (f", step {columns.step!r}" if columns.step else "")
        )
        if columns.shape == "summary":
            yield from self._read_summaries(path, rows, columns)
        else:
            yield from self._read_series(path, rows, columns)

    def _judge(self, names: Sequence[str], rows: _Rows) -> Columns:
        taken: set[str] = set(self._as_config)

        def take(wanted: Sequence[str]) -> str | None:
            by_fold = {name.strip().casefold(): name for name in reversed(names)}
            for word in wanted:
                if word in by_fold and by_fold[word] not in taken:
                    taken.add(by_fold[word])
                    return by_fold[word]
            return None

        columns = Columns(metric=take(METRIC), value=take(VALUE))
        if not (columns.metric and columns.value):
            taken -= {columns.metric or "", columns.value or ""}
            columns = Columns()
        columns.step = take(STEP)
        columns.run = take(RUN)
        columns.time = take(TIME)
        if columns.shape == "wide" and rows.is_unique(columns.run):
            taken.discard(columns.step or "")
            columns.step = None  # every row is another run: its step is that of the final loss
        columns.others = [name for name in names if name not in taken or name in self._as_config]
        return columns

    def _read_summaries(self, path: Path, rows: _Rows, columns: Columns) -> Iterator[SourceRun]:
        for number, row in enumerate(rows.iterate(), 1):
            name = str(row.get(columns.run or "") or f"{path.stem} {number}")
            config: dict[str, object] = {}
            metrics: dict[str, float] = {}
            for column in columns.others:
                cell = row.get(column)
                value = rows.read(cell)
                if value is None:
                    continue
                is_result = _is_result(column) and column not in self._as_config
                if is_result and isinstance(value, float):
                    metrics[column] = value
                else:
                    config[_strip(column)] = value
            step = _find_last_step(config)
            at = read_time(row.get(columns.time or ""))
            points = [Point(metric, step, value, at) for metric, value in metrics.items()]
            yield SourceRun(
                key=f"{path.resolve()}#{name}",
                name=name,
                parts=[Part("final", lambda points=points: points)],  # type: ignore[misc]
                scale=_find_scale(config),
                group=path.stem,
                config=config,
                started_at=at,
            )

    def _read_series(self, path: Path, rows: _Rows, columns: Columns) -> Iterator[SourceRun]:
        points: dict[str, list[Point]] = {}
        configs: dict[str, dict[str, object]] = {}
        for number, row in enumerate(rows.iterate(), 1):
            name = str(row.get(columns.run or "") or path.stem)
            own = points.setdefault(name, [])
            config = configs.setdefault(name, {})
            step = self._read_step(row.get(columns.step or ""), number, columns)
            if step is None:
                continue
            at = read_time(row.get(columns.time or ""))
            for metric, cell in self._list_cells(row, columns):
                value = rows.read(cell)
                if metric in self._as_config or metric.startswith(CONFIG):
                    config.setdefault(_strip(metric), value)
                elif isinstance(value, float):
                    own.append(Point(metric, step, value, at))
                elif value is not None:
                    config.setdefault(_strip(metric), value)
        for name, own in points.items():
            times = [point.time for point in own if point.time is not None]
            yield SourceRun(
                key=f"{path.resolve()}#{name}",
                name=name,
                parts=[Part("points", lambda own=own: own)],  # type: ignore[misc]
                group=path.stem if columns.run else "",
                config={key: value for key, value in configs[name].items() if value is not None},
                started_at=min(times, default=None),
                ended_at=max(times, default=None),
            )

    def _list_cells(self, row: Row, columns: Columns) -> Iterator[tuple[str, Cell]]:
        if columns.shape == "long":
            metric = row.get(columns.metric or "")
            if metric not in (None, ""):
                yield str(metric), row.get(columns.value or "")
            for name in self._as_config:
                yield name, row.get(name)
            return
        for name in columns.others:
            yield name, row.get(name)

    def _read_step(self, cell: Cell, number: int, columns: Columns) -> int | None:
        if columns.step is None:
            return number - 1
        value = read_number(str(cell)) if cell not in (None, "") else None
        if value is None or not math.isfinite(value) or value != int(value):
            self._tally.count("rows without a whole step, left out")
            return None
        return int(value)


class _Rows:
    """The rows of a file, whatever their form."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_json = path.suffix.lower() in (".jsonl", ".ndjson", ".json")
        self.delimiter = "," if self.is_json else self._find_delimiter()
        self.has_decimal_comma = self.delimiter == ";"

    def _find_delimiter(self) -> str:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
        counts = {mark: header.count(mark) for mark in ("\t", ";", ",", "|")}
        return max(counts, key=lambda mark: counts[mark]) if any(counts.values()) else ","

    def iterate(self) -> Iterator[Row]:
        """Yield the rows; a last line that is cut off is left for the next import."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            if self.is_json:
                yield from _read_lines(file)
            else:
                yield from csv.DictReader(file, delimiter=self.delimiter)

    def list_names(self) -> list[str]:
        """Return the names of the columns, of all rows in JSON."""
        if not self.is_json:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                return next(csv.reader(file, delimiter=self.delimiter), [])
        return list(dict.fromkeys(name for row in self.iterate() for name in row))

    def is_unique(self, column: str | None) -> bool:
        """Say whether a column names another run in every row, of several."""
        if column is None:
            return False
        seen = [row.get(column) for row in self.iterate()]
        return len(seen) > 1 and len(set(map(str, seen))) == len(seen)

    def read(self, cell: Cell) -> object:
        """Return a cell as a float, a text or a flag; None where nothing was logged."""
        if cell is None or isinstance(cell, bool):
            return cell
        if isinstance(cell, (int, float)):
            return float(cell)
        if not isinstance(cell, str):
            return None
        if cell.strip().lower() in NOT_LOGGED:
            return None
        number = read_number(cell, self.has_decimal_comma)
        return cell.strip() if number is None else number


def _read_lines(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            if not line.endswith("\n"):
                return
            raise Unreadable(f"line {number} is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise Unreadable(f"line {number} is no JSON object")
        yield flatten(found, "")


def read_time(cell: Cell) -> float | None:
    """Return a time as seconds since the epoch: a number, or a date of ISO 8601."""
    if isinstance(cell, str):
        number = read_number(cell) if cell.strip() else None
        if number is None:
            return read_date(cell)
        cell = number
    if not isinstance(cell, (int, float)) or isinstance(cell, bool) or not math.isfinite(cell):
        return None
    return cell / 1000 if cell > MILLIS_FROM else float(cell)


def _is_result(column: str) -> bool:
    words = column.casefold().replace("-", "_").replace("/", "_").replace(".", "_").split("_")
    return any(word in LOSS for word in words) and "init" not in words


def _find_last_step(config: Mapping[str, object]) -> int:
    for name in LAST_STEP:
        value = config.get(name)
        if isinstance(value, float) and math.isfinite(value) and value >= 0:
            return int(value)
    return 0


def _find_scale(config: Mapping[str, object]) -> dict[str, object]:
    """Return N, D and C out of the columns of a row that stands for a run."""
    by_fold = {name.casefold(): value for name, value in config.items()}
    found = {}
    for fact, names in FACTS.items():
        values = [by_fold[name] for name in names if isinstance(by_fold.get(name), float)]
        if values:
            found[fact] = values[0]
    return found


def _strip(column: str) -> str:
    return next((column[len(p) :] for p in CONFIG if column.startswith(p)), column)
