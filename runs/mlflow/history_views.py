"""Calls that read points."""

from __future__ import annotations

import numpy as np
from rest_framework.request import Request
from rest_framework.response import Response

from runs import store
from runs.mlflow.base import MlflowView
from runs.mlflow.documents import describe_points
from runs.mlflow.errors import invalid
from runs.mlflow.search import read_offset, write_token
from runs.models import Metric, Run
from runs.points import Series
from runs.validation import MAX_INTEGER
from teams.models import Scope

PAGE = 25_000
MAX_RUNS, MAX_SAMPLED = 100, 2_500


class GetHistory(MlflowView):
    """GET metrics/get-history: every visible point, by step."""

    scopes = {"GET": Scope.READ}

    def get(self, request: Request) -> Response:
        """Read a page of the points of a metric; none where the run does not have it."""
        fields = self.fields
        run = self.get_named_run()
        key = fields.read_text("metric_key")
        offset = read_offset(fields.read_text("page_token", ""))
        limit = fields.read_limit(PAGE, PAGE)
        series, times = read_series(run, key)
        page = slice_series(series, np.arange(offset, min(offset + limit, len(series.steps))))
        answer: dict[str, object] = {"metrics": describe_points(run, key, page, times)}
        if len(series.steps) > offset + limit:
            answer["next_page_token"] = write_token(offset + limit)
        return Response(answer)


class GetBulkInterval(MlflowView):
    """GET metrics/get-history-bulk-interval: one metric of several runs, thinned evenly."""

    scopes = {"GET": Scope.READ}

    def get(self, request: Request) -> Response:
        """Read points between two steps; the first and the last of each run are among them."""
        fields = self.fields
        uids = fields.read_texts("run_ids")
        if not 1 <= len(uids) <= MAX_RUNS:
            raise invalid(f"run_ids has 1 to {MAX_RUNS} ids, not {len(uids)}.")
        key = fields.read_text("metric_key")
        start = fields.read_integer("start_step", 0)
        end = fields.read_integer("end_step", MAX_INTEGER)
        if start > end:
            raise invalid(f"end_step must be at least start_step; {end} is before {start}.")
        limit = fields.read_limit(MAX_SAMPLED, MAX_SAMPLED)
        found: list[dict[str, object]] = []
        for run in [self.get_run(uid) for uid in uids]:
            series, times = read_series(run, key)
            inside = np.flatnonzero((series.steps >= start) & (series.steps <= end))
            found += describe_points(run, key, slice_series(series, thin(inside, limit)), times)
        return Response({"metrics": found})


def read_series(run: Run, key: str) -> tuple[Series, Series]:
    """Return the visible points of a metric, and the times of the run's steps."""
    metric = Metric.objects.filter(project=run.project_id, name=key).first()
    ids = [store.TIMES, *([metric.pk] if metric else [])]
    points = store.read_points([run.pk], ids)
    series = points.get((run.pk, metric.pk), store.NO_POINTS) if metric else store.NO_POINTS
    return series, points.get((run.pk, store.TIMES), store.NO_POINTS)


def slice_series(series: Series, places: np.ndarray) -> Series:
    """Return the points at these places."""
    return Series(series.steps[places], series.values[places])


def thin(places: np.ndarray, limit: int) -> np.ndarray:
    """Return at most so many places, evenly spread, the first and the last among them."""
    if len(places) <= limit:
        return places
    if limit == 1:
        return places[-1:]
    return places[np.linspace(0, len(places) - 1, limit).round().astype(int)]
