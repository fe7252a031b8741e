"""Bodies of the teams endpoints: what they accept (strict) and what they answer (described)."""

from django.core.validators import RegexValidator
from rest_framework import serializers

from teams.api.fields import Choice, Flag, Integer, Moment, StrictSerializer, Text
from teams.comments import MAX_COMMENT_LENGTH
from teams.models import SLUG_LENGTH, Role, Scope
from teams.sharing import MAX_SUBJECT_LENGTH, MIN_SHARE_PASSWORD

NAME_LENGTH = 200
DESCRIPTION_LENGTH = 10_000
SLUG_PATTERN = r"^[-a-zA-Z0-9_]+$"
SHARE_MODES = (("live", "live"), ("frozen", "frozen"))
INVITATION_STATES = (
    ("open", "open"),
    ("used", "used"),
    ("revoked", "revoked"),
    ("expired", "expired"),
)
TOKEN_STATES = (("active", "active"), ("expired", "expired"), ("revoked", "revoked"))


class ProjectChange(StrictSerializer):
    """What may be changed of a project."""

    name = Text(max_length=NAME_LENGTH)
    description = Text(max_length=DESCRIPTION_LENGTH, allow_blank=True, required=False)


class ProjectCreate(ProjectChange):
    """A new project; its name defaults to the slug."""

    slug = Text(
        max_length=SLUG_LENGTH,
        validators=[RegexValidator(SLUG_PATTERN, "Use letters, digits, - and _ only.")],
    )
    name = Text(max_length=NAME_LENGTH, required=False)
    is_demo = Flag(required=False, help_text="shown as demo data, after the other projects")


class MemberChange(StrictSerializer):
    """A member's role."""

    role = Choice(Role.choices)


class MemberAdd(MemberChange):
    """A new member."""

    user = Text(max_length=150)


class TokenCreate(StrictSerializer):
    """A new token; without a project it acts with all memberships of its user."""

    name = Text(max_length=NAME_LENGTH)
    scope = Choice(Scope.choices)
    project = Text(max_length=SLUG_LENGTH, required=False, allow_null=True)
    expires_at = Moment(required=False, allow_null=True)


class ShareCreate(StrictSerializer):
    """A new share link."""

    kind = Text(max_length=16)
    id = Text(max_length=MAX_SUBJECT_LENGTH)
    title = Text(max_length=256, required=False)
    mode = Choice(SHARE_MODES, required=False)
    with_notes = Flag(required=False)
    with_comments = Flag(required=False)
    password = Text(
        min_length=MIN_SHARE_PASSWORD, max_length=200, required=False, trim_whitespace=False
    )
    expires_at = Moment(required=False, allow_null=True)


class InvitationCreate(MemberChange):
    """A new invitation link; it ends in 7 days unless `expires_at` says otherwise."""

    label = Text(max_length=200, required=False, allow_blank=True)
    expires_at = Moment(required=False, allow_null=True)


class CommentChange(StrictSerializer):
    """The text of a comment, in Markdown."""

    body = Text(max_length=MAX_COMMENT_LENGTH)


class CommentCreate(CommentChange):
    """A new comment on a run or a study; metric and step point at a place of a curve."""

    kind = Text(max_length=16)
    id = Text(max_length=SLUG_LENGTH)
    metric = Text(max_length=256, required=False, allow_blank=True)
    step = Integer(min_value=0, max_value=2**53 - 1, required=False, allow_null=True)


class HandOver(StrictSerializer):
    """The member who becomes admin in the caller's place."""

    user = Text(max_length=150)


class ProjectDocument(serializers.Serializer):
    """A project and the caller's role in it."""

    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    is_demo = serializers.BooleanField()
    role = serializers.ChoiceField(Role.choices)
    created_at = serializers.DateTimeField()


class MemberDocument(serializers.Serializer):
    """A member of a project."""

    user = serializers.CharField()
    role = serializers.ChoiceField(Role.choices)
    since = serializers.DateTimeField()


class TokenDocument(serializers.Serializer):
    """A token, without its secret."""

    id = serializers.CharField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(Scope.choices)
    project = serializers.CharField(allow_null=True)
    user = serializers.CharField()
    state = serializers.ChoiceField(TOKEN_STATES)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class CreatedToken(TokenDocument):
    """A token with its text, shown this once."""

    token = serializers.CharField()


class ShareDocument(serializers.Serializer):
    """A share link, without its address."""

    id = serializers.IntegerField()
    kind = serializers.CharField(help_text="What it shows: study, run.")
    title = serializers.CharField()
    mode = serializers.ChoiceField(SHARE_MODES)
    basis = serializers.CharField(help_text="What a frozen link shows, in words.")
    has_password = serializers.BooleanField()
    with_notes = serializers.BooleanField()
    with_comments = serializers.BooleanField()
    state = serializers.ChoiceField(TOKEN_STATES)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    n_opened = serializers.IntegerField()
    last_opened_at = serializers.DateTimeField(allow_null=True)


class CreatedShare(ShareDocument):
    """A share link with its address, shown this once."""

    url = serializers.CharField()


class InvitationDocument(serializers.Serializer):
    """An invitation, without its address."""

    id = serializers.IntegerField()
    role = serializers.ChoiceField(Role.choices)
    label = serializers.CharField()
    state = serializers.ChoiceField(INVITATION_STATES)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    used_by = serializers.CharField(allow_null=True)


class CreatedInvitation(InvitationDocument):
    """An invitation with its address, shown this once."""

    url = serializers.CharField()


class CommentDocument(serializers.Serializer):
    """A comment: as it was written, and as HTML that is safe to show."""

    id = serializers.IntegerField()
    author = serializers.CharField(allow_null=True)
    body = serializers.CharField(help_text="Markdown.")
    html = serializers.CharField()
    metric = serializers.CharField()
    step = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)


class ActivityDocument(serializers.Serializer):
    """What somebody did in a project."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    user = serializers.CharField(allow_null=True, help_text="null: the server itself")
    action = serializers.CharField(help_text="noun.verb, such as study.created")
    target = serializers.CharField()
    details = serializers.DictField()
    text = serializers.CharField(help_text="The action in words.")
    url = serializers.CharField(allow_null=True, help_text="Where a comment stands.")


class AuditDocument(ActivityDocument):
    """The same, with where it came from."""

    token = serializers.CharField(allow_null=True, help_text="Id of the API token used.")
    address = serializers.CharField(allow_null=True)


class PingDocument(serializers.Serializer):
    """The server and what the caller's token is good for."""

    version = serializers.CharField()
    scope = serializers.ChoiceField(Scope.choices, allow_null=True)
    project = serializers.CharField(allow_null=True)
    user = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True, help_text="When the token ends.")
    time = serializers.FloatField(help_text="The server's clock, seconds since 1970.")


def page_of(kind: type[serializers.Serializer]) -> serializers.Serializer:
    """Return the answer of a list: its items and the cursor of the next page."""
    name = kind.__name__.removesuffix("Document")
    fields = {
        "items": kind(many=True),
        "next": serializers.CharField(allow_null=True),
    }
    return type(f"{name}Page", (serializers.Serializer,), fields)()
