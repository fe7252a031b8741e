"""What the pages of this app show; their JSON twins and the API answer with the same documents."""

from __future__ import annotations

from django.utils import timezone

from teams.invitations import describe_invitation
from teams.models import ApiToken, Membership, Project, Role, Scope, Share
from teams.principals import Principal
from teams.queries import list_invitations, list_members, list_shares, list_tokens

MAX_TOKENS_SHOWN = 500
MAX_SHARES_SHOWN = 500
MAX_INVITATIONS_SHOWN = 100
SCOPE_MEANINGS = {
    Scope.WRITE: "logs runs: create, metrics, finish; what a training job needs",
    Scope.READ: "reads runs, studies and fits",
    Scope.ADMIN: "both, and manages projects, members and tokens",
}
ROLE_MEANINGS = {
    Role.VIEWER: "reads",
    Role.EDITOR: "also logs runs, edits studies, exclusions and notes, and shares links",
    Role.ADMIN: "also manages members, tokens and deletion",
}


def describe_project(project: Project, role: Role) -> dict[str, object]:
    """Return a project as the API shows it."""
    return {
        "slug": project.slug,
        "name": project.name,
        "description": project.description,
        "is_demo": project.is_demo,
        "role": role,
        "created_at": project.created_at,
    }


def describe_member(membership: Membership) -> dict[str, object]:
    """Return a member as the API shows it."""
    return {
        "user": membership.user.username,
        "role": membership.role,
        "since": membership.created_at,
    }


def describe_token(token: ApiToken) -> dict[str, object]:
    """Return a token as the API shows it: never its secret."""
    return {
        "id": token.key,
        "name": token.name,
        "scope": token.scope,
        "project": token.project.slug if token.project else None,
        "user": token.user.username,
        "state": find_token_state(token),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
    }


def find_token_state(token: ApiToken) -> str:
    """Say whether the token is active, expired or revoked."""
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= timezone.now():
        return "expired"
    return "active"


def build_tokens(principal: Principal, own_only: bool) -> dict[str, object]:
    """Return the document of /settings/tokens."""
    tokens = list_tokens(principal, own_only)
    shown = [describe_token(token) for token in tokens[:MAX_TOKENS_SHOWN]]
    return {"tokens": shown, "total": tokens.count(), "own_only": own_only}


def build_project_settings(project: Project, role: Role) -> dict[str, object]:
    """Return the document of /p/<slug>/settings, which editors see; more of it to admins."""
    shares = list_shares(project)[:MAX_SHARES_SHOWN]
    document: dict[str, object] = {
        "project": describe_project(project, role),
        "members": build_members(project),
        "shares": [describe_share(share) for share in shares],
    }
    if role == Role.ADMIN:
        invitations = list_invitations(project)[:MAX_INVITATIONS_SHOWN]
        document["invitations"] = [describe_invitation(one) for one in invitations]
    return document


def build_members(project: Project) -> list[dict[str, object]]:
    """Return the members of a project by name."""
    return [describe_member(membership) for membership in list_members(project)]


def describe_share(share: Share) -> dict[str, object]:
    """Return a share link as members see it: never its token."""
    return {
        "id": share.pk,
        "kind": share.kind,
        "title": share.title,
        "mode": "frozen" if share.is_frozen else "live",
        "basis": share.basis,
        "has_password": bool(share.password),
        "with_notes": share.with_notes,
        "with_comments": share.with_comments,
        "state": find_share_state(share),
        "created_by": share.created_by.username if share.created_by else None,
        "created_at": share.created_at,
        "expires_at": share.expires_at,
        "n_opened": share.n_opened,
        "last_opened_at": share.last_opened_at,
    }


def find_share_state(share: Share) -> str:
    """Say whether the link is active, expired or revoked."""
    if share.revoked_at is not None:
        return "revoked"
    if share.expires_at is not None and share.expires_at <= timezone.now():
        return "expired"
    return "active"
