"""API tokens: list, create, revoke."""

from __future__ import annotations

from datetime import datetime

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import CreatedToken, TokenCreate, TokenDocument, page_of
from teams.contexts import describe_token
from teams.models import ApiToken, Project, Scope, User
from teams.queries import list_tokens
from teams.services import Refused, check_token_wish, create_token, revoke_token

STATUS_OF_REFUSAL = {"scope": 403, "role": 403, "out_of_range": 422}
OWN_VALUES = ["0", "1"]
OWN = OpenApiParameter("own", str, enum=OWN_VALUES, description="1: only the caller's own.")


class Tokens(ApiView):
    """The caller's tokens, and those of the projects that the caller is admin of."""

    scopes = {"GET": Scope.ADMIN, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_tokens",
        parameters=[*PAGING_PARAMETERS, OWN],
        responses=page_of(TokenDocument),
    )
    def get(self, request: Request) -> Response:
        """List tokens, newest first; secrets are never shown again."""
        own = request.query_params.get("own", "0")
        if own not in OWN_VALUES:
            raise ApiError(422, "unknown_value", f"own is {own[:20]!r}; send 0 or 1.", "own")
        tokens = list_tokens(self.principal, own_only=own == "1")
        return Response(paginate(tokens, request, "-pk", describe_token))

    @extend_schema(operation_id="create_token", request=TokenCreate, responses={201: CreatedToken})
    def post(self, request: Request) -> Response:
        """Create a token; its text is in this answer and nowhere else."""
        fields = read_fields(TokenCreate, request.data)
        slug, scope = fields.get("project"), Scope(fields["scope"])
        project = self.get_project(slug) if slug else None
        expires_at = fields.get("expires_at")
        self._check(scope, project, expires_at)
        user = User.objects.get(pk=self.principal.user_id)
        token, text = create_token(user, fields["name"], scope, project, expires_at)
        return Response({**describe_token(token), "token": text}, status=201)

    def _check(self, scope: Scope, project: Project | None, expires_at: datetime | None) -> None:
        try:
            check_token_wish(self.principal, scope, project, expires_at)
        except Refused as refusal:
            status = STATUS_OF_REFUSAL[refusal.code]
            field = "/expires_at" if status == 422 else None
            raise ApiError(status, refusal.code, refusal.message, field) from refusal


class OneToken(ApiView):
    """One token."""

    scopes = {"DELETE": Scope.ADMIN}

    @extend_schema(operation_id="revoke_token", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Revoke a token; it answers 401 from the next request on."""
        token = ApiToken.objects.visible_to(self.principal).filter(key=key).first()
        if token is None:
            raise not_found("token")
        revoke_token(token)
        return Response(status=204)
