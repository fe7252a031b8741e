"""Files written by the real tensorboardX, wandb and mlflow, imported twice into a real server."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from scaledash.client import cli
from tests.client.wandb_server import WandbServer, serve
from tests.trackers import find_python

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).parent / "import_script.py"
SECONDS = 300
POINTS = {"tensorboard": 303, "wandb": 604, "mlflow": 301}

pytestmark = pytest.mark.slow


def test_real_files_are_imported_completely_and_twice_without_duplicates(
    live_web: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from runs.models import Run
    from teams.models import Role, Scope
    from tests.teams.factories import add_member, make_project, make_token, make_user

    written = [find_python("trackers"), str(SCRIPT), str(tmp_path / "out")]
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


def test_wandbs_own_client_reads_every_row_for_the_importer(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"_step": step, "_timestamp": 1.7e9 + step, "loss": step / 4} for step in range(2_500)
    ]
    rows[7] |= {"eval": 0.5, "gs": 40}
    metrics = [{"1": "gs"}, {"1": "eval", "5": 1}]
    config = {"lr": {"value": 0.1}, "_wandb": {"value": {"m": metrics}}}
    about = WandbServer(rows, config, limits=1)
    with serve(about) as url:
        own = {"WANDB_BASE_URL": url, "WANDB_API_KEY": 40 * "a", "WANDB_CACHE_DIR": str(tmp_path)}
        env = {**os.environ, **own, "PYTHONPATH": str(ROOT), "WANDB_SILENT": "true"}
        command = [find_python("trackers"), str(SCRIPT.with_name("wandb_api_script.py"))]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=SECONDS
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    points = found.pop("points")
    losses = [point[1:] for point in points if point[0] == "loss"]
    assert losses == [[step, step / 4, 1.7e9 + step] for step in range(2_500)]
    assert [point[1:3] for point in points if point[0] == "eval"] == [[40, 0.5]]
    assert about.limits == 0
    assert found == {
        "key": "p/abc",
        "name": "first",
        "group": "sweep",
        "tags": ["t"],
        "notes": "a note",
        "config": {"lr": 0.1},
        "state": "finished",
        "started_at": 1767323045.0,
        "ended_at": 1767326645.0,
    }
