"""Who may call the MLflow protocol, and how its errors look."""

from __future__ import annotations

import base64

import pytest
from django.test import Client

from teams.models import Scope
from tests.runs.mlflow_calls import Mlflow, find_run, make_mlflow


@pytest.fixture
def mlflow(db: None) -> Mlflow:
    return make_mlflow()


def get_experiment(header: str) -> object:
    client = Client(raise_request_exception=False)
    url = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    return client.get(url, headers={"Authorization": header})


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_the_token_may_be_the_password_of_basic(mlflow: Mlflow) -> None:
    assert get_experiment(basic("anybody", mlflow.token)).status_code == 200


@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!!", "Basic /w==", "Digest x", basic("a", "b")]
)
def test_anything_else_is_401_in_mlflow_s_shape(mlflow: Mlflow, header: str) -> None:
    answer = get_experiment(header)
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert answer["WWW-Authenticate"] == "Bearer"


def test_basic_is_no_way_into_our_own_api(mlflow: Mlflow) -> None:
    answer = Client().get("/api/v1/ping", headers={"Authorization": basic("x", mlflow.token)})
    assert answer.status_code == 401


def test_version_health_and_server_info_need_no_token() -> None:
    client = Client()
    assert client.get("/version").content == b"3.0.0"
    assert client.get("/health").content == b"OK"
    assert client.get("/api/3.0/mlflow/server-info").json() == {"workspaces_enabled": False}


def test_an_unknown_call_is_endpoint_not_found(mlflow: Mlflow) -> None:
    status, code, _ = mlflow.refuse("POST", "registered-models/create", name="x")
    assert (status, code) == (404, "ENDPOINT_NOT_FOUND")


def test_an_upload_is_501_with_the_remedy(mlflow: Mlflow) -> None:
    answer = Client().put("/api/2.0/mlflow-artifacts/artifacts/0/x/model.pt", b"weights")
    assert answer.status_code == 501
    assert "no files" in answer.json()["message"]


def test_a_malformed_body_is_invalid_parameter_value(mlflow: Mlflow) -> None:
    headers = {"Authorization": f"Bearer {mlflow.token}"}
    url = "/api/2.0/mlflow/runs/log-metric"
    for body in (b"{", b"[1]", b'{"value": NaN}', b'{"a": 1, "a": 2}'):
        answer = Client().post(url, body, content_type="application/json", headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_a_token_for_logging_logs_and_sees_nothing_of_what_was_logged(db: None) -> None:
    writer = make_mlflow(Scope.WRITE)
    run_id = writer.start(tags=[{"key": "kind", "value": "secret"}])
    writer.log(run_id, "loss", 2.5)
    writer.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    writer.post("runs/update", run_id=run_id, status="FINISHED")
    run = writer.read(run_id)
    assert run["info"]["status"] == "FINISHED"
    assert run["data"] == {"metrics": [], "params": [], "tags": []}
    history = writer.refuse("GET", "metrics/get-history", run_id=run_id, metric_key="loss")
    assert history[:2] == (403, "PERMISSION_DENIED")


def test_runs_of_other_projects_are_absent(mlflow: Mlflow) -> None:
    other = make_mlflow()
    run_id = other.start()
    for call in ("runs/log-metric", "runs/log-batch", "runs/set-tag", "runs/update"):
        status, code, _ = mlflow.refuse("POST", call, run_id=run_id, key="a", value=1, timestamp=1)
        assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
    search = mlflow.refuse("POST", "runs/search", experiment_ids=[str(other.project.pk)])
    assert search[:2] == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_parent_of_another_project_is_not_linked(mlflow: Mlflow) -> None:
    stranger = make_mlflow().start()
    run_id = mlflow.start(tags=[{"key": "mlflow.parentRunId", "value": stranger}])
    assert find_run(run_id).parent is None
