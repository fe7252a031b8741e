"""W&B's offline files, `run-<id>.wandb`, finished or half-written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from scaledash.client.importers.leveldb import read_log
from scaledash.client.importers.model import Entry, Part, SourceRun, Tally, Unreadable
from scaledash.client.importers.wandb_records import Described, describe, read_row
from scaledash.client.importers.wandb_rows import read_points
from scaledash.client.importers.wire import Malformed

LIVE_SECONDS = 600.0
METADATA = {"host": "hostname", "os": "os", "python": "python", "gpu": "gpus",
            "program": "command", "cpu_count": "cpu_count"}  # fmt: skip


class WandbFiles:
    """A `.wandb` file, or a folder that holds some, such as `./wandb`.

    Parameters
    ----------
    path : Path
        File or folder.
    tally : Tally
        Takes what is left out and guessed.
    """

    kind = "wandb"

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path = path
        self._tally = tally

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, one a file."""
        paths = [self._path] if self._path.is_file() else sorted(self._path.rglob("*.wandb"))
        for path in dict.fromkeys(path.resolve() for path in paths):  # latest-run is a link
            try:
                yield self._make_run(path)
            except (Unreadable, OSError) as error:
                yield Unreadable(str(error))

    def _make_run(self, path: Path) -> SourceRun:
        found = Described()
        for record in read_log(path, Tally()):
            try:
                describe(record, found)
            except Malformed:
                continue  # counted when the points are read
        texts = found.texts
        if not texts.get("id"):
            raise Unreadable(f"{path} holds no run")
        last = path.stat().st_mtime

        def read() -> Iterable[Entry]:
            return read_points(self._read_rows(path), found.axes, self._tally)

        tags = found.tags
        config = {key: value for key, value in found.config.items() if key != "_wandb"}
        return SourceRun(
            key=f"{texts.get('project', '')}/{texts['id']}",
            name=texts.get("name") or texts["id"],
            parts=[Part("file", read)],
            group=texts.get("group", ""),
            job_type=texts.get("job_type", ""),
            tags=tags,
            notes=texts.get("notes", ""),
            config=config,
            host=read_metadata(path.parent / "files" / "wandb-metadata.json"),
            state=find_state(found.exit_code, last),
            started_at=found.started_at,
            ended_at=last,
        )

    def _read_rows(self, path: Path) -> Iterator[dict[str, object]]:
        for record in read_log(path, self._tally):
            try:
                row = read_row(record)
            except Malformed:
                self._tally.count(f"{path.name}: records that are no messages, left out")
                continue
            if row is not None:
                yield row


def find_state(exit_code: int | None, last_change: float) -> str | None:
    """Return how a run ended; one whose file has no end is over when nobody writes it any more."""
    if exit_code is not None:
        return "finished" if exit_code == 0 else "failed"
    return None if time.time() - last_change < LIVE_SECONDS else "crashed"


def read_metadata(path: Path) -> dict[str, object]:
    """Return the host facts that W&B keeps beside the file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return convert_metadata(found) if isinstance(found, dict) else {}


def convert_metadata(found: dict[str, object]) -> dict[str, object]:
    """Return W&B's metadata under the names that host facts have here."""
    facts = {ours: found[theirs] for theirs, ours in METADATA.items() if found.get(theirs)}
    git = found.get("git")
    if isinstance(git, dict) and git.get("commit"):
        facts["git_commit"] = git["commit"]
    return facts
