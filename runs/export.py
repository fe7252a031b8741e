"""Exports: the runs of a selection, or all their points, streamed piece by piece.

Runs are rows with one column for each key of config and each metric; points are rows of
(run, metric, step, time, value). Numbers stay exact; text that a spreadsheet would take for a
formula gets a quote before it.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from django.db.models import QuerySet

from runs import store
from runs.facts import COLUMNS, walk
from runs.history import find_times, write_values
from runs.models import Metric, Run
from runs.queries import LISTED, describe_listed, read_column
from scaledash.lib import jsonsafe
from scaledash.lib.jsonsafe import decode_float, encode_float

RUNS_AT_ONCE = 200
POINTS_AT_ONCE = 20_000
PLAIN = (
    *("id", "project", "name", "group", "job_type", "state", "outcome", "tags", "notes"),
    *("exit_code", "finish_reason", "last_step", "attempt", "repeated", "overwritten", "dropped"),
    *("created_at", "started_at", "ended_at", "flop_convention"),
)
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
POINT_COLUMNS = ("run", "metric", "step", "time", "value")
Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Points:
    """One series of one run; `times` is NaN where no time was logged."""

    run: str
    metric: str
    steps: store.Steps
    times: store.Values
    values: store.Values


def find_columns(runs: QuerySet[Run]) -> list[str]:
    """Return the columns of an export of runs: what every run has, then keys as they occur."""
    config: set[str] = set()
    metrics: set[str] = set()
    for run in runs.only("config", "summary").iterator(RUNS_AT_ONCE):
        config.update(path for path, _ in walk(run.config))
        metrics.update(run.summary)
    keyed = [f"config.{path}" for path in sorted(config)]
    return [*PLAIN, *COLUMNS, *keyed, *(f"summary.{name}" for name in sorted(metrics))]


def read_rows(runs: QuerySet[Run], columns: Sequence[str]) -> Iterator[dict[str, Cell]]:
    """Yield one flat row a run."""
    for run in runs.select_related("project").iterator(RUNS_AT_ONCE):
        row = {name: _flatten(_read_plain(run, name)) for name in PLAIN}
        row |= {name: getattr(run, name) for name in COLUMNS}
        row |= {f"config.{path}": _flatten(value) for path, value in walk(run.config)}
        row |= {
            f"summary.{name}": decode_float(entry.get("last"))
            for name, entry in run.summary.items()
        }
        yield {name: row.get(name) for name in columns}


def _read_plain(run: Run, name: str) -> object:
    return read_column(run, name) if name in LISTED else getattr(run, name)


def _flatten(value: object) -> Cell:
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return jsonsafe.dumps(value).decode()


def read_all_points(runs: QuerySet[Run], metrics: Sequence[str] = ()) -> Iterator[Points]:
    """Yield the visible points of each series, one series at a time."""
    for run in runs.only("project_id", "uid", "summary").iterator(RUNS_AT_ONCE):
        names = [name for name in run.summary if not metrics or name in metrics]
        known = Metric.objects.filter(project=run.project_id, name__in=names)
        times = store.read_times([run.pk]).get(run.pk, store.NO_POINTS)
        for name, metric_id in sorted(known.values_list("name", "pk")):
            found = store.read_points([run.pk], [metric_id]).get((run.pk, metric_id))
            if found is not None:
                at = find_times(times, found.steps)
                yield Points(run.uid, name, found.steps, at, found.values)


def guard_cell(value: Cell) -> Cell:
    """Return a cell that no spreadsheet computes: text like a formula gets a quote before it."""
    if not isinstance(value, str):
        return encode_float(value) if isinstance(value, float) else value
    start = unicodedata.normalize("NFKC", value.lstrip(" \n\u00a0\u3000")[:1])
    return f"'{value}" if start.startswith(FORMULA_SIGNS) else value


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> Iterator[bytes]:
    """Yield CSV with a head, a few hundred rows at a time."""
    yield _write_lines([[guard_cell(name) for name in columns]])
    lines: list[list[Cell]] = []
    for row in rows:
        cells = map(row.get, columns)  # mostly none, where configs differ
        lines.append([cell if cell is None else guard_cell(cell) for cell in cells])
        if len(lines) == RUNS_AT_ONCE:
            yield _write_lines(lines)
            lines = []
    yield _write_lines(lines)


def write_points_csv(series: Iterable[Points]) -> Iterator[bytes]:
    """Yield CSV with one line a point."""
    yield _write_lines([POINT_COLUMNS])
    for points in series:
        names = [guard_cell(points.run), guard_cell(points.metric)]
        for first in range(0, len(points.steps), POINTS_AT_ONCE):
            part = slice(first, first + POINTS_AT_ONCE)
            times = _hide_nan(points.times[part])
            columns = (points.steps[part].tolist(), times, write_values(points.values[part]))
            yield _write_lines([*names, *cells] for cells in zip(*columns, strict=True))


def write_jsonl(rows: Iterable[Mapping[str, object]]) -> Iterator[bytes]:
    """Yield one JSON object a line."""
    for row in rows:
        yield jsonsafe.dumps(row) + b"\n"


def write_points_jsonl(series: Iterable[Points]) -> Iterator[bytes]:
    """Yield one line a series: run, metric, steps, times, values."""
    for points in series:
        document = {
            "run": points.run,
            "metric": points.metric,
            "steps": points.steps.tolist(),
            "times": _hide_nan(points.times),
            "values": write_values(points.values),
        }
        yield msgspec.json.encode(document) + b"\n"


def _write_lines(lines: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()


def _hide_nan(times: store.Values) -> list[float | None]:
    return [None if at != at else at for at in times.tolist()]


def write(
    runs: QuerySet[Run], is_runs: bool, form: str, metrics: Sequence[str] = ()
) -> Iterator[bytes]:
    """Yield the pieces of an export in CSV or JSONL."""
    if is_runs and form == "csv":
        columns = find_columns(runs)
        return write_csv(columns, read_rows(runs, columns))
    if is_runs:
        listed = runs.select_related("project").iterator(RUNS_AT_ONCE)
        return write_jsonl({**describe_listed(run), "notes": run.notes} for run in listed)
    series = read_all_points(runs, metrics)
    return write_points_csv(series) if form == "csv" else write_points_jsonl(series)
