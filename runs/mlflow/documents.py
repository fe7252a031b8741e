"""Runs as MLflow's clients read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runs.history import find_times, write_values
from runs.mlflow.experiments import find_id, write_millis
from runs.mlflow.tags import describe_tags
from runs.models import Run, RunState
from runs.points import Series
from teams.principals import Principal

STATUSES = {
    RunState.RUNNING: "RUNNING",
    RunState.FINISHED: "FINISHED",
    RunState.FAILED: "FAILED",
    RunState.CRASHED: "FAILED",
    RunState.INTERRUPTED: "KILLED",
}
STATES = {
    "RUNNING": RunState.RUNNING,
    "SCHEDULED": RunState.RUNNING,
    "FINISHED": RunState.FINISHED,
    "FAILED": RunState.FAILED,
    "KILLED": RunState.INTERRUPTED,
}
Document = dict[str, object]


def describe_run(run: Run, principal: Principal, times: Series | None = None) -> Document:
    """Return a run with what was logged; `times` make the times of the last values exact."""
    return {
        "info": describe_info(run, principal),
        "data": {
            "metrics": list(_describe_metrics(run, times)),
            "params": write_pairs(flatten(run.config)),
            "tags": write_pairs(describe_tags(run)),
        },
        "inputs": {"dataset_inputs": []},
    }


def describe_short(run: Run, principal: Principal) -> Document:
    """Return a run without what was logged: all that a token for logging may see."""
    return {"info": describe_info(run, principal), "data": {"metrics": [], "params": [],
            "tags": []}, "inputs": {"dataset_inputs": []}}  # fmt: skip


def describe_info(run: Run, principal: Principal) -> Document:
    """Return what MLflow calls the info of a run."""
    experiment = find_id(principal, run)
    info = {
        "run_id": run.uid,
        "run_uuid": run.uid,
        "run_name": run.name or run.uid,
        "experiment_id": experiment,
        "user_id": str(run.host.get("user") or ""),
        "status": STATUSES[RunState(run.state)],
        "start_time": write_millis(run.started_at or run.created_at),
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run.uid}/artifacts",
        "lifecycle_stage": "deleted" if run.deleted_at else "active",
    }
    if run.ended_at is not None:
        info["end_time"] = write_millis(run.ended_at)
    return info


def write_pairs(items: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a mapping as MLflow writes it."""
    return [{"key": key, "value": value} for key, value in items.items()]


def flatten(config: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return the leaves of a config as params."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flatten(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value if isinstance(value, str) else str(value)
    return found


def _describe_metrics(run: Run, times: Series | None) -> Iterator[Document]:
    for name, entry in run.summary.items():
        if entry.get("last") is None:
            continue
        step = entry["last_step"]
        at = _find_time(times, step) if times is not None else None
        millis = write_millis(run.received_at) if at is None else at
        yield {"key": name, "value": entry["last"], "timestamp": millis, "step": step}


def _find_time(times: Series, step: int) -> int | None:
    place = int(times.steps.searchsorted(step))
    if place < len(times.steps) and times.steps[place] == step:
        return round(float(times.values[place]) * 1000)
    return None


def describe_points(run: Run, key: str, series: Series, times: Series) -> list[Document]:
    """Return points of a metric, by step."""
    seconds = find_times(times, series.steps).tolist()
    fallback = write_millis(run.received_at)
    rows = zip(series.steps.tolist(), write_values(series.values), seconds, strict=True)
    return [
        {
            "key": key,
            "value": value,
            "timestamp": fallback if at != at else round(at * 1000),
            "step": step,
            "run_id": run.uid,
        }
        for step, value, at in rows
    ]
