"""What every API view shares."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.views import APIView

from teams.api.errors import ApiError, not_found
from teams.models import Project, Role, Scope
from teams.principals import ANONYMOUS, Principal
from teams.queries import bound_role, find_project, find_role

SCOPES_READ: dict[str, Scope | None] = {"GET": Scope.READ}


class ApiView(APIView):
    """An API view that declares the token scope of each method and knows who asks."""

    scopes: ClassVar[dict[str, Scope | None]] = SCOPES_READ
    http_method_names = ("get", "head", "post", "put", "patch", "delete")

    @property
    def bearer_only(self) -> bool:
        """Say whether only a token is let in, never the cookie of a browser."""
        return False

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Refuse a body of unknown length, which would look empty, before anything else."""
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
            message = "Send the body with a Content-Length, not chunked."
            raise ApiError(411, "length_required", message)
        super().initial(request, *args, **kwargs)

    principal: Principal = ANONYMOUS  # who asks, once that is known

    def perform_authentication(self, request: Request) -> None:
        """Find out who asks."""
        super().perform_authentication(request)
        self.principal = request.auth or ANONYMOUS

    def get_project(self, slug: str, role: Role = Role.VIEWER) -> Project:
        """Return the project if the principal has at least `role` in it, else answer 404."""
        project = find_project(self.principal, slug)
        if project is None:
            raise not_found(f"project {slug!r}")
        self.check_role(project, bound_role(self.principal, Role(project.held_role)), role)
        return project

    def require_role(self, project: Project, role: Role) -> None:
        """Answer 404 if the principal does not see the project, 403 if it may not do this."""
        held = find_role(self.principal, project)
        if held is None:
            raise not_found(f"project {project.slug!r}")
        self.check_role(project, held, role)

    def check_role(self, project: Project, held: Role, role: Role) -> None:
        """Answer 403 to who holds a role in the project that does not do for this."""
        if not held.includes(role):
            message = f"This needs the role {role}; yours in {project.slug} is {held}."
            raise ApiError(403, "role", message)
