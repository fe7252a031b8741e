"""`scaledash.tensorboard.SummaryWriter` beside the interface of TensorBoard's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import scaledash
from scaledash.client import holder
from scaledash.tensorboard import SummaryWriter, find_writer

Start = Callable[..., scaledash.Run]


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "_made", [])


def test_scalars_are_stored_as_64_bit_floats(start: Start, peer: Any) -> None:
    with start() as run:
        writer = SummaryWriter(run=run)
        writer.add_scalar("loss", 0.1, 7, 1_700_000_000.0, True)
        writer.add_scalars("both", {"a": 1, "b": 2}, global_step=7)
    assert peer.run.points == {"loss": [(7, 0.1)], "both/a": [(7, 1.0)], "both/b": [(7, 2.0)]}
    assert peer.run.times[0] == 1_700_000_000.0


def test_tags_without_a_step_count_by_themselves(start: Start, peer: Any) -> None:
    with start() as run:
        writer = SummaryWriter(run=run)
        for _ in range(2):
            writer.add_scalar("a", 1.0)
        writer.add_scalar("b", 1.0)
    assert peer.run.points == {"a": [(0, 1.0), (1, 1.0)], "b": [(0, 1.0)]}


def test_hyperparameters_become_config_and_summary(start: Start, peer: Any) -> None:
    with start() as run:
        SummaryWriter(run=run).add_hparams({"lr": 0.1}, {"hparam/loss": 0.5}, run_name="x")
    assert peer.run.document["config"] == {"lr": 0.1}
    assert peer.run.document["summary"] == {"hparam/loss": 0.5}


def test_purge_step_rewinds(start: Start, peer: Any) -> None:
    with start() as run:
        run.log({"loss": 1.0}, step=100)
        SummaryWriter(run=run, purge_step=50).add_scalar("loss", 0.5, 50)
    assert peer.run.markers == [("rewind", 50)]


def test_writer_makes_and_ends_a_run_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALEDASH_MODE", "offline")
    with SummaryWriter("runs/first", "-lr0.1") as writer:
        assert scaledash.run is writer.run
        assert (writer.run.name, writer.get_logdir()) == ("first-lr0.1", "runs/first")
        writer.add_scalar("loss", 1.0, 0)
    assert scaledash.run is None


def test_closing_leaves_the_run_of_the_script_open(start_offline: Start) -> None:
    with start_offline() as run:
        SummaryWriter().close()
        assert scaledash.run is run


def test_exception_inside_the_block_fails_the_run(
    settings: scaledash.Settings, peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALEDASH_URL", peer.url)
    monkeypatch.setenv("SCALEDASH_TOKEN", str(settings.api_key))
    with pytest.raises(RuntimeError), SummaryWriter() as writer:
        writer.add_scalar("loss", 1.0, 0)
        raise RuntimeError("diverged")
    assert (peer.run.state, peer.run.finish["reason"]) == ("failed", "RuntimeError")


def test_other_calls_store_nothing_and_go_on(start_offline: Start) -> None:
    with start_offline() as run:
        writer = SummaryWriter(run=run)
        writer.add_histogram("weights", [1, 2], 0)
        writer.add_image("sample", None, 0)
        assert not hasattr(writer, "remove_everything")
        assert run.step == 0


def test_event_files_need_a_writer_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaledash.tensorboard.WRITERS", ("absent_package",))
    with pytest.raises(scaledash.UsageError, match="tensorboardX"):
        find_writer()
