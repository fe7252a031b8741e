"""Predictions of a study's laws, and the register of those that were frozen."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import StudyView, answer_refusals
from fitting.api.serializers import (
    ForecastDocument,
    ForecastFreeze,
    PredictionDocument,
)
from fitting.forecast_page import (
    describe_forecast,
    describe_prediction,
    read_target,
)
from fitting.forecasting import Prediction, Target, predict
from fitting.models import Forecast, Quantity
from fitting.queries import view_study
from fitting.services import freeze_forecast
from teams.api.errors import ApiError
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of
from teams.models import Role, Scope, User

ASKED = [
    OpenApiParameter("quantity", str, enum=list(Quantity.values), required=True),
    OpenApiParameter("n", str, description="N in parameters, such as 400M"),
    OpenApiParameter("d", str, description="D in tokens, such as 8B"),
    OpenApiParameter("c", str, description="C in FLOPs, such as 1e21"),
    OpenApiParameter("lr", str, description="Peak learning rate, such as 3e-2"),
    OpenApiParameter("approach", str, description="Law that gives N*; approach 3 by default."),
    OpenApiParameter("variant", str, description="Label of the variant."),
]


class Predict(StudyView):
    """What the laws of a study say about a target."""

    @extend_schema(operation_id="predict", parameters=ASKED, responses=PredictionDocument)
    def get(self, request: Request, study_id: int) -> Response:
        """Predict the loss of a run, the compute-optimal size of a budget, or the best LR."""
        view = view_study(self.get_study(study_id))
        target = read_asked(request.query_params.dict())
        found = predict(view, target)
        if not isinstance(found, Prediction):
            raise ApiError(422, "no_prediction", f"{found['sentence']}.", "quantity")
        return Response(describe_prediction(found))


class Forecasts(StudyView):
    """The register of frozen predictions."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(
        operation_id="list_forecasts",
        parameters=PAGING_PARAMETERS,
        responses=page_of(ForecastDocument),
    )
    def get(self, request: Request, study_id: int) -> Response:
        """List frozen forecasts, newest first, each with its score once runs have tested it."""
        view = view_study(self.get_study(study_id))
        forecasts = Forecast.objects.filter(study=view.study).select_related("fit", "created_by")

        def describe(forecast: Forecast) -> dict[str, object]:
            return describe_forecast(forecast, view)

        return Response(paginate(forecasts, request, "-pk", describe))

    @extend_schema(
        operation_id="freeze_forecast", request=ForecastFreeze, responses={201: ForecastDocument}
    )
    def post(self, request: Request, study_id: int) -> Response:
        """Freeze what the current fit predicts; it is never changed afterwards."""
        view = view_study(self.get_study(study_id, Role.EDITOR))
        fields = read_fields(ForecastFreeze, request.data)
        target = read_asked({key: str(value) for key, value in fields.items()})
        user = User.objects.get(pk=self.principal.user_id)
        with answer_refusals():
            forecast = freeze_forecast(view, user, target)
        return Response(describe_forecast(forecast, view), status=201)


def read_asked(options: dict[str, str]) -> Target:
    """Return the target, or answer 422 with what is wrong with it."""
    target, problem = read_target(options)
    if problem:
        raise ApiError(422, "invalid", problem, "quantity")
    return target
