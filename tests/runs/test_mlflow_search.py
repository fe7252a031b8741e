"""The search language of MLflow on runs."""

from __future__ import annotations

import pytest

from tests.runs.mlflow_calls import MILLIS, Mlflow, make_mlflow


@pytest.fixture
def mlflow(db: None) -> Mlflow:
    client = make_mlflow()
    for number, (name, lr, loss) in enumerate(
        (("small", "1e-3", 3.0), ("large", "3e-4", 2.0), ("odd 100%", "x_y", "Infinity"))
    ):
        tags = [{"key": "kind", "value": f"k{number}"}, {"key": "mlflow.user", "value": "ann"}]
        run_id = client.start(run_name=name, start_time=MILLIS + number, tags=tags)
        client.post("runs/log-parameter", run_id=run_id, key="lr", value=lr)
        client.log(run_id, "val/loss", loss, 1)
    client.post("runs/update", run_id=run_id, status="FINISHED")
    return client


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["odd 100%", "large", "small"]),
        ('metrics."val/loss" < 2.5', ["large"]),
        ("metrics.`val/loss` >= 2", ["odd 100%", "large", "small"]),
        ("metric.val/loss != 2.0", ["odd 100%", "small"]),
        ("metrics.absent < 1", []),
        ("params.lr = '3e-4'", ["large"]),
        ("params.lr != '3e-4'", ["odd 100%", "small"]),
        ("param.lr LIKE '%e-%'", ["large", "small"]),
        ("params.lr LIKE 'x_y'", ["odd 100%"]),
        ("params.lr ILIKE 'X%'", ["odd 100%"]),
        ("params.lr LIKE '\\'", []),
        ("params.absent IS NULL", ["odd 100%", "large", "small"]),
        ("params.lr IS NOT NULL AND tags.kind = 'k1'", ["large"]),
        ("tags.`kind` IN ('k0', 'k2')", ["odd 100%", "small"]),
        ("tags.mlflow.runName = 'small'", ["small"]),
        ("tags.mlflow.user = 'ann'", ["odd 100%", "large", "small"]),
        ("attributes.run_name = 'small'", ["small"]),
        ("attributes.`run name` LIKE '%all'", ["small"]),
        ("status = 'FINISHED'", ["odd 100%"]),
        ("attributes.status != 'FINISHED'", ["large", "small"]),
        (f"start_time > {MILLIS}", ["odd 100%", "large"]),
        (f"attributes.start_time = {MILLIS}", ["small"]),
        ("end_time > 0", ["odd 100%"]),
        ("user_id = 'nobody'", []),
        ("params.lr = 'it''s' and status = 'RUNNING'", []),
    ],
)
def test_searches_find_what_they_name(mlflow: Mlflow, text: str, names: list[str]) -> None:
    assert mlflow.search(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "metrics.loss < 'a'",
        "metrics.loss < 1e999",
        "params.lr > 1",
        "status LIKE 'F%'",
        "nonsense.x = 'a'",
        "attributes.nothing = 'a'",
        "params.lr",
        "params.lr = ",
        "params.lr = 'a' or params.lr = 'b'",
        "params. = 'a'",
        "params.lr IN ()",
        "params.lr IN ('a'",
        "params.lr NOT 'a'",
        "params.lr IS 'a'",
        "'a' = params.lr",
        "; drop",
        "start_time > -1",
        "start_time > 99999999999999999",
    ],
)
def test_searches_that_make_no_sense_are_refused(mlflow: Mlflow, text: str) -> None:
    status, code, message = mlflow.refuse("POST", "runs/search", experiment_ids=["0"], filter=text)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (['metrics."val/loss" ASC'], ["large", "small", "odd 100%"]),
        (["metrics.`val/loss` DESC"], ["odd 100%", "small", "large"]),
        (["params.lr"], ["small", "large", "odd 100%"]),
        (["attributes.start_time ASC"], ["small", "large", "odd 100%"]),
        (["metrics.absent DESC", "run_name ASC"], ["large", "odd 100%", "small"]),
        (["tags.kind DESC"], ["odd 100%", "large", "small"]),
    ],
)
def test_runs_come_in_the_order_that_is_asked_for(
    mlflow: Mlflow, order: list[str], names: list[str]
) -> None:
    assert mlflow.search(order_by=order) == names


def test_results_come_in_pages(mlflow: Mlflow) -> None:
    body = {"experiment_ids": ["0"], "max_results": 2}
    first = mlflow.post("runs/search", **body)
    second = mlflow.post("runs/search", **body, page_token=first["next_page_token"])
    found = [run["info"]["run_name"] for run in first["runs"] + second["runs"]]
    assert found == ["odd 100%", "large", "small"]
    assert "next_page_token" not in second


@pytest.mark.parametrize("token", ["x", "e30", "bnVsbA", "eyJvZmZzZXQiOiAtMX0"])
def test_a_made_up_page_token_is_refused(mlflow: Mlflow, token: str) -> None:
    status, code, _ = mlflow.refuse("POST", "runs/search", experiment_ids=["0"], page_token=token)
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")


def test_a_group_is_searched_alone(mlflow: Mlflow) -> None:
    found = mlflow.get("experiments/get-by-name", experiment_name="sweep")["experiment"]
    mlflow.start(experiment_id=found["experiment_id"], run_name="grouped")
    assert mlflow.search(experiment_ids=[found["experiment_id"]]) == ["grouped"]
    assert len(mlflow.search()) == 4
