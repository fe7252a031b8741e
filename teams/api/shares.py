"""Share links: list, create, revoke."""

from __future__ import annotations

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from scaledash.middleware import find_base_url
from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import CreatedShare, ShareCreate, ShareDocument, page_of
from teams.api.subjects import choose_subject
from teams.contexts import describe_share
from teams.models import Role, Scope, Share, User
from teams.queries import list_shares
from teams.services import Refused
from teams.sharing import ShareWish, create_share, revoke_share

REFUSED_FIELDS = {"out_of_range": "/expires_at", "not_included": "/with_comments"}


class Shares(ApiView):
    """The share links of a project."""

    scopes = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_shares",
        parameters=PAGING_PARAMETERS,
        responses=page_of(ShareDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the share links of a project, newest first; addresses are never shown again."""
        project = self.get_project(slug, Role.EDITOR)
        return Response(paginate(list_shares(project), request, "-pk", describe_share))

    @extend_schema(operation_id="create_share", request=ShareCreate, responses={201: CreatedShare})
    def post(self, request: Request, slug: str) -> Response:
        """Make a link to one thing of a project; its address is in this answer and nowhere else."""
        project = self.get_project(slug, Role.EDITOR)
        fields = read_fields(ShareCreate, request.data)
        wish = ShareWish(
            kind=fields["kind"],
            subject=choose_subject(self.principal, project, fields["kind"], fields["id"]),
            title=fields.get("title", ""),
            is_frozen=fields.get("mode") == "frozen",
            with_notes=fields.get("with_notes", False),
            with_comments=fields.get("with_comments", False),
            password=fields.get("password", ""),
            expires_at=fields.get("expires_at"),
        )
        user = User.objects.get(pk=self.principal.user_id)
        try:
            share, token = create_share(project, user, wish)
        except Refused as refusal:
            field = REFUSED_FIELDS.get(refusal.code, "/mode")
            raise ApiError(422, refusal.code, refusal.message, field) from refusal
        url = find_base_url(request) + reverse("share", args=[token])
        return Response({**describe_share(share), "url": url}, status=201)


class OneShare(ApiView):
    """One share link."""

    scopes = {"DELETE": Scope.ADMIN}

    @extend_schema(operation_id="revoke_share", responses={204: None})
    def delete(self, request: Request, slug: str, share_id: int) -> Response:
        """Revoke a link; it is 404 from the next request on."""
        project = self.get_project(slug, Role.EDITOR)
        share = Share.objects.filter(project=project, pk=share_id).first()
        if share is None:
            raise not_found("share link")
        revoke_share(share)
        return Response(status=204)
