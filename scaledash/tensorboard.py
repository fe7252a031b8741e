"""TensorBoard's SummaryWriter, logging into ScaleDash: change the import, keep the script.

`from scaledash.tensorboard import SummaryWriter`
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from scaledash.client.errors import UsageError
from scaledash.client.holder import RunHolder
from scaledash.client.run import Run
from scaledash.client.unstored import say_once

WRITERS = ("torch.utils.tensorboard", "tensorboardX")


def patch(*arguments: object, **named: object) -> None:
    """Do nothing: W&B's `wandb.tensorboard.patch` copies event files while they are written."""
    say_once(
        "tensorboard.patch",
        "event files are not copied while they are written; import SummaryWriter from"
        " scaledash.tensorboard, or run `scaledash import tensorboard DIR --project P`",
    )


def unpatch() -> None:
    """Do nothing."""


class SummaryWriter:
    """Takes the calls of TensorBoard's writer; scalars and hyperparameters are kept.

    Parameters
    ----------
    log_dir : str or Path, optional
        Its last part names a new run.
    comment : str
        Appended to that name.
    purge_step : int, optional
        What follows replaces everything from this step on, as `Run.rewind` does.
    max_queue, flush_secs, filename_suffix : optional
        For `also_write`; ScaleDash has a spool of its own.
    run : Run, optional
        Log into this run; by default the script's open one, else a new one.
    also_write : bool
        Write event files too, with torch or tensorboardX.
    """

    def __init__(
        self,
        log_dir: str | Path | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        *,
        run: Run | None = None,
        also_write: bool = False,
    ) -> None:
        self._holder = RunHolder(run, {})
        name = f"{Path(log_dir).name if log_dir else ''}{comment}" or None
        self.run = self._holder.open(name=name)
        self.log_dir = str(log_dir) if log_dir else self.run.dir
        self._next: defaultdict[str, int] = defaultdict(int)
        self._events: Any = None
        if also_write:
            arguments = (log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix)
            self._events = find_writer()(*arguments)
        if purge_step is not None:
            self.run.rewind(purge_step)

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Log one value, always as a 64-bit float; without a step each tag counts by itself."""
        step = self._next[tag] if global_step is None else global_step
        self._next[tag] = step + 1
        self.run.log({tag: scalar_value}, step=step, timestamp=walltime)
        if self._events is not None:
            self._events.add_scalar(tag, scalar_value, global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log several values as `main_tag/key`."""
        for key, value in tag_scalar_dict.items():
            self.add_scalar(f"{main_tag}/{key}", value, global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Any] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Put hyperparameters into the config and their metrics into the summary."""
        self.run.config.update(hparam_dict)
        self.run.summary.update(metric_dict)
        if self._events is not None:
            self._events.add_hparams(hparam_dict, metric_dict, hparam_domain_discrete, run_name)

    def flush(self) -> None:
        """Put everything logged so far on disk; waits for no server."""
        self.run.write_spool()
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Finish a run that this writer made; one that the script made stays open."""
        if self._holder.is_ours:
            self.run.finish()
        elif not self.run.disabled:
            self.run.write_spool()
        if self._events is not None:
            self._events.close()

    def get_logdir(self) -> str | None:
        """Return the directory given, else that of the run's spool."""
        return self.log_dir

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("add_"):
            raise AttributeError(name)

        def skip(*arguments: Any, **named: Any) -> None:
            say_once(name, f"SummaryWriter.{name}() is not stored; scalars are")
            if self._events is not None:
                getattr(self._events, name)(*arguments, **named)

        return skip

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and self._holder.is_ours:
            self.run.__exit__(kind, error, traceback)
        self.close()


def find_writer() -> Any:
    """Return the SummaryWriter of torch, else of tensorboardX.

    Raises
    ------
    UsageError
        Neither is installed.
    """
    for name in WRITERS:
        try:
            return import_module(name).SummaryWriter
        except ImportError:
            continue
    raise UsageError("also_write=True needs torch and tensorboard, or: pip install tensorboardX")
