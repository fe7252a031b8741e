"""Calls with wrong arguments: `init` raises, everything else is said and training goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_peer import TOKEN

import scaledash

Start = Callable[..., scaledash.Run]


@pytest.mark.parametrize(
    "arguments",
    [
        {"id": "no/slash"},
        {"id": "x" * 65},
        {"mode": "loud"},
        {"resume": "perhaps"},
        {"resume": "must"},
        {"reinit": "why"},
        {"resume_from": "a b"},
        {"config": 7},
        {"scale": [125e6]},
        {"settings": "offline"},
    ],
    ids=str,
)
def test_contradictory_arguments_raise_before_anything_is_written(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    with pytest.raises(scaledash.UsageError):
        scaledash.init("demo", **{"mode": "offline", **arguments})
    assert list(tmp_path.iterdir()) == []


def test_argument_that_is_switched_off_is_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SCALEDASH_SILENT")
    scaledash.init("demo", mode="offline", sync_tensorboard=True, monitor_gym=False)
    said = capsys.readouterr().err
    assert "init(sync_tensorboard=) has no effect here: write with scaledash.tensorboard" in said
    assert "monitor_gym" not in said


def test_printed_run_and_settings_say_where_it_is_and_no_secret(start: Start) -> None:
    run = start(name="d64")
    assert repr(run) == f"<Run d64: {run.url}>"
    assert TOKEN not in repr(scaledash.Settings(api_key=TOKEN))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run: run.log({"x": 1.0}, timestamp="now"), "timestamp='now' is no time"),
        (lambda run: run.log_metrics([1.0], 3), "takes a dict of numbers, not a list"),
        (lambda run: run.mark("note", step="3"), "mark('note') is ignored: step='3'"),
    ],
)
def test_misused_call_is_said_and_lets_training_go_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    call: Callable[[scaledash.Run], None],
    said: str,
) -> None:
    monkeypatch.delenv("SCALEDASH_SILENT")
    run = scaledash.init("demo", mode="offline")
    call(run)
    assert said in capsys.readouterr().err
    assert run.count_dropped() == 1


def test_mark_without_words_is_kept(start: Start, peer: Any) -> None:
    with start() as run:
        run.mark("note", reason=None)  # type: ignore[arg-type]
    (mark,) = peer.run.document["config"]["_scaledash"]["marks"]
    assert mark["reason"] == ""
