"""What a study concludes: fits with their history, figures, and the grid of what was run."""

from __future__ import annotations

from urllib.parse import quote

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import StudyView, answer_tagged
from fitting.api.serializers import (
    FigureDocument,
    FitDocument,
    FitResultDocument,
    GridDocument,
)
from fitting.documents import describe_fit
from fitting.figures import FIGURES, build_figure
from fitting.models import Fit
from fitting.plots.allocation import PAPERS
from fitting.plots.surface import RESIDUAL
from fitting.queries import ANALYSES, LR_SWEEP, build_coverage, list_fits, read_revision, view_study
from fitting.rows import read_rows
from teams.api.errors import ApiError, not_found
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of

ANALYSIS = OpenApiParameter("analysis", str, enum=list(ANALYSES))
LOSS_SCALE = OpenApiParameter(
    "ys", str, enum=["log", "lin", "excess", "relative"], description="How lr_loss draws losses."
)

VARIANT = OpenApiParameter(
    "variant", str, description="Which variant the compute-optimal figures show; its label."
)

REFERENCE = OpenApiParameter(
    "reference", str, description="Which variant the others are compared with; its label."
)

PAPER_LAWS = OpenApiParameter(
    "ref", str, enum=[PAPERS], description="Adds the laws of papers to the panes of allocation."
)
RUN_COLOUR = OpenApiParameter(
    "color", str, enum=[RESIDUAL], description="Colours the runs of surface by their residual."
)


class Fits(StudyView):
    """The history of an analysis."""

    @extend_schema(
        operation_id="list_fits",
        parameters=[ANALYSIS, *PAGING_PARAMETERS],
        responses=page_of(FitDocument),
    )
    def get(self, request: Request, study_id: int) -> Response:
        """List published fits, newest first; none is ever changed."""
        fits = list_fits(self.get_study(study_id), read_analysis(request))

        def describe(fit: Fit) -> dict[str, object]:
            return describe_fit(fit, fit.version)

        return Response(paginate(fits.defer("result"), request, "-pk", describe))


class OneFit(StudyView):
    """One version of a fit."""

    @extend_schema(operation_id="read_fit", parameters=[ANALYSIS], responses=FitResultDocument)
    def get(self, request: Request, study_id: int, version: int) -> Response:
        """Read a fit with its result; versions count from 1."""
        history = list_fits(self.get_study(study_id), read_analysis(request)).order_by("pk")
        fit = history[version - 1 : version].first() if 0 < version <= history.count() else None
        if fit is None:
            raise not_found(f"version {version}")
        return Response({**describe_fit(fit, version), "result": fit.result})


class Grid(StudyView):
    """What was run."""

    @extend_schema(operation_id="read_grid", responses=GridDocument)
    def get(self, request: Request, study_id: int) -> Response:
        """Count the runs of each size and learning rate: done, running, diverged, failed."""
        return Response(build_coverage(read_rows(self.get_study(study_id)).rows))


class Figure(StudyView):
    """One figure of a study."""

    @extend_schema(
        operation_id="read_study_figure",
        parameters=[LOSS_SCALE, VARIANT, REFERENCE, PAPER_LAWS, RUN_COLOUR],
        responses={200: FigureDocument, 304: None},
    )
    def get(self, request: Request, study_id: int, name: str) -> Response:
        """Read the dict that the page draws, such as lr_loss, isoflop or frontier."""
        study = self.get_study(study_id)
        if name not in FIGURES:
            raise not_found(f"figure {name!r}")
        rev, options = read_revision(study)["rev"], request.query_params.dict()
        tag = f"{rev}-{quote(request.query_params.urlencode(), safe='')}"
        return answer_tagged(
            request, tag, lambda: build_figure(name, view_study(study), options, rev)
        )


def read_analysis(request: Request) -> str:
    """Return the analysis that the query names."""
    analysis = request.query_params.get("analysis", LR_SWEEP)
    if analysis not in ANALYSES:
        message = f"The analyses are {', '.join(ANALYSES)}."
        raise ApiError(422, "unknown_value", message, "analysis")
    return analysis
