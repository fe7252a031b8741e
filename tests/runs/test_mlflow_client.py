"""The real mlflow package against the real server.

mlflow is too large for the development environment: each version gets an environment of its own
here, or SCALEDASH_MLFLOW_PYTHON names the interpreter of one that has it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from teams.models import Role, Scope
from tests.teams.factories import add_member, make_project, make_token, make_user

SCRIPT = Path(__file__).parent / "mlflow_script.py"
INSTALL_SECONDS, SCRIPT_SECONDS = 600, 300
OLD = ("mlflow-skinny==2.22.*", "setuptools<81")  # the last of 2.x
NEW = ("mlflow-skinny>=3,<4",)

pytestmark = pytest.mark.slow


@pytest.fixture
def find_python(tmp_path: Path) -> Callable[[tuple[str, ...]], str]:
    """Return the interpreter of an environment with these packages; skip where there is none."""

    def find(packages: tuple[str, ...]) -> str:
        given = os.environ.get("SCALEDASH_MLFLOW_PYTHON")
        if given:
            return given
        python = str(tmp_path / "environment/bin/python")
        make = [sys.executable, "-m", "venv", str(tmp_path / "environment")]
        subprocess.run(make, check=True, timeout=INSTALL_SECONDS)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        done = subprocess.run(install, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"{packages[0]} cannot be installed here: {reason}")
        return python

    return find


@pytest.mark.parametrize("packages", [OLD, NEW], ids=["2.x", "3.x"])
@pytest.mark.parametrize("is_bound", [True, False], ids=["project token", "personal token"])
def test_the_real_client_logs_searches_and_reads_back(
    live_web: str,
    find_python: Callable[[tuple[str, ...]], str],
    tmp_path: Path,
    packages: tuple[str, ...],
    is_bound: bool,
) -> None:
    python = find_python(packages)
    project = make_project()
    user = add_member(project, make_user(), Role.ADMIN)
    environment = {
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
        env=environment,
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
