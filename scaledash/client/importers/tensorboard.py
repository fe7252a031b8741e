"""Folders of TensorBoard: which directories and files are one run, and where it began anew."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scaledash.client.importers.events import STATUSES, Session, read_events
from scaledash.client.importers.model import (
    Entry,
    Part,
    Point,
    Rewind,
    SourceRun,
    Tally,
    Unreadable,
)

SPLITS = ("train", "validation", "val", "valid", "eval", "test")  # Keras' folders of one run
TWICE = " vs samples"  # Megatron writes each series a second time
LIVE_SECONDS = 600.0
_STAMP = re.compile(r"tfevents\.(\d+)")
_TIME = re.compile(r"\d{9,11}(\.\d+)?")


@dataclass
class FileScan:
    """What a first look at a file finds."""

    path: Path
    tags: set[str] = field(default_factory=set)
    first_step: int | None = None
    last_step: int = -1
    first_time: float = 0.0
    last_time: float = 0.0
    session: Session | None = None


@dataclass
class Folder:
    """A directory with event files, oldest first."""

    path: Path
    files: list[FileScan]

    @property
    def tags(self) -> set[str]:
        """All tags of its files."""
        return {tag for file in self.files for tag in file.tags}

    @property
    def sessions(self) -> list[Session]:
        """What the hparams plugin says."""
        return [file.session for file in self.files if file.session is not None]


@dataclass
class Member:
    """A folder as part of a run: how its tags are called there."""

    folder: Folder
    prefix: str = ""
    suffix: str = ""


class TensorBoard:
    """A folder of event files, or one file.

    Parameters
    ----------
    path : Path
        The folder that TensorBoard would be pointed at.
    tally : Tally
        Takes what is left out and guessed.
    """

    kind = "tensorboard"

    def __init__(self, path: Path, tally: Tally) -> None:
        self._root = path
        self._tally = tally

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, by folder."""
        folders = {path: self._scan(path, files) for path, files in self._find_files().items()}
        groups: dict[Path, list[Member]] = {}
        for path, folder in folders.items():
            owner, member = self._place(path, folder, folders)
            groups.setdefault(owner, []).append(member)
        for owner, members in groups.items():
            members.sort(key=lambda member: member.folder.path != owner)
            run = self._make_run(owner, members)
            if run is not None:
                yield run

    def _find_files(self) -> dict[Path, list[Path]]:
        if self._root.is_file():
            return {self._root.parent: [self._root]}
        found: dict[Path, list[Path]] = {}
        for path in sorted(self._root.rglob("*tfevents*")):
            if path.is_file():
                found.setdefault(path.parent, []).append(path)
        return {path: sorted(files, key=_find_age) for path, files in found.items()}

    def _scan(self, path: Path, files: Iterable[Path]) -> Folder:
        scans = []
        quiet = Tally()  # what is left out is counted when the points are read
        for file in files:
            scan = FileScan(file)
            for event in read_events(file, quiet):
                if event.session is not None:
                    scan.session = scan.session or Session()
                    scan.session.join(event.session)
                if not event.scalars:
                    continue
                scan.tags |= {tag for tag, _ in event.scalars}
                if scan.first_step is None:
                    scan.first_step, scan.first_time = event.step, event.wall_time
                scan.last_step = max(scan.last_step, event.step)
                scan.last_time = max(scan.last_time, event.wall_time)
            scans.append(scan)
        return Folder(path, scans)

    def _place(
        self, path: Path, folder: Folder, folders: dict[Path, Folder]
    ) -> tuple[Path, Member]:
        """Return the run that a folder belongs to, and how."""
        parent = path.parent
        above = next((folder for folder in path.parents if folder in folders), None)
        if above is not None:
            key = _find_series_key(folder, path.relative_to(above).as_posix())
            if key:
                self._tally.say("folders of add_scalars are series of the run above them")
                return above, Member(folder, suffix=f"/{key}")
            if above == parent and folder.sessions and _TIME.fullmatch(path.name):
                self._tally.say("folders of add_hparams belong to the run above them")
                return above, Member(folder)
        siblings = {other.name for other in folders if other.parent == parent}
        is_split = path.name in SPLITS and siblings <= set(SPLITS)
        if is_split and parent not in folders and path != self._root:
            self._tally.say("folders called train, validation and the like are one run")
            return parent, Member(folder, prefix=f"{path.name}/")
        return path, Member(folder)

    def _make_run(self, owner: Path, members: list[Member]) -> SourceRun | None:
        files = [file for member in members for file in member.folder.files]
        logged = [file for file in files if file.tags]
        config = {
            key: value
            for member in members
            for session in member.folder.sessions
            for key, value in session.config.items()
        }
        if not logged and not config:
            return None
        tags = {tag for member in members for tag in member.folder.tags}
        ended_at = max((file.last_time for file in logged), default=None)
        statuses = [session.status for m in members for session in m.folder.sessions]
        state = STATUSES.get(statuses[-1], "finished") if statuses else "finished"
        if ended_at is not None and time.time() - ended_at < LIVE_SECONDS:
            state = None
        is_inside = owner != self._root and owner.is_relative_to(self._root)
        return SourceRun(
            key=f"{files[0].path.parent.name}/{files[0].path.name}",
            name=str(owner.relative_to(self._root)) if is_inside else owner.resolve().name,
            parts=[part for member in members for part in self._make_parts(owner, member, tags)],
            config=config,
            state=state,
            started_at=min((file.first_time for file in logged), default=None),
            ended_at=ended_at,
        )

    def _make_parts(self, owner: Path, member: Member, tags: set[str]) -> Iterator[Part]:
        before: list[FileScan] = []
        for scan in member.folder.files:
            name = str(scan.path.relative_to(owner)) if scan.path != owner else scan.path.name
            rewind = _find_restart(scan, before)

            def read(
                scan: FileScan = scan, rewind: int | None = rewind, member: Member = member
            ) -> Iterable[Entry]:
                return self._read(scan, rewind, member, tags)

            yield Part(name, read)
            before.append(scan)

    def _read(
        self, scan: FileScan, rewind: int | None, member: Member, tags: set[str]
    ) -> Iterator[Entry]:
        reached = -1
        if rewind is not None:
            yield Rewind(rewind)
        for event in read_events(scan.path, self._tally):
            if event.is_restart and 0 < event.step <= reached:
                yield Rewind(event.step)
            for tag, value in event.scalars:
                if tag.endswith(TWICE) and tag.removesuffix(TWICE) in tags:
                    self._tally.count("points of Megatron's second series over samples, left out")
                    continue
                name = f"{member.prefix}{tag}{member.suffix}"
                reached = max(reached, event.step)
                yield Point(name, event.step, value, event.wall_time)


def _find_age(path: Path) -> tuple[int, str]:
    match = _STAMP.search(path.name)
    return (int(match[1]) if match else 0), path.name


def _find_series_key(folder: Folder, place: str) -> str:
    """Return the key of an `add_scalars` folder; "" for any other.

    PyTorch calls it <main tag>_<key> with "_" for "/" in the tag, tensorboardX <main tag>/<key>.
    """
    if len(folder.tags) != 1:
        return ""
    tag = next(iter(folder.tags))
    for stem in (tag.replace("/", "_") + "_", f"{tag}/"):
        if place.startswith(stem):
            return place.removeprefix(stem)
    return ""


def _find_restart(scan: FileScan, before: list[FileScan]) -> int | None:
    """Return the step at which a file replaces what earlier files hold, if it does.

    A file that was written at the same time as an earlier one is a second writer, no restart.
    """
    logged = [file for file in before if file.tags]
    if scan.first_step is None or not logged:
        return None
    is_later = scan.first_time >= max(file.last_time for file in logged)
    is_back = scan.first_step <= max(file.last_step for file in logged)
    return scan.first_step if is_later and is_back else None
