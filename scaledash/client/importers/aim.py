"""An Aim repository, through the storage layer of Aim's own package.

Aim's `Repo` upgrades its database and compacts the files of unfinished runs when it is opened, and
lists only runs that its indexer has seen. The files of each run are therefore opened one by one and
for reading only, and the run's name, tags and experiment come from the repository's SQLite file.
"""

from __future__ import annotations

import heapq
import shlex
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaledash.client.errors import UsageError
from scaledash.client.importers.dates import read_date
from scaledash.client.importers.model import Entry, Part, Point, SourceRun, Tally, Unreadable

LIVE_SECONDS = 600.0
NUMBERS = ("int", "float", "float64")
SYSTEM = "__system"  # metrics `__system__cpu`, and the attribute `__system_params`
ABOUT = """
    select run.hash, run.name, run.description, run.is_archived, run.created_at, experiment.name,
           (select group_concat(tag.name, char(10)) from run_tag join tag on tag.id = run_tag.tag_id
            where run_tag.run_id = run.id)
    from run left join experiment on experiment.id = run.experiment_id order by run.created_at
"""
Context = dict[str, object]


@dataclass(frozen=True)
class About:
    """What the SQLite file says of a run."""

    name: str = ""
    notes: str = ""
    is_archived: bool = False
    created_at: float | None = None
    experiment: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Series:
    """A metric of a run and where its values lie."""

    name: str
    place: tuple[object, ...]
    version: int


class AimRepo:
    """The runs of a repository.

    Parameters
    ----------
    path : Path
        The folder `.aim`, or the one that holds it.
    tally : Tally
        Takes what is left out and guessed.
    with_archived : bool
        Take archived runs too.
    """

    kind = "aim"

    def __init__(self, path: Path, tally: Tally, with_archived: bool) -> None:
        try:
            from aim.storage.rockscontainer import RocksContainer
            from aimrocks import errors
        except ImportError:
            raise UsageError("Aim repositories need its package: pip install aim") from None
        self._open: Any = RocksContainer
        self._failures = (errors.RocksIOError, errors.Corruption, errors.NotFound)
        self._root = path if path.name == ".aim" else path / ".aim"
        self._tally = tally
        self._with_archived = with_archived
        if not (self._root / "meta" / "chunks").is_dir():
            raise UsageError(
                f"{path} holds no Aim repository: there is no {self._root}/meta/chunks"
            )

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, oldest first."""
        known = self._read_about()
        folders = {folder.name for folder in (self._root / "meta" / "chunks").iterdir()}
        for run_hash in [*(key for key in known if key in folders), *sorted(folders - set(known))]:
            about = known.get(run_hash, About())
            if about.is_archived and not self._with_archived:
                self._tally.count("archived runs, left out (--deleted takes them)")
                continue
            try:
                yield self._make_run(run_hash, about)
            except (*self._failures, KeyError, ValueError, TypeError) as error:
                yield Unreadable(f"{run_hash}: {error or type(error).__name__}")

    def _read_about(self) -> dict[str, About]:
        file = self._root / "run_metadata.sqlite"
        if not file.exists():
            self._tally.say("there is no run_metadata.sqlite: runs are named by their hash")
            return {}
        try:
            with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                rows = database.execute(ABOUT).fetchall()
        except sqlite3.Error as error:
            raise UsageError(f"{file} cannot be read: {error}") from error
        return {
            run_hash: About(
                "" if name == f"Run: {run_hash}" else name or "",
                notes or "",
                bool(is_archived),
                read_date(created) if created else None,
                "" if experiment == "default" else experiment or "",
                tuple((tags or "").split("\n")) if tags else (),
            )
            for run_hash, name, notes, is_archived, created, experiment, tags in rows
        }

    def _read_tree(self, kind: str, run_hash: str) -> Any:
        path = str(self._root / kind / "chunks" / run_hash)
        # Without the second option an unfinished run's files would be compacted.
        opened = self._open(path, read_only=True, skip_read_optimization=True)
        return opened.tree().subtree(kind)

    def _make_run(self, run_hash: str, about: About) -> SourceRun:
        meta = self._read_tree("meta", run_hash)
        own = meta.subtree("chunks").subtree(run_hash)
        series = self._list_series(own.get("traces", {}), meta.get("contexts", {}))
        attributes = own.get("attrs", {})
        system = attributes.pop("__system_params", None)
        ended_at = own.get("end_time", None)

        def read() -> Iterable[Entry]:
            return self._read(run_hash, series)

        return SourceRun(
            key=run_hash,
            name=about.name or run_hash,
            parts=[Part("metrics", read)],
            group=about.experiment,
            tags=list(about.tags),
            notes=about.notes,
            config=attributes,
            host={"aim_hash": run_hash, **_convert_system(system)},
            state="finished" if ended_at else self._guess_state(run_hash),
            started_at=about.created_at,
            ended_at=ended_at,
        )

    def _guess_state(self, run_hash: str) -> str | None:
        """Return the state of a run that was never closed."""
        folder = self._root / "seqs" / "chunks" / run_hash
        last = max((file.stat().st_mtime for file in folder.glob("*")), default=0.0)
        return None if time.time() - last < LIVE_SECONDS else "crashed"

    def _list_series(
        self, traces: dict[int, dict[str, dict[str, object]]], contexts: dict[int, Context]
    ) -> list[Series]:
        found: dict[str, Series] = {}
        # Series without a context first: they keep their names.
        for index in sorted(traces, key=lambda index: (len(contexts.get(index, {})), str(index))):
            for name, about in sorted(traces[index].items()):
                if name.startswith(SYSTEM):
                    self._tally.count("series of Aim's own about the machine, left out")
                elif about.get("dtype", "float") not in NUMBERS:
                    self._tally.count("series of texts, images and distributions, left out")
                else:
                    context = contexts.get(index, {})
                    ours = _make_name(name, context)
                    if ours in found:
                        ours = _make_plain_name(name, context)
                    version = int(str(about.get("version", 1)))
                    found[ours] = Series(ours, (index, name), version)
        return list(found.values())

    def _read(self, run_hash: str, series: list[Series]) -> Iterator[Point]:
        """Yield the points of all series in the order of their times, so that a run only grows."""
        if not series or not (self._root / "seqs" / "chunks" / run_hash).is_dir():
            return
        tree = self._read_tree("seqs", run_hash)
        try:
            rows = [_read_series(tree, run_hash, one) for one in series]
        except self._failures as error:
            raise Unreadable(f"{run_hash}: {error}") from error
        for at, name, step, value in heapq.merge(*rows):
            yield Point(name, step, value, at)


def _read_series(tree: Any, run_hash: str, series: Series) -> list[tuple[float, str, int, float]]:
    """Return (time, name, step, value) of every point, by time."""
    chunks = ("chunks", run_hash)
    place = chunks if series.version == 1 else (f"v{series.version}", *chunks)
    arrays = tree.subtree(place).subtree(series.place)
    values = dict(arrays.array("val").items())
    times = dict(arrays.array("time").items())
    # Before version 2 the key of a value is its step.
    steps = dict(arrays.array("step").items()) if series.version > 1 else {k: k for k in values}
    return sorted(
        (float(times.get(key) or 0.0), series.name, int(steps[key]), float(value))
        for key, value in values.items()
        if key in steps
    )


def _make_name(name: str, context: Context) -> str:
    """Return loss of the context {"subset": "train"} as train/loss, as most trackers write it."""
    subset = context.get("subset")
    rest = {key: value for key, value in context.items() if key != "subset"}
    plain = _make_plain_name(name, rest)
    return f"{subset}/{plain}" if isinstance(subset, str) and subset else plain


def _make_plain_name(name: str, context: Context) -> str:
    """Return the name with its context behind it: loss[rank=1]."""
    inside = ",".join(f"{key}={context[key]}" for key in sorted(context))
    return f"{name}[{inside}]" if inside else name


def _convert_system(system: object) -> dict[str, object]:
    """Return host facts; environment variables are never taken over."""
    if not isinstance(system, dict):
        return {}
    git = system.get("git_info")
    commit = git.get("commit") if isinstance(git, dict) else None
    found = commit.get("hash") if isinstance(commit, dict) else None
    arguments = system.get("arguments")
    command = shlex.join(str(word) for word in arguments) if isinstance(arguments, list) else ""
    facts = {"git_commit": found, "command": command}
    return {name: value for name, value in facts.items() if value}
