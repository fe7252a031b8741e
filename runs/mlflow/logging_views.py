"""Calls that log: metrics, params, tags; and what is accepted without being stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api.base import answer_refusals
from runs.held import LoggedRun
from runs.metric_names import find_ids
from runs.mlflow import kept, life
from runs.mlflow.base import MlflowView
from runs.mlflow.documents import flatten
from runs.mlflow.entry import accept_points
from runs.mlflow.errors import absent, invalid
from runs.mlflow.reading import (
    MAX_METRICS,
    MAX_PARAMS,
    MAX_TAGS,
    read_params,
    read_point,
    read_tags,
    refuse_change,
)
from runs.mlflow.tags import drop_tag, set_tags
from runs.models import Run
from runs.services import edit_run
from teams.models import Scope


class LoggingView(MlflowView):
    """A call that needs a token for logging."""

    scopes = {"POST": Scope.WRITE}

    def find_run(self) -> LoggedRun:
        """Return the run to log into."""
        return self.get_logged_run(self.fields.read_run_id())


class LogMetric(LoggingView):
    """POST runs/log-metric."""

    def post(self, request: Request) -> Response:
        """Store one point."""
        run = self.find_run()
        accept_points(run, [read_point(self.fields.source)], request.data)
        return Response({})


class LogBatch(LoggingView):
    """POST runs/log-batch."""

    def post(self, request: Request) -> Response:
        """Store points, params and tags: all of them or none."""
        fields, run = self.fields, self.find_run()
        points = [read_point(item) for item in fields.read_items("metrics", MAX_METRICS)]
        params = read_params(fields.read_items("params", MAX_PARAMS))
        tags = read_tags(fields.read_items("tags", MAX_TAGS))
        if len(points) + len(params) + len(tags) > MAX_METRICS:
            raise invalid(f"A batch has at most {MAX_METRICS:,} metrics, params and tags together.")
        find_ids(run.project_id, run.pk, [point.name for point in points])
        with transaction.atomic():
            accept_points(run, points, {"run": run.uid, "metrics": fields.source.get("metrics")})
            describe(run, params, tags)
        return Response({})


class LogParameter(LoggingView):
    """POST runs/log-parameter."""

    def post(self, request: Request) -> Response:
        """Store one param; another value for it is refused."""
        run = self.find_run()
        describe(run, read_params([self.fields.source]), {})
        return Response({})


class SetTag(LoggingView):
    """POST runs/set-tag."""

    def post(self, request: Request) -> Response:
        """Store one tag."""
        run = self.find_run()
        describe(run, {}, read_tags([self.fields.source]))
        return Response({})


class DeleteTag(LoggingView):
    """POST runs/delete-tag."""

    def post(self, request: Request) -> Response:
        """Take a tag away."""
        found = self.find_run()
        key = self.fields.read_text("key")
        with answer_refusals(), transaction.atomic():
            run = lock(found)
            changes = drop_tag(run, key)
            if changes is None:
                raise absent(f"tag {key[:100]!r}")
            edit_run(run, changes)
        return Response({})


def describe(run: LoggedRun, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
    """Store params and tags of a run."""
    if not params and not tags:
        return
    with answer_refusals(), transaction.atomic():
        held = lock(run)
        config = _find_new(held, params)
        changes = set_tags(held, tags) if tags else {}
        if config or changes:
            edit_run(held, {**changes, "config": config})
        life.set_parent(held, dict(tags))


def lock(run: LoggedRun) -> Run:
    """Return the whole run, locked."""
    return Run.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)


def _find_new(run: Run, params: Mapping[str, str]) -> dict[str, str]:
    """Return the params that are not there yet; a number keeps its text and compares as one."""
    held = flatten(run.config)
    for key, value in params.items():
        if key in held and held[key] != value:
            raise refuse_change(key, held[key], value)
    return {key: value for key, value in params.items() if key not in held}


class NotStored(LoggingView):
    """A call that is answered so that the script goes on; the run's page says what is missing."""

    kinds: ClassVar[Mapping[str, str]] = {}

    def post(self, request: Request) -> Response:
        """Count what was sent."""
        run = self.find_run()
        for field, kind in self.kinds.items():
            sent = self.fields.source.get(field)
            count = len(sent) if isinstance(sent, list) else int(bool(sent))
            if count:
                kept.count_not_stored(run.pk, kind, count)
        return Response({})


class LogInputs(NotStored):
    """POST runs/log-inputs."""

    kinds = {"datasets": "datasets", "models": "models"}


class LogOutputs(NotStored):
    """POST runs/outputs."""

    kinds = {"models": "models"}


class LogModel(NotStored):
    """POST runs/log-model."""

    kinds = {"model_json": "models"}
