"""The real mlflow package, its last 2.x and a 3.x, against the real server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from teams.models import Role, Scope
from tests.teams.factories import add_member, make_project, make_token, make_user
from tests.trackers import find_python

SCRIPT = Path(__file__).parent / "mlflow_script.py"
SCRIPT_SECONDS = 300

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("environment", ["mlflow2", "trackers"], ids=["2.x", "3.x"])
@pytest.mark.parametrize("is_bound", [True, False], ids=["project token", "personal token"])
def test_the_real_client_logs_searches_and_reads_back(
    live_web: str, tmp_path: Path, environment: str, is_bound: bool
) -> None:
    python = find_python(environment)
    project = make_project()
    user = add_member(project, make_user(), Role.ADMIN)
    variables = {
        **os.environ,
        "MLFLOW_TRACKING_URI": live_web,
        "MLFLOW_TRACKING_USERNAME": "anybody",
        "MLFLOW_TRACKING_PASSWORD": make_token(user, Scope.ADMIN, project if is_bound else None),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    done = subprocess.run(
        [python, str(SCRIPT)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=variables,
        timeout=SCRIPT_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert len(answer.pop("fluent")) == 32
    assert answer == {
        "status": "FINISHED",
        "params": {"lr": "0.0003", "n_params": "125M"},
        "loss": 1.0,
        "tags": {"kind": "sweep", "mlflow.runName": "fluent"},
        "odd": ["nan", "inf", "-inf"],
        "pile": [[0, 3.0], [1, 2.0], [2, 1.0]],
        "found": ["fluent"],
        "second": "KILLED",
        "points": 1_000,
        "stages": ["deleted", "active"],
        "absent": "RESOURCE_DOES_NOT_EXIST",
        "changed": "INVALID_PARAMETER_VALUE",
        "unknown": not is_bound,  # every name is an experiment to the token of a project
        "artifacts": [],
    }
