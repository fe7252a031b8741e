"""An Aim repository of the real package, imported into a real server; the refusals without it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaledash.client import cli
from tests.trackers import find_python

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).parent / "aim_script.py"
SECONDS = 120


@pytest.fixture
def imported(live_web: str) -> dict[str, str]:
    """Environment of a client that may import into the project `imported`."""
    from teams.models import Role, Scope
    from tests.teams.factories import add_member, make_project, make_token, make_user

    project = make_project("imported")
    token = make_token(add_member(project, make_user(), Role.ADMIN), Scope.ADMIN, project)
    own = {"SCALEDASH_URL": live_web, "SCALEDASH_TOKEN": token, "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own}


def run_aim(arguments: list[str], environment: dict[str, str], status: int = 0) -> str:
    command = [find_python("aim"), *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == status, done.stderr[-3000:]
    return done.stdout


def bring(folder: Path, environment: dict[str, str]) -> dict[str, int]:
    """Import; returns the points that were new, by run."""
    command = ["-m", "scaledash.client.cli", "import", "aim", str(folder), "--project", "imported"]
    found = json.loads(run_aim([*command, "--json"], environment))
    return {run["name"]: run["points"] for run in found["runs"]}


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
def test_a_real_repository_is_imported_once_and_goes_on_and_is_never_changed(
    imported: dict[str, str], tmp_path: Path
) -> None:
    from runs.models import Run

    folder = tmp_path / "repo"
    folder.mkdir()
    killed = run_aim([str(SCRIPT), str(folder), "first"], imported, status=1).strip()
    before = digest(folder)
    assert bring(folder, imported) == {"closed": 303, "killed": 5}
    assert bring(folder, imported) == {"closed": 0, "killed": 0}
    assert digest(folder) == before

    closed = Run.objects.get(name="closed")
    assert (closed.group, closed.notes, closed.state) == ("grid", "a note", "finished")
    assert closed.tags == ["base"]
    assert closed.config["hparams"] == {"lr": 0.01, "model": {"width": 64}, "api_key": "***"}
    counts = {metric: entry["count"] for metric, entry in closed.summary.items()}
    assert counts == {"train/loss": 300, "val/loss": 1, "odd": 1, "odd[rank=1]": 1}
    assert Run.objects.get(name="killed").state == "running"

    run_aim([str(SCRIPT), str(folder), "more", killed], imported)
    assert bring(folder, imported) == {"closed": 0, "killed": 3}
    assert Run.objects.get(name="killed").state == "finished"


def test_without_the_package_the_import_names_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "aimrocks", None)
    assert cli.main(["import", "aim", str(tmp_path), "--project", "p", "--dry-run"]) == 2
    assert "pip install aim" in capsys.readouterr().err


def test_the_address_of_an_aim_server_is_refused_with_what_to_give(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["import", "aim", "aim://host:53800", "--project", "p"]) == 2
    assert "give the folder of the repository" in capsys.readouterr().err
