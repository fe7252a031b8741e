"""Files written by the real tensorboardX, wandb and mlflow, imported twice into a real server.

The packages get an environment of their own here, or SCALEDASH_IMPORT_PYTHON names the
interpreter of one that has them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaledash.client import cli

SCRIPT = Path(__file__).parent / "import_script.py"
PACKAGES = ("tensorboardX", "wandb", "mlflow-skinny")
SECONDS = 900
GIVEN = os.environ.get("SCALEDASH_IMPORT_PYTHON")  # read before the tests clean the environment
POINTS = {"tensorboard": 303, "wandb": 604, "mlflow": 301}

pytestmark = pytest.mark.slow


@pytest.fixture
def python(tmp_path: Path) -> str:
    """Interpreter of an environment with the packages; skips where they cannot be installed."""
    if GIVEN:
        return GIVEN
    found = str(tmp_path / "environment/bin/python")
    make = [sys.executable, "-m", "venv", str(tmp_path / "environment")]
    subprocess.run(make, check=True, timeout=SECONDS)
    install = [found, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES]
    done = subprocess.run(install, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"{', '.join(PACKAGES)} cannot be installed here: {reason}")
    return found


def test_real_files_are_imported_completely_and_twice_without_duplicates(
    live_web: str,
    python: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from runs.models import Run
    from teams.models import Role, Scope
    from tests.teams.factories import add_member, make_project, make_token, make_user

    written = [python, str(SCRIPT), str(tmp_path / "out")]
    done = subprocess.run(written, capture_output=True, text=True, cwd=tmp_path, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-3000:]
    project = make_project("imported")
    token = make_token(add_member(project, make_user(), Role.ADMIN), Scope.ADMIN, project)
    monkeypatch.setenv("SCALEDASH_URL", live_web)
    monkeypatch.setenv("SCALEDASH_TOKEN", token)

    def bring(kind: str) -> int:
        capsys.readouterr()
        source = str(tmp_path / "out" / kind)
        assert cli.main(["import", kind, source, "--project", "imported", "--json"]) == 0
        (run,) = json.loads(capsys.readouterr().out)["runs"]
        return int(run["points"])

    assert {kind: bring(kind) for kind in POINTS} == POINTS
    before = list(Run.objects.order_by("pk").values("name", "rev", "repeated", "summary"))
    assert {kind: bring(kind) for kind in POINTS} == dict.fromkeys(POINTS, 0)
    assert list(Run.objects.order_by("pk").values("name", "rev", "repeated", "summary")) == before
    stored = sum(entry["count"] for run in before for entry in run["summary"].values())
    assert stored == sum(POINTS.values())
