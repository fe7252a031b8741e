"""Reading back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from client_peer import TOKEN, Fault

import scaledash
from scaledash.client.wandb_filters import translate_filters, translate_order


class Written:
    """A run that lies on the server already: how it got there is the subject of other tests."""

    def __init__(self, peer: Any, id: str, config: dict[str, object] | None = None) -> None:
        body = {"id": id, "project": "demo", "request_id": id, "resume": None, "config": config}
        peer.answer("POST", "/api/v1/runs", {}, json.dumps(body).encode())
        self.run = peer.runs[id]
        self.run.state = "finished"

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def log(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self.run.points[name].append((step, float(value)))


Start = Callable[..., Written]


@pytest.fixture
def start(peer: Any) -> Start:
    return lambda **about: Written(peer, **about)


@pytest.fixture
def api(peer: Any) -> scaledash.Api:
    return scaledash.Api(peer.url, TOKEN)


def test_runs_are_listed_page_by_page(start: Start, api: scaledash.Api) -> None:
    for number in range(5):
        start(id=f"r{number}")
    assert sorted(run.id for run in api.runs("demo")) == ["r0", "r1", "r2", "r3", "r4"]
    assert len(list(api.runs("demo", limit=3))) == 3
    assert [project.slug for project in api.projects()] == ["demo"]


def test_run_tells_what_was_logged(start: Start, api: scaledash.Api) -> None:
    start(id="r1", config={"lr": 0.1})
    run = api.run("demo/r1")
    assert (run.id, run.state, run.config) == ("r1", "finished", {"lr": 0.1})


def test_history_holds_every_point_as_it_was(start: Start, api: scaledash.Api) -> None:
    with start(id="r1") as run:
        for step in range(1_500):
            run.log({"loss": 1 / (step + 1)}, step=step)
        run.log({"val": math.nan}, step=7)
    frame = api.run("demo/r1").history()
    assert list(frame["loss"]) == [1 / (step + 1) for step in range(1_500)]
    ((name, step, value),) = frame.attrs["nonfinite"]
    assert (name, step) == ("val", 7)
    assert math.isnan(value)


def test_absent_run_is_not_found(api: scaledash.Api) -> None:
    with pytest.raises(scaledash.NotFound):
        api.run("demo/absent")


def test_wrong_token_says_so(peer: Any) -> None:
    with pytest.raises(scaledash.AuthError):
        scaledash.Api(peer.url, "sd_1_wrong").projects()


def test_busy_server_is_asked_again(api: scaledash.Api, peer: Any) -> None:
    peer.faults.append(Fault(429, times=2, headers={"Retry-After": "0.01"}))
    assert api.projects() == []


def test_without_a_server_it_says_what_to_do() -> None:
    with pytest.raises(scaledash.UsageError, match="login"):
        scaledash.Api()


def test_history_of_many_points_is_read_in_parts(
    start: Start, api: scaledash.Api, peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(id="r1") as run:
        for step in range(10):
            run.log({"a": step, "b": -step, "c": 2 * step}, step=step)
    monkeypatch.setattr("scaledash.client.remote_run.POINTS_PER_REQUEST", 20)
    before = peer.count("GET", "/history")
    points = list(api.run("demo/r1").scan())
    assert len(points) == 30
    assert peer.count("GET", "/history") - before == 2
    slopes = {"a": 1.0, "b": -1.0, "c": 2.0}
    assert points == [(name, step, slopes[name] * step) for name in "abc" for step in range(10)]


def test_long_history_keeps_a_logged_nan(start: Start, api: scaledash.Api) -> None:
    with start(id="r1") as run:
        run.log({"a": 1.0}, step=0)
        run.log({"b": math.nan}, step=1)
    frame = api.run("demo/r1").history(shape="long")
    assert list(frame["metric"]) == ["a", "b"]
    assert list(frame["step"]) == [0, 1]


def test_history_can_stand_on_another_metric(start: Start, api: scaledash.Api) -> None:
    with start(id="r1") as run:
        run.log({"loss": 9.0}, step=0)
        for step in range(1, 4):
            run.log({"tokens": 100 * step}, step=2 * step)
            run.log({"loss": 1 / step}, step=2 * step + 1)
    frame = api.run("demo/r1").history(["loss"], x="tokens")
    assert list(frame.index) == [100, 200, 300]
    assert list(frame["loss"]) == [1.0, 1 / 2, 1 / 3]


def test_history_as_wandb_scans_it(start: Start, api: scaledash.Api) -> None:
    with start(id="r1") as run:
        run.log({"a": 1, "b": 2}, step=0)
        run.log({"a": 3}, step=1)
    remote = api.run("anyone/demo/r1")
    assert list(remote.scan_history(keys=["a", "b"])) == [{"_step": 0, "a": 1.0, "b": 2.0}]
    assert len(remote.history(samples=500, pandas=False)) == 2
    assert list(remote.history(keys=["a"], x_axis="_step")["a"]) == [1.0, 3.0]


@pytest.mark.parametrize("wrong", [{"shape": "tall"}, {"attempts": "old"}, {"x": "absent"}])
def test_wrong_argument_of_history_is_named(
    start: Start, api: scaledash.Api, wrong: dict[str, str]
) -> None:
    with start(id="r1") as run:
        run.log({"a": 1.0}, step=0)
    with pytest.raises(scaledash.UsageError, match=str(next(iter(wrong.values())))):
        api.run("demo/r1").history(**wrong)


def test_unknown_argument_of_history_is_an_error(start: Start, api: scaledash.Api) -> None:
    with start(id="r1") as run:
        run.log({"a": 1.0}, step=0)
    with pytest.raises(TypeError, match="stepp"):
        api.run("demo/r1").history(stepp=3)


@pytest.mark.parametrize(
    ("filters", "written"),
    [
        ({"state": "finished"}, 'state = "finished"'),
        ({"config.lr": {"$gt": 1e-3, "$lte": 1}}, "config.lr > 0.001 and config.lr <= 1"),
        ({"config.optim.lr.value": 0.1}, "config.optim.lr = 0.1"),
        ({"summary_metrics.val/loss": {"$lt": 2.5}}, 'summary."val/loss" < 2.5'),
        ({"tags": {"$in": ["a", "b c"]}}, 'tags in ("a", "b c")'),
        ({"display_name": {"$regex": "^qk"}}, 'name ~ "^qk"'),
        ({"config.x": None}, "config.x = null"),
        (
            {"$or": [{"group": "A"}, {"$and": [{"group": "B"}, {"state": {"$ne": "failed"}}]}]},
            '(group = "A" or (group = "B" and state != "failed"))',
        ),
    ],
)
def test_filters_of_wandb_become_expressions(filters: dict[str, Any], written: str) -> None:
    assert translate_filters(filters) == written


def test_filter_that_cannot_be_translated_is_refused() -> None:
    with pytest.raises(scaledash.UsageError, match=r"\$exists"):
        translate_filters({"config.lr": {"$exists": True}})


def test_orders_of_wandb_are_read() -> None:
    assert translate_order("-created_at") == "-created"
    assert translate_order("+summary_metrics.loss") == "summary.loss"
