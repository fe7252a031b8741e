"""What fitting does when runs announce a change, inside the transaction that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import transaction
from django.dispatch import receiver

from fitting import outbox, services
from fitting.alerts.mentions import raise_mentions
from fitting.alerts.raising import raise_end, raise_logged
from fitting.diagnoses.keys import find_key
from fitting.diagnoses.pages import build_panel
from fitting.diagnoses.rules import mark_changed
from fitting.hints import hints
from fitting.models import FitKind
from fitting.rows import is_loss
from runs.models import Run
from runs.signals import (
    batch_stored,
    run_created,
    run_edited,
    run_ended,
    run_shown,
    runs_edited,
)
from teams.models import Comment, User
from teams.signals import comment_written


@receiver(run_created, dispatch_uid="fitting.join_studies")
def join_studies(run: Run, studies: Iterable[str] = (), **kwargs: object) -> None:
    """Put a new run into the studies it names and into those that select it."""
    raise_logged(run)
    services.attach_run(run, studies)
    services.follow_selections(run.project_id, [run.pk])
    own = outbox.name_subject(run.pk, FitKind.RUN_DIAG)  # there is no point to judge yet
    _wake([subject for subject in outbox.mark_holders(run.pk) if subject != own])


@receiver(run_edited, dispatch_uid="fitting.follow_edit")
def follow_edit(run: Run, studies: Iterable[str] = (), **kwargs: object) -> None:
    """Let studies see a changed config, scale fact, group or state."""
    raise_logged(run)
    services.attach_run(run, studies)
    services.follow_selections(run.project_id, [run.pk])
    _wake(outbox.mark_holders(run.pk))


@receiver(runs_edited, dispatch_uid="fitting.follow_edits")
def follow_edits(project_id: int, run_ids: Sequence[int], **kwargs: object) -> None:
    """Let studies see that many runs were changed at once."""
    services.follow_selections(project_id, run_ids)
    _wake([*services.mark_holders(run_ids), *mark_changed(run_ids)])


@receiver(run_ended, dispatch_uid="fitting.follow_end")
def follow_end(run: Run, **kwargs: object) -> None:
    """Let studies see that a run ended: from now on it takes part in fits."""
    raise_end(run)
    _wake(outbox.mark_holders(run.pk))


@receiver(batch_stored, dispatch_uid="fitting.follow_batch")
def follow_batch(run_id: int, metrics: Sequence[str], **kwargs: object) -> None:
    """Mark the studies that hold the run and read one of the batch's metrics, and its diagnosis."""
    has_loss = any(is_loss(name) for name in metrics)
    is_judged = any((key := find_key(name)) and key.name for name in metrics)
    _wake(outbox.mark_readers(run_id, metrics, has_loss, is_judged))


@receiver(run_shown, dispatch_uid="fitting.show_diagnoses")
def show_diagnoses(run: Run, is_shared: bool = False, **kwargs: object) -> dict[str, object]:
    """Put the verdicts on the run's page."""
    return build_panel(run, is_shared)


@receiver(comment_written, dispatch_uid="fitting.tell_named")
def tell_named(comment: Comment, named: Sequence[User], **kwargs: object) -> None:
    """Let those whom a comment names hear of it."""
    raise_mentions(comment, named)


def _wake(subjects: Sequence[outbox.Subject]) -> None:
    if subjects:
        transaction.on_commit(lambda: hints.leave(subjects))
