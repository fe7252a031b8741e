"""Fields of a project: what a filter may name."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api.base import RunView
from runs.api.serializers import FieldsDocument
from runs.catalogue import list_fields
from runs.models import Run


class Fields(RunView):
    """What the runs of a project can be filtered by."""

    @extend_schema(
        operation_id="list_fields",
        parameters=[OpenApiParameter("search", str, description="A part of the name.")],
        responses=FieldsDocument,
    )
    def get(self, request: Request, slug: str) -> Response:
        """List fields, config keys and metrics, with the values seen where they are few."""
        project = self.get_project(slug)
        runs = Run.objects.visible_to(self.principal).filter(project=project)
        found, total = list_fields(runs, request.query_params.get("search", ""))
        return Response({"items": [asdict(item) for item in found], "total": total})
