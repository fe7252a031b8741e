"""Writes of the runs app beside points: create, resume, edit, rewind, end, delete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from runs import store
from runs.attempts import Choice
from runs.facts import COLUMNS, apply_config, apply_declared, read_declared, resolve
from runs.forks import find_fork_point, inherit_facts
from runs.held import LoggedRun
from runs.ingest import ENDED, ENDED_FIELDS, ENDING, end_run, find_visible_end, write_attempt
from runs.mlflow.liveness import is_silent
from runs.models import Run, RunState, Writer
from runs.signals import run_created, run_edited, run_ended
from teams import audit
from teams.models import Project
from teams.services import Refused as TeamsRefused
from teams.store import Insert

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
RESUMING = ("allow", "must")
INSERT_RUN = Insert("insert_run", Run, now=("heartbeat_at",))  # the database's clock: liveness
TEXT_FIELDS = ("name", "group", "job_type", "notes", "tags")


class Refused(TeamsRefused):
    """A change that a rule forbids: status and field are those of the API's answer."""

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(code, message)
        self.status = status
        self.field = field


@dataclass(frozen=True)
class RunWish:
    """A run as a client asks for it; what is None is left as it is."""

    uid: str
    request_id: UUID
    resume: str | None = None
    started_at: float | None = None
    changes: Mapping[str, object] = field(default_factory=dict)
    studies: tuple[str, ...] = ()
    fork_from: str | None = None


def open_run(project: Project, user_id: int | None, wish: RunWish) -> tuple[Run, bool]:
    """Create a run, or resume the one that is there; says whether it was created.

    The same request id gives the same run again, however often it arrives.
    """
    try:
        with transaction.atomic():
            return open_held(project, user_id, wish)
    except IntegrityError:  # another request was faster
        with transaction.atomic():
            return open_held(project, user_id, wish)


def open_held(project: Project, user_id: int | None, wish: RunWish) -> tuple[Run, bool]:
    """Open a run inside a transaction, to the end of which its row is held.

    An IntegrityError says that another request made it meanwhile: a new transaction finds it.
    """
    known, n_runs = store.find_run(project.pk, wish.uid, settings.MAX_RUNS_PER_PROJECT)
    if known is not None:
        return _reopen(known, wish), False
    if wish.resume == "must":
        message = f"There is no run {wish.uid!r} in {project.slug} to resume."
        raise Refused(404, "not_found", message)
    return _create(project, user_id, wish, n_runs), True


@transaction.atomic
def create_run(project: Project, user_id: int | None, wish: RunWish) -> Run:
    """Create a run with its facts, and let it join the studies it names."""
    _, n_runs = store.find_run(project.pk, wish.uid, settings.MAX_RUNS_PER_PROJECT)
    return _create(project, user_id, wish, n_runs)


def _create(project: Project, user_id: int | None, wish: RunWish, n_runs: int) -> Run:
    limit = settings.MAX_RUNS_PER_PROJECT
    if n_runs >= limit:
        message = f"At most {limit:,} runs per project; {project.slug} has them. Delete some."
        raise Refused(422, "quota", message, "/id")
    now = timezone.now()
    run = Run(
        project=project,
        uid=wish.uid,
        request_id=wish.request_id,
        created_by_id=user_id,
        created_at=now,
        changed_at=now,
    )
    if wish.started_at is not None:
        run.started_at, run.clock_clamped = clamp_time(wish.started_at, now)
    _fork(run, wish.fork_from)
    _apply(run, wish.changes)
    INSERT_RUN.run(run)
    run.heartbeat_at = now
    run_created.send(sender=Run, run=run, studies=wish.studies)
    return run


def _fork(run: Run, text: str | None) -> None:
    """Let a new run go on from a step of another one."""
    if not text:
        return
    point = find_fork_point(run, text)
    if isinstance(point, str):
        raise Refused(422, "invalid", point, "/fork_from")
    run.parent, run.fork_step = point.parent, point.step
    at = timezone.now().isoformat(timespec="seconds")
    run.facts = inherit_facts(run.facts, point, at)


def clamp_time(seconds: float, now: datetime) -> tuple[datetime, bool]:
    """Return a client's time between 2000 and a day from now, and whether it lay outside."""
    latest = now + timedelta(days=1)
    inside = min(max(seconds, EARLIEST.timestamp()), latest.timestamp())
    return datetime.fromtimestamp(inside, UTC), inside != seconds


def _reopen(known: int, wish: RunWish) -> Run:
    """Resume a run, unless this is only a replay of the request that made it."""
    run = _lock(known)
    if run.deleted_at is not None:
        message = f"Run {run.uid!r} was deleted; restore it, or choose another id."
        raise Refused(409, "run_deleted", message, "/id")
    if run.request_id == wish.request_id:
        return run
    if wish.resume not in RESUMING:
        message = f"Run {run.uid!r} exists; resume it with resume=allow, or choose another id."
        raise Refused(409, "run_exists", message, "/id")
    _apply(run, wish.changes)
    run.state, run.ended_at, run.ending = RunState.RUNNING, None, None
    run.exit_code, run.finish_reason, run.archived_at = None, "", None
    run.heartbeat_at, run.changed_at = Now(), timezone.now()
    run.save(update_fields=[*_EDITED, "heartbeat_at", *ENDED_FIELDS])
    run.heartbeat_at = run.changed_at
    run_edited.send(sender=Run, run=run, studies=wish.studies)
    return run


@transaction.atomic
def edit_run(run: Run, changes: Mapping[str, object], studies: Iterable[str] = ()) -> Run:
    """Change what is said of a run; config, scale facts, host and summary are merged."""
    run = _lock(run.pk)
    _apply(run, changes)
    run.changed_at = timezone.now()
    run.save(update_fields=_EDITED)
    run_edited.send(sender=Run, run=run, studies=tuple(studies))
    return run


def digest_notes(run: Run) -> str:
    """Return what tells notes from others."""
    return hashlib.sha256(run.notes.encode()).hexdigest()


def check_notes(run: Run, text: str, before: str) -> str:
    """Say why notes cannot be stored, "" where they can; `before` is the digest they come from."""
    size = len(text.encode())
    if size > settings.MAX_NOTES_BYTES:
        return f"At most {settings.MAX_NOTES_BYTES:,} bytes of notes per run; these are {size:,}."
    if "\x00" in text:
        return "Notes hold no NUL character."
    if before != digest_notes(run):
        return "Somebody else has changed these notes meanwhile. Merge yours with theirs, and save."
    return ""


_EDITED = (
    *TEXT_FIELDS,
    *("config", "host", "user_summary", "facts", "flop_convention", "changed_at"),
    "archived_at",
    *COLUMNS,
)


def _lock(run_id: int) -> Run:
    locked = Run.objects.select_for_update(of=("self",), no_key=True).select_related("project")
    return locked.get(pk=run_id)


def _apply(run: Run, changes: Mapping[str, object]) -> None:
    """Merge changes into a run in memory; its facts follow."""
    for name in TEXT_FIELDS:
        if changes.get(name) is not None:
            setattr(run, name, changes[name])
    if changes.get("archived") is not None:
        run.archived_at = (run.archived_at or timezone.now()) if changes["archived"] else None
    run.config = _merge(run.config, changes.get("config"))
    run.host = _merge(run.host, changes.get("host"))
    run.user_summary = _merge(run.user_summary, changes.get("summary"))
    _check_size("config", run.config, settings.MAX_CONFIG_BYTES)
    _check_size("summary", run.user_summary, settings.MAX_CONFIG_BYTES)
    _check_size("host", run.host, settings.MAX_HOST_BYTES)
    at = timezone.now().isoformat(timespec="seconds")
    facts = apply_config(run.facts, run.config, at)
    source = "imported" if _is_import(changes) else "declared"
    facts = apply_declared(facts, _read_scale(changes.get("scale") or {}), at, source)
    found = resolve(facts, run.last_step, at)
    run.facts, run.flop_convention = found.facts, found.flop_convention
    for name, value in found.columns.items():
        setattr(run, name, value)


def _is_import(changes: Mapping[str, object]) -> bool:
    """Say whether `scaledash import` speaks: it brings the cursor of its source along."""
    host = changes.get("host")
    return isinstance(host, Mapping) and "import" in host


def _merge(held: Mapping[str, object], changes: object) -> dict[str, object]:
    return {**held, **changes} if isinstance(changes, Mapping) else dict(held)


def _read_scale(scale: Mapping[str, object]) -> Mapping[str, object]:
    try:
        return read_declared(scale)
    except ValueError as error:
        name, reason = error.args
        raise Refused(422, "invalid", f"{name}: {reason}.", f"/scale/{name}") from error


def _check_size(name: str, value: object, limit: int) -> None:
    size = len(json.dumps(value, ensure_ascii=False).encode())
    if size > limit:
        message = f"At most {limit:,} bytes of {name} per run; this would make {size:,}."
        raise Refused(422, "quota", message, f"/{name}")


@transaction.atomic
def rewind_run(run: Run, request_id: UUID, step: int, writer: UUID | None = None) -> Run:
    """Open an attempt at a step: what was logged there and after is hidden, not erased.

    The same request id opens it once. A writer that is named goes on in the new attempt.
    """
    held = store.lock_run(run.pk)
    if not any(known == request_id for *_, known in store.find_attempts(run.pk)):
        choice = Choice(held.attempt + 1, step, opens=True)
        last_step = find_visible_end(run.pk, held.attempt, choice)
        start = {"reason": "rewind", "attempt_key": "", "request_id": request_id}
        write_attempt(run.pk, held.rev, choice, start)
        changes = {"attempt": choice.no, "last_step": last_step, "changed_at": timezone.now()}
        Run.objects.filter(pk=run.pk).update(**changes)
        if writer is not None:
            Writer.objects.filter(run=run, writer=writer).update(attempt=choice.no)
        run.refresh_from_db()
        run_edited.send(sender=Run, run=run, studies=())
    return run


@transaction.atomic
def finish_run(run: Run | LoggedRun, ending: Mapping[str, object]) -> str:
    """End a run once the batches that its finish record names have arrived; returns its state.

    `ending` has state, exit_code, reason, and where the client knows them writer, last_seq and
    dropped. A run that has ended stays as it is: the same record may arrive twice.
    """
    held = Run.objects.select_for_update(no_key=True).only(*ENDING).get(pk=run.pk)
    return finish_held(held, ending, find_last_seq(run, ending.get("writer")))


def finish_held(held: Run, ending: Mapping[str, object], last_seq: int) -> str:
    """End a run whose row is held, if the batches of `ending` have come that far."""
    dropped = int(ending.get("dropped") or 0)
    if dropped > held.dropped:
        Run.objects.filter(pk=held.pk).update(dropped=dropped)
    if held.state in ENDED or held.state == ending["state"]:
        return str(held.state)
    if ending.get("writer") is None or last_seq >= int(ending.get("last_seq") or 0):
        end_run(held, ending)
        return str(held.state)
    Run.objects.filter(pk=held.pk).update(ending=dict(ending), heartbeat_at=Now())
    return str(held.state)


def find_last_seq(run: Run | LoggedRun, writer: object) -> int:
    """Return how far the batches of a writer have come without a gap."""
    if writer is None:
        return 0
    known = Writer.objects.filter(run_id=run.pk, writer=writer).values_list("last_seq", flat=True)
    return known.first() or 0


@transaction.atomic
def delete_run(run: Run) -> None:
    """Hide a run from everybody; nothing is erased."""
    _set_deleted(run, timezone.now())
    audit.record("run.deleted", run.project, run.name or run.uid, id=run.uid)


@transaction.atomic
def restore_run(run: Run) -> None:
    """Show a deleted run again."""
    _set_deleted(run, None)
    address = reverse("run", args=[run.project.slug, run.uid])
    audit.record("run.restored", run.project, run.name or run.uid, **{audit.LINK: address})


@transaction.atomic
def _set_deleted(run: Run, at: datetime | None) -> None:
    changes = {"deleted_at": at, "purge_at": None, "changed_at": timezone.now()}
    Run.objects.filter(pk=run.pk).update(**changes)
    run.refresh_from_db()
    run_edited.send(sender=Run, run=run, studies=())


@transaction.atomic
def mark_crashed_runs() -> list[int]:
    """Mark the running runs that have been silent for too long by the database's clock.

    Runs that a batch holds just now are alive and passed over.
    """
    live = Run.objects.filter(state=RunState.RUNNING, deleted_at=None)
    locked = live.select_for_update(of=("self",), no_key=True, skip_locked=True)
    found = list(locked.filter(is_silent()).select_related("project"))
    for run in found:
        run.state, run.ended_at = RunState.CRASHED, run.heartbeat_at
        run.changed_at = timezone.now()
        run.save(update_fields=["state", "ended_at", "changed_at"])
        run_ended.send(sender=Run, run=run)
    return [run.pk for run in found]
