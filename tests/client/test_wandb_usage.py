"""What scripts written for W&B do: none of it may end a training, or be lost in silence."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import datetime
import json
import os
import pickle
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import scaledash as wandb

Start = Callable[..., wandb.Run]
Sync = Callable[..., int]
USES: list[Callable[[], object]] = []


def use(function: Callable[[], object]) -> Callable[[], object]:
    USES.append(function)
    return function


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    wandb.teardown()


@use
def named_after_init() -> None:
    wandb.run.name = f"seed-{3}"
    wandb.run.save()
    wandb.run.tags += ("late",)
    wandb.run.notes = "a note"


@use
def attributes_of_the_run() -> None:
    run = wandb.run
    assert run is not None
    assert isinstance(run, wandb.Run) and isinstance(run, wandb.sdk.wandb_run.Run)
    told = (run.id, run.name, run.entity, run.project, run.group, run.job_type, run.url, run.path)
    counted = (run.step, run.starting_step, run.resumed, run.attempt, run.start_time, run.sweep_id)
    called = (run.get_url(), run.get_project_url(), run.get_sweep_url(), run.settings.mode)
    assert f"{told} {counted} {called}"


@use
def files_in_the_directory_of_the_run() -> None:
    path = os.path.join(wandb.run.dir, "model.h5")
    Path(path).write_text("weights")
    wandb.save(path, policy="now")
    wandb.save("*.pt", base_path=".")


@use
def a_second_init_in_the_same_process() -> None:
    assert wandb.init(project="other", config={"lr": 2}) is wandb.run


@use
def runs_in_a_loop() -> None:
    for seed in range(2):
        run = wandb.init(project="p", name=f"s{seed}", reinit=True, config={"seed": seed})
        run.log({"loss": seed})
        run.finish(quiet=True)


@use
def the_longest_init() -> None:
    wandb.finish()
    wandb.init(
        project="p", entity="team", name="n", id="abc1", dir="wb", group="g", job_type="train",
        tags="one", notes="n", resume="allow", reinit=True, config=argparse.Namespace(lr=1),
        config_exclude_keys=["a"], save_code=True, magic=True, anonymous="allow", force=True,
        sync_tensorboard=True, tensorboard=True, monitor_gym=True, allow_val_change=True,
        settings=wandb.Settings(start_method="fork", _disable_stats=True, init_timeout=300),
    )  # fmt: skip


@use
def settings_as_a_dict() -> None:
    wandb.finish()
    wandb.init(project="p", settings={"console": "off", "silent": True})


@use
def names_that_are_numbers() -> None:
    wandb.finish()
    run = wandb.init(project="p", name=3, group=4, job_type=5, notes=6)
    assert (run.name, run.group) == ("3", "4")


@use
def finished_twice_and_logged_after() -> None:
    run = wandb.run
    wandb.finish(exit_code=0, quiet=True)
    wandb.finish()
    run.log({"late": 1})
    run.config.a = 2
    run.summary["x"] = 1
    run.finish()


@use
def disabled_run_takes_everything() -> None:
    wandb.finish()
    run = wandb.init(mode="disabled", config={"lr": 1})
    Path(run.dir, "x").write_text("kept nowhere")
    run.log({"a": 1, "image": wandb.Image(None)})
    run.alert("title", "text")
    run.log_artifact(wandb.Artifact("m", type="model")).wait()


@use
def everything_in_one_dict() -> None:
    wandb.log({"loss": 0.1, "text": "x", "list": [1, 2], "none": None, "flag": True, 3: 4.0})
    wandb.log({"loss": 0.1, "media": [wandb.Image(None, caption="a") for _ in range(3)]})
    wandb.log({"nested": {"video": wandb.Video("x", fps=4), "x": 1}})
    wandb.log({"when": datetime.datetime.now(datetime.UTC)})
    wandb.log({})


@use
def steps_of_every_kind() -> None:
    wandb.log({"a": 1}, 1)
    wandb.log({"a": 1}, 2, True)
    wandb.log({"a": 1}, step=3, commit=False)
    wandb.log({"a": 1}, step=4.0)
    wandb.log({"a": 1}, step="5")
    wandb.log({"a": 1}, sync=False)
    wandb.run.log({"a": 1}, sync=True)


@use
def what_is_no_dict() -> None:
    wandb.log(None)
    wandb.log([1, 2])


@use
def metrics_defined() -> None:
    wandb.define_metric("epoch", hidden=True)
    wandb.define_metric("val/*", step_metric="epoch", step_sync=True)
    wandb.define_metric("val/acc", summary="max", goal="maximize", overwrite=True)


@use
def plots_of_every_kind() -> None:
    table = wandb.Table(data=[[1, 2]], columns=["x", "y"])
    wandb.log({
        "line": wandb.plot.line(table, "x", "y", title="t"),
        "matrix": wandb.plot.confusion_matrix(y_true=[1], preds=[1], class_names=["a"]),
        "series": wandb.plot.line_series(xs=[0], ys=[[1]], keys=["k"]),
        "histogram": wandb.Histogram(np_histogram=([1], [0, 1])),
    })  # fmt: skip
    wandb.plot_table("vega", table, {}, {})
    wandb.plots.ROC([1], [1])
    wandb.sklearn.plot_classifier(None, [], [], [], [], [], [], [])


@use
def table_filled_row_by_row() -> None:
    table = wandb.Table(columns=["a"])
    table.add_data(1)
    table.add_column("b", [2])
    assert table and len(table.data) == 0
    wandb.log({"table": table})


@use
def artifacts_logged() -> None:
    artifact = wandb.Artifact("model", type="model", metadata={"epoch": 1})
    artifact.add_file("weights.pt", name="weights.pt")
    artifact.add_dir(".")
    with artifact.new_file("a.json", mode="w") as file:
        json.dumps({})
        file.write("{}")
    assert f"{artifact.name}:{artifact.version}"
    wandb.log_artifact(artifact, aliases=["best"]).wait()
    wandb.log_artifact("weights.pt", name="model", type="model").wait()
    wandb.run.link_artifact(artifact, "registry/model")
    wandb.run.log_model(path="weights.pt", name="m").wait()
    wandb.run.upsert_artifact(artifact)
    wandb.util.make_artifact_name_safe("a/b c")


@use
def watched_and_alerted() -> None:
    wandb.watch(object(), criterion=None, log="all", log_freq=100, log_graph=True)
    wandb.unwatch()
    wait = datetime.timedelta(minutes=5)
    wandb.alert(title="t" * 100, text="x", level=wandb.AlertLevel.WARN, wait_duration=wait)
    wandb.run.alert("a", "b", "WARN", 300)
    wandb.alert("c", "d", level=None, wait_duration=None)
    wandb.run.display()
    wandb.pin_config_keys(["lr"])
    assert wandb.run.to_html() and wandb.run.sync_dir == wandb.run.dir
    wandb.termlog("x")
    wandb.termwarn("x", repeat=False)


@use
def other_modules() -> None:
    wandb.tensorboard.patch(root_logdir="logs", pytorch=True)
    wandb.tensorboard.unpatch()
    wandb.gym.monitor()
    assert wandb.data_types.Image is wandb.Image
    assert wandb.wandb_sdk.wandb_config.Config is wandb.Config
    assert wandb.apis.public.Api is wandb.Api
    wandb.require("core")
    wandb.setup()
    wandb.login(key="x" * 40, relogin=True, host="https://api.wandb.ai", anonymous="must")


@dataclasses.dataclass
class Arguments:
    lr: float = 0.1


class Hyperparameters:
    def __init__(self) -> None:
        self.lr, self._private = 0.2, 1


@use
def config_of_every_kind() -> None:
    config = wandb.config
    for given in (
        Arguments(), Hyperparameters(), types.SimpleNamespace(lr=0.3), [("lr", 0.4)], None, 7,
    ):  # fmt: skip
        config.update(given, allow_val_change=True)
    assert config.lr == 0.4
    config.update({"model": {"width": 1}}, allow_val_change=True)
    config.setdefaults({"lr": 5, "epochs": 2})
    assert {**config} == dict(config) and f"{config}" and list(config.values()) and vars(config)
    assert json.loads(json.dumps(dict(config)))["model"]["width"] == config.model.width == 1
    assert "lr" in config and config.get("absent", 1) == 1 and config.pop("absent", 2) == 2
    del config["epochs"]


@use
def config_copied_and_sent_to_workers() -> None:
    sent = pickle.loads(pickle.dumps(wandb.config))
    for copied in (copy.deepcopy(wandb.config), copy.copy(wandb.config), sent):
        assert (copied.lr, copied.as_dict()) == (1, {"lr": 1})
        copied.lr = 2
    assert wandb.config.lr == 1


@use
def config_assigned_to_the_module() -> None:
    wandb.config = {"lr": 3, "batch": 4}
    assert (wandb.run.config.lr, wandb.config.batch) == (3, 4)


@use
def config_assigned_before_init() -> None:
    wandb.finish()
    wandb.config = {"lr": 5}
    wandb.init(project="p", config=wandb.config)
    assert wandb.config.lr == wandb.run.config.lr == 5


@use
def config_out_of_a_file() -> None:
    wandb.finish()
    Path("defaults.json").write_text('{"lr": {"value": 6, "desc": "rate"}}')
    assert wandb.init(project="p", config="defaults.json").config.lr == 6


@use
def summary_of_every_kind() -> None:
    summary = wandb.run.summary
    summary["best.acc"] = 1
    summary.update({"nan": float("nan"), "nested": {"y": 1}})
    wandb.summary["x"] = 2
    assert summary.get("absent") is None and "x" in list(summary.keys())
    del summary["x"]
    assert copy.deepcopy(summary).as_dict()["best.acc"] == 1


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("function", USES, ids=lambda function: function.__name__)
def test_use_lets_the_script_go_on(function: Callable[[], object]) -> None:
    wandb.init(project="p", config={"lr": 1})
    function()


def test_run_renamed_later_has_that_name(start: Start, peer: Any) -> None:
    with start(name="first") as run:
        run.name = "second"
        assert wandb.run is not None and wandb.run.name == "second"
    assert peer.run.document["name"] == "second"


def test_config_assigned_to_the_module_is_stored(start: Start, peer: Any) -> None:
    start()
    wandb.config = {"lr": 3}
    wandb.finish()
    assert peer.run.document["config"] == {"lr": 3}


@pytest.mark.usefixtures("offline")
def test_second_init_says_what_it_ignores(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SCALEDASH_SILENT")
    wandb.init(project="p")
    wandb.init()
    assert "had no effect" not in capsys.readouterr().err
    wandb.init(project="p", config={"lr": 1})
    assert "project, config had no effect" in capsys.readouterr().err


def test_callback_of_another_library_names_the_alternative() -> None:
    with pytest.raises(AttributeError, match="ScaleDashCallback"):
        wandb.keras.WandbCallback()


@pytest.mark.usefixtures("offline")
def test_unreadable_config_is_warned_of_and_counted() -> None:
    run = wandb.init(project="p")
    run.config.update(7)
    assert run.finish().dropped == 1


@pytest.mark.usefixtures("offline")
def test_clean_leaves_what_the_script_put_into_the_directory(sync: Sync, peer: Any) -> None:
    kept, gone = wandb.init(project="p"), wandb.init(project="p", reinit="create_new")
    checkpoint = Path(kept.dir, "model.pt")
    checkpoint.write_text("weights")
    wandb.teardown()
    sync("--clean")
    assert list(Path(kept.dir).iterdir()) == [checkpoint]
    assert not Path(gone.dir).exists()
    assert sync() == 0


def test_attempt_counts_resumes_and_rewinds(start: Start, peer: Any) -> None:
    with start(id="r1") as run:
        run.log({"loss": 1.0}, step=10)
        assert run.attempt == 0
    with start(id="r1", resume="must") as run:
        run.log({"loss": 2.0}, step=11)  # behind the last step: the attempt goes on
        assert run.attempt == 0
        run.log({"loss": 2.0}, step=3)  # late only
        assert run.attempt == 0
    with start(id="r1", resume="must") as run:
        run.log({"loss": 3.0}, step=2)
        assert run.attempt == 1
        run.rewind(1)
        assert run.attempt == 2
