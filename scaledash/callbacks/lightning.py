"""Log a Lightning Trainer: `Trainer(logger=ScaleDashLogger(project="sweep"))`.

For the packages `lightning` and `pytorch_lightning`, whichever the script uses.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from scaledash.client.endings import describe_end
from scaledash.client.holder import RunHolder, count_parameters
from scaledash.client.run import Run, init

HOMES = {
    "lightning": ("lightning.pytorch.loggers.logger", "lightning.fabric.utilities.rank_zero"),
    "pytorch_lightning": (
        "pytorch_lightning.loggers.logger",
        "lightning_fabric.utilities.rank_zero",
    ),
}


class LoggerMethods:
    """What the Trainer asks of a logger; rank 0 alone logs.

    Parameters
    ----------
    run : Run, optional
        Log into this run; by default the script's open one, else a new one.
    **init_arguments
        Arguments of `scaledash.init` for a new run, such as `project`, `study` or `resume`.
    """

    def __init__(self, run: Run | None = None, **init_arguments: Any) -> None:
        super().__init__()
        self._holder = RunHolder(run, init_arguments)

    @property
    def experiment(self) -> Run:
        """The run, for calls of its own methods; on other ranks one that does nothing."""
        if self._holder.run is None and self._find_rank() > 0:
            return init(mode="disabled", reinit="create_new")
        return self._holder.open()

    @property
    def name(self) -> str:
        """Slug of the project."""
        return self.experiment.project

    @property
    def version(self) -> str:
        """Id of the run."""
        return self.experiment.id

    @property
    def save_dir(self) -> str | None:
        """None: checkpoints go where the Trainer's default_root_dir says."""
        return None

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log at the Trainer's step; without one the run's own counter goes on."""
        if self._find_rank() == 0:
            self.experiment.log(dict(metrics), step=step)

    def log_hyperparams(self, params: Any, *arguments: object, **named: object) -> None:
        """Put hyperparameters into the config."""
        if self._find_rank() == 0:
            self.experiment.config.update(params, allow_val_change=True)

    def log_graph(self, model: Any, input_array: object = None) -> None:
        """Take the number of parameters of the model; its graph is not stored."""
        n_params = count_parameters(model) if self._find_rank() == 0 else None
        if n_params is not None:
            self.experiment.config.setdefaults({"n_params": n_params})
            self.experiment.note_facts("lightning", {"n_params": n_params})

    def save(self) -> None:
        """Put what was logged on disk."""
        if self._holder.run is not None:
            self._holder.run.write_spool()

    def finalize(self, status: str) -> None:
        """End the run where training failed; else it stays open for `trainer.test()`."""
        run = self._holder.run
        if run is None:
            return
        if status == "success":
            run.write_spool()
            return
        kind, error, _ = sys.exc_info()
        state, exit_code, reason = describe_end(kind, error)
        run.end("failed" if state == "finished" else state, exit_code=exit_code, reason=reason)

    def _find_rank(self) -> int:
        """Return the rank as the Trainer's own launcher has set it."""
        return 0


def make_logger(homes: Mapping[str, tuple[str, str]] = HOMES) -> type:
    """Return the class, a logger of every Lightning package that is loaded, or else installed."""
    names = [name for name in homes if name in sys.modules] or list(homes)
    found = []
    for name in names:
        try:
            found.append([import_module(part) for part in homes[name]])
        except ImportError:
            continue
    if not found:
        raise ImportError("ScaleDashLogger needs Lightning: pip install lightning")

    def find_rank(self: object) -> int:
        return max(int(getattr(part[1].rank_zero_only, "rank", 0) or 0) for part in found)

    about = {"__module__": __name__, "__doc__": LoggerMethods.__doc__, "_find_rank": find_rank}
    return type("ScaleDashLogger", (LoggerMethods, *(part[0].Logger for part in found)), about)


def __getattr__(name: str) -> Any:
    if name != "ScaleDashLogger":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = make_logger()
    globals()[name] = found
    return found
