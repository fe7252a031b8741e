"""Short uses of W&B's interface, one run each; `python wandb_cases.py MODULE` runs them all."""

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import Any

CASES: list[Callable[[Any], None]] = []


def case(function: Callable[[Any], None]) -> Callable[[Any], None]:
    CASES.append(function)
    return function


@case
def counter_moves_with_each_log(wandb: Any) -> None:
    for value in range(5):
        wandb.log({"loss": value / 2})


@case
def commit_false_gathers_a_row(wandb: Any) -> None:
    for value in range(4):
        wandb.log({"a": value}, commit=False)
        wandb.log({"b": -value})


@case
def explicit_steps_may_leave_gaps(wandb: Any) -> None:
    for step in (0, 10, 500):
        wandb.log({"loss": 1 / (step + 1)}, step=step)


@case
def same_explicit_step_is_one_row(wandb: Any) -> None:
    for step in range(3):
        wandb.log({"train": step}, step=step)
        wandb.log({"eval": 2 * step}, step=step)


@case
def committed_explicit_step_advances(wandb: Any) -> None:
    wandb.log({"a": 1.0}, step=7, commit=True)
    wandb.log({"a": 2.0})


@case
def counter_goes_on_behind_an_explicit_step(wandb: Any) -> None:
    wandb.log({"a": 1.0}, step=40)
    wandb.log({"b": 2.0})
    wandb.log({"a": 3.0})


@case
def values_of_any_numeric_type(wandb: Any) -> None:
    wandb.log({"int": 3, "float": 0.1, "flag": False, "huge": 1e300, "tiny": 5e-324})


@case
def nested_dicts_are_joined(wandb: Any) -> None:
    wandb.log({"loss": {"train": 1.0, "val": {"a": 2.0}}, "flat": 3.0})


@case
def namespace_is_a_config(wandb: Any) -> None:
    wandb.config.update(argparse.Namespace(lr=0.1, layers=[1, 2], name=None))
    wandb.log({"x": 1})


@case
def config_takes_items_and_attributes(wandb: Any) -> None:
    wandb.config["batch"] = 32
    wandb.config.optimizer = "adam"
    wandb.config.setdefaults({"batch": 1, "epochs": 2})
    wandb.log({"x": wandb.config.batch + wandb.config.get("missing", 0.5)})


@case
def summary_takes_items_and_attributes(wandb: Any) -> None:
    wandb.log({"acc": 0.5})
    wandb.run.summary["acc_best"] = 0.75
    wandb.summary.note = "best at 3"
    wandb.summary.update({"acc": 0.9})


@case
def summary_reads_the_last_logged_value(wandb: Any) -> None:
    wandb.log({"acc": 0.25})
    wandb.log({"acc": 0.5})
    wandb.log({"seen": wandb.run.summary["acc"]})


@case
def run_object_logs_too(wandb: Any) -> None:
    run = wandb.run
    run.config.update({"a": 1})
    run.log({"x": 1.0})
    run.log({"x": run.step})


@case
def emoji_and_spaces_in_names(wandb: Any) -> None:
    wandb.log({"train loss": 1.0, "größe/\u2603": 2.0, "a.b": 3.0, "a\\b": 4.0})


@case
def media_are_made_and_numbers_kept(wandb: Any) -> None:
    wandb.Table(columns=["a"], data=[[1]])
    wandb.Histogram([1, 2, 3])
    wandb.log({"x": 2.0})


def main() -> None:
    wandb = importlib.import_module(sys.argv[1])
    for function in CASES:
        wandb.init(project="cases", name=function.__name__, settings=wandb.Settings(silent=True))
        function(wandb)
        wandb.finish()


main()
