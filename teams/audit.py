"""The audit log: who changed what, when, from where. Entries are only ever added.

Services call `record` inside the transaction of the change, so that neither exists without the
other. Who acts is read from the request in progress, which the middleware below remembers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from teams.limiter import address_of
from teams.models import ApiToken, AuditEntry, Project, Role, User
from teams.principals import ANONYMOUS, Principal

TARGET_LENGTH = 256
# Who of a project's members may read of an action, by its noun; of other nouns all members may.
READERS = {
    "token": Role.ADMIN,
    "invitation": Role.ADMIN,
    "webhook": Role.ADMIN,
    "share": Role.EDITOR,
}
# Where "verbed the noun target" would be no sentence; names of details stand for their values.
SENTENCES = {
    "analysis.switched_off": "switched {target} off in {study}",
    "analysis.switched_on": "switched {target} on in {study}",
    "email_address.changed": "changed their e-mail address",
    "forecast.frozen": "froze a forecast in {target}: {quantity}",
    "invitation.used": "joined by an invitation",
    "outcome.restored": "let the server decide the outcome of the run {target} again",
    "outcome.set": "set the outcome of the run {target} to {outcome}: {reason}",
    "password.changed": "changed their password",
    "password.set_by_link": "set a new password by a link",
    "password_link.mailed": "asked for a password link by e-mail for {target}",
    "run.excluded": "excluded the run {target} from {study}",
    "run.included": "took the run {target} into {study} again",
    "run_comment.added": "commented on the run {target}",
    "share.created": "shared the {kind} {target} by a {mode} link",
    "share.revoked": "revoked the link to the {kind} {target}",
    "study_comment.added": "commented on the study {target}",
}
LINK = "url"  # the detail that is no word of the sentence: where to read what was said

_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


class RememberRequest:
    """Let what happens during a request know whose request it is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve the request."""
        mark = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(mark)


def record(action: str, project: Project | None, target: object = "", **details: object) -> None:
    """Add an entry: `action` is "noun.verb", `target` the name of what was acted on."""
    request = _request.get()
    principal = find_principal(request)
    actor = User.objects.filter(pk=principal.user_id).first()
    token = ApiToken.objects.filter(pk=principal.token_id).first()
    AuditEntry.objects.create(
        project=project,
        actor=actor,
        actor_name=actor.username if actor else "",
        token_key=token.key if token else "",
        address=address_of(request) if request else None,
        action=action,
        target=str(target)[:TARGET_LENGTH],
        details=details,
    )


def act_as(user: User) -> None:
    """Let what follows in this request be the doing of somebody who came in by a link."""
    request = _request.get()
    if request is not None:
        request.newcomer = user


def find_principal(request: HttpRequest | None) -> Principal:
    """Return who makes the request: its token, else whom its browser is signed in as."""
    if request is None:
        return ANONYMOUS
    token = getattr(request, "auth", None)
    if isinstance(token, Principal):
        return token
    user = getattr(request, "newcomer", None) or getattr(request, "user", None)
    return Principal(user_id=user.pk if user else None)


def describe_action(entry: AuditEntry) -> str:
    """Return the entry as the rest of a sentence that begins with the actor."""
    sentence = SENTENCES.get(entry.action, _form_sentence(entry))
    text = sentence.format(target=entry.target, **entry.details)
    rest = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in entry.details.items()
        if name != LINK and f"{{{name}}}" not in sentence
    )
    return text + (f" ({rest})" if rest else "")


def _form_sentence(entry: AuditEntry) -> str:
    if entry.action == "member.added" and entry.actor_name == entry.target:
        return "joined the project"
    noun, _, verb = entry.action.replace("_", " ").partition(".")
    return f"{verb} the {noun}" + (" {target}" if entry.target else "")


def list_hidden_nouns(role: Role) -> list[str]:
    """Return the nouns that a member of this role does not read about."""
    return [noun for noun, reader in READERS.items() if not role.includes(reader)]
