"""Exports: exact, streamed, and nothing that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from runs.export import guard_cell
from runs.models import Run
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Api, error_of

ROOT = Path(__file__).resolve().parents[2]
HARMFUL = "=HYPERLINK(1)"


@pytest.fixture
def api(db: None) -> Api:
    api = make_api()
    fill(api)
    return api


def fill(api: Api) -> list[Run]:
    """Two runs: one with a hostile name and odd values, one without any point."""
    config = {"optim": {"lr": 0.1}, "note": "@SUM(A1)", "qk": True}
    run = open_run(api, "one", name=HARMFUL, config=config, tags=["a"], scale={"n_params": "10M"})
    metrics = {"loss": [0.1, "NaN", "-Infinity"], "x,y": [1 / 3] * 3}
    Job(api, run).log([1, 2, 3], metrics=metrics, times=[1.7e9, 1.7e9 + 0.25, 1.7e9 + 1])
    return [run, open_run(api, "two", config={"seed": 7})]


def get(api: Api, query: str = "") -> bytes:
    answer = api.get(f"projects/{api.project.slug}/export?{query}")
    assert answer.status_code == 200, answer.content
    assert answer["Content-Disposition"].startswith("attachment; filename=")
    return b"".join(answer.streaming_content)


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@a", "\t=1", "\r1", " =1", "\uff1d1", "\n=1", "\u3000=1"]
)
def test_t08_text_like_a_formula_gets_a_quote_before_it(text: str) -> None:
    assert guard_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", "1", 0.1, -3, True, None, "é"])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert guard_cell(value) == value


def test_runs_as_csv_have_a_column_for_every_key(api: Api) -> None:
    rows = list(csv.DictReader(io.StringIO(get(api).decode())))
    assert [row["id"] for row in rows] == ["one", "two"]
    one, two = rows
    assert (one["name"], one["config.note"]) == (f"'{HARMFUL}", "'@SUM(A1)")
    assert (one["config.optim.lr"], one["n_params"], one["config.qk"]) == (
        "0.1",
        "10000000.0",
        "True",
    )
    assert (one["summary.loss"], two["config.seed"], two["summary.loss"]) == ("-Infinity", "7", "")


def test_points_as_csv_are_exact(api: Api) -> None:
    rows = list(csv.DictReader(io.StringIO(get(api, "what=points").decode())))
    assert [row["value"] for row in rows if row["metric"] == "loss"] == ["0.1", "NaN", "-Infinity"]
    assert [float(row["value"]) for row in rows if row["metric"] == "x,y"] == [1 / 3] * 3
    assert rows[1] == {
        "run": "one", "metric": "loss", "step": "2", "time": "1700000000.25", "value": "NaN",
    }  # fmt: skip


def test_points_narrow_by_metric_run_and_filter(api: Api) -> None:
    lines = get(api, "what=points&type=jsonl&metric=loss&runs=one&filter=n_params%20%3E%201M")
    assert json.loads(lines) == {
        "run": "one",
        "metric": "loss",
        "steps": [1, 2, 3],
        "times": [1.7e9, 1.7e9 + 0.25, 1.7e9 + 1],
        "values": [0.1, "NaN", "-Infinity"],
    }
    assert get(api, "what=points&type=jsonl&filter=n_params%20%3E%20100M") == b""


def test_runs_as_jsonl_are_whole_documents(api: Api) -> None:
    documents = [json.loads(line) for line in get(api, "type=jsonl").splitlines()]
    assert [document["name"] for document in documents] == [HARMFUL, "two"]
    assert documents[0]["config"]["optim"] == {"lr": 0.1}


def test_unknown_or_foreign_run_is_404(api: Api) -> None:
    other = make_api()
    open_run(other, "foreign")
    answer = api.get(f"projects/{api.project.slug}/export?runs=one,foreign")
    assert error_of(answer)[:2] == (404, "not_found")


def test_odd_parameters_are_422(api: Api) -> None:
    path = f"projects/{api.project.slug}/export"
    assert error_of(api.get(f"{path}?type=xlsx"))[2] == "type"
    assert error_of(api.get(f"{path}?filter=lr"))[2] == "filter"


@pytest.mark.django_db(transaction=True)
def test_parquet_of_points_and_runs_through_the_web(
    live_web: str, tmp_path: Path, process_environment: dict[str, str]
) -> None:
    from urllib.request import Request, urlopen

    api = make_api()
    fill(api)

    def fetch(query: str) -> Path:
        url = f"{live_web}/api/v1/projects/{api.project.slug}/export?type=parquet&{query}"
        request = Request(url, headers={"Authorization": f"Bearer {api.token}"})
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.parquet"
        with urlopen(request, timeout=60) as answer:
            path.write_bytes(answer.read())
        return path

    points = read_parquet(fetch("what=points"))
    losses = [value for name, value in zip(points["metric"], points["value"], strict=True)
              if name == "loss"]  # fmt: skip
    assert losses[0] == 0.1 and math.isnan(losses[1]) and losses[2] == -math.inf
    assert points["step"] == [1, 2, 3, 1, 2, 3]
    runs = read_parquet(fetch("what=runs"))
    assert (runs["name"], runs["config.qk"]) == ([HARMFUL, "two"], [True, None])
    assert (runs["n_params"], runs["config.seed"]) == ([1e7, None], [None, 7.0])


def read_parquet(path: Path) -> dict[str, list[object]]:
    """Read a file in a process of its own, so that the test process stays light."""
    code = (
        "import json, sys, pyarrow.parquet as pq;"
        "print(json.dumps(pq.read_table(sys.argv[1]).to_pydict()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.django_db(transaction=True)
def test_command_exports_what_a_filter_selects(process_environment: dict[str, str]) -> None:
    api = make_api()
    fill(api)
    argv = [sys.executable, "manage.py", "export", api.project.slug, "--format", "jsonl"]
    done = subprocess.run(
        [*argv, "--filter", "config.seed = 7"],
        cwd=ROOT, env=process_environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["two"]
