"""What a user's script does with the real mlflow package; prints what it read back as JSON.

Run by tests/runs/test_mlflow_client.py with the interpreter of an environment that has mlflow.
"""

from __future__ import annotations

import json
import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

EXPERIMENT = "real client"


def log_fluently() -> str:
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name="fluent", tags={"kind": "sweep"}) as run:
        mlflow.log_params({"lr": 3e-4, "n_params": "125M"})
        for step in range(5):
            mlflow.log_metrics({"train/loss": 3.0 - step / 2, "acc": step / 5}, step=step)
        for step, value in enumerate((float("nan"), float("inf"), -float("inf"))):
            mlflow.log_metric("odd", value, step=step)
        for value in (3, 2, 1):
            mlflow.log_metric("pile", value)
            time.sleep(0.002)  # MLflow's clock has milliseconds
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_param("seed", 1)
    return run.info.run_id


def log_with_the_client(client: MlflowClient, experiment_id: str) -> str:
    run_id = client.create_run(experiment_id, run_name="client").info.run_id
    now = int(time.time() * 1000)
    metrics = [Metric("loss", 1 / (n + 1), now + n, n) for n in range(1_000)]
    client.log_batch(run_id, metrics)
    client.log_batch(run_id, [], [Param("seed", "1")], [RunTag("kind", "grid")])
    client.delete_tag(run_id, "kind")
    client.set_terminated(run_id, "KILLED")
    return run_id


def refused(action: object) -> str:
    try:
        action()
    except MlflowException as error:
        return error.error_code
    return ""


def main() -> None:
    client = MlflowClient()
    fluent = log_fluently()
    run = client.get_run(fluent)
    second = log_with_the_client(client, run.info.experiment_id)
    frame = mlflow.search_runs(
        experiment_names=[EXPERIMENT],
        filter_string="metrics.`train/loss` < 2 and params.n_params = '125M'",
        output_format="list",
    )
    client.delete_run(second)
    stages = [client.get_run(second).info.lifecycle_stage]
    client.restore_run(second)
    stages.append(client.get_run(second).info.lifecycle_stage)
    answer = {
        "fluent": fluent,
        "status": run.info.status,
        "params": run.data.params,
        "loss": run.data.metrics["train/loss"],
        "tags": {key: run.data.tags[key] for key in ("kind", "mlflow.runName")},
        "odd": [str(m.value) for m in client.get_metric_history(fluent, "odd")],
        "pile": [[m.step, m.value] for m in client.get_metric_history(fluent, "pile")],
        "found": [found.info.run_name for found in frame],
        "second": client.get_run(second).info.status,
        "points": len(client.get_metric_history(second, "loss")),
        "stages": stages,
        "absent": refused(lambda: client.get_run("absent")),
        "changed": refused(lambda: client.log_param(second, "seed", "2")),
        "unknown": client.get_experiment_by_name("nobody has this") is None,
        "artifacts": client.list_artifacts(fluent),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
