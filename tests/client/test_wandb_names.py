"""`import scaledash as wandb`: what works, what warns once and does nothing, what raises."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_peer import TOKEN

import scaledash
import scaledash as wandb
from scaledash.client import unstored
from scaledash.client.console import Console

HERE = Path(__file__).resolve().parent
Start = Callable[..., scaledash.Run]

WORKS = (
    *("init", "log", "define_metric", "finish", "alert", "AlertLevel", "Settings", "login"),
    *("setup", "teardown", "Api", "Run", "mark_preempting", "Error", "UsageError", "CommError"),
)
DOES_NOTHING = (
    *("watch", "unwatch", "save", "log_code", "log_artifact", "log_model", "link_model"),
)
MEDIA = (
    *("Image", "Video", "Audio", "Table", "Html", "Histogram", "Plotly", "Object3D", "Molecule"),
    *("Graph", "Artifact"),
)
RAISES = ("sweep", "agent", "controller", "restore", "use_artifact", "use_model")


@pytest.fixture
def lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """What is printed on stderr by a process that has said nothing yet."""
    monkeypatch.setattr(unstored, "console", Console())
    monkeypatch.delenv("SCALEDASH_SILENT")
    return lambda: capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("name", WORKS)
def test_name_is_there(name: str) -> None:
    assert callable(getattr(wandb, name))


@pytest.mark.parametrize("name", DOES_NOTHING)
def test_call_that_stores_nothing_lets_the_script_go_on(name: str, start_offline: Start) -> None:
    with start_offline() as run:
        getattr(wandb, name)("weights.pt")
        getattr(run, name)("weights.pt")


@pytest.mark.parametrize("name", DOES_NOTHING)
def test_call_that_stores_nothing_works_without_a_run(name: str) -> None:
    getattr(wandb, name)(None)


@pytest.mark.parametrize("name", MEDIA)
def test_media_warn_once_per_name(name: str, lines: Callable[[], list[str]]) -> None:
    getattr(wandb, name)([1, 2], caption="x")
    getattr(wandb, name)([3, 4])
    (line,) = lines()
    assert f"warning: {name}" in line


def test_watch_says_once_what_to_log_instead(lines: Callable[[], list[str]]) -> None:
    wandb.watch(object(), log="all")
    wandb.watch(object())
    (line,) = lines()
    assert "grad_norm" in line


def test_silent_process_is_not_told(
    lines: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    wandb.Image([1])
    assert lines() == []


def test_media_take_whatever_scripts_do_with_them() -> None:
    table = wandb.Table(columns=["a"])
    table.add_data(1)
    artifact = wandb.Artifact("weights", type="model", metadata={"step": 3})
    artifact.metadata["loss"] = 0.5
    with artifact.new_file("notes.txt") as file:
        file.write("text")
    assert wandb.log_artifact(artifact) is artifact
    assert list(wandb.plot.line(table, "x", "y")) == []


def test_media_beside_numbers_cost_the_media_only(start: Start, peer: Any) -> None:
    with start() as run:
        run.log({"loss": 1.5, "image": wandb.Image([1]), "curve": wandb.plot.line(None)})
    assert peer.run.points == {"loss": [(0, 1.5)]}
    assert peer.run.finish["dropped"] == 2


@pytest.mark.parametrize("name", RAISES)
def test_what_a_script_needs_raises_with_the_alternative(name: str) -> None:
    with pytest.raises(wandb.UsageError, match="ScaleDash") as caught:
        getattr(wandb, name)("latest")
    assert str(caught.value).startswith(f"{name}: ")


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(wandb, "no_such_name")


def test_errors_of_the_connection_are_comm_errors(peer: Any) -> None:
    with pytest.raises(wandb.errors.CommError):
        wandb.Api(base_url=peer.url, api_key="sd_1_wrong").projects()
    assert issubclass(wandb.errors.UsageError, wandb.errors.Error)


def test_alert_level_reads_as_its_name(start: Start, peer: Any) -> None:
    with start() as run:
        run.alert("Loss", "too high", wandb.AlertLevel.ERROR)
    (alert,) = peer.run.document["config"]["_scaledash"]["alerts"]
    assert (alert["title"], alert["level"]) == ("Loss", "ERROR")


def test_login_never_asks_and_never_raises_without_a_server() -> None:
    assert not wandb.login()


def test_login_sends_no_key_of_another_service(peer: Any) -> None:
    assert not wandb.login(key="0123456789abcdef" * 2 + "01234567", host=peer.url)
    assert peer.requests == []


def test_login_with_a_token_keeps_it(peer: Any) -> None:
    assert wandb.login(key=TOKEN, host=peer.url)
    assert wandb.login()["url"] == peer.url


def test_teardown_finishes_what_is_open(start_offline: Start) -> None:
    start_offline()
    start_offline(reinit="create_new")
    wandb.setup()
    wandb.teardown()
    assert wandb.run is None


def test_summary_reads_what_was_logged_last(start_offline: Start) -> None:
    with start_offline() as run:
        for value in range(1_000):
            run.log({"loss": float(value), "step": value})
        assert run.summary["loss"] == 999.0
        run.summary["loss"] = 0.5
        assert (run.summary.loss, run.summary.get("absent")) == (0.5, None)
        assert dict(run.summary) == {"loss": 0.5, "step": 999}


def test_framework_label_and_old_names_of_a_run_work(start: Start, peer: Any) -> None:
    with start() as run:
        run._label(code="transformers_trainer")
        assert (run.project_name(), run.sweep_id) == ("demo", None)
        peer.wait_for(lambda: bool(peer.runs))
        assert run.get_url() == f"{run.project_url}/r/{run.id}"


def test_generated_ids_are_ids() -> None:
    ids = {wandb.util.generate_id() for _ in range(50)}
    assert len(ids) == 50
    assert {len(found) for found in ids} == {8}


def test_script_for_wandb_runs_unchanged(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(HERE.parents[1]), "WANDB_MODE": "offline", "HOME": str(tmp_path)}
    command = [sys.executable, str(HERE / "wandb_script.py"), "scaledash"]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True
    )
    assert done.stdout == "102\n"
