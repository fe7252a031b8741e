"""Loading the demo: through the public API, exactly, and twice without a trace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.connection import Connection
from demo.load import Run, load_file, read_runs, replay_run
from demo.studies import STUDIES
from fitting.models import Study
from runs.models import Run as StoredRun
from runs.models import RunState
from teams.models import Project, Scope
from tests.teams.factories import make_token, make_user

N_RUNS = 3


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return sorted(read_runs(), key=lambda run: (run["config"]["total_steps"], run["id"]))[:N_RUNS]


@pytest.fixture
def packed(runs: list[Run], tmp_path: Path) -> Path:
    path = tmp_path / "few.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(run) + "\n" for run in runs).encode()))
    return path


@pytest.fixture
def server(live_web: str) -> Iterator[Connection]:
    token = make_token(make_user("root", is_superuser=True), scope=Scope.ADMIN)
    connection = Connection(live_web, token)
    yield connection
    connection.close()


def test_every_point_arrives_as_it_was_packed(
    server: Connection, runs: list[Run], packed: Path
) -> None:
    assert load_file(server, lambda name: None, packed) == N_RUNS
    assert Project.objects.get(slug="demo").is_demo
    for run in runs:
        found = server.get(f"/api/v1/runs/{run['id']}/history?project=demo")["series"]
        stored = {name: (series["steps"], series["values"]) for name, series in found.items()}
        wanted = {n: (s["steps"], s["values"]) for n, s in run["metrics"].items()}
        assert stored == wanted


def test_a_second_load_changes_nothing(server: Connection, packed: Path) -> None:
    load_file(server, lambda name: None, packed)
    before = sorted(StoredRun.objects.values_list("uid", "rev", "changed_at"))
    load_file(server, lambda name: None, packed)
    assert sorted(StoredRun.objects.values_list("uid", "rev", "changed_at")) == before
    assert Project.objects.filter(slug="demo").count() == 1
    assert Study.objects.count() == len(STUDIES)


def test_a_replay_is_a_run_of_its_own_outside_the_studies(
    server: Connection, runs: list[Run], packed: Path
) -> None:
    load_file(server, lambda name: None, packed)
    created = replay_run(server, {**runs[0], "wall_seconds": 0.01}, lambda n: None)
    replayed = StoredRun.objects.get(uid=created["id"])
    assert replayed.state == RunState.FINISHED
    assert replayed.tags == ["replay"]
    assert not replayed.study_runs.exists()
