"""Reading back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from client_peer import TOKEN, Fault

import scaledash

Start = Callable[..., scaledash.Run]


@pytest.fixture
def api(peer: Any) -> scaledash.Api:
    return scaledash.Api(peer.url, TOKEN)


def test_runs_are_listed_page_by_page(start: Start, api: scaledash.Api) -> None:
    for number in range(5):
        start(id=f"r{number}").finish()
    assert sorted(run.id for run in api.runs("demo")) == ["r0", "r1", "r2", "r3", "r4"]
    assert len(list(api.runs("demo", limit=3))) == 3
    assert [project.slug for project in api.projects()] == ["demo"]


def test_run_tells_what_was_logged(start: Start, api: scaledash.Api) -> None:
    start(id="r1", config={"lr": 0.1}).finish()
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
