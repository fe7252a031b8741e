"""Studies: list, create, read, change, delete, and their revision."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fitting.api.base import StudyView, answer_refusals, answer_tagged
from fitting.api.serializers import (
    RevisionDocument,
    StudyChange,
    StudyCreate,
    StudyDocument,
    StudyViewDocument,
)
from fitting.documents import describe_study, describe_view
from fitting.figures import FIGURES
from fitting.models import Study
from fitting.queries import ANALYSES, list_studies, read_revision, view_study
from fitting.services import StudyWish, create_study, delete_study, edit_study
from fitting.study_file import answer_file
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of
from teams.comments import add_mark
from teams.models import Role, Scope, User

PROJECT = OpenApiParameter("project", str, description="Slug of the project.")


class Studies(StudyView):
    """The studies of the projects that the caller belongs to."""

    scopes = {"GET": Scope.READ, "POST": Scope.WRITE}

    @extend_schema(
        operation_id="list_studies",
        parameters=[PROJECT, *PAGING_PARAMETERS],
        responses=page_of(StudyDocument),
    )
    def get(self, request: Request) -> Response:
        """List studies, newest first."""
        slug = request.query_params.get("project")
        project = self.get_project(slug) if slug else None
        return Response(
            paginate(list_studies(self.principal, project), request, "-pk", describe_study)
        )

    @extend_schema(operation_id="create_study", request=StudyCreate, responses={201: StudyDocument})
    def post(self, request: Request) -> Response:
        """Create a study; the runs that its selection names join it at once and from then on."""
        fields = read_fields(StudyCreate, request.data)
        project = self.get_project(fields.pop("project"), Role.EDITOR)
        user = User.objects.get(pk=self.principal.user_id)
        with answer_refusals():
            study = create_study(project, user, StudyWish(**fields))
        return Response(self._describe(study), status=201)

    def _describe(self, study: Study) -> dict[str, object]:
        return describe_study(list_studies(self.principal).get(pk=study.pk))


class OneStudy(StudyView):
    """One study."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.WRITE, "DELETE": Scope.WRITE}

    @extend_schema(operation_id="read_study", responses=StudyViewDocument)
    def get(self, request: Request, study_id: int) -> Response:
        """Read a study with what it reads, how current its fit is, and what can be asked of it."""
        view = view_study(self.get_study(study_id))
        figures = [{"name": name, "title": plot.title} for name, plot in FIGURES.items()]
        return Response({**describe_view(view), "analyses": ANALYSES, "figures": figures})

    @extend_schema(operation_id="change_study", request=StudyChange, responses=StudyDocument)
    def patch(self, request: Request, study_id: int) -> Response:
        """Change what a study reads; its fits follow."""
        study = self.get_study(study_id, Role.EDITOR)
        fields = read_fields(StudyChange, request.data, partial=True)
        with answer_refusals():
            edit_study(study, fields)
        return Response(describe_study(self.get_study(study_id)))

    @extend_schema(operation_id="delete_study", responses={204: None})
    def delete(self, request: Request, study_id: int) -> Response:
        """Hide the study from everybody; its runs stay."""
        delete_study(self.get_study(study_id, Role.EDITOR))
        return Response(status=204)


class StudyFile(StudyView):
    """A study as a file."""

    @extend_schema(
        operation_id="download_study", responses={(200, "text/html"): OpenApiTypes.BINARY}
    )
    def get(self, request: Request, study_id: int) -> StreamingHttpResponse:
        """Download the study as one HTML file that opens without a server."""
        return answer_file(request, self.get_study(study_id))


class StudyRevision(StudyView):
    """The revision of a study."""

    @extend_schema(operation_id="read_study_revision", responses={200: RevisionDocument, 304: None})
    def get(self, request: Request, study_id: int) -> Response:
        """Say whether anything that the study's page shows has changed."""
        study = self.get_study(study_id)
        now = add_mark(read_revision(study), study.project_id, "study", study.pk)
        return answer_tagged(request, now["rev"], lambda: now)
