"""Exports: the runs of a project or all their points, streamed as a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from runs import export
from runs.api.base import RunView, answer_bad_filters
from runs.api.reads import read_choice
from runs.filters import HIDE, ONLY, SHOW, STATES, match_names, narrow, narrow_archived
from runs.models import Run
from teams.api.errors import ApiError, not_found
from teams.models import Project

WHAT = ("runs", "points")
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
MAX_IDS = 1_000
PIPE_BYTES = 64 * 1024
PARAMETERS = [
    OpenApiParameter("what", str, enum=WHAT, description="One row a run, or one a point."),
    OpenApiParameter("type", str, enum=tuple(TYPES)),
    OpenApiParameter("filter", str, description='Such as: lr >= 1e-3 and name ~ "qk".'),
    OpenApiParameter("archived", str, enum=(SHOW, HIDE, ONLY), description="show is usual."),
    OpenApiParameter("match", str, description="A regular expression that name or id match."),
    OpenApiParameter("state", str, enum=STATES),
    OpenApiParameter("runs", str, description="Comma list of run ids, at most 1,000; else all."),
    OpenApiParameter("metric", str, many=True, description="One metric, as often as wanted."),
]


class Export(RunView):
    """A file with the runs of a project."""

    @extend_schema(
        operation_id="export_project",
        parameters=PARAMETERS,
        responses={(200, "text/csv"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, slug: str) -> StreamingHttpResponse:
        """Stream runs or points as CSV, JSONL or Parquet."""
        project, params = self.get_project(slug), request.query_params
        what, form = read_choice(request, "what", WHAT), read_choice(request, "type", tuple(TYPES))
        with answer_bad_filters():
            found = narrow_archived(self._find_runs(project), params.get("archived") or SHOW)
            found = narrow(found, {name: params.get(name, "") for name in ("state", "filter")})
            runs = match_names(found, params.get("match", ""))
        runs, metrics = runs.order_by("id"), params.getlist("metric")
        if form == "parquet":
            pieces = write_parquet(runs, what, metrics)
        else:
            pieces = export.write(runs, what == "runs", form, metrics)
        headers = {"Content-Disposition": f'attachment; filename="{what}.{form}"'}
        return StreamingHttpResponse(pieces, content_type=TYPES[form], headers=headers)

    def _find_runs(self, project: Project) -> QuerySet[Run]:
        runs = Run.objects.visible_to(self.principal).filter(project=project)
        text = self.request.query_params.get("runs")
        if not text:
            return runs
        uids = list(dict.fromkeys(uid for uid in text.split(",") if uid))
        if len(uids) > MAX_IDS:
            message = f"At most {MAX_IDS:,} runs by id, not {len(uids):,}; use a filter."
            raise ApiError(422, "out_of_range", message, "runs")
        found = runs.filter(uid__in=uids)
        known = set(found.values_list("uid", flat=True))
        unknown = [uid for uid in uids if uid not in known]
        if unknown:
            raise not_found(f"run {unknown[0][:64]!r}")
        return found


def write_parquet(runs: QuerySet[Run], what: str, metrics: Sequence[str]) -> Iterator[bytes]:
    """Yield what the command `export` writes: a process of its own, which may load pyarrow.

    It ends with the request: a reader who goes away closes its pipe.
    """
    wish = {"runs": list(runs.values_list("pk", flat=True)), "metrics": list(metrics)}
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), "export", "--ids"]
    argv += ["--what", what, "--format", "parquet"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(wish).encode())
        process.stdin.close()
        while piece := process.stdout.read(PIPE_BYTES):
            yield piece
        if process.wait() != 0:
            raise RuntimeError(f"the export ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
