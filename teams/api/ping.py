"""GET /api/v1/ping: is the server there, and what is my token good for."""

from __future__ import annotations

import time

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams.api.base import ApiView
from teams.api.serializers import PingDocument
from teams.models import ApiToken, Project, User


class Ping(ApiView):
    """The server's version and clock, and what the token may do."""

    scopes = {"GET": None}

    @extend_schema(operation_id="ping", responses=PingDocument)
    def get(self, request: Request) -> Response:
        """Say who the caller is; any valid token will do."""
        principal = self.principal
        project = Project.objects.visible_to(principal).filter(pk=principal.project_id).first()
        token = ApiToken.objects.filter(pk=principal.token_id).first()
        document = {
            "version": settings.VERSION,
            "scope": principal.scope,
            "project": project.slug if project else None,
            "user": User.objects.get(pk=principal.user_id).username,
            "expires_at": token.expires_at if token else None,
            "time": time.time(),
        }
        return Response(document)
