"""The real web process and worker, as other tests use them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.request import urlopen

from scaledash import programs
from scaledash.celery import app


def test_the_web_process_answers(live_web: str) -> None:
    with urlopen(f"{live_web}/readyz", timeout=60) as response:
        body = json.load(response)
    assert body["database"] == "ok"
    assert body["redis"] == "ok"


def test_the_worker_takes_its_queues(live_worker: Path) -> None:
    [queues] = app.control.inspect(timeout=60, limit=1).active_queues().values()
    assert {queue["name"] for queue in queues} == {"refit", "import"}


def test_numeric_programs_run_single_threaded(tmp_path: Path) -> None:
    for command in (programs.worker({}, tmp_path, "x@y"), programs.sweeper({}, tmp_path)):
        assert command.env["OMP_NUM_THREADS"] == "1"
        assert command.env["OPENBLAS_NUM_THREADS"] == "1"
        assert command.env["MKL_NUM_THREADS"] == "1"


def test_the_worker_runs_as_many_processes_as_asked(tmp_path: Path) -> None:
    argv = programs.worker({"SCALEDASH_WORKERS": "5"}, tmp_path, "x@y").argv
    assert argv[argv.index("--concurrency") + 1] == "5"
