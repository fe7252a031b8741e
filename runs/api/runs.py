"""Runs: open, list, read, change, delete, restore."""

from __future__ import annotations

import re
from dataclasses import asdict

from django.conf import settings
from django.db import IntegrityError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs import queries
from runs.api.base import PROJECT, RunView, answer_bad_filters, answer_refusals, read_raw
from runs.api.endings import read_ending
from runs.api.serializers import (
    MAX_NOTES_BYTES,
    MAX_TAGS,
    SLUG_PATTERN,
    ListedRunDocument,
    NoFields,
    OpenedRun,
    PurgeDocument,
    RunChange,
    RunDocument,
    RunOpen,
)
from runs.fields import is_keyed
from runs.filters import ARCHIVED, DEFAULT_ORDER, ORDERS, STATES, Order
from runs.listing import list_runs, read_page
from runs.models import Run
from runs.retention import purge
from runs.services import RunWish, delete_run, edit_run, restore_run
from runs.whole import open_whole_run, read_parts
from teams.api.bodies import decode_json
from teams.api.errors import ApiError, unprocessable
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, read_limit
from teams.api.serializers import page_of
from teams.models import Project, Role, Scope, User
from teams.queries import bound_role, find_project
from teams.services import create_project

LIST_PARAMETERS = [
    OpenApiParameter("project", str, description="Slug of the project; else all of the caller's."),
    OpenApiParameter("group", str),
    OpenApiParameter("job_type", str),
    OpenApiParameter("tag", str),
    OpenApiParameter("state", str, enum=STATES),
    OpenApiParameter("search", str, description="A part of the name or id, 64 characters at most."),
    OpenApiParameter("filter", str, description='Such as: lr >= 1e-3 and name ~ "qk".'),
    OpenApiParameter("order", str, description=f'"-" first descends: {", ".join(ORDERS)}.'),
    OpenApiParameter("columns", str, description="Comma list of the fields to answer with."),
    OpenApiParameter("archived", str, enum=ARCHIVED, description="Archived runs: hide is usual."),
    *PAGING_PARAMETERS,
]
MAX_COLUMNS = 100
NOT_CHANGES = (
    *("request_id", "id", "project", "resume", "started_at", "study", "fork_from"),
    *("batches", "finish"),
)


class Runs(RunView):
    """The runs of the projects that the caller belongs to."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @property
    def bearer_only(self) -> bool:
        """Say that logging needs a token, while a browser may read."""
        return self.request is None or self.request.method == "POST"

    @extend_schema(
        operation_id="list_runs", parameters=LIST_PARAMETERS, responses=page_of(ListedRunDocument)
    )
    def get(self, request: Request) -> Response:
        """List runs, newest first unless ordered otherwise."""
        params = request.query_params
        project = self.get_project(params["project"]) if params.get("project") else None
        columns = self._read_columns(params.get("columns", ""))
        most = settings.MAX_CHOSEN_PAGE_SIZE if columns else settings.MAX_PAGE_SIZE
        limit = read_limit(request, most)
        with answer_bad_filters():
            order = Order.read(params.get("order") or DEFAULT_ORDER)
            runs = list_runs(self.principal, project, params, order)
            page = read_page(runs, order, columns, limit)
        return Response({"items": page.items, "next": page.following})

    def _read_columns(self, text: str) -> list[str]:
        columns = list(dict.fromkeys(name for name in text.split(",") if name))
        known = set(ListedRunDocument().fields)
        unknown = [name for name in columns if name not in known and not is_keyed(name)]
        if unknown:
            message = (
                f"{unknown[0][:40]!r} is no column; they are {', '.join(sorted(known))}, "
                "and config.KEY, summary.NAME, facts.NAME."
            )
            raise ApiError(422, "unknown_value", message, "columns")
        if len(columns) > MAX_COLUMNS:
            message = f"At most {MAX_COLUMNS} columns, not {len(columns)}."
            raise ApiError(422, "out_of_range", message, "columns")
        return columns

    @extend_schema(
        operation_id="open_run", request=RunOpen, responses={201: OpenedRun, 200: OpenedRun}
    )
    def post(self, request: Request) -> Response:
        """Create a run, or resume the one of this id; idempotent by `request_id`.

        Batches and an end that come with it are taken in the same transaction: all or nothing.
        """
        body = read_raw(request, settings.MAX_DOCUMENT_BYTES)
        fields = read_fields(RunOpen, decode_json(body))
        check_quotas(fields)
        parts = read_parts(body) if "batches" in fields else []
        ending = read_ending(fields["finish"], "finish") if "finish" in fields else None
        project = self._open_project(fields.get("project"))
        with answer_refusals():
            opened = open_whole_run(
                project, self.principal.user_id, make_wish(fields), parts, ending
            )
        answer = queries.describe_short(opened.run, opened.is_new)
        if "batches" in fields:
            answer["batches"] = opened.answers
        return Response(answer, status=201 if opened.is_new else 200)

    def _open_project(self, slug: str | None) -> Project:
        """Return the project; a token of a user may log into one that does not exist yet."""
        is_bound = self.principal.project_id is not None
        if is_bound and slug in (None, "", queries.DEFAULT_PROJECT):
            own = Project.objects.visible_to(self.principal).first()
            slug = own.slug if own else slug
        slug = slug or queries.DEFAULT_PROJECT
        project = find_project(self.principal, slug)
        if project is None:
            if not is_bound and not Project.objects.filter(slug=slug).exists():
                self._create_project(slug)
            return self.get_project(slug, Role.EDITOR)
        self.check_role(project, bound_role(self.principal, Role(project.held_role)), Role.EDITOR)
        return project

    def _create_project(self, slug: str) -> None:
        if not re.match(SLUG_PATTERN, slug):
            message = "The slug of a project has letters, digits, - and _ only."
            raise unprocessable("invalid", message, "/project")
        user = User.objects.get(pk=self.principal.user_id)
        try:
            create_project(user, slug, slug)
        except IntegrityError:  # another run was faster; whether it is ours is asked next
            return


class OneRun(RunView):
    """One run."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.WRITE, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="read_run", parameters=[PROJECT], responses=RunDocument)
    def get(self, request: Request, uid: str) -> Response:
        """Read all that is known of a run beside its points."""
        return Response(queries.describe_run(self.get_run(uid)))

    @extend_schema(
        operation_id="change_run", parameters=[PROJECT], request=RunChange, responses=RunDocument
    )
    def patch(self, request: Request, uid: str) -> Response:
        """Change a run; config, scale facts, summary and host are merged."""
        run = self.get_run(uid, Role.EDITOR)
        fields = read_fields(RunChange, request.data, partial=True)
        check_quotas(fields)
        studies = fields.pop("study", None) or ()
        with answer_refusals():
            edit_run(run, fields, studies)
        return Response(queries.describe_run(self._read_again(run)))

    @extend_schema(operation_id="delete_run", parameters=[PROJECT], responses={204: None})
    def delete(self, request: Request, uid: str) -> Response:
        """Hide a run from everybody; admins only, and it can be restored."""
        delete_run(self.get_run(uid, Role.ADMIN))
        return Response(status=204)

    def _read_again(self, run: Run) -> Run:
        return Run.objects.select_related("project", "parent").get(pk=run.pk)


class Restore(RunView):
    """The way back of a deleted run."""

    scopes = {"POST": Scope.ADMIN}

    @extend_schema(
        operation_id="restore_run", parameters=[PROJECT], request=NoFields, responses=RunDocument
    )
    def post(self, request: Request, uid: str) -> Response:
        """Show a deleted run again; admins only."""
        run = self.get_run(uid, Role.ADMIN, with_deleted=True)
        read_fields(NoFields, request.data)
        restore_run(run)
        return Response(queries.describe_run(run))


class Purge(RunView):
    """The end of a deleted run."""

    scopes = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(operation_id="read_purge", parameters=[PROJECT], responses=PurgeDocument)
    def get(self, request: Request, uid: str) -> Response:
        """Say how much of a deleted run is left; 404 once it is gone."""
        run = self._get_deleted(uid)
        return Response(asdict(purge.read_progress(run)))

    @extend_schema(
        operation_id="purge_run",
        parameters=[PROJECT],
        request=NoFields,
        responses={202: PurgeDocument},
    )
    def post(self, request: Request, uid: str) -> Response:
        """Erase a deleted run for good, in the background; admins only."""
        run = self._get_deleted(uid)
        read_fields(NoFields, request.data)
        purge.ask_for_purge(run)
        return Response(asdict(purge.read_progress(run)), status=202)

    def _get_deleted(self, uid: str) -> Run:
        run = self.get_run(uid, Role.ADMIN, with_deleted=True)
        if run.deleted_at is None:
            message = f"Run {uid!r} is not deleted; delete it first, then purge it."
            raise ApiError(409, "not_deleted", message)
        return run


def make_wish(fields: dict[str, object]) -> RunWish:
    """Return the run that checked fields ask for."""
    return RunWish(
        uid=fields["id"],
        request_id=fields["request_id"],
        resume=fields.get("resume"),
        started_at=fields.get("started_at"),
        changes={name: fields[name] for name in fields if name not in NOT_CHANGES},
        studies=fields.get("study") or (),
        fork_from=fields.get("fork_from"),
    )


def check_quotas(fields: dict[str, object]) -> None:
    """Refuse more tags or longer notes than a run may have."""
    n_tags = len(fields.get("tags") or ())
    if n_tags > MAX_TAGS:
        message = f"At most {MAX_TAGS} tags per run; these are {n_tags}."
        raise unprocessable("quota", message, "/tags")
    size = len((fields.get("notes") or "").encode())
    if size > MAX_NOTES_BYTES:
        message = f"At most {MAX_NOTES_BYTES:,} bytes of notes per run; these are {size:,}."
        raise unprocessable("quota", message, "/notes")
