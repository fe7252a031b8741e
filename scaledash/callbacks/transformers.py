"""Log a Hugging Face Trainer: `Trainer(..., callbacks=[ScaleDashCallback(project="sweep")])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaledash.client.holder import RunHolder, count_parameters
from scaledash.client.jsonable import to_json
from scaledash.client.run import Run

OF_THE_WHOLE = frozenset(
    {
        *("train_runtime", "train_samples_per_second", "train_steps_per_second"),
        *("train_loss", "total_flos"),
    }
)
TOLD = ("n_params", "n_params_non_embedding", "peak_lr", "schedule", "seed", "total_steps",
        "warmup_steps")  # fmt: skip
APART = OF_THE_WHOLE | {"num_input_tokens_seen"}  # logged as tokens, at every log
PREFIXES = {"eval_": "eval/", "test_": "test/"}
SMOOTHED = "mean over the steps since the last log, rounded by the Trainer"
FILTERED = (
    "the Trainer replaces a NaN or infinite training loss by an average, so a divergence would not"
    " show; pass TrainingArguments(logging_nan_inf_filter=False)"
)


class TrainerEvents:
    """What the callback does at the Trainer's events; rank 0 alone logs.

    Parameters
    ----------
    run : Run, optional
        Log into this run; by default the script's open one, else a new one.
    **init_arguments
        Arguments of `scaledash.init` for a new run, such as `project`, `study` or `resume`.

    Notes
    -----
    Metrics have the names that the Trainer's other reporters use: `train/loss`, `eval/loss`. The
    step is the Trainer's global step. N is the model's number of parameters, C its `total_flos` at
    every log, D its `num_input_tokens_seen` where `include_num_input_tokens_seen` counts them.
    """

    def __init__(self, run: Run | None = None, **init_arguments: Any) -> None:
        self._holder = RunHolder(run, init_arguments)
        self._is_described = False

    @property
    def run(self) -> Run | None:
        """The run that is logged into; None before training begins and on other ranks."""
        return self._holder.run

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any = None, **more: object
    ) -> None:
        """Open and describe the run; each trial of a search gets one of its own."""
        if not state.is_world_process_zero:
            return
        if state.is_hyper_param_search:
            self._holder.renew()
            self._is_described = False
        self._start(args, state, model)

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        model: Any = None,
        **more: object,
    ) -> None:
        """Log what the Trainer logs, at its global step."""
        if not state.is_world_process_zero or not logs:
            return
        run = self._start(args, state, model)
        whole = {name: value for name, value in logs.items() if name in OF_THE_WHOLE}
        if whole:
            run.summary.update(whole)
        metrics = {rename(name): x for name, x in logs.items() if name not in APART}
        if state.total_flos:
            metrics["total_flos"] = state.total_flos  # by this name its convention is known
        if state.num_input_tokens_seen:
            metrics["tokens"] = state.num_input_tokens_seen
        run.log(metrics, step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: object) -> None:
        """Keep the best metric; the run stays open for `trainer.evaluate()`."""
        run = self._holder.run
        if run is not None and state.best_metric is not None:
            run.summary["best_metric"] = state.best_metric

    def _start(self, args: Any, state: Any, model: Any) -> Run:
        name = state.trial_name or (args.run_name if args.run_name != args.output_dir else None)
        run = self._holder.open(name=name, group=args.run_name if state.trial_name else None)
        if not self._is_described:
            self._is_described = True
            describe(run, args, state, model)
        return run


def rename(name: str) -> str:
    """Return the metric's name as the Trainer's other reporters write it."""
    for prefix, replacement in PREFIXES.items():
        if name.startswith(prefix):
            return replacement + name[len(prefix) :]
    return f"train/{name}"


def describe(run: Run, args: Any, state: Any, model: Any) -> None:
    """Put arguments, model and scale facts into the config; what the script set there stays."""
    stated = dict(run.config)
    config: dict[str, Any] = dict(args.to_dict())
    model_config: Any = getattr(model, "config", None)
    if hasattr(model_config, "to_dict"):
        config["model"] = model_config.to_dict()
    facts = find_facts(args, state, model)
    run.note_facts("transformers", {name: facts[name] for name in TOLD if name in facts})
    config |= facts
    if args.logging_nan_inf_filter:
        config["nonfinite_filtered"] = True
        run.warn("nonfinite filtered", FILTERED)
    run.config.update({name: value for name, value in config.items() if name not in stated})
    run.note_smoothed("train/loss", SMOOTHED)


def find_facts(args: Any, state: Any, model: Any) -> dict[str, object]:
    """Return the scale facts that the arguments and the model tell, as config keys."""
    bare = getattr(model, "module", model)
    facts: dict[str, object] = {
        "n_params": count_parameters(bare),
        "n_params_non_embedding": _count_without_embeddings(bare),
        "peak_lr": args.learning_rate,
        "schedule": to_json(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)),
        "seed": args.seed,
        "batch_size": args.train_batch_size,
        "accumulation": args.gradient_accumulation_steps,
        "world_size": args.world_size,
    }
    if state.max_steps > 0:
        facts["total_steps"] = state.max_steps
        facts["warmup_steps"] = args.get_warmup_steps(state.max_steps)
    return {name: value for name, value in facts.items() if value is not None}


def _count_without_embeddings(model: Any) -> int | None:
    try:
        return int(model.num_parameters(exclude_embeddings=True))
    except Exception:  # a module of the user's own has no such method
        return None


def __getattr__(name: str) -> Any:
    if name != "ScaleDashCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from transformers import TrainerCallback

    about = {"__module__": __name__, "__doc__": TrainerEvents.__doc__}
    found = type(name, (TrainerEvents, TrainerCallback), about)
    globals()[name] = found
    return found
