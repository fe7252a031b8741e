"""A run as the server knows it, and its history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scaledash.client.errors import UsageError
from scaledash.client.frames import (
    DataFrame,
    Timed,
    flatten,
    make_long,
    make_table,
    make_wide,
    put_on_axis,
)
from scaledash.client.nonfinite import read_value

if TYPE_CHECKING:
    from scaledash.client.api import Api

POINTS_PER_REQUEST = 500_000  # some 10 MB of JSON
ATTEMPTS = ("visible", "all")
SHAPES = ("wide", "long")
LEAST_SAMPLES = 4  # first, least, greatest, last
LIMITS = frozenset({"min_step", "max_step", "attempts", "times", "samples", "inherited"})


@dataclass
class Counts:
    """How many points were sent, how many there are, and how many of a metric are inherited."""

    sent: int = 0
    total: int = 0
    inherited: dict[str, int] = field(default_factory=dict)


class RemoteRun:
    """A run as the server knows it.

    Parameters
    ----------
    api : Api
        Where further data is read.
    document : mapping
        The server's description.
    """

    def __init__(self, api: Api, document: Mapping[str, Any]) -> None:
        self.document = document
        self._api = api

    @property
    def id(self) -> str:
        """Id of the run, unique in its project."""
        return str(self.document["id"])

    @property
    def project(self) -> str:
        """Slug of the project."""
        return str(self.document["project"])

    @property
    def path(self) -> str:
        """Project and id, as `Api.run` takes them."""
        return f"{self.project}/{self.id}"

    @property
    def name(self) -> str:
        """Name of the run."""
        return str(self.document.get("name") or self.id)

    @property
    def state(self) -> str:
        """Running, finished, failed, crashed or interrupted."""
        return str(self.document.get("state", ""))

    @property
    def outcome(self) -> str:
        """Healthy, diverged or unknown, as the server judges it."""
        return str(self.document.get("outcome", ""))

    @property
    def url(self) -> str:
        """Page of the run."""
        return str(self.document.get("url", ""))

    @property
    def group(self) -> str:
        """Group of the run."""
        return str(self.document.get("group") or "")

    @property
    def attempts(self) -> int:
        """How many attempts the run has had."""
        return int(self.document.get("attempt") or 0) + 1

    @property
    def created(self) -> str:
        """When the run was made, as ISO 8601 in UTC."""
        return str(self.document.get("created_at") or "")

    @property
    def updated(self) -> str:
        """When its description changed last, as ISO 8601 in UTC."""
        return str(self.document.get("changed_at") or "")

    @property
    def config(self) -> dict[str, Any]:
        """Configuration as it was logged, without what the client keeps there itself."""
        found = self.document.get("config") or {}
        return {key: value for key, value in found.items() if key != "_scaledash"}

    @property
    def summary(self) -> dict[str, Any]:
        """Last, min, max and count per metric."""
        return dict(self.document.get("summary") or {})

    @property
    def summary_metrics(self) -> dict[str, Any]:
        """Last value per metric, and the values that the script put into its summary."""
        last = {name: read_value(kept.get("last")) for name, kept in self.summary.items()}
        return {**last, **(self.document.get("user_summary") or {})}

    @property
    def facts(self) -> dict[str, Any]:
        """Scale facts with their sources."""
        return dict(self.document.get("facts") or {})

    @property
    def scale(self) -> dict[str, float]:
        """The scale facts that count, as numbers."""
        return dict(self.document.get("scale") or {})

    @property
    def tags(self) -> list[str]:
        """Tags of the run."""
        return list(self.document.get("tags") or [])

    @property
    def parent(self) -> str | None:
        """Id of the run that this one was forked from, or that it is nested in."""
        if "parent" not in self.document:  # lists leave it out
            self.document = self._api.run(self.path).document
        return self.document.get("parent")

    @property
    def fork_step(self) -> int | None:
        """Last step that a fork has from its parent."""
        return self.document.get("fork_step")

    @property
    def traceback(self) -> str:
        """Where the exception came from that ended the run, if `log_traceback` was on."""
        kept = (self.document.get("config") or {}).get("_scaledash") or {}
        return str(kept.get("traceback") or "")

    def scan(
        self, metrics: Sequence[str] | None = None, **limits: Any
    ) -> Iterator[tuple[str, int, float]]:
        """Yield (metric, step, value) of every point; non-finite values are floats.

        Parameters
        ----------
        metrics : sequence of str, optional
            By default all of them.
        **limits
            `min_step`, `max_step`, `samples`, `inherited`, and `attempts`: "visible", or "all" for
            what a rewind replaced.
        """
        for name, step, value, _ in self._read(metrics, limits):
            yield name, step, value

    def scan_history(
        self, keys: Sequence[str] | None = None, page_size: int = 1_000, **limits: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield a dict per step, as W&B does: with keys, only the steps that hold all of them."""
        rows: dict[int, dict[str, Any]] = {}
        wanted = [key for key in keys or () if key != "_step"]
        for name, step, value in self.scan(wanted or None, **limits):
            rows.setdefault(step, {"_step": step})[name] = value
        for _, row in sorted(rows.items()):
            if all(key in row for key in wanted):
                yield row

    def history(
        self,
        metrics: Sequence[str] | None = None,
        *,
        x: str = "step",
        shape: str = "wide",
        attempts: str = "visible",
        inherited: bool = True,
        **limits: Any,
    ) -> DataFrame:
        """Return every point, or samples of them, as a pandas frame.

        Parameters
        ----------
        metrics : sequence of str, optional
            By default all of them; W&B's `keys=` is read too.
        x : str
            Index of the wide frame: "step", or a metric, read at or before each step.
        shape : str
            "wide": a row per step, a column per metric. A metric that was not logged at a step is
            NaN there; points that are not finite themselves are listed in
            `frame.attrs["nonfinite"]`. "long": metric, step, value, time; keeps the two apart.
        attempts : str
            "visible", or "all" for points that a rewind or a resumed run has replaced too.
        inherited : bool
            Of a fork, with the points of its parent before its own; `frame.attrs["inherited"]`
            says for each metric how many of its first points they are.
        **limits
            `min_step`, `max_step`, and `samples`: at most so many finite points of each metric,
            chosen by M4, so that no extreme is lost; every NaN and infinity comes too.
            `frame.attrs` then holds points_total, points_sent and method ("m4", or "raw" where
            every point was sent).

        Raises
        ------
        UsageError
            pandas is not installed, or an argument is none of the above.
        """
        metrics = limits.pop("keys", metrics)
        x = limits.pop("x_axis", x).removeprefix("_")
        if limits.pop("pandas", True) is False:
            return list(self.scan_history(metrics, **limits))
        if shape not in SHAPES:
            raise UsageError(f"shape={shape!r}: use one of {', '.join(SHAPES)}")
        limits |= {"attempts": attempts, "inherited": inherited}
        counts = Counts()
        if shape == "long":
            frame = make_long(self._read(metrics, {**limits, "times": True}, counts))
        else:
            frame = self._put_on(x, make_wide(self._read(metrics, limits, counts)), attempts)
        if counts.inherited:
            frame.attrs["inherited"] = counts.inherited
        if limits.get("samples") is not None:
            frame.attrs |= {"points_total": counts.total, "points_sent": counts.sent}
            frame.attrs["method"] = "m4" if counts.sent < counts.total else "raw"
        return frame

    def _put_on(self, x: str, frame: DataFrame, attempts: str) -> DataFrame:
        if x == "step":
            return frame
        series = {step: value for _, step, value in self.scan([x], attempts=attempts)}
        if not series:
            raise UsageError(f"x={x!r}: run {self.name} has no such metric")
        attrs = frame.attrs
        frame = put_on_axis(frame, x, series)
        frame.attrs = attrs
        return frame

    def to_row(self) -> dict[str, object]:
        """Return one flat row: description, config and last values, for a table of runs."""
        names = ("id", "name", "state", "outcome", "group", "created", "url")
        config = flatten(self.config, "config.")
        last = {f"summary.{name}": value for name, value in self.summary_metrics.items()}
        return {**{name: getattr(self, name) for name in names}, **self.scale, **config, **last}

    def _read(
        self,
        metrics: Sequence[str] | None,
        limits: Mapping[str, Any],
        counts: Counts | None = None,
    ) -> Iterator[Timed]:
        counts = counts or Counts()
        query = {"project": self.project, **_read_limits(limits)}
        for part in self._divide(metrics):
            names = [("metric", name) for name in part]
            answer = self._api.get(
                f"/runs/{quote(self.id, safe='')}/history", [*query.items(), *names]
            )
            for name, series in answer.get("series", {}).items():
                counts.sent += len(series["steps"])
                counts.total += int(series.get("points_total", len(series["steps"])))
                if series.get("inherited"):
                    counts.inherited[name] = int(series["inherited"])
                times = series.get("times") or [None] * len(series["steps"])
                for step, value, at in zip(series["steps"], series["values"], times, strict=True):
                    yield name, int(step), read_value(value), at

    def _divide(self, metrics: Sequence[str] | None) -> Iterator[list[str]]:
        """Yield groups of metrics of which an answer can hold every point; [] stands for all."""
        counts = {name: int(kept.get("count") or 0) for name, kept in self.summary.items()}
        if metrics is None and sum(counts.values()) <= POINTS_PER_REQUEST:
            yield []
            return
        group: list[str] = []
        size = 0
        for name in counts if metrics is None else metrics:
            if group and size + counts.get(name, 0) > POINTS_PER_REQUEST:
                yield group
                group, size = [], 0
            group.append(name)
            size += counts.get(name, 0)
        if group:
            yield group

    def __repr__(self) -> str:
        return f"RemoteRun({self.project}/{self.id}, {self.state})"


class Runs:
    """Runs of a project, read page by page while one goes through them.

    Parameters
    ----------
    api : Api
        Where they are read.
    query : mapping
        Of the list: project, filter, order.
    limit : int or None
        At most so many.
    """

    def __init__(self, api: Api, query: Mapping[str, str], limit: int | None) -> None:
        self._api = api
        self._query = dict(query)
        self._limit = limit
        self._read: list[RemoteRun] = []
        self._pages: Iterator[dict[str, Any]] | None = None

    def __iter__(self) -> Iterator[RemoteRun]:
        place = 0
        while self._reach(place):
            yield self._read[place]
            place += 1

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, place: int) -> RemoteRun:
        if place < 0 or not self._reach(place):
            return list(self)[place]
        return self._read[place]

    def frame(self) -> DataFrame:
        """Return a frame with a row per run: description, scale facts, config, last values."""
        return make_table([run.to_row() for run in self])

    def _reach(self, place: int) -> bool:
        """Read on until the run at a place is there; False behind the last one."""
        if self._limit is not None and place >= self._limit:
            return False
        if self._pages is None:
            self._pages = self._api.list_items("/runs", self._query)
        while len(self._read) <= place:
            item = next(self._pages, None)
            if item is None:
                return False
            self._read.append(RemoteRun(self._api, item))
        return True


def _read_limits(limits: Mapping[str, Any]) -> dict[str, str]:
    """Return the query of limits."""
    unknown = limits.keys() - LIMITS
    if unknown:
        raise TypeError(f"unexpected argument {sorted(unknown)[0]!r}")
    query: dict[str, str] = {}
    for name in ("min_step", "max_step"):
        if limits.get(name) is not None:
            query[name] = str(int(limits[name]))
    if limits.get("samples") is not None:
        query["samples"] = str(max(LEAST_SAMPLES, int(limits["samples"])))
    attempts = limits.get("attempts", "visible")
    if attempts not in ATTEMPTS:
        raise UsageError(f"attempts={attempts!r}: use one of {', '.join(ATTEMPTS)}")
    if attempts != "visible":
        query["attempts"] = attempts
    if limits.get("times"):
        query["times"] = "1"
    if limits.get("inherited") is False:
        query["inherited"] = "0"
    return query
