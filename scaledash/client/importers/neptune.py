"""Parquet files of neptune-exporter: one row an attribute or a point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from scaledash.client.errors import UsageError
from scaledash.client.importers.model import Entry, Part, Point, SourceRun, Tally, Unreadable

FLOATS = "float_series"
VALUES = {"int": "int_value", "float": "float_value", "string": "string_value",
          "bool": "bool_value", "datetime": "datetime_value"}  # fmt: skip
READ = ("project_id", "run_id", "attribute_path", "attribute_type", "step", "timestamp",
        "float_value")  # fmt: skip
MAX_DIGITS = 6  # of Neptune's decimal(18, 6)
FORK_PARENT, FORK_STEP = "sys/forking/parent", "sys/forking/step"
REGISTRY = ("models", "model_versions")  # folders beside the runs of a project
OF_MODELS = "files of the model registry, which hold no runs, left out"
SKIPPED = "attributes of files, texts and histograms, left out"


@dataclass
class Found:
    """What a first look at the files finds of a run."""

    project: str
    run_id: str
    files: list[Path] = field(default_factory=list)
    attributes: dict[str, object] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)


class NeptuneExport:
    """A folder of an export; the runs' true ids are in its columns, not in its file names.

    Parameters
    ----------
    path : Path
        Folder or file.
    tally : Tally
        Takes what is left out and guessed.
    """

    kind = "neptune"

    def __init__(self, path: Path, tally: Tally) -> None:
        try:
            import pyarrow.parquet as parquet
        except ImportError:
            raise UsageError("Parquet files need one package more: pip install pyarrow") from None
        self._parquet: Any = parquet
        self._path = path
        self._tally = tally

    def list_runs(self) -> Iterator[SourceRun | Unreadable]:
        """Yield the runs, whose parts may lie in several files."""
        paths = [self._path] if self._path.is_file() else sorted(self._path.rglob("*.parquet"))
        models = [path for path in paths if path.parent.name in REGISTRY]
        if models:
            self._tally.count(OF_MODELS, len(models))
            paths = [path for path in paths if path not in models]
        runs: dict[tuple[str, str], Found] = {}
        digits = 0
        for path in sorted(paths, key=_find_part):
            try:
                digits = max(digits, self._look(path, runs))
            except (OSError, ValueError, KeyError) as error:
                yield Unreadable(f"{path}: {error}")
        multiplier = 10**digits
        if digits:
            self._tally.say(
                f"steps have {digits} decimals: all of them are multiplied by {multiplier:,}"
            )
        keys = {(found.project, found.run_id): _make_key(found) for found in runs.values()}
        # Parents first: the server can only say of a run that it has where a fork comes from.
        for found in sorted(runs.values(), key=_read_age):
            yield self._make_run(found, multiplier, keys)

    def _look(self, path: Path, runs: dict[tuple[str, str], Found]) -> int:
        """Take the attributes of a file; returns how many decimals its steps have."""
        digits = 0
        for row in self._iterate(path):
            key = (str(row["project_id"]), str(row["run_id"]))
            found = runs.setdefault(key, Found(*key))
            if path not in found.files:
                found.files.append(path)
            kind, name = row["attribute_type"], str(row["attribute_path"])
            if kind == FLOATS:
                digits = max(digits, _count_decimals(row["step"]))
            elif kind in VALUES:
                found.attributes[name] = row.get(VALUES[kind])
                if name == FORK_STEP and found.attributes[name] is not None:
                    digits = max(digits, _count_decimals(Decimal(str(found.attributes[name]))))
            elif kind == "string_set":
                texts = [str(text) for text in row.get("string_set_value") or []]
                found.tags += texts if name in ("sys/tags", "sys/group_tags") else []
                found.attributes.setdefault(name, ", ".join(texts))
            else:
                self._tally.count(SKIPPED)
        return digits

    def _iterate(self, path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
        file = self._parquet.ParquetFile(path)
        for batch in file.iter_batches(columns=columns):
            yield from batch.to_pylist()

    def _make_run(
        self, found: Found, multiplier: int, keys: dict[tuple[str, str], str]
    ) -> SourceRun:
        about = found.attributes
        parts = [self._make_part(found, path, multiplier) for path in found.files]
        fork = None
        if about.get(FORK_PARENT):
            parent = str(about[FORK_PARENT])
            at = _to_step(Decimal(str(about.get(FORK_STEP) or 0)), multiplier)
            fork = (keys.get((found.project, parent), f"{found.project}/{parent}"), at)
        return SourceRun(
            key=_make_key(found),
            name=str(about.get("sys/name") or found.run_id),
            parts=parts,
            group=str(about.get("sys/experiment/name") or ""),
            tags=list(dict.fromkeys(found.tags)),
            notes=str(about.get("sys/description") or ""),
            config=_make_config(about),
            host={"neptune_id": found.run_id},
            state="failed" if about.get("sys/failed") else "finished",
            started_at=_to_seconds(about.get("sys/creation_time")),
            ended_at=_to_seconds(about.get("sys/modification_time")),
            fork=fork,
        )

    def _make_part(self, found: Found, path: Path, multiplier: int) -> Part:
        def read() -> Iterable[Entry]:
            return self._read(found, path, multiplier)

        return Part(path.name, read)

    def _read(self, found: Found, path: Path, multiplier: int) -> Iterator[Point]:
        seen: dict[tuple[str, int], Decimal] = {}
        for row in self._iterate(path, list(READ)):
            is_own = (row["project_id"], row["run_id"]) == (found.project, found.run_id)
            value, step = row["float_value"], row["step"]
            if not is_own or row["attribute_type"] != FLOATS or value is None or step is None:
                continue
            metric, number = str(row["attribute_path"]), _to_step(step, multiplier)
            if seen.setdefault((metric, number), step) != step:
                raise Unreadable(
                    f"{metric}: steps {seen[metric, number]} and {step} would both be {number}"
                )
            at = row["timestamp"]
            yield Point(metric, number, float(value), at.timestamp() if at else None)


def _make_key(found: Found) -> str:
    return f"{found.project}/{found.attributes.get('sys/custom_run_id') or found.run_id}"


def _read_age(found: Found) -> tuple[bool, float]:
    """Sort forks behind runs that are none, and by the time of their creation."""
    created = _to_seconds(found.attributes.get("sys/creation_time"))
    return bool(found.attributes.get(FORK_PARENT)), created or 0.0


def _count_decimals(step: Decimal | None) -> int:
    if step is None:
        return 0
    exponent = step.normalize().as_tuple().exponent
    return min(MAX_DIGITS, max(0, -int(exponent)))


def _to_step(step: Decimal, multiplier: int) -> int:
    return int(step * multiplier)


def _to_seconds(value: object) -> float | None:
    return value.timestamp() if isinstance(value, datetime) else None


def _make_config(attributes: dict[str, object]) -> dict[str, object]:
    """Return the user's attributes; those of the system are no config."""
    return {
        name.replace("/", "."): value.isoformat() if isinstance(value, datetime) else value
        for name, value in attributes.items()
        if not name.startswith(("sys/", "monitoring/", "source_code/")) and value is not None
    }


def _find_part(path: Path) -> tuple[str, int, str]:
    """Sort part_10 behind part_2."""
    stem, _, number = path.stem.rpartition("_")
    return str(path.parent), int(number) if number.isdigit() else 0, stem
