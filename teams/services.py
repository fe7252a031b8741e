"""Writes of the teams app: tokens, sign-in links, the first administrator, projects, members."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from scaledash.lib.addresses import is_loopback
from teams import audit, store
from teams.models import SLUG_LENGTH, ApiToken, LoginLink, Membership, Project, Role, Scope, User
from teams.principals import Principal
from teams.queries import ROLE_OF_SCOPE, find_role

LAST_USED_RESOLUTION = timedelta(minutes=1)
REFUSALS_APART = timedelta(seconds=1)
FindToken = Callable[[str, datetime], store.StoredToken | None]
SETUP_CODE_LENGTH = 20
_TOKEN = re.compile(r"sd_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NO_HASH = "0" * 64


class Refused(Exception):
    """A change that a rule forbids: `code` for programs, `message` for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal: all that is ever stored of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def create_token(
    user: User,
    name: str,
    scope: Scope,
    project: Project | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """Create a token and return it with its text, which can never be shown again."""
    key, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        key=key,
        secret_sha256=hash_secret(secret),
        name=name,
        scope=scope,
        user=user,
        project=project,
        expires_at=expires_at,
    )
    audit.record("token.created", project, name, id=key, scope=scope)
    return token, f"sd_{key}_{secret}"


def check_token_wish(
    principal: Principal, scope: Scope, project: Project | None, expires_at: datetime | None
) -> None:
    """Refuse a token that would be worth more than the one who asks for it."""
    if principal.project_id is not None and (project is None or project.pk != principal.project_id):
        raise Refused("scope", "A token of one project makes tokens of that project only.")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused(
            "out_of_range", "The token would expire before it exists; choose a later time."
        )
    if project is None:
        return
    held, needed = find_role(principal, project), ROLE_OF_SCOPE[scope]
    if held is None or not held.includes(needed):
        message = f"A {scope} token of {project.slug} needs the role {needed}; yours is {held}."
        raise Refused("role", message)


def note_refusal(principal: Principal, code: str, message: str) -> None:
    """Keep the last refusal of a token; a job that repeats itself is written once a second."""
    now = timezone.now()
    tokens = ApiToken.objects.filter(pk=principal.token_id)
    repeated = {"refused_code": code, "refused_at__gt": now - REFUSALS_APART}
    size = ApiToken._meta.get_field("refused_message").max_length
    tokens.exclude(**repeated).update(
        refused_at=now, refused_code=code, refused_message=message[:size]
    )


def resolve_token(text: str, find_token: FindToken = store.find_token) -> Principal | None:
    """Return whom a token speaks for, or None if it is wrong, revoked or expired.

    `find_token` looks a key up, for those who want more of the database at the same time.
    """
    match = _TOKEN.fullmatch(text)
    if match is None:
        return None
    now = timezone.now()
    key, secret = match.groups()
    token = find_token(key, now)
    stored = token.secret_sha256 if token else _NO_HASH
    is_right = hmac.compare_digest(stored, hash_secret(secret))
    if token is None or not is_right:
        return None
    _note_use(token, now)
    return Principal(
        user_id=token.user_id,
        project_id=token.project_id,
        token_id=token.id,
        scope=Scope(token.scope),
    )


def _note_use(token: store.StoredToken, now: datetime) -> None:
    """Store the time of use, once a minute at most and not twice for parallel requests."""
    stale = now - LAST_USED_RESOLUTION
    if token.last_used_at is None or token.last_used_at < stale:
        known = Q(last_used_at=None) | Q(last_used_at__lt=stale)
        ApiToken.objects.filter(known, pk=token.id).update(last_used_at=now)


@transaction.atomic
def revoke_token(token: ApiToken) -> None:
    """Make the token useless from the very next request on."""
    live = ApiToken.objects.filter(pk=token.pk, revoked_at=None)
    if live.update(revoked_at=timezone.now()):
        audit.record("token.revoked", token.project, token.name, id=token.key)


def create_login_link(user: User) -> str:
    """Return the secret of a sign-in link that works once, within minutes."""
    if not is_loopback(settings.SCALEDASH_BIND):
        bind = settings.SCALEDASH_BIND
        message = f"Sign-in links are for this machine only; the server binds to {bind}."
        raise Refused("not_loopback", message)
    now = timezone.now()
    LoginLink.objects.filter(expires_at__lt=now).delete()
    secret = secrets.token_urlsafe(32)
    expires_at = now + timedelta(minutes=settings.LOGIN_LINK_MINUTES)
    LoginLink.objects.create(sha256=hash_secret(secret), user=user, expires_at=expires_at)
    return secret


def use_login_link(secret: str) -> User | None:
    """Consume a sign-in link and return whom it signs in, or None if used, expired or unknown."""
    now = timezone.now()
    valid = LoginLink.objects.filter(expires_at__gt=now, user__is_active=True)
    link = valid.filter(sha256=hash_secret(secret)).select_related("user").first()
    if link is None:
        return None
    # Without a join: PostgreSQL looks at the row again after waiting for it, but not at a subquery.
    taken = LoginLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now)
    return link.user if taken else None


def compute_setup_code() -> str:
    """Return the code that /setup asks for where strangers can reach it: proof of the terminal."""
    code = salted_hmac("scaledash.setup", "first administrator", algorithm="sha256").hexdigest()
    return code[:SETUP_CODE_LENGTH]


def is_setup_code(text: str) -> bool:
    """Say whether this is the code printed in the terminal."""
    return constant_time_compare(text.strip().lower(), compute_setup_code())


@transaction.atomic
def create_first_admin(username: str, password: str, email: str = "") -> User | None:
    """Create the administrator of an empty database, or return None if somebody was faster."""
    # The row that stands for the user table serialises two setups at the same moment.
    ContentType.objects.select_for_update().get(app_label="teams", model="user")
    if User.objects.exists():
        return None
    user = User.objects.create_superuser(username, email, password)
    audit.record("user.created", None, username)
    return user


@transaction.atomic
def create_project(
    user: User, slug: str, name: str, description: str = "", *, is_demo: bool = False
) -> Project:
    """Create a project whose first member is an admin."""
    texts = {"name": name, "description": description}
    project = Project.objects.create(slug=slug, is_demo=is_demo, **texts)
    Membership.objects.create(project=project, user=user, role=Role.ADMIN)
    audit.record("project.created", project, slug)
    return project


@transaction.atomic
def update_project(project: Project, **changes: str) -> None:
    """Change name or description."""
    changed = {field for field, value in changes.items() if getattr(project, field) != value}
    for field, value in changes.items():
        setattr(project, field, value)
    project.save(update_fields=list(changes))
    if changed:
        audit.record("project.changed", project, project.slug, fields=" and ".join(sorted(changed)))


@transaction.atomic
def delete_project(project: Project) -> None:
    """Hide the project from everybody and free its slug; nothing is erased."""
    mark = f"-deleted-{project.pk}"
    deleted = Project.objects.filter(pk=project.pk, deleted_at=None).update(
        deleted_at=timezone.now(), slug=project.slug[: SLUG_LENGTH - len(mark)] + mark
    )
    if deleted:
        audit.record("project.deleted", project, project.slug)


@transaction.atomic
def set_member(project: Project, user: User, role: Role) -> Membership:
    """Add a member or change the role of one."""
    _lock(project)
    if role != Role.ADMIN:
        _keep_an_admin(project, user)
    before = Membership.objects.filter(project=project, user=user).first()
    membership, is_new = Membership.objects.update_or_create(
        project=project, user=user, defaults={"role": role}
    )
    if is_new:
        audit.record("member.added", project, user.username, role=role)
    elif before and before.role != role:
        audit.record("member.changed", project, user.username, role=role, before=before.role)
    return membership


@transaction.atomic
def hand_over(project: Project, giver: User, taker: User) -> None:
    """Make another member admin in the giver's place; the giver stays as an editor."""
    if giver == taker or not project.memberships.filter(user=taker, user__is_active=True).exists():
        message = f"{taker.username} is no other active member of {project.slug}; add them first."
        raise Refused("unknown_value", message)
    set_member(project, taker, Role.ADMIN)
    set_member(project, giver, Role.EDITOR)
    audit.record("project.handed_over", project, project.slug, to=taker.username)


@transaction.atomic
def remove_member(project: Project, user: User) -> None:
    """Take somebody's membership; their tokens lose the project with it."""
    _lock(project)
    _keep_an_admin(project, user)
    if Membership.objects.filter(project=project, user=user).delete()[0]:
        audit.record("member.removed", project, user.username)


def _lock(project: Project) -> None:
    """Let changes of members wait for each other, so that two admins cannot both step down."""
    Project.objects.select_for_update().get(pk=project.pk)


def _keep_an_admin(project: Project, leaving: User) -> None:
    admins = Membership.objects.filter(project=project, role=Role.ADMIN, user__is_active=True)
    is_admin = admins.filter(user=leaving).exists()
    if is_admin and not admins.exclude(user=leaving).exists():
        who = f"{leaving.username} is the last admin of {project.slug}"
        raise Refused("last_admin", f"{who}; make another member admin first.")
