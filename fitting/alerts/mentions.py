"""Mentions: a comment that names a member is told to that member, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterable

from fitting.alerts.models import TITLE_LENGTH, Alert, AlertKind, Level
from teams.comments import excerpt
from teams.models import Comment, User

ABOUT = ("run", "study")  # the kinds of subjects that comments are on


def raise_mentions(comment: Comment, named: Iterable[User]) -> None:
    """Tell those whom a comment names, once each; who is no longer named is told nothing."""
    told = [user for user in named if user.pk != comment.author_id]
    Alert.objects.filter(comment=comment).exclude(recipient__in=told).delete()
    Alert.objects.bulk_create(
        [_make(comment, user) for user in told],
        ignore_conflicts=True,
    )


def _make(comment: Comment, recipient: User) -> Alert:
    author = comment.author.username if comment.author else "Somebody"
    subject = {f"{kind}_id": comment.subject for kind in ABOUT if kind == comment.kind}
    return Alert(
        project_id=comment.project_id,
        **subject,
        comment=comment,
        recipient=recipient,
        kind=AlertKind.MENTION,
        severity=Level.INFO,
        title=f"{author} mentioned you"[:TITLE_LENGTH],
        key=f"comment:{comment.pk}:mention:{recipient.pk}",
    )


def quote(comment: Comment) -> str:
    """Return the beginning of a comment in one line, with the point of a curve that it is about."""
    words = excerpt(comment)
    at = [comment.metric] if comment.metric else []
    at += [] if comment.step is None else [f"step {comment.step:,}"]
    return f"{' at '.join(at)}: {words}" if at else words
