"""What every view of a run shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from runs.filters import BadFilter
from runs.held import LoggedRun
from runs.models import Run
from runs.queries import find_held_role, find_logged_runs, find_runs, make_logged_runs
from runs.services import Refused
from teams.api.base import ApiView
from teams.api.bodies import read_body
from teams.api.errors import ApiError, not_found
from teams.models import Role
from teams.services import Refused as TeamsRefused

PROJECT = OpenApiParameter(
    "project", str, description="Slug of the project; needed where several have a run of this id."
)
JSON = "application/json"
AnyRun = TypeVar("AnyRun", Run, LoggedRun)


def read_raw(request: Request, max_bytes: int) -> bytes:
    """Return the decompressed bytes of a JSON body, before anything has parsed it."""
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise UnsupportedMediaType(kind)
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "")
    return read_body(request._request, encoding, max_bytes)


class RunView(ApiView):
    """A view that finds its run inside the caller's projects."""

    logged_rows: list[tuple] | None = None  # of the run to log into, where the token brought them

    def get_run(self, uid: str, role: Role = Role.VIEWER, with_deleted: bool = False) -> Run:
        """Return the run if the principal has at least `role` in its project, else answer 404."""
        slug = self.request.query_params.get("project")
        return self._choose_run(find_runs(self.principal, uid, slug, with_deleted), uid, role)

    def get_logged_run(self, uid: str) -> LoggedRun:
        """Return a run to log into."""
        if self.logged_rows is None:
            slug = self.request.query_params.get("project")
            found = find_logged_runs(self.principal, uid, slug)
        else:
            found = make_logged_runs(uid, self.logged_rows)
        return self._choose_run(found, uid, Role.EDITOR)

    def _choose_run(self, found: Sequence[AnyRun], uid: str, role: Role) -> AnyRun:
        if not found:
            raise not_found(f"run {uid[:64]!r}")
        if len(found) > 1:
            message = f"Several of your projects have a run {uid!r}; name one with ?project=."
            raise ApiError(409, "ambiguous", message, "project")
        run = found[0]
        held = find_held_role(self.principal, run)
        if not held.includes(role):
            where = run.project_slug
            message = f"This needs the role {role}; yours in {where} is {held}."
            raise ApiError(403, "role", message)
        return run


@contextmanager
def answer_refusals() -> Iterator[None]:
    """Turn refusals of services, and of what listens to them, into answers."""
    try:
        yield
    except Refused as refusal:
        raise ApiError(refusal.status, refusal.code, refusal.message, refusal.field) from refusal
    except TeamsRefused as refusal:
        field = getattr(refusal, "field", None)
        raise ApiError(422, refusal.code, refusal.message, field) from refusal


@contextmanager
def answer_bad_filters() -> Iterator[None]:
    """Turn parameters that make no sense into answers."""
    try:
        yield
    except BadFilter as error:
        raise ApiError(422, error.code, error.message, error.parameter) from error


def answer_tagged(request: Request, tag: str, build: Callable[[], object]) -> Response:
    """Answer 304 where the caller holds this version already, else the document with its ETag."""
    quoted = f'"{tag}"'
    headers = {"ETag": quoted}
    if request.headers.get("If-None-Match") == quoted:
        return Response(status=304, headers=headers)
    return Response(build(), headers=headers)
