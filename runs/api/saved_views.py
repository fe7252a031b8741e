"""Saved views: list, save, change, delete, bring back."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from runs import saved_views
from runs.api.base import answer_refusals
from runs.models import VIEW_NAME_LENGTH, SavedView, ViewPage
from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found, unprocessable
from teams.api.fields import Choice, Flag, StrictSerializer, Text, read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import page_of
from teams.models import Project, Role, Scope, User
from teams.queries import find_role


class SavedViewChange(StrictSerializer):
    """What of a saved view is changed; `query` is the address of its page after the ?."""

    name = Text(max_length=VIEW_NAME_LENGTH, required=False)
    query = Text(max_length=8_000, required=False, allow_blank=True)
    is_shared = Flag(required=False)
    is_default = Flag(required=False)


class SavedViewCreate(SavedViewChange):
    """The state of a page to save under a name."""

    page = Choice(ViewPage.choices)
    name = Text(max_length=VIEW_NAME_LENGTH)
    query = Text(max_length=8_000, allow_blank=True)


class SavedViewDocument(serializers.Serializer):
    """A saved view; `url` opens the state that was saved."""

    id = serializers.IntegerField()
    project = serializers.CharField()
    page = serializers.ChoiceField(ViewPage.choices)
    name = serializers.CharField()
    query = serializers.CharField()
    url = serializers.CharField()
    owner = serializers.CharField(allow_null=True)
    is_shared = serializers.BooleanField(help_text="Seen by all members of the project.")
    is_default = serializers.BooleanField(help_text="What a bare address of the page opens.")
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()


class SavedViews(ApiView):
    """The saved views of a project."""

    scopes = {"GET": Scope.READ, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_views",
        parameters=[*PAGING_PARAMETERS, OpenApiParameter("page", enum=ViewPage.values)],
        responses=page_of(SavedViewDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the views of the whole project and one's own."""
        project = self.get_project(slug)
        page = request.query_params.get("page") or None
        if page is not None and page not in ViewPage.values:
            message = f"There is no page {page[:20]!r}; the pages are {', '.join(ViewPage.values)}."
            raise unprocessable("unknown_value", message, "page")
        found = saved_views.list_views(project, self.principal.user_id, page)
        return Response(paginate(found, request, "pk", saved_views.describe_view))

    @extend_schema(
        operation_id="save_view", request=SavedViewCreate, responses={201: SavedViewDocument}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Save the state of a page under a name; editors may do it for the whole project."""
        project = self.get_project(slug)
        wish = saved_views.ViewWish(**read_fields(SavedViewCreate, request.data))
        user = User.objects.get(pk=self.principal.user_id)
        with answer_refusals():
            view = saved_views.save_view(project, user, self.find_role(project), wish)
        return Response(saved_views.describe_view(view), status=201)

    def find_role(self, project: Project) -> Role:
        """Return the caller's role in a project that it sees."""
        role = find_role(self.principal, project)
        assert role is not None
        return role


class OneSavedView(ApiView):
    """One saved view."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.ADMIN, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="get_view", responses=SavedViewDocument)
    def get(self, request: Request, slug: str, view_id: int) -> Response:
        """Return a view with the address that it opens."""
        return Response(saved_views.describe_view(self._get_view(slug, view_id)))

    @extend_schema(operation_id="change_view", request=SavedViewChange, responses=SavedViewDocument)
    def patch(self, request: Request, slug: str, view_id: int) -> Response:
        """Rename a view, give it another state, share it, make it the default of its page."""
        view = self._get_changeable(slug, view_id)
        changes = read_fields(SavedViewChange, request.data, partial=True)
        if "is_shared" in changes:
            self.require_role(view.project, Role.EDITOR)
        with answer_refusals():
            saved_views.change_view(view, changes)
        return Response(saved_views.describe_view(view))

    @extend_schema(operation_id="delete_view", responses={204: None})
    def delete(self, request: Request, slug: str, view_id: int) -> Response:
        """Delete a view; what it shows stays, and it can be brought back."""
        view = self._get_changeable(slug, view_id)
        saved_views.delete_view(view, User.objects.get(pk=self.principal.user_id))
        return Response(status=204)

    def _get_view(self, slug: str, view_id: int) -> SavedView:
        project = self.get_project(slug)
        found = saved_views.list_views(project, self.principal.user_id)
        view = found.filter(pk=view_id).first()
        if view is None:
            raise not_found("saved view")
        return view

    def _get_changeable(self, slug: str, view_id: int) -> SavedView:
        view = self._get_view(slug, view_id)
        role = find_role(self.principal, view.project)
        if not saved_views.may_change(view, self.principal.user_id, role):
            message = "Views of the whole project are changed by editors."
            raise ApiError(403, "role", message)
        return view


class SavedViewRestore(ApiView):
    """A view that was deleted."""

    scopes = {"POST": Scope.ADMIN}

    @extend_schema(operation_id="restore_view", request=None, responses=SavedViewDocument)
    def post(self, request: Request, slug: str, deleted_view_id: int) -> Response:
        """Bring back a view that one has deleted oneself."""
        project = self.get_project(slug)
        gone = SavedView.objects.filter(project=project, deleted_by=self.principal.user_id)
        view = gone.select_related("project", "owner").filter(pk=deleted_view_id).first()
        if view is None:
            raise not_found("deleted view")
        with answer_refusals():
            saved_views.restore_view(view)
        return Response(saved_views.describe_view(view))
