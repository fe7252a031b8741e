"""Runs that go on from a step of another one."""

from __future__ import annotations

import pytest

from runs.models import Run
from tests.runs.factories import Job, make_api, open_run, read_history
from tests.teams.factories import Api, error_of


@pytest.fixture
def parent(api: Api) -> Run:
    run = open_run(api, "parent", scale={"tokens_per_step": 100, "n_params_non_embedding": 1000})
    metrics = {"loss": [float(step) for step in range(10)], "old": [1.0] * 10}
    Job(api, run).log(range(10), metrics=metrics, times=[1.7e9 + step for step in range(10)])
    return run


def fork(api: Api, uid: str = "fork", point: str = "parent?_step=6", **fields: object) -> Run:
    run = open_run(api, uid, fork_from=point, **fields)
    steps = [step + 1 for step in range(run.fork_step, run.fork_step + 2)]
    Job(api, run).log(steps, loss=[-float(step) for step in steps], times=[1.75e9, 1.75e9 + 1])
    run.refresh_from_db()
    return run


def test_history_of_a_fork_begins_with_its_parents(api: Api, parent: Run) -> None:
    run = fork(api)
    found = read_history(api, run, "times=1")
    assert found["loss"]["steps"] == list(range(9))
    assert found["loss"]["values"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -7.0, -8.0]
    assert found["loss"]["times"] == [*(1.7e9 + step for step in range(7)), 1.75e9, 1.75e9 + 1]
    assert (found["loss"]["inherited"], found["old"]["inherited"]) == (7, 7)
    assert read_history(api, run, "metric=loss&min_step=5&max_step=7")["loss"]["inherited"] == 2
    own = read_history(api, run, "inherited=0")
    assert {name: series["steps"] for name, series in own.items()} == {"loss": [7, 8]}
    assert read_history(api, run, "attempts=all") == {
        "loss": {"steps": [7, 8], "values": [-7.0, -8.0], "attempts": [0, 0]}
    }


def test_fork_of_a_fork_has_points_of_both(api: Api, parent: Run) -> None:
    fork(api)
    found = read_history(api, fork(api, "grandchild", "fork?_step=7"), "metric=loss")["loss"]
    assert found["values"] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -7.0, -8.0, -9.0]
    assert found["inherited"] == 8
    early = read_history(api, fork(api, "early", "fork?_step=3"), "metric=loss")["loss"]
    assert early["values"] == [0.0, 1.0, 2.0, 3.0, -4.0, -5.0]


def test_fork_counts_tokens_and_flops_on_from_its_parent(api: Api, parent: Run) -> None:
    run = fork(api, scale={"tokens_per_step": 500, "n_params_non_embedding": 1000})
    assert run.n_tokens == 100 * 6 + 500 * 2
    assert run.flops == 6 * 1000 * run.n_tokens
    assert run.facts["parent_tokens"][0]["source"] == "parent"
    wider = fork(api, "wider", scale={"tokens_per_step": 100, "n_params_non_embedding": 9000})
    assert wider.flops == 6 * 1000 * 600 + 6 * 9000 * 200


def test_fork_counts_on_from_the_logged_tokens_of_its_parent(api: Api) -> None:
    parent = open_run(api, "parent")
    Job(api, parent).log([1, 5, 9], tokens=[10.0, 50.0, 90.0])
    assert fork(api, scale={"tokens_per_step": 7}).n_tokens == 50.0 + 7 * 2


@pytest.mark.parametrize("point", ["absent?_step=1", "parent", "parent?_step=-1", "a b?_step=1"])
def test_fork_of_what_is_not_there_is_refused(api: Api, parent: Run, point: str) -> None:
    request = "4f9d2c1e-8f7b-4d3a-9c56-0123456789ab"
    body = {"id": "fork", "request_id": request, "project": api.project.slug, "fork_from": point}
    assert error_of(api.post("runs", body)) == (422, "invalid", "/fork_from")
    assert not Run.objects.filter(uid="fork").exists()


def test_run_of_another_project_is_no_parent(api: Api) -> None:
    open_run(make_api(), "elsewhere")
    body = {"id": "fork", "request_id": "4f9d2c1e-8f7b-4d3a-9c56-0123456789ab"}
    body |= {"project": api.project.slug, "fork_from": "elsewhere?_step=1"}
    assert error_of(api.post("runs", body))[0] == 422


def test_document_of_a_fork_names_its_parent(api: Api, parent: Run) -> None:
    fork(api)
    found = api.get(f"runs/fork?project={api.project.slug}").json()
    assert (found["parent"], found["fork_step"]) == ("parent", 6)
