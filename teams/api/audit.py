"""What happened in a project: the feed for members, the whole audit log for admins."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams.activity import describe_entry, describe_event, list_activity, list_audit
from teams.api.base import ApiView
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import ActivityDocument, AuditDocument, page_of
from teams.models import Role, Scope
from teams.queries import find_role


class Activity(ApiView):
    """What members did."""

    @extend_schema(
        operation_id="list_activity",
        parameters=PAGING_PARAMETERS,
        responses=page_of(ActivityDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List what members did in a project, newest first."""
        project = self.get_project(slug)
        role = find_role(self.principal, project) or Role.VIEWER
        return Response(paginate(list_activity(project, role), request, "-pk", describe_event))


class Audit(ApiView):
    """Who changed what, from where."""

    scopes = {"GET": Scope.ADMIN}

    @extend_schema(
        operation_id="list_audit",
        parameters=PAGING_PARAMETERS,
        responses=page_of(AuditDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List every change of a project, newest first; admins only."""
        project = self.get_project(slug, Role.ADMIN)
        return Response(paginate(list_audit(project), request, "-pk", describe_entry))
