"""What every API view shares."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.views import APIView

from teams.api.errors import ApiError, not_found
from teams.models import Project, Role, Scope
from teams.principals import ANONYMOUS, Principal
from teams.queries import find_role

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

    @property
    def principal(self) -> Principal:
        """Return who asks."""
        return self.request.auth or ANONYMOUS

    def get_project(self, slug: str, role: Role = Role.VIEWER) -> Project:
        """Return the project if the principal has at least `role` in it, else answer 404."""
        project = Project.objects.visible_to(self.principal).filter(slug=slug).first()
        if project is None:
            raise not_found(f"project {slug!r}")
        self.require_role(project, role)
        return project

    def require_role(self, project: Project, role: Role) -> None:
        """Answer 403 if the principal sees the project but may not do this in it."""
        held = find_role(self.principal, project)
        if held is None:
            raise not_found(f"project {project.slug!r}")
        if not held.includes(role):
            message = f"This needs the role {role}; yours in {project.slug} is {held}."
            raise ApiError(403, "role", message)
