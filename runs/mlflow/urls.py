"""Routes of the MLflow protocol, under the server's root as its clients expect."""

from django.urls import path

from runs.mlflow import (
    experiment_views,
    history_views,
    links,
    logging_views,
    run_views,
    server_views,
)

API = "api/2.0/mlflow"
CALLS = {
    "experiments/create": experiment_views.CreateExperiment,
    "experiments/get": experiment_views.GetExperiment,
    "experiments/get-by-name": experiment_views.GetExperimentByName,
    "experiments/search": experiment_views.SearchExperiments,
    "experiments/set-experiment-tag": experiment_views.SetExperimentTag,
    "runs/create": run_views.CreateRun,
    "runs/update": run_views.UpdateRun,
    "runs/delete": run_views.DeleteRun,
    "runs/restore": run_views.RestoreRun,
    "runs/get": run_views.GetRun,
    "runs/search": run_views.SearchRuns,
    "runs/log-metric": logging_views.LogMetric,
    "runs/log-batch": logging_views.LogBatch,
    "runs/log-parameter": logging_views.LogParameter,
    "runs/set-tag": logging_views.SetTag,
    "runs/delete-tag": logging_views.DeleteTag,
    "runs/log-inputs": logging_views.LogInputs,
    "runs/outputs": logging_views.LogOutputs,
    "runs/log-model": logging_views.LogModel,
    "metrics/get-history": history_views.GetHistory,
    "metrics/get-history-bulk-interval": history_views.GetBulkInterval,
    "artifacts/list": server_views.ListArtifacts,
}

urlpatterns = [
    *(
        path(f"{API}/{call}", view.as_view(), name=f"mlflow-{call.replace('/', '-')}")
        for call, view in CALLS.items()
    ),
    path("mlflow/runs/<str:uid>", links.follow_run, name="mlflow-run"),
    path("version", server_views.Version.as_view(), name="mlflow-version"),
    path("health", server_views.Health.as_view(), name="mlflow-health"),
    path("api/3.0/mlflow/server-info", server_views.ServerInfo.as_view(), name="mlflow-info"),
    path(
        "api/2.0/mlflow-artifacts/artifacts",
        server_views.ListFolder.as_view(),
        name="mlflow-artifacts-folder",
    ),
    path(
        "api/2.0/mlflow-artifacts/<path:rest>",
        server_views.Artifacts.as_view(),
        name="mlflow-artifacts",
    ),
    path("api/2.0/<path:rest>", server_views.Unknown.as_view(), name="mlflow-unknown"),
    path("api/3.0/<path:rest>", server_views.Unknown.as_view(), name="mlflow-unknown-3"),
]
