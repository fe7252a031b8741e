"""Offline runs and `scaledash sync`."""

from __future__ import annotations

import math
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scaledash
from tests.client.peer import Fault

Start = Callable[..., scaledash.Run]
Sync = Callable[..., int]


def test_offline_run_is_delivered_by_sync(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline(name="a", config={"lr": 0.1}, study="s", scale={"n_params": "10k"}) as run:
        for step in range(1_000):
            run.log({"loss": 1 / (step + 1), "lr": 0.1}, step=step)
        run.summary["best"] = 0.001
    assert sync() == 0
    stored = peer.run
    assert stored.points["loss"] == [(step, 1 / (step + 1)) for step in range(1_000)]
    assert stored.document["config"]["lr"] == 0.1
    assert stored.document["study"] == "s"
    assert stored.document["scale"] == {"n_params": "10k"}
    assert stored.document["summary"] == {"best": 0.001}
    assert stored.finish["state"] == "finished"


def test_second_sync_sends_nothing(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline() as run:
        run.log({"loss": 1.0})
    sync()
    before = len(peer.requests)
    assert sync() == 0
    assert len(peer.requests) == before


def test_many_runs_are_delivered_by_one_sync(start_offline: Start, sync: Sync, peer: Any) -> None:
    for number in range(20):
        with start_offline(id=f"run-{number}") as run:
            run.log({"loss": float(number)}, step=number)
    assert sync() == 0
    assert {uid: run.points["loss"] for uid, run in peer.runs.items()} == {
        f"run-{number}": [(number, float(number))] for number in range(20)
    }


def test_nonfinite_values_stay_three_different_values(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start_offline() as run:
        for value in (math.nan, math.inf, -math.inf):
            run.log({"loss": value})
    sync()
    values = [value for _, value in peer.run.points["loss"]]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


def test_values_survive_bit_for_bit(start_offline: Start, sync: Sync, peer: Any) -> None:
    values = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, 2**53 + 2, True]
    with start_offline() as run:
        for value in values:
            run.log({"x": value})
    sync()
    assert [value for _, value in peer.run.points["x"]] == [float(value) for value in values]


def test_metrics_logged_at_other_steps_keep_their_own(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start_offline() as run:
        for step in range(10):
            run.log({"loss": float(step)}, step=step)
        run.log({"val": 7.0}, step=4)
    sync()
    assert peer.run.points["val"] == [(4, 7.0)]


def test_spool_is_private_and_holds_no_token(
    start_offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALEDASH_TOKEN", "sd_1_canary")
    run = start_offline(config={"hf_token": "canary-too", "tokenizer": "gpt2"})
    run.log({"loss": 1.0})
    run.finish()
    directory = Path(str(run.dir))
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    files = [path for path in directory.iterdir() if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    content = b"".join(path.read_bytes() for path in files)
    assert b"canary" not in content
    assert b"gpt2" in content


def test_without_a_server_the_run_is_offline() -> None:
    run = scaledash.init("demo")
    assert run.offline
    assert run.url is None


def test_sync_delivers_what_a_killed_process_left(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    run = start_offline(id="killed")
    run.log({"loss": 1.0})
    run.write_spool()
    session = run._session
    assert session is not None
    session.release()
    assert sync() == 0
    assert peer.run.points["loss"] == [(0, 1.0)]
    assert peer.run.state == "crashed"


def test_sync_of_a_live_run_does_not_end_it(start_offline: Start, sync: Sync, peer: Any) -> None:
    run = start_offline()
    run.log({"loss": 1.0})
    run.write_spool()
    assert sync() == 4
    assert peer.run.state == "running"
    run.log({"loss": 2.0})
    run.finish()
    assert sync() == 0
    assert peer.run.points["loss"] == [(0, 1.0), (1, 2.0)]


def test_clean_removes_only_what_is_sent(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline(id="sent") as run:
        run.log({"loss": 1.0})
    live = start_offline(id="live")
    live.log({"loss": 1.0})
    sync("--clean")
    assert not Path(str(run.dir)).exists()
    assert Path(str(live.dir)).exists()


@pytest.mark.parametrize("cut", [1, 7, 100, 1_000, 4_000])
def test_torn_spool_loses_its_end_only(
    start_offline: Start, sync: Sync, peer: Any, cut: int
) -> None:
    run = start_offline(id="torn")
    for step in range(2_000):
        run.log({"loss": float(step)}, step=step)
    run.finish()
    (segment,) = Path(str(run.dir)).glob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-cut])
    assert sync() == 0
    stored = peer.run.points["loss"]
    assert stored == [(step, float(step)) for step in range(len(stored))]
    assert len(stored) >= 2_000 - 256 - cut // 8


def test_damage_inside_the_spool_costs_its_block_only(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    run = start_offline(id="damaged")
    for step in range(2_000):
        run.log({"loss": float(step)}, step=step)
    run.finish()
    (segment,) = Path(str(run.dir)).glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    sync()
    steps = [step for step, _ in peer.run.points["loss"]]
    assert 2_000 - 256 <= len(steps) < 2_000
    assert len(set(steps)) == len(steps)
    assert steps[-1] == 1_999


def test_calls_without_any_work_between_them_overrun_nothing(start_offline: Start) -> None:
    run = start_offline()
    for step in range(300_000):
        run.log({"x": 1.0}, step=step)
    result = run.finish()
    assert (result.pending, result.dropped) == (300_000, 0)


def test_short_run_is_one_request(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline(config={"lr": 0.1}) as run:
        run.log({"loss": 2.5}, step=3)
        run.summary["best"] = 2.5
        run.config.update({"width": 64})
    assert sync() == 0
    assert [(verb, path) for verb, path, _ in peer.requests] == [("POST", "/api/v1/runs")]
    assert peer.run.points == {"loss": [(3, 2.5)]}
    assert peer.run.document["config"] == {"lr": 0.1, "width": 64}
    assert (peer.run.document["summary"], peer.run.finish["state"]) == ({"best": 2.5}, "finished")
    assert sync() == 0
    assert len(peer.requests) == 1


def test_lost_answer_to_a_whole_run_stores_it_once(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start_offline() as run:
        run.log({"loss": 2.5}, step=3)
    peer.faults.append(Fault("drop"))
    while sync() != 0:
        pass
    assert peer.run.points == {"loss": [(3, 2.5)]}
    assert peer.count("POST", "/runs") == 2


def test_server_that_knows_no_whole_runs_gets_the_same_batch_in_pieces(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    peer.takes_whole_runs = False
    with start_offline(config={"lr": 0.1}) as run:
        run.log({"loss": 2.5}, step=3)
    assert sync() == 0
    assert peer.run.points == {"loss": [(3, 2.5)]}
    assert (peer.count("POST", "/metrics"), peer.run.finish["state"]) == (1, "finished")
    assert (peer.run.document["config"], set(peer.run.batches.values())) != ({}, set())


def test_part_that_a_server_refuses_costs_nothing_else(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    error = {"code": "quota", "message": "too large", "field": "/notes"}
    peer.faults.append(Fault(422, 2, "POST", "/runs", {}, error, lambda body: "notes" in body))
    with start_offline(notes="n" * 100) as run:
        run.log({"loss": 2.5}, step=3)
    assert sync() == 0
    assert peer.run.points == {"loss": [(3, 2.5)]}
    assert ("notes" in peer.run.document, peer.run.finish["state"]) == (False, "finished")


def test_long_run_goes_in_pieces(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline() as run:
        for step in range(10_001):
            run.log({"loss": 0.5}, step=step)
    assert sync() == 0
    assert (len(peer.run.points["loss"]), peer.count("POST", "/metrics")) == (10_001, 2)
