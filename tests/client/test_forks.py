"""Forks, and what a failed run tells of its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from client_peer import Fault

import scaledash

Start = Callable[..., scaledash.Run]


def test_fork_tells_its_parent_and_begins_behind_the_step(
    start_offline: Start, sync: Callable[..., int], peer: Any
) -> None:
    with start_offline(fork_from="parent?_step=41") as run:
        assert (run.starting_step, run.step, run.resumed) == (42, 42, False)
        run.log({"loss": 1.0})
    assert sync() == 0
    assert peer.run.document["fork_from"] == "parent?_step=41"
    assert peer.run.points["loss"] == [(42, 1.0)]
    assert "_scaledash" not in peer.run.document.get("config", {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"fork_from": "parent"},
        {"fork_from": "the parent?_step=1"},
        {"fork_from": "parent?_step=1", "resume": "allow", "id": "x"},
        {"fork_from": "parent?_step=1", "resume_from": "other?_step=1"},
    ],
)
def test_fork_that_contradicts_itself_is_a_usage_error(
    start_offline: Start, wrong: dict[str, str]
) -> None:
    with pytest.raises(scaledash.UsageError, match="parent"):
        start_offline(**wrong)


def test_run_whose_parent_is_unknown_is_stored_without_it(start: Start, peer: Any) -> None:
    error = {"code": "invalid", "message": "no such run", "field": "/fork_from"}
    peer.faults.append(
        Fault(422, times=9, error=error, when=lambda body: bool(body.get("fork_from")))
    )
    with start(fork_from="absent?_step=3") as run:
        run.log({"loss": 1.0})
    assert "fork_from" not in peer.run.document
    assert peer.run.points["loss"] == [(4, 1.0)]


@pytest.mark.parametrize("is_on", [True, False])
def test_traceback_is_kept_only_where_it_is_asked_for(
    start_offline: Start, sync: Callable[..., int], peer: Any, is_on: bool
) -> None:
    def fail() -> None:
        with start_offline(settings=scaledash.Settings(log_traceback=is_on)):
            raise ValueError("token hf_abcdefghijklmnopqrstuvwxyzABCDEFGH")

    with pytest.raises(ValueError, match="token"):
        fail()
    sync()
    kept = peer.run.document.get("config", {}).get("_scaledash", {}).get("traceback", "")
    assert ("in fail" in kept, "ValueError: token ***" in kept) == (is_on, is_on)
    assert "hf_abc" not in kept
    assert peer.run.finish["reason"] == "ValueError"
