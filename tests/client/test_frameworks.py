"""Callbacks inside the real frameworks, on the CPU.

`SCALEDASH_FRAMEWORKS_PYTHON` names a Python with torch, transformers, accelerate, lightning
and pytorch-lightning; they take more than a gigabyte, so they are no requirement of the
project. Without it their tests are skipped, and `test_callbacks.py` holds the callbacks to the
interfaces that the frameworks publish. Keras (on jax) and TensorBoard's writer are always tested.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trackers import GIVEN, find_python

HERE = Path(__file__).resolve().parent
PYTHON = GIVEN.get("SCALEDASH_FRAMEWORKS_PYTHON", "")

pytestmark = pytest.mark.slow
needs_frameworks = pytest.mark.skipif(
    not PYTHON, reason="the frameworks are not installed; see the module's text"
)

Train = Callable[..., Any]


@pytest.fixture
def train(tmp_path: Path, sync: Callable[..., int]) -> Train:
    """Run a script offline, send what it logged to the peer, return what it printed."""

    def run(script: str, *arguments: str, status: int = 0, python: str = PYTHON) -> Any:
        env = {name: text for name, text in os.environ.items() if name[:4] != "PYTH"}
        env |= {"SCALEDASH_MODE": "offline", "PYTHONPATH": str(HERE.parents[1])}
        env |= {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
        command = [python, str(HERE / "frameworks" / script), *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == status, done.stderr[-2_000:]
        assert sync(*map(str, (tmp_path / "scaledash-runs").iterdir())) == 0
        return json.loads(done.stdout.splitlines()[-1]) if status == 0 else None

    return run


@needs_frameworks
def test_trainer_of_transformers(train: Train, peer: Any) -> None:
    said = train("train_transformers.py")
    run, config = peer.run, peer.run.document["config"]
    losses = [(row["step"], row["loss"]) for row in said["history"] if "loss" in row]
    assert run.points["train/loss"] == losses
    assert [step for step, _ in losses] == [3, 6, 9, 12]
    evaluated = [(row["step"], row["eval_loss"]) for row in said["history"] if "eval_loss" in row]
    assert run.points["eval/loss"] == evaluated
    tested = [(row["step"], row["test_loss"]) for row in said["history"] if "test_loss" in row]
    assert run.points["test/loss"] == tested
    assert run.points["total_flos"][-1] == (12, said["total_flos"])
    assert run.points["tokens"][-1] == (12, 12 * 4 * 2 * 16)
    known = {name: config[name] for name in ("n_params", "n_params_non_embedding")}
    assert known == {name: said[name] for name in known}
    assert (config["peak_lr"], config["warmup_steps"], config["total_steps"]) == (1e-3, 2, 12)
    assert (config["seed"], config["schedule"], config["note"]) == (5, "linear", "mine")
    assert (config["batch_size"], config["accumulation"], config["world_size"]) == (4, 2, 1)
    assert config["model"]["n_embd"] == 16
    assert config["nonfinite_filtered"] is True
    assert run.document["summary"]["total_flos"] == said["total_flos"]
    assert (run.document["name"], run.state) == ("tiny", "finished")


@needs_frameworks
@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
def test_trainer_of_lightning(train: Train, peer: Any, package: str) -> None:
    said = train("train_lightning.py", package)
    assert dict(peer.run.points["train/loss"]) == pytest.approx(dict(said["seen"]), rel=1e-6)
    assert [step for step, _ in peer.run.points["val/loss"]] == [7, 15, 16]
    assert peer.run.document["config"]["lr"] == 0.1
    assert peer.run.document["config"]["n_params"] == 5
    assert (said["version"], said["name"]) == (peer.run.uid, "pl")
    assert peer.run.state == "finished"


@needs_frameworks
def test_failed_fit_of_lightning_fails_the_run(train: Train, peer: Any) -> None:
    train("train_lightning.py", "lightning.pytorch", "fail", status=1)
    assert (peer.run.state, peer.run.finish["reason"]) == ("failed", "RuntimeError")
    assert [step for step, _ in peer.run.points["train/loss"]] == [0, 1, 2, 3, 4]


def test_fit_of_keras(train: Train, peer: Any) -> None:
    said = train("train_keras.py", python=find_python("trackers"))
    assert [step for step, _ in peer.run.points["loss"]] == [2, 4, 4, 6, 8, 8]
    assert peer.run.points["val_loss"] == list(
        zip((4, 8), said["history"]["val_loss"], strict=True)
    )
    assert peer.run.document["config"]["n_params"] == said["n_params"]
    assert peer.run.points["lr"][0] == (2, pytest.approx(0.01))
    assert "smoothed" in peer.run.document["config"]["_scaledash"]["metrics"]["loss"]


def test_writer_of_tensorboard(train: Train, peer: Any) -> None:
    said = train("write_tensorboard.py", python=find_python("trackers"))
    assert [list(point) for point in peer.run.points["loss/train"]] == said["loss/train"]
    assert peer.run.points["both/b"] == [(step, -step) for step in range(5)]
    assert peer.run.points["counted"] == [(0, 1.0), (1, 2.0)]
    assert said["tags"] == ["weights"]
    assert peer.run.document["name"] == "first-a"
