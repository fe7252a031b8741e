"""Starting, describing, continuing and ending runs."""

from __future__ import annotations

import argparse
import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_peer import TOKEN, Fault

import scaledash

Start = Callable[..., scaledash.Run]
Sync = Callable[..., int]


@dataclasses.dataclass
class Shape:
    width: int
    api_key: str


def test_config_takes_objects_of_many_kinds(start: Start, peer: Any) -> None:
    config = {
        "shape": Shape(64, "hidden"),
        "args": argparse.Namespace(lr=1e-3),
        "path": Path("data/x"),
        "text": "1e-3",
        "inf": float("inf"),
        "list": (1, 2),
    }
    start(config=config).finish()
    assert peer.run.document["config"] == {
        "shape": {"width": 64, "api_key": "***"},
        "args": {"lr": 1e-3},
        "path": "data/x",
        "text": "1e-3",
        "inf": "Infinity",
        "list": [1, 2],
    }


def test_config_is_read_by_item_and_by_attribute(start_offline: Start) -> None:
    run = start_offline(config={"model": {"width": 64}, "lr": 0.1})
    assert run.config.lr == run.config["lr"] == 0.1
    assert run.config.model.width == 64
    assert run.config.as_dict() == {"model": {"width": 64}, "lr": 0.1}


def test_change_inside_a_nested_dict_arrives_with_the_end(start: Start, peer: Any) -> None:
    run = start(config={"model": {"width": 64}})
    run.config["model"]["width"] = 128
    run.finish()
    assert peer.run.document["config"] == {"model": {"width": 128}}


def test_changed_key_raises_in_a_strict_run_unless_allowed(start_offline: Start) -> None:
    run = start_offline(config={"lr": 0.1}, strict=True)
    with pytest.raises(scaledash.UsageError, match="lr"):
        run.config["lr"] = 0.2
    run.config.update({"lr": 0.3}, allow_val_change=True)
    assert run.config.lr == 0.3


@pytest.mark.parametrize(
    "key", ["api_key", "HF_TOKEN", "db.password", "my-secret", "Authorization"]
)
def test_secret_keys_are_masked(start: Start, peer: Any, key: str) -> None:
    start(config={key: "hunter2"}).finish()
    assert peer.run.document["config"] == {key: "***"}


@pytest.mark.parametrize("key", ["tokens_per_step", "n_tokens", "tokenizer", "max_tokens"])
def test_keys_about_tokens_survive(start: Start, peer: Any, key: str) -> None:
    start(config={key: 7}).finish()
    assert peer.run.document["config"] == {key: 7}


def test_oversized_config_key_is_left_out_and_counted(start: Start, peer: Any) -> None:
    run = start(config={"huge": "x" * 300_000, "lr": 0.1})
    assert run.finish().dropped == 1
    assert peer.run.document["config"] == {"lr": 0.1}


def test_marks_alerts_and_definitions_are_kept_with_the_run(start: Start, peer: Any) -> None:
    run = start()
    run.define_metric("val/*", step_metric="tokens")
    run.mark("diverged", step=7, reason="loss is NaN")
    run.alert("slow", "below target", level="WARN")
    run.alert("slow", "again")
    run.finish()
    kept = peer.run.document["config"]["_scaledash"]
    assert kept["metrics"] == {"val/*": {"step_metric": "tokens"}}
    assert [(mark["kind"], mark["step"]) for mark in kept["marks"]] == [("diverged", 7)]
    assert [alert["text"] for alert in kept["alerts"]] == ["below target"]


def test_module_level_calls_act_on_the_newest_run(start_offline: Start) -> None:
    with pytest.raises(scaledash.UsageError, match="init"):
        scaledash.log({"x": 1.0})
    run = start_offline()
    scaledash.log({"x": 1.0})
    assert scaledash.run is run
    assert scaledash.config is run.config
    assert run.step == 1
    scaledash.finish()
    assert scaledash.run is None


def test_init_returns_the_open_run_unless_told_otherwise(start_offline: Start) -> None:
    first = start_offline()
    assert start_offline() is first
    second = start_offline(reinit="create_new")
    assert second is not first
    third = start_offline(reinit=True)
    assert third is not second
    assert scaledash.run is third


def test_unknown_arguments_and_settings_are_accepted(start_offline: Start) -> None:
    run = start_offline(save_code=True, settings=scaledash.Settings(start_method="fork", x_y=1))
    assert run.offline


def test_disabled_run_takes_every_call_and_writes_nothing(tmp_path: Path) -> None:
    run = scaledash.init("demo", mode="disabled", config={"lr": 0.1})
    run.log({"x": 1.0})
    run.summary["a"] = 1
    run.set_scale(n_params=1)
    run.mark("note")
    assert run.config.lr == 0.1
    assert run.step == 1
    assert run.finish().pending == 0
    assert list(tmp_path.iterdir()) == []


def test_environment_fills_in_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("SCALEDASH_NAME", "named")
    monkeypatch.setenv("WANDB_NAME", "not this")
    monkeypatch.setenv("WANDB_TAGS", "a,b")
    monkeypatch.setenv("WANDB_MODE", "dryrun")
    run = scaledash.init()
    assert (run.project, run.name, run.tags, run.offline) == ("theirs", "named", ("a", "b"), True)


def test_wandb_environment_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("SCALEDASH_IGNORE_WANDB_ENV", "1")
    assert scaledash.init(mode="offline").project == "default"


def test_resumed_run_goes_on_behind_its_last_step(start: Start, peer: Any) -> None:
    with start(id="r1") as run:
        run.log({"x": 1.0}, step=9)
    with start(id="r1", resume="allow") as run:
        assert run.resumed
        assert run.starting_step == 10
        run.log({"x": 2.0})
    assert peer.run.points["x"] == [(9, 1.0), (10, 2.0)]
    assert peer.run.markers == [("start_step", 10)]


def test_resumed_offline_rows_get_their_steps_at_first_contact(
    start: Start, start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start(id="r1") as run:
        run.log({"x": 1.0}, step=9)
    with start_offline(id="r1", resume="allow") as run:
        run.log({"x": 2.0})
        run.log({"x": 3.0})
    sync(str(run.dir))
    assert peer.run.points["x"] == [(9, 1.0), (10, 2.0), (11, 3.0)]


def test_resume_must_raises_when_the_run_is_absent(start: Start, peer: Any) -> None:
    with pytest.raises(scaledash.UsageError, match="r1"):
        start(id="r1", resume="must")


def test_resume_never_raises_when_the_run_exists(start: Start, peer: Any) -> None:
    start(id="r1").finish()
    with pytest.raises(scaledash.UsageError, match="r1"):
        start(id="r1", resume="never")


def test_resume_goes_on_when_nobody_answers(start: Start, peer: Any) -> None:
    peer.faults.append(Fault(503, times=2))
    with start(id="r1", resume="never") as run:
        run.log({"x": 1.0})
    assert peer.run.points["x"] == [(0, 1.0)]


def test_auto_resume_finds_the_run_of_a_job_that_did_not_end_well(start: Start, peer: Any) -> None:
    first = start(resume="auto")
    first.log({"x": 1.0})
    first.finish(exit_code=1)
    second = start(resume="auto")
    assert second.id == first.id
    second.finish()
    third = start(resume="auto")
    assert third.id != first.id


def test_auto_resume_uses_the_slurm_job(start_offline: Start, monkeypatch: Any) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert start_offline(resume="auto").id == "slurm-77"


def test_rewind_opens_a_new_attempt_at_its_step(start: Start, peer: Any) -> None:
    with start() as run:
        for step in range(10):
            run.log({"x": float(step)}, step=step)
        run.rewind(5)
        run.log({"x": 50.0})
        assert run.step == 6
    assert peer.run.markers == [("rewind", 5)]
    carrying = [body for _, path, body in peer.requests if "rewind" in body]
    assert carrying[0]["steps"] == [5]


def test_rewind_with_nothing_behind_it_is_sent_by_itself(start: Start, peer: Any) -> None:
    with start() as run:
        run.log({"x": 1.0}, step=9)
        run.rewind(5)
    assert list(peer.run.rewinds.values()) == [5]


def test_resume_from_a_step_keeps_that_step(start: Start, peer: Any) -> None:
    with start(id="r1") as run:
        run.log({"x": 1.0}, step=9)
    with start(resume_from="r1?_step=4") as run:
        run.log({"x": 2.0})
    assert peer.run.points["x"][-1] == (5, 2.0)
    assert peer.run.markers == [("rewind", 5)]


def test_other_ranks_log_nothing(start: Start, peer: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("RANK", "1")
    with start() as run:
        run.log({"x": 1.0})
    assert run.disabled
    assert peer.requests == []


def test_every_rank_can_log_into_one_run(start: Start, peer: Any, monkeypatch: Any) -> None:
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        with start(id="r1", rank_metrics=True, config={"rank": rank}) as run:
            run.log({"x": float(rank)}, step=3)
    assert dict(peer.run.points) == {"rank0/x": [(3, 0.0)], "rank1/x": [(3, 1.0)]}
    assert peer.run.document["config"] == {"rank": 0}


def test_unpickled_run_is_a_second_writer(start: Start, peer: Any) -> None:
    run = start()
    copy = pickle.loads(pickle.dumps(run))
    copy.log({"y": 2.0}, step=0)
    copy.finish()
    run.log({"x": 1.0}, step=0)
    run.finish()
    assert dict(peer.run.points) == {"x": [(0, 1.0)], "y": [(0, 2.0)]}


def test_block_that_raises_ends_the_run_as_failed(start: Start, peer: Any) -> None:
    with pytest.raises(ZeroDivisionError), start():
        raise ZeroDivisionError
    assert peer.run.finish["state"] == "failed"
    assert peer.run.finish["reason"] == "ZeroDivisionError"


def test_finish_twice_gives_the_same_answer(start: Start, peer: Any) -> None:
    run = start()
    assert run.finish() is run.finish()
    assert peer.count("POST", "/finish") == 1


def test_nothing_is_stored_after_the_end(start: Start, peer: Any) -> None:
    run = start()
    run.finish()
    run.log({"x": 1.0})
    assert peer.run.points == {}


def test_flush_waits_until_everything_is_stored(start: Start, peer: Any) -> None:
    run = start()
    run.log({"x": 1.0})
    assert run.flush(timeout=20)
    assert peer.run.points["x"] == [(0, 1.0)]


def test_full_disk_keeps_rows_in_memory_until_there_is_room(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    import resource
    import signal

    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    run = start_offline()
    for step in range(100):
        run.log({"x": float(step)}, step=step)
    run.write_spool()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    for step in range(100, 1_000):
        run.log({"x": float(step)}, step=step)
    run.write_spool()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, previous)
    assert run.finish().dropped == 0
    sync()
    assert peer.run.points["x"] == [(step, float(step)) for step in range(1_000)]


def test_unwritable_directory_falls_back_to_a_temporary_one(
    tmp_path: Path, start_offline: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    run = start_offline(dir=tmp_path / "file")
    run.log({"x": 1.0})
    run.finish()
    assert list(Path(str(run.dir)).glob("*.seg"))


def test_local_server_is_found_through_the_pointer(peer: Any, tmp_path: Path) -> None:
    import json

    home, config = tmp_path / "home", Path(os.environ["XDG_CONFIG_HOME"]) / "scaledash"
    home.mkdir()
    config.mkdir(parents=True)
    (home / "local.json").write_text(json.dumps({"url": peer.url, "token": TOKEN, "pid": 1}))
    (config / "local").write_text(str(home / "local.json"))
    with scaledash.init("demo") as run:
        run.log({"x": 1.0})
    assert peer.run.points["x"] == [(0, 1.0)]


def test_token_of_a_file_is_not_sent_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from scaledash.client.credentials import write_credentials
    from scaledash.client.discovery import find_server

    write_credentials("https://mine.example", "sd_1_mine")
    assert find_server() is not None
    assert find_server("https://other.example") is None


def test_wandb_key_and_address_are_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from scaledash.client.discovery import find_server

    monkeypatch.setenv("WANDB_BASE_URL", "https://api.example")
    monkeypatch.setenv("WANDB_API_KEY", "theirs")
    assert find_server() is None
