"""Which run a framework's callback logs into: the one given, the script's own, or a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scaledash.client import current
from scaledash.client.run import Run, init

_made: list[Run] = []  # by callbacks, not by the script


class RunHolder:
    """The run of one callback, opened at its first use.

    Parameters
    ----------
    run : Run or None
        Log into this one.
    arguments : mapping
        Arguments of `scaledash.init` for a run of the callback's own.
    """

    def __init__(self, run: Run | None, arguments: Mapping[str, Any]) -> None:
        self._run = run
        self._arguments = dict(arguments)
        self.is_ours = False

    @property
    def run(self) -> Run | None:
        """The run; None before it is opened."""
        return self._run

    def open(self, **defaults: Any) -> Run:
        """Return the run; the first call opens one, if the script has none open.

        A run that an earlier callback of this process made is finished first: the next trainer of
        a sweep must not log into it.
        """
        if self._run is not None:
            return self._run
        opened = current.get_run()
        if opened is not None and opened not in _made:
            self._run = opened
            return opened
        if opened is not None:
            opened.finish()
        known = {name: value for name, value in defaults.items() if value is not None}
        self._run = init(**{**known, **self._arguments})
        self.is_ours = True
        _made[:] = [self._run]
        return self._run

    def renew(self) -> None:
        """End a run of the callback's own; the next use opens another."""
        if self._run is not None and self.is_ours:
            self._run.finish()
            self._run = None
            self.is_ours = False


def count_parameters(model: Any) -> int | None:
    """Return the number of parameters of a torch module; None where it cannot tell."""
    try:
        return sum(int(parameter.numel()) for parameter in model.parameters())
    except Exception:  # another library's code: lazy parameters have no size yet
        return None
