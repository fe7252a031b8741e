"""Reads of runs: one, a list, their documents."""

from __future__ import annotations

from django.conf import settings
from django.db.models import F
from django.urls import reverse

from runs import store
from runs.doubts import lint
from runs.facts import COLUMNS
from runs.held import LoggedRun
from runs.mlflow.kept import describe_doubts
from runs.models import Run, Writer
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.names import LEARNING_RATE, canonical_metric
from teams.models import Role
from teams.principals import Principal
from teams.queries import bound_role

MOST_AMBIGUOUS = 2
PLAIN = (
    *("name", "group", "job_type", "notes", "tags", "config", "summary", "user_summary", "facts"),
    *("state", "outcome", "outcome_evidence", "exit_code", "finish_reason", "last_step", "attempt"),
    *("rev", "repeated", "overwritten", "dropped", "clock_clamped", "fork_step"),
    *("started_at", "ended_at", "received_at", "heartbeat_at", "flop_convention", "archived_at"),
)
HEAVY = ("notes", "outcome_evidence", "host")  # not in lists
LISTED = (
    *("id", "project", "url", "name", *(name for name in PLAIN if name not in ("name", *HEAVY))),
    *("created_at", "changed_at", "scale"),
)
DEFAULT_PROJECT = "default"


def find_runs(
    principal: Principal, uid: str, project: str | None, with_deleted: bool = False
) -> list[Run]:
    """Return the visible runs of this id, two at most, each with its `held_role`.

    A token of one project that names none, or the client's default, means its own.
    """
    runs = Run.objects.filter(
        uid=uid,
        project__deleted_at=None,
        project__memberships__user_id=principal.user_id,
    )
    if principal.project_id is not None:
        runs = runs.filter(project_id=principal.project_id)
    if project and not (principal.project_id is not None and project == DEFAULT_PROJECT):
        runs = runs.filter(project__slug=project)
    if not with_deleted:
        runs = runs.filter(deleted_at=None)
    found = runs.annotate(
        held_role=F("project__memberships__role"), project_slug=F("project__slug")
    )
    return list(found.defer("host")[:MOST_AMBIGUOUS])


def find_logged_runs(principal: Principal, uid: str, project: str | None) -> list[LoggedRun]:
    """Return what `find_runs` does with id, project and uid only, for whoever logs batches.

    One statement: the ORM's work on it took as long as storing a batch, and reading config and
    summary of a run with many metrics longer.
    """
    owner = {"user": principal.user_id, "bound": principal.project_id}
    rows = store.FIND_LOGGED.fetch({**owner, **name_run(uid, project)})
    return make_logged_runs(uid, rows)


def name_run(uid: str, project: str | None) -> dict[str, object]:
    """Return the parameters that name a run to log into."""
    return {"uid": uid, "slug": project or None, "default": DEFAULT_PROJECT}


def make_logged_runs(uid: str, rows: list[tuple]) -> list[LoggedRun]:
    """Return runs of an id from what the store has of them: id, project, role and slug."""
    return [LoggedRun(pk, project, uid, role, slug) for pk, project, role, slug in rows]


def find_held_role(principal: Principal, run: Run | LoggedRun) -> Role:
    """Return the principal's role in the project of a run that was found for it."""
    return bound_role(principal, Role(run.held_role))


def read_cursor(run: Run, writer: object = None) -> dict[str, object]:
    """Return how far a writer's batches and the run's visible steps reach."""
    last_seq = 0
    if writer is not None:
        known = Writer.objects.filter(run=run, writer=writer).values_list("last_seq", flat=True)
        last_seq = known.first() or 0
    return {
        "last_seq": last_seq,
        "last_step": run.last_step,
        "attempt": run.attempt,
        "state": run.state,
    }


def find_doubts(run: Run) -> list[str]:
    """Say what in the run's scale facts does not fit together, and what of it is not stored."""
    rates = [
        decode_float(entry.get("max"))
        for name, entry in run.summary.items()
        if canonical_metric(name) == LEARNING_RATE
    ]
    logged = [rate for rate in rates if rate is not None]
    found = lint(run.facts, run.last_step, max(logged) if logged else None)
    return found + describe_doubts(run)


def write_url(run: Run) -> str:
    """Return the address of the run's page."""
    return settings.SCALEDASH_BASE_URL + reverse("run", args=[run.project.slug, run.uid])


def describe_short(run: Run, is_new: bool) -> dict[str, object]:
    """Return what a client needs of the run it has opened."""
    return {
        "id": run.uid,
        "project": run.project.slug,
        "name": run.name or run.uid,
        "url": write_url(run),
        "state": run.state,
        "created": is_new,
        "last_step": run.last_step,
        "attempt": run.attempt,
    }


def describe_listed(run: Run) -> dict[str, object]:
    """Return a run as lists show it: everything but notes, host and evidence."""
    return {name: read_column(run, name) for name in LISTED}


def read_column(run: Run, name: str) -> object:
    """Return one field of a listed run."""
    if name == "id":
        return run.uid
    if name == "project":
        return run.project.slug
    if name == "url":
        return write_url(run)
    if name == "name":
        return run.name or run.uid
    if name == "scale":
        return {fact: getattr(run, fact) for fact in COLUMNS if getattr(run, fact) is not None}
    return getattr(run, name)


def describe_run(run: Run) -> dict[str, object]:
    """Return all that is known of a run beside its points."""
    return {
        **describe_listed(run),
        **{name: getattr(run, name) for name in HEAVY},
        "parent": run.parent.uid if run.parent else None,
        "doubts": find_doubts(run),
        "attempts": [
            {"no": attempt.no, "start_step": attempt.start_step, "reason": attempt.reason}
            for attempt in run.attempts.order_by("no")
        ],
    }
