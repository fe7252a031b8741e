"""Reads of projects, members and tokens."""

from __future__ import annotations

from django.db.models import OuterRef, QuerySet, Subquery

from teams import store
from teams.models import ApiToken, Invitation, Membership, Project, Role, Scope, Share
from teams.principals import Principal

ROLE_OF_SCOPE = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.EDITOR, Scope.ADMIN: Role.ADMIN}

PROJECT_COLUMNS = ("id", "slug", "name", "description", "is_demo", "created_at", "deleted_at")


def find_role(principal: Principal, project: Project) -> Role | None:
    """Return the principal's role in the project, or None where it may not know of it.

    A token never has more than the person who made it, nor more than its scope stands for.
    """
    if principal.project_id not in (None, project.pk):
        return None
    membership = Membership.objects.filter(user_id=principal.user_id, project=project).first()
    return bound_role(principal, Role(membership.role)) if membership else None


def bound_role(principal: Principal, held: Role) -> Role:
    """Return the role that is left of a person's role under the scope of a token."""
    if principal.scope is None:
        return held
    bound = ROLE_OF_SCOPE[principal.scope]
    return held if bound.includes(held) else bound


def list_projects(principal: Principal) -> QuerySet[Project]:
    """Return the visible projects, each with the person's role as `held_role`."""
    mine = Membership.objects.filter(project=OuterRef("pk"), user_id=principal.user_id)
    return Project.objects.visible_to(principal).annotate(held_role=Subquery(mine.values("role")))


def find_project(principal: Principal, slug: str) -> Project | None:
    """Return what `list_projects` has under a slug; one prepared statement, as every call of the
    API needs it."""
    values = {"slug": slug, "user": principal.user_id, "bound": principal.project_id}
    rows = [] if principal.user_id is None else store.FIND_PROJECT.fetch(values)
    if not rows:
        return None
    *columns, role = rows[0]
    project = Project.from_db("default", PROJECT_COLUMNS, columns)
    project.held_role = role
    return project


def list_members(project: Project) -> QuerySet[Membership]:
    """Return the members with their users, by name."""
    return project.memberships.select_related("user").order_by("user__username")


def list_shares(project: Project) -> QuerySet[Share]:
    """Return the share links of a project with who made them, newest first."""
    return project.shares.select_related("created_by")


def list_invitations(project: Project) -> QuerySet[Invitation]:
    """Return the invitations of a project with who made and who used them, newest first."""
    return project.invitations.select_related("created_by", "used_by")


def list_tokens(principal: Principal, own_only: bool = False) -> QuerySet[ApiToken]:
    """Return one's own tokens and, unless `own_only`, those of the projects one is admin of."""
    tokens = ApiToken.objects.visible_to(principal).select_related("user", "project")
    return tokens.filter(user_id=principal.user_id) if own_only else tokens
