"""Forms of the sign-in and settings pages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django import forms
from django.conf import settings
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.utils import timezone

from teams.comments import MAX_COMMENT_LENGTH
from teams.models import ApiToken, Membership, Project, Role, Scope, User
from teams.principals import Principal
from teams.services import is_setup_code
from teams.sharing import MIN_SHARE_PASSWORD

MAX_PASSWORD_LENGTH = 4096
INVITATION_LIFETIMES = (("1", "1 day"), ("7", "7 days"), ("30", "30 days"))
LIFETIMES = (
    ("", "never"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "1 year"),
)


def _password(label: str, autocomplete: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, max_length=MAX_PASSWORD_LENGTH, strip=False, widget=widget)


class SignInForm(forms.Form):
    """Name and password."""

    username = UsernameField(label="User name", max_length=150)
    password = _password("Password", "current-password")


class NewPasswordForm(forms.Form):
    """A new password, typed twice."""

    new_password = _password("New password", "new-password")
    repeated = _password("New password again", "new-password")

    def __init__(self, *args: object, user: User | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean(self) -> dict[str, object]:
        """Compare both and apply the rules for passwords."""
        fields = super().clean() or {}
        first, second = fields.get("new_password"), fields.get("repeated")
        if first and second and first != second:
            self.add_error("repeated", "The two passwords differ.")
        elif first:
            self._apply_rules(first)
        return fields

    def _apply_rules(self, password: str) -> None:
        try:
            validate_password(password, self.user)
        except ValidationError as error:
            self.add_error("new_password", error)


class AccountForm(NewPasswordForm):
    """A new account: a name that is free, and a password."""

    username = UsernameField(
        label="User name",
        max_length=150,
        validators=User._meta.get_field("username").validators,
    )
    email = forms.EmailField(
        label="E-mail (optional)",
        required=False,
        help_text="For a link when you forget your password; used for nothing else.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    field_order: tuple[str, ...] = ("username", "email", "new_password", "repeated")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not settings.SENDS_EMAIL:
            del self.fields["email"]

    def clean_username(self) -> str:
        """Refuse a name that is taken, in any spelling; let the rules for passwords know it."""
        username = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=username).exists():
            raise ValidationError(f"The name {username} is taken; choose another.")
        self.user = User(username=username)
        return username


class SetupForm(AccountForm):
    """The first administrator; `code` is asked for where strangers can reach the page."""

    code = forms.CharField(label="Code from the terminal", max_length=100)
    field_order = ("username", "email", "new_password", "repeated", "code")

    def __init__(self, *args: object, needs_code: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if not needs_code:
            del self.fields["code"]

    def clean_code(self) -> str:
        """Check the code."""
        if not is_setup_code(self.cleaned_data["code"]):
            raise ValidationError("This is not the code that the terminal shows.")
        return self.cleaned_data["code"]


class OwnerForm(forms.Form):
    """A form that only the owner of the account may send: it asks for the current password."""

    current_password = _password("Current password", "current-password")

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        if not user.has_usable_password():  # made by `make up`, signed in by its link
            del self.fields["current_password"]

    def clean_current_password(self) -> str:
        """Make sure that the owner sits at the keyboard."""
        typed = self.cleaned_data["current_password"]
        if not self.user.check_password(typed):
            raise ValidationError("This is not your current password.")
        return typed


class PasswordForm(OwnerForm, NewPasswordForm):
    """A change of one's own password, or the first one of a user who has none."""

    field_order = ("current_password", "new_password", "repeated")


class EmailForm(OwnerForm):
    """The address that links for a forgotten password are sent to; empty: none."""

    email = forms.EmailField(
        label="E-mail",
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
    field_order = ("email", "current_password")


class ForgottenForm(forms.Form):
    """Who wants a link for a forgotten password."""

    wanted = UsernameField(
        label="User name or e-mail address",
        max_length=254,
        widget=forms.TextInput(attrs={"autocomplete": "username"}),
    )


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(
        max_length=200, widget=forms.TextInput(attrs={"placeholder": "cluster login node"})
    )
    scope = forms.ChoiceField(choices=Scope.choices, initial=Scope.WRITE)
    project = forms.ModelChoiceField(
        queryset=Project.objects.none(),
        to_field_name="slug",
        required=False,
        empty_label="all my projects",
        help_text="A training job needs one.",
    )
    lifetime_days = forms.ChoiceField(label="Expires", choices=LIFETIMES, required=False)

    def __init__(self, *args: object, principal: Principal, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.principal = principal
        self.fields["project"].queryset = Project.objects.visible_to(principal)
        self.initial["project"] = self._find_newest_of_mine()

    def _find_newest_of_mine(self) -> Project | None:
        """Return the project that a token is probably for: a job needs one, and may not read."""
        logs = Membership.objects.filter(
            user_id=self.principal.user_id, role__in=(Role.EDITOR, Role.ADMIN)
        )
        own = Project.objects.visible_to(self.principal).filter(is_demo=False)
        return own.filter(pk__in=logs.values("project")).order_by("-created_at", "-pk").first()

    def clean_name(self) -> str:
        """Refuse a second active token of the same name, so that a reload makes none."""
        name = self.cleaned_data["name"]
        mine = ApiToken.objects.filter(user_id=self.principal.user_id, revoked_at=None)
        if mine.filter(name=name).exists():
            raise ValidationError("You have a token of this name; choose another or revoke it.")
        return name

    @property
    def expires_at(self) -> datetime | None:
        """Return when the token expires."""
        days = self.cleaned_data["lifetime_days"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class ShareForm(forms.Form):
    """A new share link."""

    title = forms.CharField(max_length=256)
    mode = forms.ChoiceField(
        label="Shows",
        choices=(("live", "live: follows the data"), ("frozen", "frozen: a copy as of now")),
    )
    lifetime_days = forms.ChoiceField(
        label="Expires", choices=LIFETIMES, required=False, initial="30"
    )
    password = forms.CharField(
        min_length=MIN_SHARE_PASSWORD,
        max_length=200,
        required=False,
        strip=False,
        help_text=f"Optional, {MIN_SHARE_PASSWORD} characters or more; asked for before anything"
        " is shown.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    with_notes = forms.BooleanField(
        label="Include description and notes", required=False, widget=forms.CheckboxInput()
    )
    with_comments = forms.BooleanField(
        label="Include comments with their authors", required=False, widget=forms.CheckboxInput()
    )

    def __init__(self, *args: object, takes: Iterable[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for part in {"notes", "comments"} - set(takes):
            del self.fields[f"with_{part}"]

    @property
    def expires_at(self) -> datetime | None:
        """Return when the link stops working."""
        days = self.cleaned_data["lifetime_days"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class CommentForm(forms.Form):
    """A comment in Markdown; metric and step point at a place of a curve."""

    body = forms.CharField(
        label="Comment",
        max_length=MAX_COMMENT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Markdown: **bold**, `code`, lists, tables, links.",
    )
    metric = forms.CharField(label="Metric", max_length=256, required=False)
    step = forms.IntegerField(label="Step", min_value=0, max_value=2**53 - 1, required=False)


class ProjectForm(forms.Form):
    """Name and description of a project."""

    name = forms.CharField(max_length=200)
    description = forms.CharField(
        max_length=10_000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class RoleForm(forms.Form):
    """A member's role."""

    role = forms.ChoiceField(choices=Role.choices, initial=Role.VIEWER)


class MemberForm(RoleForm):
    """A new member, by user name."""

    username = UsernameField(label="User name", max_length=150, widget=forms.TextInput())
    field_order = ("username", "role")

    def clean_username(self) -> str:
        """Find the person."""
        username = self.cleaned_data["username"]
        if not User.objects.filter(username=username, is_active=True).exists():
            raise ValidationError(f"Nobody here is called {username}.")
        return username


class InvitationForm(RoleForm):
    """A new invitation link."""

    label = forms.CharField(label="For (optional)", max_length=200, required=False)
    lifetime_days = forms.ChoiceField(
        label="Expires after", choices=INVITATION_LIFETIMES, initial="7"
    )
    field_order = ("label", "role", "lifetime_days")

    @property
    def expires_at(self) -> datetime:
        """Return when the invitation stops working."""
        return timezone.now() + timedelta(days=int(self.cleaned_data["lifetime_days"]))


class HandOverForm(forms.Form):
    """The member who becomes admin in one's own place."""

    member = forms.ChoiceField(label="New admin")

    def __init__(self, *args: object, names: Iterable[str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["member"].choices = [(name, name) for name in names]


class DeleteForm(forms.Form):
    """The project's slug, typed as a confirmation."""

    confirm = forms.CharField(max_length=64, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: object, slug: str, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.slug = slug
        self.fields["confirm"].label = f"Type {slug} to confirm"

    def clean_confirm(self) -> str:
        """Compare with the slug."""
        if self.cleaned_data["confirm"] != self.slug:
            raise ValidationError(f"Type {self.slug} to delete the project.")
        return self.slug
