"""A person's alerts: the list, what they have read, what they mute."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.alerts import queries, reading
from fitting.alerts.models import AlertKind, Level
from fitting.alerts.queries import AlertQuery
from fitting.api.base import answer_refusals
from runs.models import NAME_LENGTH
from scaledash.middleware import find_base_url
from teams.api.base import ApiView
from teams.api.errors import not_found, unprocessable
from teams.api.fields import Integer, StrictSerializer, Text, read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of
from teams.models import SLUG_LENGTH, Scope, User

MAX_IDS = 1_000
FILTERS = [
    OpenApiParameter("project", str, description="Slug of a project."),
    OpenApiParameter("run", str, description="Id of a run."),
    OpenApiParameter("study", str, description="Slug of a study: its own alerts and its runs'."),
    OpenApiParameter("severity", str, enum=list(Level.values)),
    OpenApiParameter("unread", bool, description="What the bell counts only."),
]


class AlertDocument(serializers.Serializer):
    """One alert; `evidence` holds values and thresholds of a verdict, `url` is the page of it."""

    id = serializers.IntegerField()
    project = serializers.CharField()
    run = serializers.CharField(allow_null=True)
    study = serializers.CharField(allow_null=True)
    subject = serializers.CharField()
    kind = serializers.ChoiceField(choices=AlertKind.choices)
    severity = serializers.ChoiceField(choices=Level.choices)
    diagnostic = serializers.CharField(allow_blank=True)
    title = serializers.CharField()
    sentence = serializers.CharField()
    first_step = serializers.IntegerField(allow_null=True)
    attempt = serializers.IntegerField()
    is_earlier_attempt = serializers.BooleanField()
    evidence = serializers.DictField()
    at = serializers.DateTimeField()
    url = serializers.CharField()
    is_read = serializers.BooleanField()
    is_muted = serializers.BooleanField()
    is_quiet = serializers.BooleanField()


class MuteDocument(serializers.Serializer):
    """One mute; without run and study it is of the whole project."""

    id = serializers.IntegerField()
    project = serializers.CharField()
    run = serializers.CharField(allow_null=True)
    study = serializers.CharField(allow_null=True)
    subject = serializers.CharField()
    at = serializers.DateTimeField()


class ReadWish(StrictSerializer):
    """Which alerts were seen: some by id, or all up to an id."""

    ids = serializers.ListField(
        child=Integer(min_value=1, max_value=queries.MAX_ID), max_length=MAX_IDS, required=False
    )
    up_to = Integer(min_value=1, max_value=queries.MAX_ID, required=False)


class ReadCount(serializers.Serializer):
    """How many were marked, and how many the bell still shows."""

    marked = serializers.IntegerField()
    unread = serializers.IntegerField()


class MuteWish(StrictSerializer):
    """What to mute: a project, or one of its runs or studies."""

    project = Text(max_length=SLUG_LENGTH)
    run = Text(max_length=NAME_LENGTH, required=False)
    study = Text(max_length=SLUG_LENGTH, required=False)


class Alerts(ApiView):
    """The alerts of one's projects."""

    @extend_schema(
        operation_id="list_alerts",
        parameters=[*FILTERS, *PAGING_PARAMETERS],
        responses=page_of(AlertDocument),
    )
    def get(self, request: Request) -> Response:
        """List alerts, newest first."""
        query = AlertQuery.read(request.query_params.dict())
        if query.severity and query.severity not in Level.values:
            message = f"The severities are {', '.join(Level.values)}."
            raise unprocessable("unknown_value", message, "severity")
        base = find_base_url(request)

        def describe(alert: object) -> dict[str, object]:
            document = queries.describe_alert(alert)
            return {**document, "url": f"{base}{document['url']}"}

        found = queries.list_alerts(self.principal, query)
        return Response(paginate(found, request, "-pk", describe))


class ReadAlerts(ApiView):
    """What one has read."""

    scopes = {"POST": Scope.WRITE}

    @extend_schema(operation_id="mark_alerts_read", request=ReadWish, responses=ReadCount)
    def post(self, request: Request) -> Response:
        """Mark alerts as read, for oneself alone; those one may not see are passed over."""
        wish = read_fields(ReadWish, request.data)
        if ("ids" in wish) == ("up_to" in wish):
            message = "Send ids, or up_to for all up to one; not both."
            raise unprocessable("required", message, "/ids")
        if "ids" in wish:
            marked = reading.mark_read(self.principal, list(wish["ids"]))
        else:
            marked = reading.mark_all_read(self.principal, AlertQuery(), int(wish["up_to"]))
        return Response({"marked": marked, "unread": queries.count_unread(self.principal)})


class AlertMutes(ApiView):
    """What one wants no alerts of."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(operation_id="list_alert_mutes", responses=MuteDocument(many=True))
    def get(self, request: Request) -> Response:
        """List one's mutes, newest first."""
        mutes = queries.list_mutes(self.principal)
        return Response([queries.describe_mute(mute) for mute in mutes])

    @extend_schema(operation_id="mute_alerts", request=MuteWish, responses={201: MuteDocument})
    def post(self, request: Request) -> Response:
        """Mute a project, a run or a study, for oneself alone; twice changes nothing."""
        wish = read_fields(MuteWish, request.data)
        project = self.get_project(str(wish["project"]))
        user = User.objects.get(pk=self.principal.user_id)
        run, study = str(wish.get("run", "")), str(wish.get("study", ""))
        with answer_refusals():
            made = reading.mute(user, project, run, study)
        return Response(queries.describe_mute(made), status=201)


class OneAlertMute(ApiView):
    """One mute."""

    scopes = {"DELETE": Scope.WRITE}

    @extend_schema(operation_id="unmute_alerts", responses={204: None})
    def delete(self, request: Request, mute_id: int) -> Response:
        """Want alerts again."""
        known = {mute.pk for mute in queries.list_mutes(self.principal)}
        if mute_id not in known or not reading.unmute(self.principal.user_id, mute_id):
            raise not_found("mute")
        return Response(status=204)
