"""Callbacks held to the interfaces that the frameworks publish; `test_frameworks.py` runs the real
frameworks, which are too large to be installed for every run of the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import scaledash
from scaledash.callbacks import keras as keras_callback
from scaledash.callbacks import lightning as lightning_logger
from scaledash.callbacks import transformers as transformers_callback
from scaledash.client import holder

Start = Callable[..., scaledash.Run]


class Parameter:
    def __init__(self, size: int) -> None:
        self.size = size

    def numel(self) -> int:
        return self.size


class Model:
    config = None
    name = "net"
    optimizer = SimpleNamespace(name="sgd", learning_rate=0.01)

    def parameters(self) -> Iterator[Parameter]:
        return iter([Parameter(60), Parameter(40)])

    def num_parameters(self, exclude_embeddings: bool = False) -> int:
        return 70 if exclude_embeddings else 100

    def count_params(self) -> int:
        return 100


class Arguments(SimpleNamespace):
    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "warmup_steps": 0, "hub_token": "hf_secret"}

    def get_warmup_steps(self, steps: int) -> int:
        return steps // 10


def make_arguments(**changes: Any) -> Arguments:
    known = {"run_name": "tiny", "output_dir": "out", "learning_rate": 1e-3, "seed": 5}
    known |= {"lr_scheduler_type": "cosine", "train_batch_size": 4, "world_size": 2}
    known |= {"gradient_accumulation_steps": 8, "logging_nan_inf_filter": True}
    return Arguments(**{**known, **changes})


def make_state(**changes: Any) -> SimpleNamespace:
    known = {"is_world_process_zero": True, "is_hyper_param_search": False, "trial_name": None}
    known |= {"max_steps": 100, "global_step": 0, "total_flos": 0, "num_input_tokens_seen": 0}
    return SimpleNamespace(**{**known, "best_metric": None, **changes})


def publish(monkeypatch: pytest.MonkeyPatch, **modules: dict[str, Any]) -> None:
    """Put modules of the frameworks' names, with the classes they publish, where imports look."""
    for name, content in modules.items():
        dotted = name.replace("__", ".")
        module = ModuleType(dotted)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, dotted, module)


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "_made", [])


@pytest.fixture
def trainer_callback(
    monkeypatch: pytest.MonkeyPatch, settings: scaledash.Settings
) -> Callable[..., Any]:
    base = type("TrainerCallback", (), {"on_step_end": lambda self, *given, **named: None})
    publish(monkeypatch, transformers={"TrainerCallback": base})
    found = transformers_callback.__getattr__("ScaleDashCallback")
    monkeypatch.delitem(vars(transformers_callback), "ScaleDashCallback")
    return lambda **named: found(settings=settings, **named)


def test_trainer_callback_is_one_of_the_framework(trainer_callback: Callable[..., Any]) -> None:
    callback = trainer_callback()
    assert isinstance(callback, sys.modules["transformers"].TrainerCallback)
    assert callback.on_step_end(None, None, None) is None


def test_trainer_logs_at_its_global_step(trainer_callback: Callable[..., Any], peer: Any) -> None:
    callback = trainer_callback(project="hf")
    args, state = make_arguments(), make_state()
    callback.on_train_begin(args, state, None, model=Model())
    state.global_step, state.total_flos, state.num_input_tokens_seen = 10, 1e12, 640
    callback.on_log(
        args, state, None, logs={"loss": 2.0, "epoch": 0.1, "num_input_tokens_seen": 640}
    )
    callback.on_log(args, state, None, logs={"eval_loss": 2.5, "test_f1": 0.5})
    callback.on_log(args, state, None, logs={"train_runtime": 3.0, "total_flos": 1e12})
    state.best_metric = 2.5
    callback.on_train_end(args, state, None)
    callback.run.finish()
    names = ("train/loss", "train/epoch", "eval/loss", "test/f1", "total_flos", "tokens")
    assert sorted(peer.run.points) == sorted(names)
    assert peer.run.points["total_flos"][0] == (10, 1e12)
    assert peer.run.document["summary"]["train_runtime"] == 3.0
    assert peer.run.document["summary"]["best_metric"] == 2.5


def test_trainer_facts_stand_in_the_config(trainer_callback: Callable[..., Any], peer: Any) -> None:
    callback = trainer_callback(config={"n_params": 7})
    callback.on_train_begin(make_arguments(), make_state(), None, model=Model())
    callback.run.finish()
    config = peer.run.document["config"]
    assert config["n_params"] == 7
    assert (config["n_params_non_embedding"], config["warmup_steps"]) == (70, 10)
    assert (config["batch_size"], config["accumulation"], config["world_size"]) == (4, 8, 2)
    assert config["hub_token"] == "***"
    assert config["nonfinite_filtered"] is True
    told = config["_scaledash"]["framework"]
    assert (told["by"], told["facts"]["n_params"], told["facts"]["warmup_steps"]) == (
        "transformers", 100, 10
    )  # fmt: skip


def test_trainer_on_another_rank_logs_nothing(trainer_callback: Callable[..., Any]) -> None:
    callback = trainer_callback()
    state = make_state(is_world_process_zero=False)
    callback.on_train_begin(make_arguments(), state, None, model=Model())
    callback.on_log(make_arguments(), state, None, logs={"loss": 1.0})
    assert callback.run is None


def test_each_trial_of_a_search_is_a_run(trainer_callback: Callable[..., Any], peer: Any) -> None:
    callback = trainer_callback()
    for trial in ("a", "b"):
        state = make_state(is_hyper_param_search=True, trial_name=trial)
        callback.on_train_begin(make_arguments(run_name="search"), state, None, model=Model())
    callback.run.finish()
    described = {run.document["name"]: run.document["group"] for run in peer.runs.values()}
    assert described == {"a": "search", "b": "search"}


def test_callback_uses_the_run_of_the_script(
    trainer_callback: Callable[..., Any], start: Start
) -> None:
    with start(id="mine") as run:
        callback = trainer_callback()
        callback.on_train_begin(make_arguments(), make_state(), None, model=Model())
        assert callback.run is run


def test_next_trainer_of_a_process_gets_a_run_of_its_own(
    trainer_callback: Callable[..., Any], peer: Any
) -> None:
    for name in ("first", "second"):
        callback = trainer_callback()
        args, state = make_arguments(run_name=name), make_state(global_step=1)
        callback.on_train_begin(args, state, None, model=Model())
        callback.on_log(args, state, None, logs={"loss": 1.0})
    callback.run.finish()
    assert sorted(run.document["name"] for run in peer.runs.values()) == ["first", "second"]
    assert all(len(run.points["train/loss"]) == 1 for run in peer.runs.values())


class FrameworkLogger:
    """What lightning.pytorch.loggers.Logger publishes as far as a subclass relies on it."""

    def after_save_checkpoint(self, checkpoint_callback: object) -> None:
        pass


@pytest.fixture
def make_logger(
    monkeypatch: pytest.MonkeyPatch, settings: scaledash.Settings
) -> Callable[..., Any]:
    def make(rank: int = 0, **named: Any) -> Any:
        publish(
            monkeypatch,
            lightning={},
            lightning__pytorch={},
            lightning__pytorch__loggers={},
            lightning__fabric={},
            lightning__fabric__utilities={},
            lightning__pytorch__loggers__logger={"Logger": FrameworkLogger},
            lightning__fabric__utilities__rank_zero={
                "rank_zero_only": SimpleNamespace(rank=rank or None)
            },
        )
        monkeypatch.delitem(sys.modules, "pytorch_lightning", raising=False)
        return lightning_logger.make_logger()(settings=settings, **named)

    return make


def test_lightning_logger_takes_metrics_and_hyperparameters(
    make_logger: Callable[..., Any], peer: Any
) -> None:
    logger = make_logger(project="pl")
    assert isinstance(logger, FrameworkLogger)
    logger.log_hyperparams({"lr": 0.1}, metrics=None)
    logger.log_graph(Model())
    logger.log_metrics({"loss": 1.0}, step=3)
    logger.log_metrics({"test": 2.0})
    logger.save()
    logger.finalize("success")
    assert (logger.name, logger.version, logger.save_dir) == ("pl", logger.experiment.id, None)
    logger.experiment.finish()
    assert peer.run.points == {"loss": [(3, 1.0)], "test": [(3, 2.0)]}
    assert (peer.run.document["config"]["lr"], peer.run.document["config"]["n_params"]) == (
        0.1,
        100,
    )


def test_lightning_logger_tells_of_a_failed_fit(make_logger: Callable[..., Any], peer: Any) -> None:
    logger = make_logger()
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.finalize("failed")
    assert peer.run.state == "failed"


def test_lightning_logger_tells_of_an_interrupted_fit(
    make_logger: Callable[..., Any], peer: Any
) -> None:
    logger = make_logger()
    logger.log_metrics({"loss": 1.0}, step=0)
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        logger.finalize("failed")
    assert peer.run.state == "interrupted"


def test_lightning_logger_of_another_rank_makes_no_run(
    make_logger: Callable[..., Any], peer: Any
) -> None:
    logger = make_logger(rank=3)
    logger.log_hyperparams({"lr": 0.1})
    logger.log_metrics({"loss": 1.0}, step=0)
    logger.experiment.log({"loss": 1.0})
    logger.finalize("success")
    assert peer.requests == []


def test_lightning_that_is_not_installed_gives_the_line_to_install_it() -> None:
    with pytest.raises(ImportError, match="pip install lightning"):
        lightning_logger.make_logger({"absent": ("absent_framework.a", "absent_framework.b")})


def test_keras_counts_batches_over_epochs(
    monkeypatch: pytest.MonkeyPatch, settings: scaledash.Settings, peer: Any
) -> None:
    publish(monkeypatch, keras={}, keras__callbacks={"Callback": type("Callback", (), {})})
    found = keras_callback.__getattr__("ScaleDashCallback")
    monkeypatch.delitem(vars(keras_callback), "ScaleDashCallback")
    callback = found(log_every=2, settings=settings)
    callback.model, callback.params = Model(), {"epochs": 2, "steps": 3}
    callback.on_train_begin()
    for epoch in range(2):
        for batch in range(3):
            callback.on_train_batch_end(batch, {"loss": 1.0 / (3 * epoch + batch + 1)})
        callback.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.75})
    callback.run.finish()
    assert [step for step, _ in peer.run.points["loss"]] == [2, 3, 4, 6, 6]
    assert peer.run.points["val_loss"] == [(3, 0.75), (6, 0.75)]
    config = peer.run.document["config"]
    assert (config["n_params"], config["optimizer"], config["peak_lr"]) == (100, "sgd", 0.01)
    assert config["_scaledash"]["metrics"]["loss"] == {"smoothed": "mean of the epoch so far"}
