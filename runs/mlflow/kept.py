"""What the protocol keeps of a run beside its columns: the document `host["mlflow"]`.

{"tags": {key: value}, "numbering": {metric: {next, millis, value}}, "numbered": [metric, ...],
"not_stored": {kind: count}}. Its presence says that MLflow's protocol made the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from runs.mlflow.numbering import State
from runs.models import Run

KEY = "mlflow"
Document = dict[str, Any]


def read_document(run: Run) -> Document:
    """Return what is kept; empty for a run that came another way."""
    found = run.host.get(KEY)
    return dict(found) if isinstance(found, Mapping) else {}


def is_kept(run: Run) -> bool:
    """Say whether MLflow's protocol made the run."""
    return isinstance(run.host.get(KEY), Mapping)


@transaction.atomic
def change_document(run_id: int, change: Callable[[Document], Document]) -> None:
    """Replace what is kept by what `change` makes of it, while the run is locked."""
    locked = Run.objects.select_for_update(of=("self",), no_key=True).only("id", "host")
    run = locked.get(pk=run_id)
    host = {**run.host, KEY: change(read_document(run))}
    Run.objects.filter(pk=run_id).update(host=host, changed_at=timezone.now())


def read_numbering(run_id: int, names: Sequence[str]) -> State:
    """Return the state of those of these metrics that have had step 0 only."""
    held = Run.objects.filter(pk=run_id).values_list(f"host__{KEY}__numbering", flat=True).first()
    return {name: held[name] for name in names if name in held} if held else {}


def write_numbering(run_id: int, before: State, after: State) -> None:
    """Store the state of some metrics; those that got numbers are marked."""

    def change(document: Document) -> Document:
        state = {**document.get("numbering", {}), **after}
        for name in set(before) - set(after):
            state.pop(name, None)
        marked = {name for name, entry in after.items() if entry["next"] > 1}
        marked |= set(document.get("numbered", ()))
        return {**document, "numbering": state, "numbered": sorted(marked)}

    change_document(run_id, change)


def count_not_stored(run_id: int, kind: str, count: int) -> None:
    """Note that a client sent something that is not stored."""

    def change(document: Document) -> Document:
        counts = dict(document.get("not_stored", {}))
        counts[kind] = counts.get(kind, 0) + count
        return {**document, "not_stored": counts}

    change_document(run_id, change)


def describe_doubts(run: Run) -> list[str]:
    """Say, for the run's page, what became of points without steps and of what is not stored."""
    document = read_document(run)
    found = []
    numbered = document.get("numbered") or []
    if numbered:
        shown = ", ".join(numbered[:3]) + (", ..." if len(numbered) > 3 else "")
        found.append(
            f"{shown}: logged through MLflow without steps, so that the points are numbered in the "
            "order of their arrival; pass step= for real ones."
        )
    for kind, count in sorted((document.get("not_stored") or {}).items()):
        found.append(f"Not stored: {count:,} {kind} that an MLflow client sent.")
    return found
