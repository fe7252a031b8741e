"""Projects and their members."""

from __future__ import annotations

from django.db import IntegrityError
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams.api.base import ApiView
from teams.api.errors import ApiError, not_found, unprocessable
from teams.api.fields import read_fields
from teams.api.paging import PAGING_PARAMETERS, paginate
from teams.api.serializers import (
    MemberAdd,
    MemberChange,
    MemberDocument,
    ProjectChange,
    ProjectCreate,
    ProjectDocument,
    page_of,
)
from teams.contexts import describe_member, describe_project
from teams.models import Membership, Project, Role, Scope, User
from teams.queries import bound_role, find_role, list_projects
from teams.services import (
    Refused,
    create_project,
    delete_project,
    remove_member,
    set_member,
    update_project,
)


class Projects(ApiView):
    """The projects that the caller belongs to."""

    scopes = {"GET": Scope.READ, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_projects",
        parameters=PAGING_PARAMETERS,
        responses=page_of(ProjectDocument),
    )
    def get(self, request: Request) -> Response:
        """List the projects that the caller belongs to, by slug."""
        principal = self.principal

        def describe(project: Project) -> dict[str, object]:
            return describe_project(project, bound_role(principal, Role(project.held_role)))

        return Response(paginate(list_projects(principal), request, "slug", describe))

    @extend_schema(
        operation_id="create_project", request=ProjectCreate, responses={201: ProjectDocument}
    )
    def post(self, request: Request) -> Response:
        """Create a project; the caller becomes its first admin."""
        principal = self.principal
        fields = read_fields(ProjectCreate, request.data)
        if principal.project_id is not None:
            raise ApiError(403, "scope", "A token of one project cannot create another.")
        slug = fields["slug"]
        user = User.objects.get(pk=principal.user_id)
        name, description = fields.get("name", slug), fields.get("description", "")
        try:
            is_demo = fields.get("is_demo", False)
            project = create_project(user, slug, name, description, is_demo=is_demo)
        except IntegrityError as error:
            message = f"The slug {slug!r} is taken; choose another."
            raise ApiError(409, "slug_taken", message, "/slug") from error
        return Response(describe_project(project, Role.ADMIN), status=201)


class OneProject(ApiView):
    """One project."""

    scopes = {"GET": Scope.READ, "PATCH": Scope.ADMIN, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="read_project", responses=ProjectDocument)
    def get(self, request: Request, slug: str) -> Response:
        """Read a project."""
        return Response(self._describe(self.get_project(slug)))

    @extend_schema(operation_id="change_project", request=ProjectChange, responses=ProjectDocument)
    def patch(self, request: Request, slug: str) -> Response:
        """Change name or description; admins only."""
        project = self.get_project(slug, Role.ADMIN)
        update_project(project, **read_fields(ProjectChange, request.data, partial=True))
        return Response(self._describe(project))

    @extend_schema(operation_id="delete_project", responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Hide the project with all it holds from everybody; admins only."""
        delete_project(self.get_project(slug, Role.ADMIN))
        return Response(status=204)

    def _describe(self, project: Project) -> dict[str, object]:
        role = find_role(self.principal, project)
        if role is None:
            raise not_found(f"project {project.slug!r}")
        return describe_project(project, role)


class Members(ApiView):
    """The members of a project."""

    scopes = {"GET": Scope.READ, "POST": Scope.ADMIN}

    @extend_schema(
        operation_id="list_members",
        parameters=PAGING_PARAMETERS,
        responses=page_of(MemberDocument),
    )
    def get(self, request: Request, slug: str) -> Response:
        """List the members, oldest first."""
        members = self.get_project(slug).memberships.select_related("user")
        return Response(paginate(members, request, "pk", describe_member))

    @extend_schema(operation_id="add_member", request=MemberAdd, responses={201: MemberDocument})
    def post(self, request: Request, slug: str) -> Response:
        """Add a member by user name; admins only."""
        project = self.get_project(slug, Role.ADMIN)
        fields = read_fields(MemberAdd, request.data)
        user = User.objects.filter(username=fields["user"], is_active=True).first()
        if user is None:
            raise unprocessable("unknown_value", f"Nobody is called {fields['user']!r}.", "/user")
        if project.memberships.filter(user=user).exists():
            message = f"{user.username} is a member already; change the role with PATCH."
            raise ApiError(409, "already_member", message, "/user")
        return Response(describe_member(_set_role(project, user, fields["role"])), status=201)


class OneMember(ApiView):
    """One member of a project."""

    scopes = {"PATCH": Scope.ADMIN, "DELETE": Scope.ADMIN}

    @extend_schema(operation_id="change_member", request=MemberChange, responses=MemberDocument)
    def patch(self, request: Request, slug: str, username: str) -> Response:
        """Change a member's role; admins only, and the last admin stays one."""
        project = self.get_project(slug, Role.ADMIN)
        member = _get_member(project, username)
        role = read_fields(MemberChange, request.data)["role"]
        return Response(describe_member(_set_role(project, member.user, role)))

    @extend_schema(operation_id="remove_member", responses={204: None})
    def delete(self, request: Request, slug: str, username: str) -> Response:
        """Remove a member; admins only, and the last admin cannot be removed."""
        project = self.get_project(slug, Role.ADMIN)
        try:
            remove_member(project, _get_member(project, username).user)
        except Refused as refusal:
            raise ApiError(409, refusal.code, refusal.message) from refusal
        return Response(status=204)


def _get_member(project: Project, username: str) -> Membership:
    member = project.memberships.select_related("user").filter(user__username=username).first()
    if member is None:
        raise not_found(f"member {username!r}")
    return member


def _set_role(project: Project, user: User, role: str) -> Membership:
    try:
        return set_member(project, user, Role(role))
    except Refused as refusal:
        raise ApiError(409, refusal.code, refusal.message, "/role") from refusal
