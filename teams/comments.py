"""Comments of members on runs and studies: write, change, remove, list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from scaledash.lib.markdown import render_markdown
from teams import audit
from teams.models import Comment, Project, Role, User
from teams.principals import Principal
from teams.queries import find_role
from teams.services import Refused

MAX_COMMENT_LENGTH = 20_000
MAX_COMMENTS_SHOWN = 500
MENTION = re.compile(r"(?<![\w@])@([\w.+-]{1,150})")


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
    """Write a comment."""
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
    details = {
        "mentions": ", ".join(find_mentions(project, remark.body)),
        audit.LINK: f"{find_address(comment)}#comment-{comment.pk}",
    }
    audit.record(f"{remark.kind}_comment.added", project, remark.title, **drop_empty(details))
    return comment


def find_address(comment: Comment) -> str:
    """Return the page of what a comment is about."""
    return reverse(comment.kind, args=[comment.project.slug, comment.place])


def find_mentions(project: Project, body: str) -> list[str]:
    """Return the members whom a text names by @name; a full stop at the end is none of the name."""
    named = {name.rstrip(".") for name in MENTION.findall(body)}
    members = project.memberships.filter(user__username__in=named)
    return sorted(members.values_list("user__username", flat=True))


def drop_empty(details: dict[str, str]) -> dict[str, str]:
    """Return the details that say something."""
    return {name: value for name, value in details.items() if value}


def edit_comment(comment: Comment, principal: Principal, body: str) -> None:
    """Change one's own comment; it says that it was edited."""
    if comment.author_id != principal.user_id:
        raise Refused("role", "Only its author changes a comment.")
    comment.body, comment.edited_at = body, timezone.now()
    comment.save(update_fields=["body", "edited_at"])


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


def describe_comment(comment: Comment) -> dict[str, object]:
    """Return a comment: as it was written, and as HTML that is safe to show."""
    return {
        "id": comment.pk,
        "author": comment.author.username if comment.author else None,
        "body": comment.body,
        "html": render_markdown(comment.body),
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
        "may_write": may_write,
        "add_url": f"{reverse('comment-add', args=[project.slug])}?kind={kind}&id={subject_id}",
        "has_metrics": kind == "run",
    }
