"""What a project decides about its diagnoses: thresholds and meanings of metric names."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import answer_refusals
from fitting.diagnoses.naming import forget_meaning, list_names, set_meaning
from fitting.diagnoses.thresholds import change_thresholds, list_thresholds
from runs.models import NAME_LENGTH
from teams.api.base import ApiView
from teams.api.errors import ApiError
from teams.api.fields import StrictSerializer, Text, read_fields
from teams.models import Role, Scope, User


class ThresholdList(serializers.Serializer):
    """Every diagnostic with its thresholds: value in force, default, source, who changed it."""

    diagnostics = serializers.ListField(child=serializers.DictField())


class ThresholdChange(StrictSerializer):
    """Thresholds of one diagnostic by name; null takes the default back."""

    values = serializers.DictField(child=serializers.FloatField(allow_null=True))


class NameList(serializers.Serializer):
    """The metrics that are read as something, guesses first, and those that nothing reads."""

    metrics = serializers.ListField(child=serializers.DictField())
    n_guesses = serializers.IntegerField()
    unread = serializers.ListField(child=serializers.CharField())
    n_unread = serializers.IntegerField()


class NameChange(StrictSerializer):
    """What a metric stands for; an empty key lets no diagnostic read it."""

    metric = Text(max_length=NAME_LENGTH)
    key = Text(max_length=NAME_LENGTH, allow_blank=True)
    unit = Text(max_length=16, allow_blank=True, required=False)


class Thresholds(ApiView):
    """The thresholds of a project."""

    @extend_schema(operation_id="list_thresholds", responses=ThresholdList)
    def get(self, request: Request, slug: str) -> Response:
        """List the thresholds in force with their defaults and sources."""
        return Response({"diagnostics": list_thresholds(self.get_project(slug))})


class OneDiagnostic(ApiView):
    """The thresholds of one diagnostic."""

    scopes = {"PATCH": Scope.WRITE}

    @extend_schema(
        operation_id="change_thresholds", request=ThresholdChange, responses=ThresholdList
    )
    def patch(self, request: Request, slug: str, diagnostic: str) -> Response:
        """Set thresholds, or take them back with null; every run is judged again."""
        project = self.get_project(slug, Role.EDITOR)
        values = read_fields(ThresholdChange, request.data)["values"]
        user = User.objects.filter(pk=self.principal.user_id).first()
        with answer_refusals():
            change_thresholds(project, user, diagnostic, values)
        return Response({"diagnostics": list_thresholds(project)})


class MetricNames(ApiView):
    """The metric names of a project and what they are read as."""

    scopes = {"GET": Scope.READ, "PUT": Scope.WRITE, "DELETE": Scope.WRITE}

    @extend_schema(operation_id="list_metric_names", responses=NameList)
    def get(self, request: Request, slug: str) -> Response:
        """List how each metric was recognised, its unit and its trap, guesses first."""
        return Response(list_names(self.get_project(slug)))

    @extend_schema(operation_id="set_metric_name", request=NameChange, responses=NameList)
    def put(self, request: Request, slug: str) -> Response:
        """Say what a metric stands for; every run that logs it is judged again."""
        project = self.get_project(slug, Role.EDITOR)
        fields = read_fields(NameChange, request.data)
        user = User.objects.filter(pk=self.principal.user_id).first()
        with answer_refusals():
            set_meaning(project, user, **fields)
        return Response(list_names(project))

    @extend_schema(
        operation_id="reset_metric_name",
        parameters=[OpenApiParameter("metric", str, description="Name of the metric.")],
        responses=NameList,
    )
    def delete(self, request: Request, slug: str) -> Response:
        """Let the name speak for itself again."""
        project = self.get_project(slug, Role.EDITOR)
        metric = request.query_params.get("metric", "")
        if not forget_meaning(project, metric):
            message = f"Nobody has said what {metric[:80]!r} stands for."
            raise ApiError(404, "not_found", message, "/metric")
        return Response(list_names(project))
