"""Invitations and handing over: who is to be in a project, and who rules it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from scaledash.middleware import find_base_url
from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found, unprocessable
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import (
    CreatedInvitation,
    HandOver,
    InvitationCreate,
    InvitationDocument,
    MemberDocument,
    page_of,
)
from teams.contexts import describe_member
from teams.invitations import create_invitation, describe_invitation, revoke_invitation
from teams.models import Invitation, Role, Scope, User
from teams.queries import list_invitations
from teams.services import Refused, hand_over

DEFAULT_LIFETIME = timedelta(days=7)
MAX_LIFETIME = timedelta(days=30)


class Invitations(ApiView):
    """The invitations of a project."""

    scopes = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_invitations",
        parameters=PAGING_PARAMETERS,
        responses=page_of(InvitationDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the invitations of a project, newest first; admins only."""
        project = self.get_project(slug, Role.ADMIN)
        invitations = list_invitations(project)
        return Response(paginate(invitations, request, "-pk", describe_invitation))

    @extend_schema(
        operation_id="create_invitation",
        request=InvitationCreate,
        responses={201: CreatedInvitation},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make a link by which one person joins; its address is in this answer and nowhere else."""
        project = self.get_project(slug, Role.ADMIN)
        fields = read_fields(InvitationCreate, request.data)
        now = timezone.now()
        wanted = fields.get("expires_at")
        expires_at = wanted if isinstance(wanted, datetime) else now + DEFAULT_LIFETIME
        if expires_at > now + MAX_LIFETIME:
            message = (
                f"An invitation lasts {MAX_LIFETIME.days} days at most; choose an earlier end."
            )
            raise unprocessable("out_of_range", message, "/expires_at")
        user = User.objects.get(pk=self.principal.user_id)
        role, label = Role(fields["role"]), fields.get("label", "")
        try:
            invitation, secret = create_invitation(project, user, role, expires_at, label)
        except Refused as refusal:
            raise ApiError(422, refusal.code, refusal.message, "/expires_at") from refusal
        url = find_base_url(request) + reverse("invitation", args=[secret])
        return Response({**describe_invitation(invitation), "url": url}, status=201)


class OneInvitation(ApiView):
    """One invitation."""

    scopes = {"DELETE": Scope.ADMIN}

    @extend_schema(operation_id="revoke_invitation", responses={204: None})
    def delete(self, request: Request, slug: str, invitation_id: int) -> Response:
        """Revoke an invitation; it is 404 from the next request on."""
        project = self.get_project(slug, Role.ADMIN)
        invitation = Invitation.objects.filter(project=project, pk=invitation_id).first()
        if invitation is None:
            raise not_found("invitation")
        revoke_invitation(invitation)
        return Response(status=204)


class HandOvers(ApiView):
    """Giving a project into other hands."""

    scopes = {"POST": Scope.ADMIN}

    @extend_schema(operation_id="hand_over_project", request=HandOver, responses=MemberDocument)
    def post(self, request: Request, slug: str) -> Response:
        """Make another member admin in the caller's place, who stays as an editor."""
        project = self.get_project(slug, Role.ADMIN)
        name = read_fields(HandOver, request.data)["user"]
        member = project.memberships.filter(user__username=name).select_related("user").first()
        if member is None:
            raise unprocessable("unknown_value", f"No member is called {name!r}.", "/user")
        giver = User.objects.get(pk=self.principal.user_id)
        try:
            hand_over(project, giver, member.user)
        except Refused as refusal:
            raise ApiError(422, refusal.code, refusal.message, "/user") from refusal
        member.refresh_from_db()
        return Response(describe_member(member))
