"""Runs over the MLflow protocol: their life, params and tags."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from runs.contexts import find_silence
from runs.models import Run, RunState
from runs.services import mark_crashed_runs
from tests.runs.factories import make_api, open_run
from tests.runs.mlflow_calls import MILLIS, Mlflow, find_run, make_mlflow


@pytest.fixture
def mlflow(db: None) -> Mlflow:
    return make_mlflow()


def tags_of(run: dict[str, object]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def params_of(run: dict[str, object]) -> dict[str, str]:
    return {param["key"]: param["value"] for param in run["data"]["params"]}


def test_a_run_begins(mlflow: Mlflow) -> None:
    tags = [{"key": "mlflow.user", "value": "ann"}, {"key": "mlflow.note.content", "value": "Why"}]
    body = {"experiment_id": "0", "start_time": MILLIS, "run_name": "first", "tags": tags}
    info = mlflow.post("runs/create", **body)["run"]["info"]
    run = find_run(info["run_id"])
    assert len(run.uid) == 32
    assert (run.name, run.notes, run.host["user"]) == ("first", "Why", "ann")
    assert run.started_at == datetime.fromtimestamp(MILLIS / 1000, UTC)
    assert (info["status"], info["start_time"], info["lifecycle_stage"]) == (
        *("RUNNING", MILLIS, "active"),
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [("FINISHED", "finished"), ("FAILED", "failed"), ("KILLED", "interrupted")],
)
def test_a_run_ends_at_the_client_s_time(mlflow: Mlflow, status: str, state: str) -> None:
    run_id = mlflow.start()
    end = str(MILLIS + 5_000)  # int64 fields may come as texts
    info = mlflow.post("runs/update", run_id=run_id, status=status, end_time=end)["run_info"]
    assert (info["status"], info["end_time"]) == (status, MILLIS + 5_000)
    assert find_run(run_id).state == state


def test_a_run_goes_on_after_its_end(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    mlflow.post("runs/update", run_uuid=run_id, status="RUNNING")
    run = find_run(run_id)
    assert (run.state, run.ended_at) == (RunState.RUNNING, None)


def test_an_end_may_be_corrected(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/update", run_id=run_id, status="FINISHED")
    mlflow.post("runs/update", run_id=run_id, status="FAILED")
    assert find_run(run_id).state == RunState.FAILED


def test_a_run_is_renamed(mlflow: Mlflow) -> None:
    run_id = mlflow.start(run_name="first")
    mlflow.post("runs/update", run_id=run_id, run_name="second")
    assert tags_of(mlflow.read(run_id))["mlflow.runName"] == "second"
    assert find_run(run_id).state == RunState.RUNNING


def test_an_unknown_status_is_refused(mlflow: Mlflow) -> None:
    status, code, message = mlflow.refuse(
        "POST", "runs/update", run_id=mlflow.start(), status="PAUSED"
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "KILLED" in message


def test_deleting_is_soft_and_can_be_undone(mlflow: Mlflow) -> None:
    run_id = mlflow.start(run_name="gone")
    mlflow.post("runs/delete", run_id=run_id)
    assert mlflow.read(run_id)["info"]["lifecycle_stage"] == "deleted"
    assert mlflow.search() == []
    assert mlflow.search(run_view_type="DELETED_ONLY") == ["gone"]
    assert mlflow.search(run_view_type="ALL") == ["gone"]
    status, code, _ = mlflow.refuse("POST", "runs/set-tag", run_id=run_id, key="a", value="b")
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")
    mlflow.post("runs/restore", run_id=run_id)
    assert mlflow.search() == ["gone"]


def test_a_nested_run_knows_its_parent(mlflow: Mlflow) -> None:
    parent = mlflow.start()
    child = mlflow.start(tags=[{"key": "mlflow.parentRunId", "value": parent}])
    assert find_run(child).parent == find_run(parent)
    assert find_run(child).fork_step is None
    assert tags_of(mlflow.read(child))["mlflow.parentRunId"] == parent
    assert len(mlflow.search(f"tags.mlflow.parentRunId = '{parent}'")) == 1


def silence(run_id: str, **since: int) -> Run:
    at = timezone.now() - timedelta(**since)
    Run.objects.filter(uid=run_id).update(heartbeat_at=at, received_at=at)
    mark_crashed_runs()
    return find_run(run_id)


def test_a_silent_run_is_not_crashed_before_a_day_has_passed(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    assert silence(run_id, hours=23).state == RunState.RUNNING
    assert silence(run_id, hours=25).state == RunState.CRASHED
    mlflow.log(run_id, "loss", 2.5)
    assert find_run(run_id).state == RunState.RUNNING


def test_a_run_with_a_heartbeat_still_crashes_early(mlflow: Mlflow) -> None:
    run = open_run(make_api())
    assert silence(run.uid, minutes=10).state == RunState.CRASHED


def test_a_run_that_was_imported_while_it_ran_is_not_crashed_either(mlflow: Mlflow) -> None:
    run = open_run(make_api(), host={"import": {"kind": "tensorboard"}})
    assert silence(run.uid, hours=23).state == RunState.RUNNING
    assert silence(run.uid, hours=25).state == RunState.CRASHED


def test_a_run_is_stale_after_ten_minutes(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    assert find_silence(silence(run_id, minutes=9)) == ""
    assert find_silence(silence(run_id, minutes=11)) == "11 min"


def test_a_run_that_logs_seldom_is_stale_later(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    for step in range(3):
        mlflow.log(run_id, "loss", 2.5, step)
    run = find_run(run_id)
    for number, batch in enumerate(run.batches.order_by("received_at")):
        run.batches.filter(pk=batch.pk).update(
            received_at=timezone.now() - timedelta(minutes=30 * (3 - number))
        )
    assert find_silence(silence(run_id, hours=4)) == ""  # 10 x 30 min
    assert find_silence(silence(run_id, hours=6)) == "360 min"


def test_params_are_text_that_compares_as_numbers(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    body = [{"key": "lr", "value": "3e-4"}, {"key": "n_params", "value": "125M"}]
    mlflow.post("runs/log-batch", run_id=run_id, params=body)
    run = find_run(run_id)
    assert run.config == {"lr": "3e-4", "n_params": "125M"}
    assert (run.peak_lr, run.n_params) == (3e-4, 125e6)
    assert params_of(mlflow.read(run_id)) == {"lr": "3e-4", "n_params": "125M"}
    api = make_api(mlflow.project)
    assert len(api.get("runs?filter=lr < 1e-3").json()["items"]) == 1


def test_the_same_param_again_changes_nothing(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    for _ in range(2):
        mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    assert find_run(run_id).config == {"lr": "0.1"}


def test_another_value_for_a_param_is_refused_as_mlflow_does(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/log-parameter", run_id=run_id, key="lr", value="0.1")
    status, code, message = mlflow.refuse(
        "POST", "runs/log-parameter", run_id=run_id, key="lr", value="0.2"
    )
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert "'0.1'" in message
    assert find_run(run_id).config == {"lr": "0.1"}


def test_secrets_among_params_are_masked(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    names = ("hub_token", "OPENAI_API_KEY", "tokens_per_step", "tokenizer", "n_tokens")
    params = [{"key": name, "value": "7"} for name in names]
    mlflow.post("runs/log-batch", run_id=run_id, params=params)
    assert find_run(run_id).config == {
        "hub_token": "***",
        "OPENAI_API_KEY": "***",
        "tokens_per_step": "7",
        "tokenizer": "7",
        "n_tokens": "7",
    }


def test_native_config_reads_as_params(mlflow: Mlflow) -> None:
    api = make_api(mlflow.project)
    run = open_run(api, config={"optim": {"lr": 0.1, "name": "adamw"}, "seed": 1})
    expected = {"optim.lr": "0.1", "optim.name": "adamw", "seed": "1"}
    assert params_of(mlflow.read(run.uid)) == expected


def test_tags_are_read_back_as_they_were(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/set-tag", run_id=run_id, key="kind", value="sweep")
    mlflow.post("runs/set-tag", run_id=run_id, key="kind", value="grid")
    mlflow.post("runs/set-tag", run_id=run_id, key="baseline", value="true")
    mlflow.post("runs/set-tag", run_id=run_id, key="mlflow.source.git.commit", value="abc")
    run = find_run(run_id)
    assert run.tags == ["kind=grid", "baseline"]
    assert run.host["git_commit"] == "abc"
    found = tags_of(mlflow.read(run_id))
    assert (found["kind"], found["baseline"]) == ("grid", "true")
    assert found["mlflow.source.git.commit"] == "abc"


def test_a_tag_is_taken_away(mlflow: Mlflow) -> None:
    run_id = mlflow.start(tags=[{"key": "kind", "value": "sweep"}])
    mlflow.post("runs/delete-tag", run_id=run_id, key="kind")
    assert find_run(run_id).tags == []
    status, code, _ = mlflow.refuse("POST", "runs/delete-tag", run_id=run_id, key="kind")
    assert (status, code) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_labels_given_elsewhere_stay(mlflow: Mlflow) -> None:
    run_id = mlflow.start(tags=[{"key": "kind", "value": "sweep"}])
    make_api(mlflow.project).patch(f"runs/{run_id}", {"tags": ["kind=sweep", "keep"]})
    mlflow.post("runs/set-tag", run_id=run_id, key="kind", value="grid")
    assert find_run(run_id).tags == ["keep", "kind=grid"]
    assert tags_of(mlflow.read(run_id))["keep"] == ""


def test_name_and_note_are_columns(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/set-tag", run_id=run_id, key="mlflow.runName", value="named")
    mlflow.post("runs/set-tag", run_id=run_id, key="mlflow.note.content", value="noted")
    run = find_run(run_id)
    assert (run.name, run.notes, run.tags) == ("named", "noted", [])


def test_inputs_outputs_and_models_are_accepted_and_counted(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    mlflow.post("runs/log-inputs", run_id=run_id, datasets=[{"dataset": {"name": "a"}}] * 2)
    mlflow.post("runs/outputs", run_id=run_id, models=[{"model_id": "m"}])
    mlflow.post("runs/log-model", run_id=run_id, model_json="{}")
    document = make_api(mlflow.project).get(f"runs/{run_id}").json()
    assert document["doubts"] == [
        "Not stored: 2 datasets that an MLflow client sent.",
        "Not stored: 2 models that an MLflow client sent.",
    ]


def test_there_are_no_artifacts(mlflow: Mlflow) -> None:
    run_id = mlflow.start()
    found = mlflow.get("artifacts/list", run_id=run_id)
    assert found["files"] == []
    assert found["root_uri"].endswith(f"/{run_id}/artifacts")
