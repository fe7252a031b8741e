"""Write what a training script leaves behind with the real packages; run in their environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"

import mlflow
import wandb
from tensorboardX import SummaryWriter

STEPS = 300


def write_tensorboard(folder: Path) -> None:
    with SummaryWriter(str(folder / "run")) as writer:
        for step in range(STEPS):
            writer.add_scalar("train/loss", 3 / (step + 1), step, walltime=1.7e9 + step)
        writer.add_scalar("odd", float("nan"), 5, walltime=1.7e9)
        writer.add_scalars("cmp", {"a": 1.0, "b": 2.0}, 3, walltime=1.7e9)
        writer.add_text("words", "not stored", 0, walltime=1.7e9)


def write_wandb(folder: Path) -> None:
    run = wandb.init(project="p", name="offline", mode="offline", dir=str(folder), config={"lr": 1})
    run.define_metric("eval/*", step_metric="trainer/global_step")
    for step in range(STEPS):
        run.log({"train/loss": 3 / (step + 1), "trainer/global_step": step * 10})
    run.log({"eval/loss": 0.5, "trainer/global_step": 7_000, "hist": wandb.Histogram([1, 2, 3])})
    run.log({"odd": float("inf"), "nested": {"a": 1}})
    run.finish()


def write_mlflow(folder: Path) -> None:
    mlflow.set_tracking_uri((folder / "mlruns").as_uri())
    with mlflow.start_run(run_name="first"):
        mlflow.log_param("lr", 0.1)
        for step in range(STEPS):
            mlflow.log_metric("train/loss", 3 / (step + 1), step=step)
        mlflow.log_metric("odd", float("nan"), step=1)


def main() -> None:
    folder = Path(sys.argv[1])
    for name, write in (
        ("tensorboard", write_tensorboard),
        ("wandb", write_wandb),
        ("mlflow", write_mlflow),
    ):
        (folder / name).mkdir(parents=True)
        write(folder / name)


if __name__ == "__main__":
    main()
