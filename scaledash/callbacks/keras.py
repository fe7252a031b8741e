"""Log `model.fit` of Keras: `model.fit(..., callbacks=[ScaleDashCallback(project="sweep")])`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaledash.client.holder import RunHolder
from scaledash.client.run import Run

SMOOTHED = "mean of the epoch so far"


class FitEvents:
    """What the callback does at Keras's events.

    Parameters
    ----------
    log_every : int
        Log every so many batches.
    run : Run, optional
        Log into this run; by default the script's open one, else a new one.
    **init_arguments
        Arguments of `scaledash.init` for a new run, such as `project` or `study`.

    Notes
    -----
    The step counts batches over all epochs and calls of `fit`. Keras reports batches as running
    means of their epoch. `val_*` stands at the last batch of its epoch.
    """

    model: Any
    params: Any

    def __init__(self, log_every: int = 10, run: Run | None = None, **init_arguments: Any) -> None:
        super().__init__()
        self._holder = RunHolder(run, init_arguments)
        self._every = max(1, int(log_every))
        self._batches = 0

    @property
    def run(self) -> Run | None:
        """The run that is logged into; None before training begins."""
        return self._holder.run

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Open the run and describe model and optimiser."""
        run = self._holder.open()
        facts = self._describe()
        run.config.setdefaults(facts)
        run.note_facts("keras", {name: facts.get(name) for name in ("n_params", "peak_lr")})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log every so many batches."""
        self._batches += 1
        if self._batches % self._every == 0 and self._holder.run is not None:
            self._log(dict(logs or {}))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the validation at the epoch's last batch, and the means of the whole epoch."""
        if self._holder.run is not None:
            self._log({**(logs or {}), "epoch": epoch + 1})

    def _log(self, metrics: dict[str, Any]) -> None:
        run = self._holder.open()
        for name in metrics:
            if name not in ("epoch", "lr") and not name.startswith("val_"):
                run.note_smoothed(name, SMOOTHED)
        lr = self._read_lr()
        if lr is not None:
            metrics["lr"] = lr
        run.log(metrics, step=self._batches)

    def _describe(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"model": getattr(self.model, "name", None)}
        for key, name in (("epochs", "epochs"), ("steps_per_epoch", "steps")):
            facts[key] = (self.params or {}).get(name)
        try:
            facts["n_params"] = int(self.model.count_params())
            facts["optimizer"] = str(self.model.optimizer.name)
            facts["peak_lr"] = self._read_lr()
        except Exception:  # a model that is not built yet has no parameters to count
            facts.pop("n_params", None)
        return {name: value for name, value in facts.items() if value is not None}

    def _read_lr(self) -> float | None:
        try:
            return float(self.model.optimizer.learning_rate)
        except Exception:  # an optimiser of the user's own
            return None


def __getattr__(name: str) -> Any:
    if name != "ScaleDashCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from keras.callbacks import Callback

    about = {"__module__": __name__, "__doc__": FitEvents.__doc__}
    found = type(name, (FitEvents, Callback), about)
    globals()[name] = found
    return found
