"""Who may see what: users, projects, members, tokens, links, sessions, and who changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AbstractUser
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from django.utils import timezone

if TYPE_CHECKING:
    from django.contrib.sessions.backends.base import SessionBase

    from teams.principals import Principal

SLUG_LENGTH = 64


class User(AbstractUser):
    """A person who signs in."""


class Role(models.TextChoices):
    """What a member may do in a project; each role includes the ones before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def includes(self, needed: Role) -> bool:
        """Say whether a member with this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Scope(models.TextChoices):
    """What an API token may do: write logs runs, read reads, admin does both and manages."""

    WRITE = "write"
    READ = "read"
    ADMIN = "admin"


class ProjectQuerySet(models.QuerySet["Project"]):
    """Projects, filtered by who asks."""

    def visible_to(self, principal: Principal) -> ProjectQuerySet:
        """Return the live projects that the principal may know of."""
        if principal.user_id is None:
            return self.none()
        mine = self.filter(deleted_at=None, memberships__user_id=principal.user_id)
        return mine if principal.project_id is None else mine.filter(pk=principal.project_id)


class Project(models.Model):
    """A body of work whose members share runs and studies."""

    slug = models.SlugField(max_length=SLUG_LENGTH, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)
    members = models.ManyToManyField(User, through="Membership", related_name="projects")

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Membership(models.Model):
    """One person's role in one project."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.VIEWER)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("project", "user"), name="membership_once"),
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="membership_role_is_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    """Tokens, filtered by who asks."""

    def visible_to(self, principal: Principal) -> ApiTokenQuerySet:
        """Return one's own tokens and those of the projects that one is an admin of."""
        if principal.user_id is None:
            return self.none()
        ruled = Membership.objects.filter(user_id=principal.user_id, role=Role.ADMIN)
        of_ruled = Q(project__in=ruled.values("project"), project__deleted_at=None)
        if principal.project_id is not None:
            return self.filter(of_ruled, project_id=principal.project_id)
        return self.filter(Q(user_id=principal.user_id) | of_ruled)


class ApiToken(models.Model):
    """A bearer token `sd_<key>_<secret>`; only the SHA-256 of the secret is stored.

    `refused_*` tell of the last request that was refused to it, for whoever sets up a job.
    """

    key = models.CharField(max_length=16, unique=True)
    secret_sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    scope = models.CharField(max_length=5, choices=Scope.choices)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    project = models.ForeignKey(
        Project, models.CASCADE, related_name="tokens", null=True, blank=True
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(null=True, blank=True)
    refused_code = models.CharField(max_length=64, blank=True, db_default="")
    refused_message = models.CharField(max_length=500, blank=True, db_default="")

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(scope__in=Scope.values), name="token_scope_is_known"
            ),
        )

    def __str__(self) -> str:
        return f"sd_{self.key} ({self.name})"


class LoginLink(models.Model):
    """A sign-in URL that works once and for a few minutes; only its SHA-256 is stored."""

    sha256 = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="login_links")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"


class LoginFailure(models.Model):
    """One wrong password, kept for the limiter."""

    username = models.CharField(max_length=150)
    address = models.GenericIPAddressField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = (models.Index(fields=("username", "address", "at"), name="login_failure_recent"),)

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"


class ShareQuerySet(models.QuerySet["Share"]):
    """Shares, filtered by who asks."""

    def visible_to(self, principal: Principal) -> ShareQuerySet:
        """Return the shares of the projects that the principal may edit."""
        edited = Membership.objects.filter(
            user_id=principal.user_id, role__in=(Role.EDITOR, Role.ADMIN)
        )
        projects = Project.objects.visible_to(principal).filter(pk__in=edited.values("project"))
        return self.filter(project__in=projects)


class Share(models.Model):
    """A link that shows one thing of a project to whoever holds it; only its SHA-256 is stored.

    `kind` names who renders it (teams/sharing.py); `subject` is what was chosen when the link was
    made and never widens. A frozen share answers from its documents alone.
    """

    sha256 = models.CharField(max_length=64, unique=True)
    project = models.ForeignKey(Project, models.CASCADE, related_name="shares")
    kind = models.CharField(max_length=16)
    subject = models.JSONField()
    title = models.CharField(max_length=256)
    is_frozen = models.BooleanField(default=False)
    basis = models.CharField(max_length=200, blank=True, help_text="what a frozen share shows")
    with_notes = models.BooleanField(default=False)
    with_comments = models.BooleanField(default=False, db_default=False)
    password = models.CharField(max_length=128, blank=True, help_text="hashed; blank: none")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    n_opened = models.IntegerField(default=0)
    last_opened_at = models.DateTimeField(null=True, blank=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")

    def __str__(self) -> str:
        return f"share of {self.kind} {self.title}"


class ShareDocument(models.Model):
    """One answer of a frozen share, copied when it was made: compressed, never changed."""

    share = models.ForeignKey(Share, models.CASCADE, related_name="documents")
    name = models.CharField(max_length=512)
    body = models.BinaryField(help_text="zlib")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("share", "name"), name="share_document_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} of share {self.share_id}"


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Audit entries, filtered by who asks."""

    def visible_to(self, principal: Principal) -> AuditEntryQuerySet:
        """Return the entries of the projects that the principal is an admin of."""
        ruled = Membership.objects.filter(user_id=principal.user_id, role=Role.ADMIN)
        projects = Project.objects.visible_to(principal).filter(pk__in=ruled.values("project"))
        return self.filter(project__in=projects)


class AuditEntry(models.Model):
    """Who did what, from where. Rows are only ever added: a trigger refuses to change one.

    The rows must outlive what they tell of, so that no constraint ties them to users or projects.
    `action` is "noun.verb"; an entry without a project is about the server itself.
    """

    at = models.DateTimeField(default=timezone.now)
    project = models.ForeignKey(
        Project, models.DO_NOTHING, related_name="audit", null=True, db_constraint=False
    )
    actor = models.ForeignKey(
        User, models.DO_NOTHING, related_name="+", null=True, db_constraint=False, db_index=False
    )
    actor_name = models.CharField(max_length=150, blank=True, help_text="blank: the server itself")
    token_key = models.CharField(max_length=16, blank=True, help_text="of the API token used")
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=256, blank=True)
    details = models.JSONField(default=dict)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=("project", "-id"), name="audit_newest"),)

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.target}"


class Invitation(models.Model):
    """A link by which one person joins a project once; only its SHA-256 is stored."""

    sha256 = models.CharField(max_length=64, unique=True)
    project = models.ForeignKey(Project, models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.VIEWER)
    label = models.CharField(max_length=200, blank=True, help_text="whom it is meant for")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    used_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-pk",)
        constraints = (
            models.CheckConstraint(
                condition=Q(role__in=Role.values), name="invitation_role_is_known"
            ),
        )

    def __str__(self) -> str:
        return f"invitation of {self.project} as {self.role}"


class ResetLink(models.Model):
    """A link with which a person sets a new password once; only its SHA-256 is stored."""

    sha256 = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, models.CASCADE, related_name="reset_links")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"password link of {self.user}"


class Session(AbstractBaseSession):
    """One signed-in browser; its row knows whose it is, so that its owner can see and end it."""

    user = models.ForeignKey(User, models.CASCADE, related_name="sessions", null=True)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=200, blank=True, help_text="User-Agent of the browser")
    signed_in_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"browser of {self.user}"

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        """Return the engine that keeps these rows."""
        from teams.session_store import SessionStore

        return SessionStore


class Comment(models.Model):
    """What a member wrote about a run or a study, in Markdown; it may point at a step of a metric.

    `kind` names who knows the subject (teams/sharing.py), `subject` is its key there and `place`
    the slug or id in its address.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="comments")
    kind = models.CharField(max_length=16)
    subject = models.BigIntegerField()
    place = models.CharField(max_length=SLUG_LENGTH)
    body = models.TextField()
    metric = models.CharField(max_length=256, blank=True)
    step = models.BigIntegerField(null=True, blank=True)
    author = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    edited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("pk",)
        indexes = (
            models.Index(fields=("project", "kind", "subject", "id"), name="comment_of_subject"),
        )

    def __str__(self) -> str:
        return f"comment of {self.author} on {self.kind} {self.subject}"
