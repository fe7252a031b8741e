"""What a project decided about its diagnoses: thresholds of its own, and meanings of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from fitting import outbox
from fitting.diagnoses.keys import BY_HAND, Key
from fitting.diagnoses.store import mark_runs
from fitting.hints import hints
from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.catalogue import list_judged
from fitting.maths.diagnose.verdict import Threshold
from fitting.models import FitKind, FitState, MetricMeaning, ProjectThreshold, Study
from runs.models import Run
from teams.models import User

SET_BY = "set by "  # begins the source of a threshold of a project's own
MOST_HINTED = 50  # runs; the sweeper finds the others


@dataclass(frozen=True)
class Rules:
    """The decisions of one project."""

    limits: Limits = field(default_factory=dict)
    meanings: Mapping[str, Key] = field(default_factory=dict)


def read_rules(project_id: int) -> Rules:
    """Return the decisions as the current transaction sees them."""
    return Rules(read_limits(project_id), read_meanings(project_id))


def read_limits(project_id: int) -> dict[str, dict[str, Threshold]]:
    """Return slug -> name -> the project's own threshold, with who set it as its source."""
    found: dict[str, dict[str, Threshold]] = {}
    rows = ProjectThreshold.objects.filter(project=project_id).select_related("changed_by")
    for row in rows:
        default = find_default(row.diagnostic, row.name)
        if default is not None:
            author = name_author(row.changed_by)
            source = f"{SET_BY}{author} on {row.changed_at:%Y-%m-%d}"
            own = Threshold(row.name, row.value, default.text, source, default.most)
            found.setdefault(row.diagnostic, {})[row.name] = own
    return found


def find_default(slug: str, name: str) -> Threshold | None:
    """Return a diagnostic's threshold as it is without a project's word; None for unknown names."""
    item = list_judged().get(slug)
    return next((limit for limit in item.thresholds if limit.name == name), None) if item else None


def name_author(user: User | None) -> str:
    """Return who changed something, for a sentence."""
    return user.get_username() if user else "a former member"


def hide_author(source: str) -> str:
    """Return the source of a threshold without the name of a member."""
    return "set by the project" if source.startswith(SET_BY) else source


def read_meanings(project_id: int) -> dict[str, Key]:
    """Return metric -> what a person said it stands for."""
    rows = MetricMeaning.objects.filter(project=project_id).select_related("changed_by")
    return {row.metric: Key(row.key, BY_HAND, row.unit) for row in rows}


def follow_rules(project_id: int, metrics: Sequence[str] = ()) -> None:
    """Let every live run be judged again, or those that log one of these metrics.

    The studies follow: they draw and compare with the same thresholds.
    """
    live = Run.objects.filter(project=project_id, deleted_at=None, rev__gt=0)
    if metrics:
        live = live.filter(summary__has_any_keys=list(metrics))
    subjects = mark_runs(live.values_list("pk", flat=True))
    studies = Study.objects.filter(project=project_id, deleted_at=None)
    outbox.mark_studies(studies.values_list("pk", flat=True))
    transaction.on_commit(lambda: hints.send(subjects[:MOST_HINTED]))


def mark_changed(run_ids: Iterable[int]) -> list[outbox.Subject]:
    """Mark the diagnoses that an edit of many runs touches: of deleted and of restored runs.

    The worker forgets the lease of a deleted run; a restored one has none, and may have missed a
    change of the project's rules. Tags and the archive change nothing that is judged.
    """
    lease = FitState.objects.filter(subject=OuterRef("pk"), kind=FitKind.RUN_DIAG)
    runs = Run.objects.filter(pk__in=list(run_ids), rev__gt=0)
    touched = runs.filter(Q(deleted_at__isnull=False) | ~Exists(lease))
    return mark_runs(touched.values_list("pk", flat=True))
