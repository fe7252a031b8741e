"""What every source gives: runs, their points in order, and what could not be read."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from scaledash.client.names import clean_name

NAMESPACE = uuid.UUID("8a3f1c0e-54c2-4d0f-9a8e-6f2f0a6f1f51")
MAX_STEP = 2**53 - 1


@dataclass(frozen=True)
class Point:
    """One value of a metric; `time` in seconds since the epoch."""

    metric: str
    step: int
    value: float
    time: float | None = None


@dataclass(frozen=True)
class Rewind:
    """The run went back here: what was logged at `step` and after is replaced by what follows."""

    step: int


Entry = Point | Rewind


@dataclass
class Part:
    """A file or table of a run: a sequence that only ever grows at its end.

    Attributes
    ----------
    name : str
        Unique inside the run and the same at every import.
    read : callable
        Yields the entries from the beginning, whenever it is called.
    """

    name: str
    read: Callable[[], Iterable[Entry]]


@dataclass
class SourceRun:
    """A run as its source describes it.

    Attributes
    ----------
    key : str
        Identity at the source, the same at every import and on every machine.
    state : str or None
        finished, failed, crashed or interrupted; None while it may still grow.
    started_at, ended_at : float or None
        Seconds since the epoch.
    scale : dict
        Scale facts that the source itself names.
    fork : tuple or None
        Key of the run that this one was forked from, and the step.
    """

    key: str
    name: str
    parts: list[Part]
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    config: dict[str, object] = field(default_factory=dict)
    host: dict[str, object] = field(default_factory=dict)
    scale: dict[str, object] = field(default_factory=dict)
    link: str = ""
    state: str | None = "finished"
    started_at: float | None = None
    ended_at: float | None = None
    fork: tuple[str, int] | None = None


class Tally:
    """Counts of what was left out, and sentences about what was guessed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []

    def count(self, what: str, number: int = 1) -> None:
        """Note that something was left out."""
        self.counts[what] += number

    def say(self, sentence: str) -> None:
        """Note what was guessed, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def list_lines(self) -> list[str]:
        """Return everything noted, one line each."""
        return [*self.notes, *(f"{what}: {number:,}" for what, number in self.counts.items())]


class Unreadable(Exception):
    """A run or file that cannot be imported; the others are."""


class Source(Protocol):
    """A place that holds runs."""

    kind: str

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, and in the place of one that cannot be read the reason."""
        ...


def make_uid(kind: str, key: str) -> str:
    """Return the id of an imported run: always the same for the same run of the same source."""
    return uuid.uuid5(NAMESPACE, f"{kind}:{key}").hex


def make_writer(uid: str, part: str, generation: int) -> str:
    """Return the id under which a part of a run is sent."""
    return str(uuid.uuid5(NAMESPACE, f"{uid}:{part}:{generation}"))


def clean(entries: Iterable[Entry], tally: Tally) -> Iterator[Entry]:
    """Yield the entries that can be stored; the others are counted."""
    names: dict[str, str | None] = {}
    for entry in entries:
        if not 0 <= entry.step <= MAX_STEP:
            tally.count("points whose step is negative or beyond 2^53 - 1, left out")
            continue
        if isinstance(entry, Rewind):
            yield entry
            continue
        if entry.metric not in names:
            names[entry.metric] = _try_name(entry.metric, tally)
        name = names[entry.metric]
        if name is None:
            continue
        is_same = name == entry.metric
        yield entry if is_same else Point(name, entry.step, entry.value, entry.time)


def _try_name(name: str, tally: Tally) -> str | None:
    try:
        return clean_name(name)
    except ValueError as error:
        tally.say(f"metric {name[:60]!r} is left out: {error}")
        return None
