"""The same scripts run by the wandb package, offline, and by ScaleDash: the histories agree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trackers import find_python

HERE = Path(__file__).resolve().parent

pytestmark = pytest.mark.slow

Sync = Callable[..., int]


def run_script(python: str, script: str, module: str, folder: Path) -> None:
    env = {
        **{name: text for name, text in os.environ.items() if not name.startswith("PYTHON")},
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_SILENT": "true",
        "SCALEDASH_DIR": str(folder / "runs"),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    command = [python, str(HERE / script), module]
    subprocess.run(command, cwd=folder, env=env, check=True, timeout=300, capture_output=True)


def read_wandb(python: str, folder: Path) -> dict[str, dict[str, Any]]:
    files = map(str, folder.glob("wandb/offline-run-*/*.wandb"))
    command = [python, str(HERE / "wandb_reader.py"), *files]
    text = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True).stdout
    return {run["name"]: run for run in json.loads(text)}


@pytest.mark.parametrize("script", ["wandb_script.py", "wandb_cases.py"])
def test_histories_agree(script: str, tmp_path: Path, sync: Sync, peer: Any) -> None:
    python = find_python("trackers")
    run_script(python, script, "wandb", tmp_path)
    theirs = read_wandb(python, tmp_path)
    run_script(sys.executable, script, "scaledash", tmp_path)
    assert sync(*map(str, (tmp_path / "runs").iterdir())) == 0
    ours = {run.document["name"]: run for run in peer.runs.values()}
    assert ours.keys() == theirs.keys()
    for name, run in ours.items():
        points = [(key, step, x) for key, rows in run.points.items() for step, x in rows]
        assert spell(points) == spell(theirs[name]["points"]), name
        assert public(run.document.get("config", {})) == public(theirs[name]["config"]), name
        kept = run.document.get("summary", {})
        assert kept == {key: theirs[name]["summary"][key] for key in kept}, name


def spell(points: list[tuple[str, int, float]]) -> list[tuple[str, int, str]]:
    """Sorted, with NaN equal to itself and numbers as the 64-bit floats that both keep."""
    return sorted((name, step, float(value).hex()) for name, step, value in points)


def public(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key[0] != "_"}
