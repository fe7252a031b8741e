"""Read projects, runs, studies and fits back: `scaledash.Api`."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from scaledash.client.discovery import find_server
from scaledash.client.errors import AuthError, NotFound, Refused, UsageError
from scaledash.client.names import make_slug
from scaledash.client.remote_run import RemoteRun, Runs
from scaledash.client.remote_study import RemoteStudy
from scaledash.client.settings import Pace
from scaledash.client.transport import Reply, Transport, encode_json
from scaledash.client.wandb_filters import translate_filters, translate_order

MAX_TRIES = 5
RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 30.0
WAITING = frozenset({0, 408, 425, 429, 500, 502, 503, 504})
FORMATS = ("csv", "jsonl", "parquet")
EXPORTED = ("runs", "points")
Query = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Project:
    """A project that the token may see."""

    slug: str
    name: str
    document: Mapping[str, Any]


class Api:
    """Read from a server.

    Parameters
    ----------
    base_url, api_key : str, optional
        Address and token; found as for logging when they are not given.
    timeout : float
        Seconds for one answer.

    overrides : mapping, optional
        W&B's way to give `base_url`.

    Raises
    ------
    UsageError
        No server is known.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        server = find_server(base_url or (overrides or {}).get("base_url"), api_key)
        if server is None:
            raise UsageError(
                "no server is known: `scaledash login URL`, set SCALEDASH_URL and SCALEDASH_TOKEN,"
                " or pass base_url and api_key"
            )
        self.base_url = server.url
        self._transport = Transport(server, replace(Pace(), read_seconds=timeout))
        weakref.finalize(self, self._transport.close)

    def projects(self) -> list[Project]:
        """Return the projects that the token may see."""
        return [_read_project(item) for item in self.list_items("/projects", {})]

    def project(self, slug: str) -> Project:
        """Return one project."""
        return _read_project(self.get(f"/projects/{quote(slug, safe='')}", {}))

    def runs(
        self,
        project: str,
        filter: str = "",
        order: str = "-created",
        limit: int | None = None,
        filters: Mapping[str, Any] | None = None,
        **ignored: object,
    ) -> Runs:
        """Return the runs of a project, read page by page while one goes through them.

        Parameters
        ----------
        project : str
            Slug; "entity/project", as W&B writes it, is read too.
        filter : str
            Expression such as ``lr >= 1e-3 and state = finished``.
        order : str
            Field, with "-" for descending.
        limit : int, optional
            At most so many.
        filters : mapping, optional
            W&B's form of a filter.
        """
        query = {"project": make_slug(project.rpartition("/")[2]), "order": translate_order(order)}
        written = translate_filters(filters) if filters else ""
        both = [part for part in (filter, written) if part]
        if both:
            query["filter"] = both[0] if len(both) == 1 else " and ".join(f"({x})" for x in both)
        return Runs(self, query, limit)

    def run(self, path: str) -> RemoteRun:
        """Return the run at "project/id"; W&B's "entity/project/id" is read too."""
        project, slash, run_id = path.strip("/").rpartition("/")
        if not slash:
            raise UsageError(f"{path!r} is not of the form project/id")
        slug = make_slug(project.rpartition("/")[2])
        return RemoteRun(self, self.get(f"/runs/{quote(run_id, safe='')}", {"project": slug}))

    def studies(self, project: str | None = None) -> list[RemoteStudy]:
        """Return the studies of a project, or all that the token may see, newest first."""
        query = {"project": make_slug(project)} if project else {}
        return [RemoteStudy(self, item) for item in self.list_items("/studies", query)]

    def study(self, path: str) -> RemoteStudy:
        """Return the study at "project/study".

        Raises
        ------
        NotFound
            The project has no such study; the message names those it has.
        """
        project, slash, slug = path.strip("/").partition("/")
        if not slash:
            raise UsageError(f"{path!r} is not of the form project/study")
        found = {study.slug: study for study in self.studies(project)}
        if slug not in found:
            known = ", ".join(sorted(found)) or "none"
            raise NotFound(f"project {project} has no study {slug!r}; it has: {known}")
        return RemoteStudy(self, self.get(f"/studies/{int(found[slug].document['id'])}", {}))

    def export(
        self,
        project: str,
        path: str | Path,
        what: str = "points",
        format: str = "jsonl",
        filter: str = "",
    ) -> int:
        """Write runs or every point of a project to a file, as the server streams them.

        Parameters
        ----------
        project : str
            Slug.
        path : str or Path
            Written under another name beside it first, and moved there when it is complete.
        what : str
            "runs": a row per run; "points": a row per point.
        format : str
            "csv", "jsonl" or "parquet".
        filter : str
            Which runs.

        Returns
        -------
        int
            Size in bytes.
        """
        for name, value, known in (("what", what, EXPORTED), ("format", format, FORMATS)):
            if value not in known:
                raise UsageError(f"{name}={value!r}: use one of {', '.join(known)}")
        query = {"what": what, "type": format, **({"filter": filter} if filter else {})}
        target = f"/api/v1/projects/{quote(project, safe='')}/export?{urlencode(query)}"
        scratch = Path(path).with_name(f".{Path(path).name}.part")
        try:
            for attempt in range(MAX_TRIES):
                with scratch.open("wb") as file:
                    reply = self._transport.download(target, file)
                    size = file.tell()
                if reply.status not in WAITING or attempt == MAX_TRIES - 1:
                    break
                _wait(reply, attempt)
            if reply.status != 200:
                _raise_refusal(reply)
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        return size

    def get(self, path: str, query: Query) -> dict[str, Any]:
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
            _wait(reply, attempt)
        return _read_answer(reply)

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Send a JSON object to a path below /api/v1, once, and return the answer.

        Raises
        ------
        AuthError, NotFound, Refused
            What the server says.
        """
        return _read_answer(self._transport.send("POST", f"/api/v1{path}", encode_json(body)))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def list_items(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, {**query, **({"cursor": cursor} if cursor else {})})
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return


def _read_project(item: Mapping[str, Any]) -> Project:
    return Project(str(item["slug"]), str(item.get("name") or item["slug"]), item)


def _wait(reply: Reply, attempt: int) -> None:
    asked = reply.read_retry_after()
    time.sleep(min(MAX_RETRY_SECONDS, asked or RETRY_SECONDS * 2**attempt))


def _read_answer(reply: Reply) -> dict[str, Any]:
    answer = reply.read_json()
    if not 200 <= reply.status < 300 or answer is None:
        _raise_refusal(reply)
    assert answer is not None
    return answer


def _raise_refusal(reply: Reply) -> None:
    code, message, field = reply.read_error()
    if reply.status in (401, 403):
        raise AuthError(message)
    if reply.status == 404:
        raise NotFound(message)
    raise Refused(message, reply.status, code, field)
