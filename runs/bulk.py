"""Changes of many runs at once, each with its way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import transaction
from django.db.models import CharField, F, Func, Q, QuerySet, Value
from django.utils import timezone

from runs.models import NAME_LENGTH, BulkAction, BulkEdit, Run
from runs.services import Refused
from runs.signals import runs_edited
from teams import audit
from teams.models import Project, Role, User

NEEDED = {BulkAction.DELETE: Role.ADMIN}  # any other needs an editor
UNDO_MINUTES = 30
NOUNS = {
    BulkAction.TAG: "tagged",
    BulkAction.UNTAG: "untagged",
    BulkAction.ARCHIVE: "archived",
    BulkAction.UNARCHIVE: "unarchived",
    BulkAction.DELETE: "deleted",
}
INVERSE = {
    BulkAction.TAG: BulkAction.UNTAG,
    BulkAction.UNTAG: BulkAction.TAG,
    BulkAction.ARCHIVE: BulkAction.UNARCHIVE,
    BulkAction.UNARCHIVE: BulkAction.ARCHIVE,
}


@dataclass(frozen=True)
class BulkWish:
    """What to do with the runs; tag and untag name a tag."""

    action: BulkAction
    tag: str = ""

    @classmethod
    def read(cls, action: str, tag: str) -> BulkWish:
        """Check what a form sent."""
        if action not in BulkAction.values:
            choices = ", ".join(BulkAction.values)
            raise Refused(422, "unknown_value", f"action is one of {choices}.", "action")
        tag = " ".join(tag.split())
        if action not in (BulkAction.TAG, BulkAction.UNTAG):
            return cls(BulkAction(action))
        if not 0 < len(tag) <= NAME_LENGTH:
            message = f"A tag has 1 to {NAME_LENGTH} characters, not {len(tag)}."
            raise Refused(422, "invalid", message, "tag")
        return cls(BulkAction(action), tag)

    @property
    def role(self) -> Role:
        """Return the role that this needs."""
        return NEEDED.get(self.action, Role.EDITOR)


@transaction.atomic
def edit_runs(project: Project, user: User, runs: QuerySet[Run], wish: BulkWish) -> BulkEdit | None:
    """Change the runs that are not as wished yet; None where all of them are."""
    changed = _change(runs.filter(project=project, deleted_at=None), wish)
    if not changed:
        return None
    edit = BulkEdit.objects.create(
        project=project, user=user, action=wish.action, tag=wish.tag, runs=changed
    )
    _announce(project, changed, NOUNS[wish.action], wish.tag)
    return edit


@transaction.atomic
def undo_edit(edit: BulkEdit) -> int:
    """Take a change back, as far as its runs still are as it left them; returns their number."""
    held = BulkEdit.objects.select_for_update(of=("self",)).get(pk=edit.pk)
    if held.undone_at is not None:
        return 0
    BulkEdit.objects.filter(pk=edit.pk).update(undone_at=timezone.now())
    runs = Run.objects.filter(project=edit.project_id, pk__in=held.runs)
    if held.action == BulkAction.DELETE:
        verb = "restored"
        changed = _restore(runs)
    else:
        wish = BulkWish(INVERSE[BulkAction(held.action)], held.tag)
        verb = NOUNS[wish.action]
        changed = _change(runs.filter(deleted_at=None), wish)
    if changed:
        _announce(edit.project, changed, verb, held.tag)
    return len(changed)


@transaction.atomic
def restore_runs(project: Project, runs: QuerySet[Run]) -> list[int]:
    """Bring deleted runs back; returns those that were deleted until now."""
    changed = _restore(runs.filter(project=project))
    if changed:
        _announce(project, changed, "restored", "")
    return changed


def find_undoable(project: Project, user_id: int) -> BulkEdit | None:
    """Return the newest change of a person, while its undoing is still offered."""
    since = timezone.now() - timedelta(minutes=UNDO_MINUTES)
    mine = BulkEdit.objects.filter(project=project, user=user_id, created_at__gt=since)
    newest = mine.order_by("-created_at").first()
    return newest if newest and newest.undone_at is None else None


def describe_edit(edit: BulkEdit) -> str:
    """Say what was done, such as `12 runs tagged "ablation"`."""
    n = len(edit.runs)
    runs = "1 run" if n == 1 else f"{n:,} runs"
    tag = f" “{edit.tag}”" if edit.tag else ""
    return f"{runs} {NOUNS[BulkAction(edit.action)]}{tag}."


def _change(runs: QuerySet[Run], wish: BulkWish) -> list[int]:
    now = timezone.now()
    if wish.action == BulkAction.TAG:
        room = runs.exclude(tags__contains=[wish.tag])
        room = room.filter(Q(tags__len__lt=settings.MAX_TAGS_PER_RUN) | Q(tags=[]))
        return _update(room, tags=_tags("array_append", wish.tag))
    if wish.action == BulkAction.UNTAG:
        held = runs.filter(tags__contains=[wish.tag])
        return _update(held, tags=_tags("array_remove", wish.tag))
    if wish.action == BulkAction.ARCHIVE:
        return _update(runs.filter(archived_at=None), archived_at=now)
    if wish.action == BulkAction.UNARCHIVE:
        return _update(runs.filter(archived_at__isnull=False), archived_at=None)
    return _update(runs, deleted_at=now, purge_at=None)


def _restore(runs: QuerySet[Run]) -> list[int]:
    return _update(runs.filter(deleted_at__isnull=False), deleted_at=None, purge_at=None)


def _tags(function: str, tag: str) -> Func:
    text = CharField(max_length=NAME_LENGTH)
    return Func(F("tags"), Value(tag, text), function=function, output_field=ArrayField(text))


def _update(runs: QuerySet[Run], **changes: object) -> list[int]:
    """Change the runs in one order, so that two changes never wait for each other in a circle."""
    locked = runs.order_by("pk").select_for_update(of=("self",), no_key=True)
    ids = list(locked.values_list("pk", flat=True))
    Run.objects.filter(pk__in=ids).update(**changes, changed_at=timezone.now())
    return ids


def _announce(project: Project, run_ids: Sequence[int], verb: str, tag: str) -> None:
    details = {"tag": tag} if tag else {}
    audit.record(f"runs.{verb}", project, f"{len(run_ids):,}", **details)
    runs_edited.send(sender=Run, project_id=project.pk, run_ids=run_ids)
