"""Invitations: a link by which one person joins a project once, with an account or without yet."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from teams import audit
from teams.models import Invitation, Membership, Project, Role, User
from teams.services import Refused, hash_secret, set_member


def create_invitation(
    project: Project, user: User, role: Role, expires_at: datetime, label: str = ""
) -> tuple[Invitation, str]:
    """Make an invitation and return it with its secret, which can never be shown again."""
    if expires_at <= timezone.now():
        message = "The invitation would expire before it exists; choose a later time."
        raise Refused("out_of_range", message)
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        invitation = Invitation.objects.create(
            sha256=hash_secret(secret),
            project=project,
            role=role,
            label=label,
            created_by=user,
            expires_at=expires_at,
        )
        audit.record("invitation.created", project, label, role=role)
    return invitation, secret


def find_invitation(secret: str) -> Invitation | None:
    """Return the invitation of a secret; None if unknown, used, revoked, expired or orphaned.

    It is worth what its maker could still do today: the invitations of an admin who was removed,
    disabled or made less than admin end with that.
    """
    open_ones = Invitation.objects.filter(
        used_at=None,
        revoked_at=None,
        expires_at__gt=timezone.now(),
        project__deleted_at=None,
        created_by__is_active=True,
    )
    found = open_ones.select_related("project", "created_by")
    invitation = found.filter(sha256=hash_secret(secret)).first()
    if invitation is None:
        return None
    rules = Membership.objects.filter(
        project=invitation.project_id, user=invitation.created_by_id, role=Role.ADMIN
    )
    return invitation if rules.exists() else None


@transaction.atomic
def accept_invitation(invitation: Invitation, user: User) -> bool:
    """Let the person join; False where somebody else was faster. Nobody loses a higher role."""
    taken = Invitation.objects.filter(pk=invitation.pk, used_at=None, revoked_at=None).update(
        used_at=timezone.now(), used_by=user
    )
    if not taken:
        return False
    role = Role(invitation.role)
    held = Membership.objects.filter(project=invitation.project, user=user).first()
    if held is None or not Role(held.role).includes(role):
        set_member(invitation.project, user, role)
    audit.record("invitation.used", invitation.project, user.username, role=role)
    return True


@transaction.atomic
def join_with_account(
    invitation: Invitation, username: str, password: str, email: str = ""
) -> User | None:
    """Make the account of a new person and let it join; None where somebody was faster."""
    user = User.objects.create_user(username, email, password)
    audit.act_as(user)
    if not accept_invitation(invitation, user):
        transaction.set_rollback(True)
        return None
    audit.record("user.created", None, username)
    return user


@transaction.atomic
def revoke_invitation(invitation: Invitation) -> None:
    """Make the link useless from the very next request on."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, revoked_at=None, used_at=None)
    if open_ones.update(revoked_at=timezone.now()):
        audit.record("invitation.revoked", invitation.project, invitation.label)


def find_invitation_state(invitation: Invitation) -> str:
    """Say whether the invitation is open, used, revoked or expired."""
    if invitation.used_at is not None:
        return "used"
    if invitation.revoked_at is not None:
        return "revoked"
    return "expired" if invitation.expires_at <= timezone.now() else "open"


def describe_invitation(invitation: Invitation) -> dict[str, object]:
    """Return an invitation as admins see it: never its secret."""
    return {
        "id": invitation.pk,
        "role": invitation.role,
        "label": invitation.label,
        "state": find_invitation_state(invitation),
        "created_by": invitation.created_by.username if invitation.created_by else None,
        "created_at": invitation.created_at,
        "expires_at": invitation.expires_at,
        "used_by": invitation.used_by.username if invitation.used_by else None,
    }
