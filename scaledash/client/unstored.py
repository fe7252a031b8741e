"""Media, tables and artifacts of W&B's interface: scripts may make them, nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scaledash.client.console import Console

CLASSES = (
    *("Image", "Video", "Audio", "Table", "JoinedTable", "EvalTable", "Html", "Histogram"),
    *("Plotly", "Object3D", "Molecule", "Graph", "Artifact", "Classes", "box3d"),
)
console = Console()  # of this process: what a script does in every run is said once


class Unstored:
    """Takes every call and every attribute, gives itself back, and holds nothing.

    Parameters
    ----------
    *arguments, **named : object
        Whatever the class of that name takes elsewhere; not kept.
    """

    not_stored = True

    def __init__(self, *arguments: object, **named: object) -> None:
        say_not_stored(type(self).__name__)

    @classmethod
    def make_silently(cls) -> Any:
        """Return one without a warning, where the call that wants it has spoken already."""
        return cls.__new__(cls)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: object, **named: object) -> Any:
        """Do nothing."""
        return self

    def __getitem__(self, key: object) -> Any:
        return self

    def __setitem__(self, key: object, value: object) -> None:
        """Take an item and keep nothing."""

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        """End the block; an exception in it goes on."""

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, not stored>"


class Plot(Unstored):
    """What `plot.line(...)` and its kin give back."""


class Idle:
    """Stands for a module of W&B, such as `wandb.plot`: every function in it does nothing.

    Parameters
    ----------
    module : str
        Its name, for what is said once per function.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def do_nothing(*arguments: object, **named: object) -> Any:
            say_not_stored(f"{self._module}.{name}")
            return Plot.make_silently()

        return do_nothing


def make_class(name: str) -> type[Unstored]:
    """Return the class of this name."""
    return type(name, (Unstored,), {"__module__": "scaledash", "__doc__": Unstored.__doc__})


def say_not_stored(name: str) -> None:
    """Warn once of a name whose objects are not kept."""
    say_once(name, f"{name}: media, tables, plots and artifacts are not stored; numbers are")


def say_once(name: str, text: str) -> None:
    """Warn once per name in this process, unless its newest run is silent."""
    from scaledash.client import current
    from scaledash.client.settings import is_silent

    run = current.get_run()
    console.silent = run.is_silent if run is not None else is_silent()
    console.warn(name, text)
