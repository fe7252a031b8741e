"""Comments on runs and studies: list, write, change, remove."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import comments
from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import CommentChange, CommentCreate, CommentDocument, page_of
from teams.api.subjects import choose_subject
from teams.models import Comment, Role, Scope, User
from teams.services import Refused
from teams.sharing import COMMENTS

SUBJECT = [
    OpenApiParameter("kind", str, required=True, description="study or run."),
    OpenApiParameter("id", str, required=True, description="Slug of the study, id of the run."),
]


class Comments(ApiView):
    """The comments on a run or a study."""

    scopes = {"GET": Scope.READ, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_comments",
        parameters=[*PAGING_PARAMETERS, *SUBJECT],
        responses=page_of(CommentDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the comments on a run or a study, oldest first."""
        project = self.get_project(slug)
        kind, subject_id = (request.query_params.get(name, "") for name in ("kind", "id"))
        subject = choose_subject(self.principal, project, kind, subject_id, COMMENTS)
        found = comments.list_comments(project, kind, subject.fields[kind])
        members = comments.name_members(project)

        def describe(comment: Comment) -> dict[str, object]:
            return comments.describe_comment(comment, members)

        return Response(paginate(found, request, "pk", describe))

    @extend_schema(
        operation_id="create_comment", request=CommentCreate, responses={201: CommentDocument}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Write a comment, in Markdown; editors and admins."""
        project = self.get_project(slug, Role.EDITOR)
        fields = read_fields(CommentCreate, request.data)
        kind = str(fields["kind"])
        subject = choose_subject(self.principal, project, kind, fields["id"], COMMENTS)
        remark = comments.Remark(
            kind=kind,
            subject=subject.fields[kind],
            place=fields["id"],
            title=subject.title,
            body=fields["body"],
            metric=fields.get("metric", ""),
            step=fields.get("step"),
        )
        author = User.objects.get(pk=self.principal.user_id)
        comment = comments.add_comment(project, author, remark)
        return Response(_describe(comment), status=201)


class OneComment(ApiView):
    """One comment."""

    scopes = {"PATCH": Scope.ADMIN, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="change_comment", request=CommentChange, responses=CommentDocument)
    def patch(self, request: Request, slug: str, comment_id: int) -> Response:
        """Change one's own comment; it says that it was edited."""
        comment = self._get_comment(slug, comment_id)
        body = read_fields(CommentChange, request.data)["body"]
        try:
            comments.edit_comment(comment, self.principal, body)
        except Refused as refusal:
            raise ApiError(403, refusal.code, refusal.message) from refusal
        return Response(_describe(comment))

    @extend_schema(operation_id="delete_comment", responses={204: None})
    def delete(self, request: Request, slug: str, comment_id: int) -> Response:
        """Remove one's own comment, or as an admin anybody's."""
        comment = self._get_comment(slug, comment_id)
        try:
            comments.delete_comment(comment, self.principal)
        except Refused as refusal:
            raise ApiError(403, refusal.code, refusal.message) from refusal
        return Response(status=204)

    def _get_comment(self, slug: str, comment_id: int) -> Comment:
        project = self.get_project(slug, Role.EDITOR)
        found = Comment.objects.filter(project=project).select_related("author", "project")
        comment = found.filter(pk=comment_id).first()
        if comment is None:
            raise not_found("comment")
        return comment


def _describe(comment: Comment) -> dict[str, object]:
    return comments.describe_comment(comment, comments.name_members(comment.project))
