"""Full histories and curves through HTTP."""

from __future__ import annotations

import pytest

from runs.models import Run
from tests.runs.factories import Job, make_api, open_run, read_history
from tests.teams.factories import Api, error_of


@pytest.fixture
def run(api: Api) -> Run:
    run = open_run(api)
    times = [1.7e9 + step for step in range(100)]
    metrics = {"loss": [1.0 / (step + 1) for step in range(100)], "a,b/ü": [2.0] * 100}
    Job(api, run).log(range(100), metrics=metrics, times=times)
    return run


def test_history_has_every_point_of_every_metric(api: Api, run: Run) -> None:
    found = read_history(api, run)
    assert set(found) == {"loss", "a,b/ü"}
    assert found["loss"]["steps"] == list(range(100))
    assert found["loss"]["values"] == [1.0 / (step + 1) for step in range(100)]


def test_history_narrows_by_metric_and_step(api: Api, run: Run) -> None:
    found = read_history(api, run, "metric=a,b/%C3%BC&min_step=10&max_step=12")
    assert found == {"a,b/ü": {"steps": [10, 11, 12], "values": [2.0, 2.0, 2.0]}}


def test_history_with_times_has_the_time_of_each_point(api: Api, run: Run) -> None:
    found = read_history(api, run, "metrics=loss&times=1&min_step=98")
    assert found["loss"]["times"] == [1.7e9 + 98, 1.7e9 + 99]


def test_samples_of_a_history_are_exact_points_and_counted(api: Api, run: Run) -> None:
    found = read_history(api, run, "metric=loss&samples=8")["loss"]
    assert (found["points_total"], found["steps"]) == (100, [0, 49, 50, 99])
    assert found["values"] == [1.0 / (step + 1) for step in found["steps"]]
    answer = api.get(f"runs/{run.uid}/history?project={api.project.slug}&samples=3")
    assert error_of(answer)[:2] == (422, "out_of_range")


def series(api: Api, run: Run, query: str) -> dict[str, object]:
    answer = api.get(f"series?project={api.project.slug}&runs={run.uid}&{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_series_is_the_curve_of_the_run(api: Api, run: Run) -> None:
    found = series(api, run, "metric=loss")
    assert (found["method"], found["points_total"], found["points_sent"]) == ("raw", 100, 100)
    assert found["series"][run.uid]["y"][:2] == [1.0, 0.5]


def test_series_over_relative_time_begins_at_nought(api: Api, run: Run) -> None:
    assert series(api, run, "metric=loss&x=relative")["x"][:3] == [0.0, 1.0, 2.0]


def test_series_over_tokens_uses_their_metric(api: Api) -> None:
    run = open_run(api)
    Job(api, run).log([1, 2], metrics={"loss": [3.0, 2.0], "tokens": [500.0, 1500.0]})
    assert series(api, run, "metric=loss&x=tokens")["x"] == [500.0, 1500.0]


def test_series_without_the_axis_is_named(api: Api) -> None:
    run = open_run(api)
    Job(api, run).log([1], loss=[3.0])
    found = series(api, run, "metric=loss&x=flops")
    assert (found["series"], found["without_x"]) == ({}, [run.uid])


def test_run_of_another_project_is_not_in_the_answer(api: Api) -> None:
    other = make_api()
    foreign = open_run(other)
    Job(other, foreign).log([1], loss=[3.0])
    assert series(api, foreign, "metric=loss")["series"] == {}


@pytest.mark.parametrize(
    ("query", "field"),
    [("xs=cubic", "xs"), ("px=0", "px"), ("xr=5,1", "xr"), ("x=nothing", "x"), ("px=x", "px")],
)
def test_odd_parameter_is_422_and_named(api: Api, run: Run, query: str, field: str) -> None:
    path = f"series?project={api.project.slug}&runs={run.uid}&metric=loss&{query}"
    status, _, named = error_of(api.get(path))
    assert (status, named) == (422, field)


def test_revision_moves_with_a_batch_and_is_304_otherwise(api: Api, run: Run) -> None:
    path = f"projects/{api.project.slug}/revision"
    tag = api.get(path)["ETag"]
    assert api.get(path, **{"If-None-Match": tag}).status_code == 304
    job = Job(api, run)
    for step in (1, 2):  # the second leaves changed_at as it is
        job.log([step], loss=[2.0])
        answer = api.get(path, **{"If-None-Match": tag})
        assert answer.status_code == 200
        tag = answer["ETag"]
