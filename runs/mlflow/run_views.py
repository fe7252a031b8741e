"""Calls about runs: begin, change, end, delete, read, search."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from runs import store
from runs.api.base import answer_refusals
from runs.mlflow import experiments, life
from runs.mlflow.base import MlflowView
from runs.mlflow.documents import STATES, describe_info, describe_run, describe_short
from runs.mlflow.errors import invalid
from runs.mlflow.reading import read_tags
from runs.mlflow.search import apply_order, apply_search, read_offset, write_token
from runs.models import Run
from runs.services import delete_run, restore_run
from teams.models import Role, Scope
from teams.queries import find_role

MAX_TAGS_AT_ONCE = 1_000
VIEWS = ("ACTIVE_ONLY", "DELETED_ONLY", "ALL")


class CreateRun(MlflowView):
    """POST runs/create."""

    scopes = {"POST": Scope.WRITE}

    def post(self, request: Request) -> Response:
        """Begin a run in a project."""
        fields = self.fields
        text = fields.read_text("experiment_id", experiments.DEFAULT_ID, limit=2_000)
        experiment = experiments.find_by_id(self.principal, text)
        project = experiments.open_project(self.principal, experiment)
        self.require_role(project, Role.EDITOR)
        tags = read_tags(fields.read_items("tags", MAX_TAGS_AT_ONCE))
        tags = life.name_tags(tags, fields.read_text("run_name", ""))
        start = fields.read_integer("start_time", 0) or None
        user = fields.read_text("user_id", "")
        with answer_refusals():
            run = life.begin_run(self.principal, project, experiment, tags, start, user)
        return Response({"run": describe_run(run, self.principal)})


class UpdateRun(MlflowView):
    """POST runs/update."""

    scopes = {"POST": Scope.WRITE}

    def post(self, request: Request) -> Response:
        """Rename a run, end it, or let it go on."""
        fields = self.fields
        run = self.get_named_run(Role.EDITOR)
        name, status = fields.read_text("run_name", ""), fields.read_text("status", "")
        if status and status not in STATES:
            raise invalid(f"status is {status[:40]!r}; the statuses are {', '.join(STATES)}.")
        end = fields.read_integer("end_time", 0) or None
        with answer_refusals():
            if name:
                life.rename(run, name)
            if status:
                life.set_status(run, self.principal, STATES[status], end)
        found = Run.objects.get(pk=run.pk)
        return Response({"run_info": describe_info(found, self.principal)})


class DeleteRun(MlflowView):
    """POST runs/delete: softly, and by admins only, as everywhere."""

    scopes = {"POST": Scope.ADMIN}

    def post(self, request: Request) -> Response:
        """Hide a run."""
        delete_run(self.get_named_run(Role.ADMIN))
        return Response({})


class RestoreRun(MlflowView):
    """POST runs/restore."""

    scopes = {"POST": Scope.ADMIN}

    def post(self, request: Request) -> Response:
        """Show a deleted run again."""
        restore_run(self.get_named_run(Role.ADMIN, with_deleted=True))
        return Response({})


class GetRun(MlflowView):
    """GET runs/get; MLflow's client asks after every run for its address, with any token."""

    scopes = {"GET": None}

    def get(self, request: Request) -> Response:
        """Read a run; a token that may only log sees nothing of what was logged."""
        run = self.get_named_run(with_deleted=True)
        if not self.principal.allows(Scope.READ):
            return Response({"run": describe_short(run, self.principal)})
        times = store.read_times([run.pk]).get(run.pk, store.NO_POINTS)
        return Response({"run": describe_run(run, self.principal, times)})


class SearchRuns(MlflowView):
    """POST runs/search."""

    scopes = {"POST": Scope.READ}

    def post(self, request: Request) -> Response:
        """Find runs of some experiments, a page at a time."""
        fields = self.fields
        view = fields.read_text("run_view_type", VIEWS[0])
        if view not in VIEWS:
            raise invalid(f"run_view_type is {view[:40]!r}; use one of {', '.join(VIEWS)}.")
        offset = read_offset(fields.read_text("page_token", ""))
        limit = fields.read_limit(settings.MAX_PAGE_SIZE, settings.MAX_PAGE_SIZE)
        runs = self._find_runs(fields.read_texts("experiment_ids"), view)
        runs = apply_search(runs, fields.read_text("filter", "", limit=20_000))
        runs = apply_order(runs, fields.read_texts("order_by"))
        found = list(runs[offset : offset + limit + 1])
        answer: dict[str, object] = {
            "runs": [describe_run(run, self.principal) for run in found[:limit]]
        }
        if len(found) > limit:
            answer["next_page_token"] = write_token(offset + limit)
        return Response(answer)

    def _find_runs(self, ids: list[str], view: str) -> QuerySet[Run]:
        """Return the runs of experiments; deleted ones only where the caller is an admin."""
        wanted = Q(pk__in=())
        for text in dict.fromkeys(ids):
            experiment = experiments.find_by_id(self.principal, text)
            if experiment.project is None:
                continue
            own = Q(project=experiment.project)
            if experiment.group:
                own &= Q(group=experiment.group)
            wanted |= own & self._choose_stage(view, find_role(self.principal, experiment.project))
        return Run.objects.filter(wanted)

    def _choose_stage(self, view: str, role: Role | None) -> Q:
        is_active = Q(deleted_at=None)
        if view == "ACTIVE_ONLY":
            return is_active
        is_shown = ~is_active if role == Role.ADMIN else Q(pk__in=())
        return is_shown if view == "DELETED_ONLY" else is_active | is_shown
