"""Comments of members on runs and studies: write, change, remove, list."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.urls import reverse
from django.utils import timezone

from scaledash.lib.markdown import find_names, read_words, render_markdown
from teams import audit
from teams.models import Comment, Project, Role, User
from teams.principals import Principal
from teams.queries import find_role
from teams.services import Refused
from teams.signals import comment_written

MAX_COMMENT_LENGTH = 20_000
MAX_COMMENTS_SHOWN = 500
EXCERPT_LENGTH = 200


@dataclass(frozen=True)
class Remark:
    """A comment to be: on what (kind, key, place in the address, title), and what is said."""

    kind: str
    subject: int
    place: str
    title: str
    body: str
    metric: str = ""
    step: int | None = None


@transaction.atomic
def add_comment(project: Project, author: User, remark: Remark) -> Comment:
    """Write a comment, and tell those whom it names."""
    comment = Comment.objects.create(
        project=project,
        kind=remark.kind,
        subject=remark.subject,
        place=remark.place,
        body=remark.body,
        metric=remark.metric,
        step=remark.step,
        author=author,
    )
    named = _announce(comment)
    details = {"mentions": ", ".join(named), audit.LINK: find_address(comment)}
    audit.record(f"{remark.kind}_comment.added", project, remark.title, **drop_empty(details))
    return comment


def find_page(comment: Comment) -> str:
    """Return the page of what a comment is about."""
    return reverse(comment.kind, args=[comment.project.slug, comment.place])


def find_address(comment: Comment) -> str:
    """Return where a comment stands on that page."""
    return f"{find_page(comment)}#comment-{comment.pk}"


def _announce(comment: Comment) -> list[str]:
    """Let the apps above tell those whom a comment names, and return their names."""
    named = list(find_members(comment.project).filter(username__in=find_names(comment.body)))
    comment_written.send(Comment, comment=comment, named=named)
    return sorted(user.username for user in named)


def find_members(project: Project) -> QuerySet[User]:
    """Return who can be named in a project: its members, as long as they may sign in."""
    return User.objects.filter(memberships__project=project, is_active=True)


def name_members(project: Project) -> list[str]:
    """Return their names in order; comments mark them and complete them after an @."""
    return list(find_members(project).order_by("username").values_list("username", flat=True))


def drop_empty(details: dict[str, str]) -> dict[str, str]:
    """Return the details that say something."""
    return {name: value for name, value in details.items() if value}


@transaction.atomic
def edit_comment(comment: Comment, principal: Principal, body: str) -> None:
    """Change one's own comment; it says that it was edited, and tells those whom it names now."""
    if comment.author_id != principal.user_id:
        raise Refused("role", "Only its author changes a comment.")
    comment.body, comment.edited_at = body, timezone.now()
    comment.save(update_fields=["body", "edited_at"])
    _announce(comment)


@transaction.atomic
def delete_comment(comment: Comment, principal: Principal) -> None:
    """Remove one's own comment, or as an admin anybody's."""
    is_admin = find_role(principal, comment.project) == Role.ADMIN
    if comment.author_id != principal.user_id and not is_admin:
        raise Refused("role", "Only its author or an admin of the project deletes a comment.")
    whose = comment.author.username if comment.author else "somebody"
    comment.delete()
    audit.record(f"{comment.kind}_comment.deleted", comment.project, f"of {whose}")


def list_comments(project: Project, kind: str, subject: int) -> QuerySet[Comment]:
    """Return the comments on a run or a study with their authors, oldest first."""
    found = Comment.objects.filter(project=project, kind=kind, subject=subject)
    return found.select_related("author")


def add_mark(
    revision: Mapping[str, Any], project_id: int, kind: str, subject: int
) -> dict[str, Any]:
    """Return the revision of a page for members: it moves with the comments on its subject too."""
    found = Comment.objects.filter(project_id=project_id, kind=kind, subject=subject).order_by()
    now = found.aggregate(n=Count("pk"), newest=Max("pk"), edited=Max("edited_at"))
    edited = now["edited"].timestamp() if now["edited"] else 0
    mark = f"{now['n']}.{now['newest'] or 0}.{edited * 1_000_000:.0f}"
    parts = {**revision["parts"], "comments": mark}
    return {**revision, "rev": f"{revision['rev']}-{mark}", "parts": parts}


def list_pointing(project: Project, kind: str, subject: int) -> list[Comment]:
    """Return the comments on steps of a run's curves, the newest of very many."""
    found = list_comments(project, kind, subject).exclude(step=None).order_by("-pk")
    return list(found[:MAX_COMMENTS_SHOWN])


def excerpt(comment: Comment) -> str:
    """Return the beginning of a comment in one line, as plain words."""
    words = read_words(comment.body)
    if len(words) <= EXCERPT_LENGTH:
        return words
    return f"{words[: EXCERPT_LENGTH - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def describe_comment(comment: Comment, members: Collection[str] = ()) -> dict[str, object]:
    """Return a comment: as it was written, and as HTML that is safe to show and marks members."""
    return {
        "id": comment.pk,
        "author": comment.author.username if comment.author else None,
        "body": comment.body,
        "html": render_markdown(comment.body, members),
        "metric": comment.metric,
        "step": comment.step,
        "created_at": comment.created_at,
        "edited_at": comment.edited_at,
    }


def build_comments(
    principal: Principal, project: Project, kind: str, place: tuple[int, str]
) -> dict[str, object]:
    """Return what a page shows of the comments on `place`, the key and the id of its subject."""
    key, subject_id = place
    role = find_role(principal, project)
    found: Iterable[Comment] = list_comments(project, kind, key)[:MAX_COMMENTS_SHOWN]
    is_admin, may_write = role == Role.ADMIN, role is not None and role.includes(Role.EDITOR)
    comments = [
        {
            **describe_comment(comment),
            "may_edit": may_write and comment.author_id == principal.user_id,
            "may_delete": is_admin or (may_write and comment.author_id == principal.user_id),
        }
        for comment in found
    ]
    return {
        "comments": comments,
        "members": name_members(project),
        "may_write": may_write,
        "add_url": f"{reverse('comment-add', args=[project.slug])}?kind={kind}&id={subject_id}",
        "has_metrics": kind == "run",
    }
