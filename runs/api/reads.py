"""Points and revisions: full histories, curves for charts, ETags."""

from __future__ import annotations

import msgspec
from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api.base import PROJECT, RunView, answer_tagged
from runs.api.serializers import HistoryDocument, RunsRevisionDocument, SeriesDocument
from runs.charts import X_AXES, ChartWish, Grouping, TooMuch, read_chart
from runs.groups import EXCEPT, OWN_FIELDS
from runs.history import HistoryWish, write_history
from runs.models import Run
from runs.revisions import read_project_revision, read_run_revision
from runs.series import MAX_BUCKETS, SLOTS, View
from runs.smoothing import AGGREGATES, BANDS
from runs.step_metrics import METRIC_AXIS
from runs.validation import MAX_INTEGER
from teams.api.errors import ApiError
from teams.comments import add_mark

SCALES = ("lin", "log")
ATTEMPTS = ("visible", "all")
MAX_SMOOTHING = 0.9999
HISTORY_PARAMETERS = [
    PROJECT,
    OpenApiParameter("metrics", str, description="Comma list of metrics; else all."),
    OpenApiParameter("metric", str, many=True, description="One metric, as often as wanted."),
    OpenApiParameter("min_step", int),
    OpenApiParameter("max_step", int),
    OpenApiParameter("times", str, enum=("0", "1"), description="1: with the time of each point."),
    OpenApiParameter("attempts", str, enum=ATTEMPTS, description="all: hidden points too."),
    OpenApiParameter(
        "inherited", str, enum=("1", "0"), description="0: without what a fork has from its parent."
    ),
    OpenApiParameter(
        "samples", int, description="At most so many finite points of each metric, chosen by M4."
    ),
]
SERIES_PARAMETERS = [
    OpenApiParameter("project", str, required=True),
    OpenApiParameter("metric", str, required=True),
    OpenApiParameter("runs", str, required=True, description="Comma list of run ids."),
    OpenApiParameter("x", str, description=f"{', '.join(X_AXES)}, or metric:NAME."),
    OpenApiParameter("xs", str, enum=SCALES),
    OpenApiParameter("ys", str, enum=SCALES),
    OpenApiParameter("xr", str, description="Window of x: two numbers with a comma."),
    OpenApiParameter("smooth", float, description="Weight of the debiased average, 0 to 0.9999."),
    OpenApiParameter("group", str, description="group, config.KEY, or except:seed: all but these."),
    OpenApiParameter("agg", str, enum=AGGREGATES),
    OpenApiParameter("band", str, enum=BANDS),
    OpenApiParameter("px", int, description="Width of the chart in pixels."),
]


class History(RunView):
    """Every point of a run."""

    @extend_schema(
        operation_id="read_history", parameters=HISTORY_PARAMETERS, responses=HistoryDocument
    )
    def get(self, request: Request, uid: str) -> StreamingHttpResponse:
        """Stream all points, or samples of them, exact, metric by metric."""
        run = self.get_run(uid)
        params = request.query_params
        names = [name for name in params.get("metrics", "").split(",") if name]
        wish = HistoryWish(
            metrics=tuple(dict.fromkeys([*names, *params.getlist("metric")])),
            min_step=_read_int(request, "min_step", 0, 0),
            max_step=_read_int(request, "max_step", MAX_INTEGER, 0),
            with_times=read_choice(request, "times", ("0", "1")) == "1",
            with_hidden=read_choice(request, "attempts", ATTEMPTS) == "all",
            with_inherited=read_choice(request, "inherited", ("1", "0")) == "1",
            samples=_read_int(request, "samples", 0, SLOTS),
        )
        return StreamingHttpResponse(write_history(run, wish), content_type="application/json")


class SeriesOfRuns(RunView):
    """One metric of many runs."""

    @extend_schema(
        operation_id="read_series", parameters=SERIES_PARAMETERS, responses=SeriesDocument
    )
    def get(self, request: Request) -> HttpResponse:
        """Read curves on one bucket grid; no extreme and no non-finite value is ever left out."""
        params = request.query_params
        for name in ("project", "metric", "runs"):
            if not params.get(name):
                raise ApiError(422, "required", f"{name} is needed.", name)
        project = self.get_project(params["project"])
        uids = list(dict.fromkeys(uid for uid in params["runs"].split(",") if uid))
        limit = settings.MAX_SERIES_PER_REQUEST
        if len(uids) > limit:
            message = f"At most {limit:,} runs at once, not {len(uids):,}."
            raise ApiError(422, "out_of_range", message, "runs")
        view = View(
            x_scale=read_choice(request, "xs", SCALES),
            y_scale=read_choice(request, "ys", SCALES),
            window=_read_window(params.get("xr")),
            pixels=_read_int(request, "px", MAX_BUCKETS, 1),
        )
        visible = Run.objects.visible_to(self.principal)
        runs = list(visible.filter(project=project, uid__in=uids).defer("host", "facts"))
        wish = ChartWish(
            metric=params["metric"],
            view=view,
            x_axis=_read_axis(request),
            smoothing=_read_smoothing(params.get("smooth")),
            grouping=_read_grouping(request),
        )
        try:
            curves = read_chart(runs, wish)
        except TooMuch as error:
            raise ApiError(422, "out_of_range", str(error), "group") from error
        document = {"rev": read_project_revision(project)["rev"], **curves}
        return HttpResponse(msgspec.json.encode(document), content_type="application/json")


class RunRevision(RunView):
    """The revision of a run."""

    @extend_schema(
        operation_id="read_run_revision",
        parameters=[PROJECT],
        responses={200: RunsRevisionDocument, 304: None},
    )
    def get(self, request: Request, uid: str) -> Response:
        """Say whether anything that the run's page shows has changed."""
        run = self.get_run(uid)
        now = add_mark(read_run_revision(run), run.project_id, "run", run.pk)
        return answer_tagged(request, now["rev"], lambda: now)


class ProjectRevision(RunView):
    """The revision of a project."""

    @extend_schema(
        operation_id="read_project_revision", responses={200: RunsRevisionDocument, 304: None}
    )
    def get(self, request: Request, slug: str) -> Response:
        """Say whether any run of the project has changed."""
        now = read_project_revision(self.get_project(slug))
        return answer_tagged(request, now["rev"], lambda: now)


def read_choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    text = request.query_params.get(name) or choices[0]
    if text not in choices:
        message = f"{name} is {text[:20]!r}; send one of {', '.join(choices)}."
        raise ApiError(422, "unknown_value", message, name)
    return text


def _read_int(request: Request, name: str, default: int, least: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_INTEGER))
    if not is_number or not least <= int(text) <= MAX_INTEGER:
        message = f"{name} is {text[:20]!r}; send a whole number from {least} on."
        raise ApiError(422, "out_of_range", message, name)
    return int(text)


def _read_window(text: str | None) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not -1e308 < low < high < 1e308:
        message = "xr is the window of x: two numbers with a comma, the lower one first."
        raise ApiError(422, "invalid", message, "xr")
    return low, high


def _read_axis(request: Request) -> str:
    text = request.query_params.get("x", "")
    is_metric = text.startswith(METRIC_AXIS) and len(text) > len(METRIC_AXIS)
    return text if is_metric else read_choice(request, "x", X_AXES)


def _read_smoothing(text: str | None) -> float:
    try:
        weight = float(text or 0)
    except ValueError:
        weight = -1.0
    if not 0 <= weight <= MAX_SMOOTHING:
        message = f"smooth is {str(text)[:20]!r}; send a weight between 0 and {MAX_SMOOTHING}."
        raise ApiError(422, "out_of_range", message, "smooth")
    return weight


def _read_grouping(request: Request) -> Grouping | None:
    by = request.query_params.get("group", "")
    aggregate, band = read_choice(request, "agg", AGGREGATES), read_choice(request, "band", BANDS)
    if not by:
        return None
    if by not in OWN_FIELDS and not by.startswith(("config.", EXCEPT)):
        message = f"group is {by[:40]!r}; send {', '.join(OWN_FIELDS)}, config.KEY or except:seed."
        raise ApiError(422, "unknown_value", message, "group")
    return Grouping(by, aggregate, band)
