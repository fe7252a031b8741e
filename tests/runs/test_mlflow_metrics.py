"""Metrics over the MLflow protocol: steps, non-finite values, replays, histories."""

from __future__ import annotations

import pytest

from runs.models import Batch
from scaledash.lib.names import canonical_metric
from tests.runs.factories import make_api, read_series
from tests.runs.mlflow_calls import MILLIS, Mlflow, find_run, make_mlflow


@pytest.fixture
def mlflow(db: None) -> Mlflow:
    return make_mlflow()


def metric(key: str, value: object, step: object, at: int = MILLIS) -> dict[str, object]:
    return {"key": key, "value": value, "step": step, "timestamp": at}


def test_points_with_steps_keep_them(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    for step, value in ((0, 3.0), (10, 2.0), ("20", 1.0)):
        mlflow.log(run_id, "loss", value, step)
    assert mlflow.points(run_id, "loss") == [(0, 3.0), (10, 2.0), (20, 1.0)]
    assert find_run(run_id).host["mlflow"]["numbered"] == []


def test_a_pile_at_step_0_is_numbered_in_the_order_of_arrival(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    for number, value in enumerate((3.0, 2.0, 2.0, 1.0)):
        mlflow.log(run_id, "loss", value, 0, MILLIS + number)
    mlflow.log(run_id, "acc", 0.5, 0)
    assert mlflow.points(run_id, "loss") == [(0, 3.0), (1, 2.0), (2, 2.0), (3, 1.0)]
    run = find_run(run_id)
    assert run.host["mlflow"]["numbered"] == ["loss"]
    doubts = make_api(mlflow.project).get(f"runs/{run_id}").json()["doubts"]
    assert doubts[0].startswith("loss: logged through MLflow without steps")


def test_a_pile_within_one_batch_is_numbered_too(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    points = [metric("loss", value, 0, MILLIS + n) for n, value in enumerate((3.0, 2.0, 1.0))]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    assert mlflow.points(run_id, "loss") == [(0, 3.0), (1, 2.0), (2, 1.0)]


def test_an_explicit_step_ends_the_numbering(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.log(run_id, "loss", 3.0, 0, MILLIS)
    mlflow.log(run_id, "loss", 2.0, 0, MILLIS + 1)
    mlflow.log(run_id, "loss", 1.0, 7, MILLIS + 2)
    mlflow.log(run_id, "loss", 9.0, 0, MILLIS + 3)
    assert mlflow.points(run_id, "loss") == [(0, 9.0), (1, 2.0), (7, 1.0)]


def test_a_point_at_step_0_that_was_there_before_is_ignored(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.log(run_id, "loss", 3.0, 0)
    points = [metric("loss", 3.0, 0), metric("acc", 0.5, 0)]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    assert mlflow.points(run_id, "loss") == [(0, 3.0)]
    assert mlflow.points(run_id, "acc") == [(0, 0.5)]


@pytest.mark.parametrize("step", [-1, 1.5, "x", True, 2**60])
def test_a_step_that_is_none_is_refused(mlflow: Mlflow, step: object) -> None:
    body = {"run_id": mlflow.start(), **metric("loss", 1.0, step)}
    status, code, _ = mlflow.refuse("POST", "runs/log-metric", **body)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("-Infinity", "-Infinity"),
        (1.7976931348623157e308, "Infinity"),
        (-1.7976931348623157e308, "-Infinity"),
        (7, 7.0),
        (5e-324, 5e-324),
    ],
)
def test_values_are_read_back_exactly(mlflow: Mlflow, sent: object, stored: object) -> None:
    run_id = mlflow.start()
    mlflow.log(run_id, "loss", sent, 1)
    assert mlflow.points(run_id, "loss") == [(1, stored)]
    assert mlflow.read(run_id)["data"]["metrics"] == [
        {"key": "loss", "value": stored, "timestamp": MILLIS, "step": 1}
    ]


@pytest.mark.parametrize("value", ["nan", "1.5", None, True, [1], 10**400])
def test_a_value_that_is_none_is_refused(mlflow: Mlflow, value: object) -> None:
    body = {"run_id": mlflow.start(), **metric("loss", value, 1)}
    status, code, _ = mlflow.refuse("POST", "runs/log-metric", **body)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_run_of_nan_breaks_neither_lists_nor_searches(mlflow: Mlflow) -> None:
    run_id = mlflow.start(run_name="wild")
    mlflow.log(run_id, "loss", "NaN", 1)
    assert mlflow.search(order_by=["metrics.loss ASC"]) == ["wild"]
    assert mlflow.search("metrics.loss < 5") == []
    assert find_run(run_id).outcome == "diverged"
    assert make_api(mlflow.project).get("runs").status_code == 200


def test_a_replayed_request_changes_nothing(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    for _ in range(3):
        mlflow.log(run_id, "loss", 3.0, 1)
    run = find_run(run_id)
    assert (run.rev, run.repeated) == (1, 0)
    assert Batch.objects.filter(run=run).count() == 1


def test_a_batch_is_stored_whole_or_not_at_all(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    body = {
        "run_id": run_id,
        "metrics": [metric("loss", 1.0, 1)],
        "params": [{"key": "lr", "value": "0.2"}],
    }
    status, _, _ = mlflow.refuse("POST", "runs/log-batch", **body)
    run = find_run(run_id)
    assert (status, run.rev, run.summary) == (400, 0, {})
    assert Batch.objects.filter(run=run).count() == 0


def test_a_batch_holds_metrics_params_and_tags(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post(
        "runs/log-batch",
        run_id=run_id,
        metrics=[metric("loss", 3.0, 1), metric("acc", 0.5, 1), metric("loss", 2.0, 2)],
        params=[{"key": "lr", "value": "0.1"}],
        tags=[{"key": "kind", "value": "x"}],
    )
    run = find_run(run_id)
    assert read_series(run, "loss") == ([1, 2], [3.0, 2.0])
    assert (run.config, run.tags) == ({"lr": "0.1"}, ["kind=x"])


def test_a_finished_run_takes_a_late_evaluation(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    mlflow.log(run_id, "eval/loss", 2.0, 5)
    assert mlflow.points(run_id, "eval/loss") == [(5, 2.0)]
    assert find_run(run_id).state == "finished"


@pytest.mark.parametrize(("kind", "limit"), [("metrics", 1_000), ("params", 100), ("tags", 100)])
def test_a_batch_over_the_limit_is_refused(mlflow: Mlflow, kind: str, limit: int) -> None:
    run_id = mlflow.start()
    items = [{**metric("m", 1.0, 1), "key": f"k{n}", "value": "1"} for n in range(limit + 1)]
    status, code, message = mlflow.refuse("POST", "runs/log-batch", run_id=run_id, **{kind: items})
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert f"{limit:,} {kind}" in message


def test_a_metric_without_a_time_is_refused(mlflow: Mlflow) -> None:
    status, _, message = mlflow.refuse(
        "POST", "runs/log-metric", run_id=mlflow.start(), key="loss", value=1.0
    )
    assert status == 400
    assert "timestamp" in message


def test_a_history_comes_in_pages_by_step(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    points = [metric("loss", float(step), step, MILLIS + step) for step in (3, 1, 2)]
    mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    query = {"run_id": run_id, "metric_key": "loss", "max_results": 2}
    first = mlflow.get("metrics/get-history", **query)
    second = mlflow.get("metrics/get-history", **query, page_token=first["next_page_token"])
    assert [p["step"] for p in first["metrics"] + second["metrics"]] == [1, 2, 3]
    assert [p["timestamp"] - MILLIS for p in first["metrics"]] == [1, 2]
    assert "next_page_token" not in second


def test_a_metric_that_a_run_does_not_have_has_no_history(mlflow: Mlflow) -> None:
    assert mlflow.points(mlflow.start(), "absent") == []


def test_hidden_points_are_left_out(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.log(run_id, "loss", 3.0, 1)
    mlflow.log(run_id, "loss", 2.0, 5)
    body = {"id": "4f9d2c1e-8f7b-4d3a-9c56-0123456789ab", "step": 4}
    assert make_api(mlflow.project).post(f"runs/{run_id}/rewind", body).status_code == 200
    mlflow.log(run_id, "loss", 1.0, 6)
    assert mlflow.points(run_id, "loss") == [(1, 3.0), (6, 1.0)]


def test_many_runs_are_thinned_with_their_first_and_last_point(mlflow: Mlflow) -> None:
    run_ids = [mlflow.start(), mlflow.start()]
    for run_id in run_ids:
        points = [metric("loss", float(step), step) for step in range(1, 101)]
        mlflow.post("runs/log-batch", run_id=run_id, metrics=points)
    query = {"metric_key": "loss", "max_results": 5, "start_step": 11, "end_step": 50}
    found = mlflow.get("metrics/get-history-bulk-interval", run_ids=run_ids, **query)["metrics"]
    steps = [point["step"] for point in found if point["run_id"] == run_ids[0]]
    assert (len(found), len(steps), steps[0], steps[-1]) == (10, 5, 11, 50)


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("optim/LR _group 0_", "optim.lr"), ("train/loss", "loss.train"), ("eval_loss", "loss.val")],
)
def test_names_that_hugging_face_rewrites_are_recognised(name: str, canonical: str) -> None:
    assert canonical_metric(name) == canonical
