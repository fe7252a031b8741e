"""Webhooks of a project and the log of what they were sent; for its admins."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.alerts import hooks
from fitting.alerts.hook_pages import (
    describe_delivery,
    describe_hook,
    list_deliveries,
    list_hooks,
)
from fitting.alerts.models import (
    TITLE_LENGTH,
    URL_LENGTH,
    DeliveryState,
    HookFormat,
    Level,
    Webhook,
)
from fitting.api.base import answer_refusals
from teams.api.base import ApiView
from teams.api.errors import not_found
from teams.api.fields import Choice, StrictSerializer, Text, read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of
from teams.models import Role, Scope, User


class HookCreate(StrictSerializer):
    """A webhook to add."""

    name = Text(max_length=TITLE_LENGTH)
    url = Text(max_length=URL_LENGTH, help_text="https; a secret, never shown in full again")
    format = Choice(choices=HookFormat.choices, required=False)
    least = Choice(choices=Level.choices, required=False)


class HookDocument(serializers.Serializer):
    """A webhook; `to` is its address in part."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    to = serializers.CharField()
    format = serializers.ChoiceField(choices=HookFormat.choices)
    least = serializers.ChoiceField(choices=Level.choices)
    state = serializers.CharField(help_text="on or off")
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = serializers.CharField(allow_blank=True)
    failures = serializers.IntegerField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class CreatedHook(HookDocument):
    """A new webhook with the secret that signs its messages, this once."""

    secret = serializers.CharField()


class DeliveryDocument(serializers.Serializer):
    """One line of the log; `alert` is null for a test."""

    id = serializers.IntegerField()
    hook = serializers.IntegerField()
    hook_name = serializers.CharField()
    alert = serializers.IntegerField(allow_null=True)
    text = serializers.CharField()
    url = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=DeliveryState.choices)
    code = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    attempts = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    next_at = serializers.DateTimeField(allow_null=True)


class Hooks(ApiView):
    """The webhooks of a project."""

    scopes = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_webhooks", parameters=PAGING_PARAMETERS, responses=page_of(HookDocument)
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the webhooks of a project; admins only."""
        found = list_hooks(self.get_project(slug, Role.ADMIN))
        return Response(paginate(found, request, "pk", describe_hook))

    @extend_schema(operation_id="create_webhook", request=HookCreate, responses={201: CreatedHook})
    def post(self, request: Request, slug: str) -> Response:
        """Add a webhook; the answer alone holds the secret that signs its messages."""
        project = self.get_project(slug, Role.ADMIN)
        fields = read_fields(HookCreate, request.data)
        user = User.objects.get(pk=self.principal.user_id)
        with answer_refusals():
            hook = hooks.create_hook(project, user, hooks.HookWish(**fields))
        document = {**describe_hook(hook), "secret": hooks.find_secret(hook)}
        return Response(document, status=201)


class HookView(ApiView):
    """A view of one webhook."""

    def get_hook(self, slug: str, hook_id: int) -> Webhook:
        """Return the webhook if the principal is an admin of its project, else 404."""
        project = self.get_project(slug, Role.ADMIN)
        found = list_hooks(project).select_related("project").filter(pk=hook_id).first()
        if found is None:
            raise not_found("webhook")
        return found


class OneHook(HookView):
    """One webhook."""

    scopes = {"DELETE": Scope.ADMIN}

    @extend_schema(operation_id="remove_webhook", responses={204: None})
    def delete(self, request: Request, slug: str, hook_id: int) -> Response:
        """Remove a webhook and its log."""
        hooks.remove_hook(self.get_hook(slug, hook_id))
        return Response(status=204)


class HookTest(HookView):
    """Trying a webhook."""

    scopes = {"POST": Scope.ADMIN}

    @extend_schema(operation_id="test_webhook", request=None, responses={202: DeliveryDocument})
    def post(self, request: Request, slug: str, hook_id: int) -> Response:
        """Put a test on its way; the log says how it went."""
        hook = self.get_hook(slug, hook_id)
        with answer_refusals():
            delivery = hooks.send_test(hook)
        return Response(describe_delivery(delivery), status=202)


class HookEnable(HookView):
    """Turning a webhook on again."""

    scopes = {"POST": Scope.ADMIN}

    @extend_schema(operation_id="enable_webhook", request=None, responses=HookDocument)
    def post(self, request: Request, slug: str, hook_id: int) -> Response:
        """Turn a webhook on again that the server turned off after repeated failure."""
        hooks.enable_hook(self.get_hook(slug, hook_id))
        return Response(describe_hook(self.get_hook(slug, hook_id)))


class Deliveries(ApiView):
    """The log of a project's webhooks."""

    scopes = {"GET": Scope.ADMIN}

    @extend_schema(
        operation_id="list_deliveries",
        parameters=PAGING_PARAMETERS,
        responses=page_of(DeliveryDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List what was sent, newest first: state, HTTP status, tries, time, reason."""
        found = list_deliveries(self.get_project(slug, Role.ADMIN))
        return Response(paginate(found, request, "-pk", describe_delivery))
