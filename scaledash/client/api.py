"""Read projects, runs and histories back: `scaledash.Api`."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode

from scaledash.client.discovery import find_server
from scaledash.client.errors import AuthError, NotFound, Refused, UsageError
from scaledash.client.settings import Pace
from scaledash.client.transport import Reply, Transport

DataFrame = Any  # of pandas, which is loaded when a frame is asked for
MAX_TRIES = 5
RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 30.0
WAITING = frozenset({0, 408, 425, 429, 500, 502, 503, 504})
NONFINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


@dataclass(frozen=True)
class Project:
    """A project that the token may see."""

    slug: str
    name: str
    document: Mapping[str, Any]


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
    def name(self) -> str:
        """Name of the run."""
        return str(self.document.get("name") or self.id)

    @property
    def state(self) -> str:
        """Running, finished, failed, crashed or interrupted."""
        return str(self.document.get("state", ""))

    @property
    def url(self) -> str:
        """Page of the run."""
        return str(self.document.get("url", ""))

    @property
    def config(self) -> dict[str, Any]:
        """Configuration as it was logged."""
        return dict(self.document.get("config") or {})

    @property
    def summary(self) -> dict[str, Any]:
        """Last, min, max and count per metric."""
        return dict(self.document.get("summary") or {})

    @property
    def facts(self) -> dict[str, Any]:
        """Scale facts with their sources."""
        return dict(self.document.get("facts") or {})

    @property
    def tags(self) -> list[str]:
        """Tags of the run."""
        return list(self.document.get("tags") or [])

    def scan(self, metrics: Sequence[str] | None = None) -> Iterator[tuple[str, int, float]]:
        """Yield (metric, step, value) of every visible point; non-finite values are floats."""
        query = {"project": self.project}
        if metrics is not None:
            query["metrics"] = ",".join(metrics)
        answer = self._api.get(f"/runs/{quote(self.id, safe='')}/history", query)
        for name, series in answer.get("series", {}).items():
            for step, value in zip(series["steps"], series["values"], strict=True):
                yield name, int(step), read_value(value)

    def history(self, metrics: Sequence[str] | None = None) -> DataFrame:
        """Return every visible point as a frame: a row per step, a column per metric.

        A metric that was not logged at a step is NaN there; points that are not finite themselves
        are listed in `frame.attrs["nonfinite"]` as (metric, step, value).

        Raises
        ------
        UsageError
            pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError:
            raise UsageError(
                "history() returns a pandas frame: pip install pandas, or use scan()"
            ) from None
        columns: dict[str, dict[int, float]] = {}
        for name, step, value in self.scan(metrics):
            columns.setdefault(name, {})[step] = value
        frame = pandas.DataFrame(columns).sort_index()
        frame.index.name = "step"
        frame.attrs["nonfinite"] = [
            (name, step, value)
            for name, series in columns.items()
            for step, value in series.items()
            if value - value != 0  # only NaN and the infinities
        ]
        return frame

    def __repr__(self) -> str:
        return f"RemoteRun({self.project}/{self.id}, {self.state})"


class Api:
    """Read from a server.

    Parameters
    ----------
    base_url, api_key : str, optional
        Address and token; found as for logging when they are not given.
    timeout : float
        Seconds for one answer.

    Raises
    ------
    UsageError
        No server is known.
    """

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, timeout: float = 30
    ) -> None:
        server = find_server(base_url, api_key)
        if server is None:
            raise UsageError("no server is known: pass base_url and api_key, or `scaledash login`")
        self._transport = Transport(server, replace(Pace(), read_seconds=timeout))
        weakref.finalize(self, self._transport.close)

    def projects(self) -> list[Project]:
        """Return the projects that the token may see."""
        return [
            Project(str(item["slug"]), str(item.get("name") or item["slug"]), item)
            for item in self._list("/projects", {})
        ]

    def runs(
        self, project: str, filter: str = "", order: str = "-created", limit: int | None = None
    ) -> Iterator[RemoteRun]:
        """Yield the runs of a project, page by page.

        Parameters
        ----------
        project : str
            Slug.
        filter : str
            Expression such as ``lr >= 1e-3 and state = finished``.
        order : str
            Field, with "-" for descending.
        limit : int, optional
            Yield at most so many.
        """
        query = {"project": project, "order": order}
        if filter:
            query["filter"] = filter
        for count, item in enumerate(self._list("/runs", query)):
            if limit is not None and count >= limit:
                return
            yield RemoteRun(self, item)

    def run(self, path: str) -> RemoteRun:
        """Return the run at "project/id"."""
        project, slash, run_id = path.partition("/")
        if not slash:
            raise UsageError(f"{path!r} is not of the form project/id")
        return RemoteRun(self, self.get(f"/runs/{quote(run_id, safe='')}", {"project": project}))

    def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return the JSON object at a path below /api/v1; waits and retries as the server asks.

        Raises
        ------
        AuthError, NotFound, Refused
            What the server says.
        """
        target = f"/api/v1{path}" + (f"?{urlencode(query)}" if query else "")
        for attempt in range(MAX_TRIES):
            reply = self._transport.send("GET", target)
            if reply.status not in WAITING or attempt == MAX_TRIES - 1:
                break
            asked = reply.read_retry_after()
            time.sleep(min(MAX_RETRY_SECONDS, asked or RETRY_SECONDS * 2**attempt))
        return _read_answer(reply)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def _list(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        while True:
            page = self.get(path, {**query, **({"cursor": cursor} if cursor else {})})
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return


def read_value(value: object) -> float:
    """Return a number as the API writes it: non-finite ones are text, null is NaN."""
    if value is None:
        return NONFINITE["NaN"]
    return NONFINITE[value] if isinstance(value, str) else float(value)  # type: ignore[arg-type]


def _read_answer(reply: Reply) -> dict[str, Any]:
    code, message, field = reply.read_error()
    if reply.status in (401, 403):
        raise AuthError(message)
    if reply.status == 404:
        raise NotFound(message)
    answer = reply.read_json()
    if not 200 <= reply.status < 300 or answer is None:
        raise Refused(message, reply.status, code, field)
    return answer
