"""MLflow: a tracking server, an `mlflow.db`, or an `mlruns` folder."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from scaledash.client.discovery import Server
from scaledash.client.errors import UsageError
from scaledash.client.importers.model import (
    Entry,
    Part,
    Point,
    Source,
    SourceRun,
    Tally,
    Unreadable,
)
from scaledash.client.transport import Transport, encode_json

FLOAT_MAX = 1.7976931348623157e308  # what MLflow's stores hold for an infinity
STATES = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "interrupted",
          "1": None, "3": "finished", "4": "failed", "5": "interrupted"}  # fmt: skip
HOST_FACTS = {"mlflow.user": "user", "mlflow.source.name": "command",
              "mlflow.source.git.commit": "git_commit"}  # fmt: skip
PAGE = 1_000
HISTORY_PAGE = 25_000
Row = tuple[str, int, float, int]  # metric, milliseconds, value, step


def open_mlflow(place: str, tally: Tally, with_deleted: bool) -> Source:
    """Return the reader of an address, a database or a folder.

    Raises
    ------
    UsageError
        There is nothing of MLflow at this place.
    """
    if place.startswith(("http://", "https://")):
        return MlflowServer(place, tally, with_deleted)
    path = Path(place.removeprefix("sqlite:///").removeprefix("file://")).expanduser()
    if path.is_file():
        return MlflowDatabase(path, tally, with_deleted)
    folder = path / "mlruns" if (path / "mlruns").is_dir() else path
    if not folder.is_dir():
        raise UsageError(f"there is nothing at {place}")
    return MlflowFolder(folder, tally, with_deleted)


def make_points(rows: Iterable[Row], tally: Tally) -> Iterator[Point]:
    """Yield points in the order of their times; a pile of points at step 0 is numbered."""
    ordered = sorted(rows, key=lambda row: (row[1], row[0], row[3]))
    counts: dict[str, int] = {}
    has_steps = {metric for metric, _, _, step in ordered if step}
    for metric, millis, value, step in ordered:
        number = counts.get(metric, 0)
        counts[metric] = number + 1
        chosen = step if metric in has_steps else number
        yield Point(metric, chosen, value, millis / 1000)
    for metric, count in sorted(counts.items()):
        if count > 1 and metric not in has_steps:
            tally.say(f"{metric}: all points have step 0, so they are numbered by their times")


def convert_value(value: float, is_nan: bool = False) -> float:
    """Return a stored value: NaN has a flag of its own, and the largest floats are infinities."""
    if is_nan:
        return math.nan
    if abs(value) >= FLOAT_MAX:
        return math.inf if value > 0 else -math.inf
    return value


def make_run(
    info: dict[str, object],
    params: dict[str, str],
    tags: dict[str, str],
    experiment: str,
    part: Part,
) -> SourceRun:
    """Return a run from MLflow's documents."""
    run_id = str(info.get("run_id") or info.get("run_uuid"))
    status = str(info.get("status"))
    name = tags.get("mlflow.runName") or str(info.get("run_name") or info.get("name") or run_id)
    own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
    host: dict[str, object] = {HOST_FACTS[k]: v for k, v in tags.items() if k in HOST_FACTS}
    return SourceRun(
        key=run_id,
        name=name,
        parts=[part],
        group=experiment,
        tags=[_label(key, value) for key, value in own.items()],
        notes=tags.get("mlflow.note.content", ""),
        config=dict(params),
        host=host,
        state=STATES.get(status),
        started_at=_to_seconds(info.get("start_time")),
        ended_at=_to_seconds(info.get("end_time")),
    )


def _label(key: str, value: str) -> str:
    return key if value.lower() in ("", "true") else f"{key}={value}"


def _to_seconds(millis: object) -> float | None:
    try:
        seconds = float(str(millis)) / 1000
    except ValueError:
        return None
    return seconds if seconds > 0 else None


class MlflowFolder:
    """An `mlruns` folder.

    Parameters
    ----------
    path : Path
        The folder.
    tally : Tally
        Takes what is left out and guessed.
    with_deleted : bool
        Take deleted runs too.
    """

    kind = "mlflow"

    def __init__(self, path: Path, tally: Tally, with_deleted: bool) -> None:
        self._path = path
        self._tally = tally
        self._with_deleted = with_deleted

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, by experiment."""
        for meta in sorted(self._path.glob("**/meta.yaml")):
            about = read_meta(meta)
            if "run_id" not in about and "run_uuid" not in about:
                continue
            experiment = read_meta(meta.parent.parent / "meta.yaml").get("name", "")
            is_deleted = about.get("lifecycle_stage") == "deleted" or ".trash" in meta.parts
            if is_deleted and not self._with_deleted:
                self._tally.count("deleted runs, left out (--deleted takes them)")
                continue
            try:
                yield self._make_run(meta.parent, dict(about), experiment)
            except (OSError, ValueError) as error:
                yield Unreadable(f"{meta.parent}: {error}")

    def _make_run(self, folder: Path, about: dict[str, object], experiment: str) -> SourceRun:
        def read() -> Iterable[Entry]:
            return make_points(self._read_metrics(folder / "metrics"), self._tally)

        group = "" if experiment == "Default" else experiment
        params, tags = _read_texts(folder / "params"), _read_texts(folder / "tags")
        return make_run(about, params, tags, group, Part("metrics", read))

    def _read_metrics(self, folder: Path) -> Iterator[Row]:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(folder).as_posix()
            for line in path.read_text(encoding="utf-8").splitlines():
                words = line.split()
                try:
                    step = int(words[2]) if len(words) > 2 else 0
                    yield name, int(words[0]), convert_value(float(words[1])), step
                except (ValueError, IndexError):
                    self._tally.count("lines of metrics that are none, left out")


def read_meta(path: Path) -> dict[str, str]:
    """Return the flat `key: value` lines of a meta.yaml; quotes are taken off."""
    found = {}
    with contextlib.suppress(OSError):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, colon, value = line.partition(":")
            if colon and not key.startswith((" ", "#")):
                found[key.strip()] = _unquote(value.strip())
    return found


def _unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        with contextlib.suppress(ValueError):
            return str(json.loads(text))
    return text


def _read_texts(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class MlflowDatabase:
    """An SQLite database of MLflow, opened for reading only.

    Parameters
    ----------
    path : Path
        The file.
    tally : Tally
        Takes what is left out and guessed.
    with_deleted : bool
        Take deleted runs too.
    """

    kind = "mlflow"

    def __init__(self, path: Path, tally: Tally, with_deleted: bool) -> None:
        self._path = path
        self._tally = tally
        self._with_deleted = with_deleted
        try:
            self._query("select count(*) from runs")
        except sqlite3.Error as error:
            raise UsageError(f"{path} is no database of MLflow: {error}") from error

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, oldest first."""
        columns = "run_uuid, name, status, start_time, end_time, lifecycle_stage, experiment_id"
        experiments: dict[Any, Any] = dict(
            self._query("select experiment_id, name from experiments")
        )
        for row in self._query(f"select {columns} from runs order by start_time, run_uuid"):
            about = dict(zip(columns.split(", "), row, strict=True))
            if about["lifecycle_stage"] == "deleted" and not self._with_deleted:
                self._tally.count("deleted runs, left out (--deleted takes them)")
                continue
            experiment = str(experiments.get(about["experiment_id"], ""))
            run_id = str(about["run_uuid"])

            def read(run_id: str = run_id) -> Iterable[Entry]:
                return make_points(self._read_metrics(run_id), self._tally)

            yield make_run(
                {**about, "run_name": about["name"]},
                self._read_pairs("params", run_id),
                self._read_pairs("tags", run_id),
                "" if experiment == "Default" else experiment,
                Part("metrics", read),
            )

    def _read_pairs(self, table: str, run_id: str) -> dict[str, str]:
        statement = f"select key, value from {table} where run_uuid = ?"
        return {str(k): "" if v is None else str(v) for k, v in self._query(statement, run_id)}

    def _read_metrics(self, run_id: str) -> Iterator[Row]:
        statement = "select key, timestamp, value, step, is_nan from metrics where run_uuid = ?"
        for key, millis, value, step, is_nan in self._query(statement, run_id):
            yield str(key), int(millis), convert_value(float(value), bool(is_nan)), int(step)

    def _query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        address = f"file:{quote(str(self._path.resolve()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
            return connection.execute(statement, values).fetchall()


class MlflowServer:
    """A tracking server; the token is that of MLFLOW_TRACKING_TOKEN.

    Parameters
    ----------
    url : str
        Its address.
    tally : Tally
        Takes what is left out and guessed.
    with_deleted : bool
        Take deleted runs too.
    """

    kind = "mlflow"

    def __init__(self, url: str, tally: Tally, with_deleted: bool) -> None:
        token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
        self._transport = Transport(Server(url.rstrip("/"), token, "argument"))
        self._tally = tally
        self._view = "ALL" if with_deleted else "ACTIVE_ONLY"

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, oldest first in each experiment."""
        with contextlib.closing(self._transport):
            yield from self._list()

    def _list(self) -> Iterator[SourceRun | Unreadable]:
        for experiment in self._page("experiments/search", {"max_results": PAGE}, "experiments"):
            name = str(experiment.get("name") or "")
            body: dict[str, object] = {
                "experiment_ids": [experiment["experiment_id"]],
                "run_view_type": self._view,
                "max_results": PAGE,
                "order_by": ["attributes.start_time ASC"],
            }
            for run in self._page("runs/search", body, "runs"):
                yield self._make_run(run, "" if name == "Default" else name)

    def _make_run(self, run: dict[str, object], experiment: str) -> SourceRun:
        info, data = _to_dict(run.get("info")), _to_dict(run.get("data"))
        run_id = str(info.get("run_id"))
        names = [str(metric["key"]) for metric in _to_list(data.get("metrics"))]

        def read() -> Iterable[Entry]:
            return make_points(self._read_metrics(run_id, names), self._tally)

        params, tags = (_to_pairs(data.get(field)) for field in ("params", "tags"))
        return make_run(info, params, tags, experiment, Part("metrics", read))

    def _read_metrics(self, run_id: str, names: Sequence[str]) -> Iterator[Row]:
        for name in names:
            token = ""
            while True:
                query = {"run_id": run_id, "metric_key": name, "max_results": HISTORY_PAGE}
                query |= {"page_token": token} if token else {}
                found = self._ask("GET", f"metrics/get-history?{urlencode(query)}")
                for point in _to_list(found.get("metrics")):
                    value = convert_value(float(str(point.get("value", 0))))
                    millis, step = (
                        int(str(point.get("timestamp", 0))),
                        int(str(point.get("step", 0))),
                    )
                    yield name, millis, value, step
                token = str(found.get("next_page_token") or "")
                if not token:
                    break

    def _page(self, call: str, body: dict[str, object], field: str) -> Iterator[dict[str, object]]:
        token = ""
        while True:
            found = self._ask("POST", call, body | ({"page_token": token} if token else {}))
            yield from _to_list(found.get(field))
            token = str(found.get("next_page_token") or "")
            if not token:
                return

    def _ask(self, method: str, call: str, body: object = None) -> dict[str, object]:
        data = None if body is None else encode_json(body)
        reply = self._transport.send(method, f"/api/2.0/mlflow/{call}", data)
        answer = reply.read_json()
        if reply.status != 200 or answer is None:
            reason = (answer or {}).get("message") or reply.problem or f"status {reply.status}"
            raise Unreadable(f"MLflow's server answers {call.partition('?')[0]}: {reason}")
        return answer


def _to_dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _to_list(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _to_pairs(value: object) -> dict[str, str]:
    return {str(item["key"]): str(item.get("value", "")) for item in _to_list(value)}
