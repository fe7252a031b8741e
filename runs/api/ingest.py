"""What a training job calls: metrics, heartbeat, finish, rewind, cursor. Tokens only."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs import store
from runs.api.base import PROJECT, RunView, answer_refusals, read_raw
from runs.api.endings import read_ending
from runs.api.serializers import (
    BatchAnswer,
    BatchBody,
    CursorDocument,
    NoFields,
    RunFinish,
    RunRewind,
    StateDocument,
)
from runs.ingest import accept_batch
from runs.queries import name_run, read_cursor
from runs.services import finish_run, rewind_run
from teams.api.errors import ApiError, not_found
from teams.api.fields import read_fields
from teams.models import Role, Scope
from teams.store import StoredToken

N_OF_TOKEN = len(fields(StoredToken))  # columns, before those of the run
WRITER = OpenApiParameter("writer", UUID, description="The process whose batches are meant.")


class IngestView(RunView):
    """A view for tokens that log runs."""

    scopes = {"POST": Scope.WRITE}
    bearer_only = True

    def find_token(self, key: str, now: datetime) -> StoredToken | None:
        """Look a token up, in one statement with the run of the path."""
        named = name_run(self.kwargs["uid"], self.request.query_params.get("project"))
        rows = store.FIND_TOKEN_AND_LOGGED.fetch({"key": key, "now": now, **named})
        self.logged_rows = [row[N_OF_TOKEN:] for row in rows if row[N_OF_TOKEN] is not None]
        return StoredToken(*rows[0][:N_OF_TOKEN]) if rows else None


class Metrics(IngestView):
    """The points of a run."""

    @extend_schema(
        operation_id="log_metrics", parameters=[PROJECT], request=BatchBody, responses=BatchAnswer
    )
    def post(self, request: Request, uid: str) -> Response:
        """Store one batch whole or not at all; the answer comes after COMMIT."""
        run = self.get_logged_run(uid)
        return Response(accept_batch(run, read_raw(request, settings.MAX_INFLATED_BYTES)))


class Heartbeat(IngestView):
    """A sign of life."""

    @extend_schema(
        operation_id="send_heartbeat",
        parameters=[PROJECT],
        request=NoFields,
        responses=StateDocument,
    )
    def post(self, request: Request, uid: str) -> Response:
        """Say that the run is alive; one that was taken for crashed is running again."""
        run = self.get_logged_run(uid)
        read_fields(NoFields, request.data)
        state = store.beat(run.pk)
        if state is None:
            raise not_found(f"run {uid!r}")
        return Response({"state": state})


class Finish(IngestView):
    """The end of a run."""

    @extend_schema(
        operation_id="finish_run", parameters=[PROJECT], request=RunFinish, responses=StateDocument
    )
    def post(self, request: Request, uid: str) -> Response:
        """End the run; where `last_seq` has not arrived yet, it ends when it has."""
        run = self.get_logged_run(uid)
        return Response({"state": finish_run(run, read_ending(request.data))})


class Rewind(IngestView):
    """A rewind without a batch."""

    @extend_schema(
        operation_id="rewind_run", parameters=[PROJECT], request=RunRewind, responses=CursorDocument
    )
    def post(self, request: Request, uid: str) -> Response:
        """Open a new attempt at a step; what was logged there and after is hidden and kept."""
        run = self.get_run(uid, Role.EDITOR)
        fields = read_fields(RunRewind, request.data)
        with answer_refusals():
            run = rewind_run(run, fields["id"], fields["step"], fields.get("writer"))
        return Response(read_cursor(run, fields.get("writer")))


class Cursor(RunView):
    """How far a writer has come."""

    scopes = {"GET": Scope.WRITE}
    bearer_only = True

    @extend_schema(
        operation_id="read_cursor", parameters=[PROJECT, WRITER], responses=CursorDocument
    )
    def get(self, request: Request, uid: str) -> Response:
        """Read the last contiguous seq of a writer and the last visible step."""
        run = self.get_run(uid, Role.EDITOR)
        return Response(read_cursor(run, self._read_writer(request)))

    def _read_writer(self, request: Request) -> UUID | None:
        text = request.query_params.get("writer")
        try:
            return UUID(text) if text else None
        except ValueError:
            message = f"{text[:64]!r} is no UUID."
            raise ApiError(422, "invalid", message, "writer") from None
