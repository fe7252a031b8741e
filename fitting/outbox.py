"""The outbox and the leases: every SQL statement about `dirty` and `fit_state`.

A change that can alter a fit appends a row to `dirty` in its own transaction. A worker claims a
subject by its lease, reads a snapshot, fits, and deletes exactly the rows that its snapshot saw,
in the transaction that publishes. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from fitting.models import FitKind
from teams.store import Prepared

MAX_RAISED = 3  # attempts that raised before the back-off begins
MAX_LOST = 6  # attempts whose lease expired before the back-off begins
BACK_OFF_SECONDS = 10.0
MAX_BACK_OFF_SECONDS = 600.0
MAX_DOUBLINGS = 6  # 10 s * 2**6 > 10 min
MIN_GAP_SECONDS = {FitKind.FAST: 0.3, FitKind.DEEP: 2.0, FitKind.RUN_DIAG: 2.0}
MAX_GAP_SECONDS = 10.0
STUDY_KINDS = (FitKind.FAST, FitKind.DEEP)
KINDS = (*STUDY_KINDS, FitKind.RUN_DIAG)
Subject = int | str  # as hints name it
LOST_MESSAGE = "The worker was lost several times during this fit (killed, or out of memory)."

# Appends; serial primary key only, so that writers never wait for each other.
MARK_STUDIES = """
INSERT INTO fitting_dirty (subject, kind, at)
SELECT subject, %(kind)s, clock_timestamp() FROM unnest(%(subjects)s::bigint[]) AS subject
"""

# Whether the run's diagnosis is meant too: a metric is read as something, or a person said that one
# of them is. Unique (project, metric) of meanings.
_IS_JUDGED = """
(%(is_judged)s::bool OR EXISTS (
  SELECT FROM fitting_metricmeaning g
  WHERE g.project_id = (SELECT project_id FROM runs_run WHERE id = %(run)s::bigint)
    AND g.metric = ANY(%(metrics)s::text[]) AND g.key <> ''))
"""

# The lease of the run's diagnosis is made with its first change. Not by ON CONFLICT alone: that
# waits for a worker that is updating the lease, and the worker waits for the run's row, which the
# caller holds. Primary keys of run and fit_state.
_LEASE = f"""
WITH judged AS MATERIALIZED (SELECT {_IS_JUDGED} AS it), lease AS (
  INSERT INTO fitting_fitstate (subject, kind, project_id, token, attempts, failures,
                                last_duration_seconds, last_error, progress)
  SELECT r.id, 'run_diag', r.project_id, 0, 0, 0, 0, '', '{{}}'::jsonb
  FROM runs_run r WHERE r.id = %(run)s AND (SELECT it FROM judged)
    AND NOT EXISTS (SELECT FROM fitting_fitstate WHERE subject = %(run)s AND kind = 'run_diag')
  ON CONFLICT DO NOTHING
)
"""
_RUN = "UNION ALL SELECT %(run)s, 'run_diag', clock_timestamp() FROM judged WHERE it"

# Index: unique (study, run) of fitting_studyrun by its foreign key index on run.
MARK_READERS = Prepared(
    "mark_readers",
    f"""{_LEASE}
INSERT INTO fitting_dirty (subject, kind, at)
SELECT s.id, 'fast', clock_timestamp()
FROM fitting_studyrun m JOIN fitting_study s ON s.id = m.study_id
WHERE m.run_id = %(run)s AND s.deleted_at IS NULL
  AND (%(reads_all)s::bool OR s.loss_metric = ANY(%(metrics)s))
{_RUN}
RETURNING subject, kind
""",
)

FORGET = """
DELETE FROM fitting_fitstate
WHERE subject = %(subject)s AND kind = %(kind)s AND token = %(token)s
"""

# Runs that are being created hold their project together; a study that selects runs excludes them
# for a moment. The second statement sees what was committed while the first waited.
HOLD_PROJECT = Prepared(
    "hold_project",
    "SELECT FROM teams_project WHERE id = %(project)s::bigint FOR KEY SHARE",
    "SELECT id FROM fitting_study WHERE project_id = %(project)s::bigint AND deleted_at IS NULL "
    "AND selection ->> 'kind' IS DISTINCT FROM 'list'",
)

# Index: primary key (subject, kind).
CREATE_STATES = """
INSERT INTO fitting_fitstate (subject, kind, project_id, token, attempts, failures,
                              last_duration_seconds, last_error, progress)
SELECT %(subject)s, kind, %(project)s, 0, 0, 0, 0, '', '{}'::jsonb
FROM unnest(%(kinds)s::text[]) AS kind
ON CONFLICT DO NOTHING
"""

# One row per claimable (subject, kind); the index dirty_by_subject alone gives its oldest change.
_CLAIMABLE = """
FROM fitting_fitstate s
CROSS JOIN LATERAL (
  SELECT d.id AS oldest, d.at FROM fitting_dirty d
  WHERE d.subject = s.subject AND d.kind = s.kind ORDER BY d.id LIMIT 1
) w
WHERE s.kind = ANY(%(kinds)s)
  AND (s.lease_until IS NULL OR s.lease_until < clock_timestamp())
  AND (s.not_before IS NULL OR s.not_before <= clock_timestamp())
"""

# The oldest change goes first, after the projects that hold their share of the workers.
# A claim that may be the last before the back-off sets `not_before` in advance: a worker that is
# lost cannot do it afterwards. Publishing sets it again.
CLAIM = f"""
WITH chosen AS (
  SELECT s.subject, s.kind, w.at {_CLAIMABLE}
  ORDER BY (SELECT count(*) FROM fitting_fitstate b
            WHERE b.project_id = s.project_id AND b.lease_until > clock_timestamp()) >= %(share)s,
           w.oldest
  LIMIT 1 FOR UPDATE OF s SKIP LOCKED
)
UPDATE fitting_fitstate s
SET token = s.token + 1,
    attempts = s.attempts + 1,
    lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    not_before = CASE WHEN s.attempts - s.failures + 1 >= %(max_lost)s
      THEN clock_timestamp() + make_interval(secs => least(%(max_back_off)s, %(back_off)s
           * power(2, least(%(doublings)s, s.attempts - s.failures + 1 - %(max_lost)s))))
      ELSE s.not_before END,
    last_error = CASE WHEN s.attempts - s.failures >= %(max_lost)s
      THEN %(lost)s ELSE s.last_error END
FROM chosen
WHERE s.subject = chosen.subject AND s.kind = chosen.kind
RETURNING s.subject, s.kind, s.token, s.project_id, chosen.at
"""

COUNT_BUSY = "SELECT count(*) FROM fitting_fitstate WHERE lease_until > clock_timestamp()"

RENEW = """
UPDATE fitting_fitstate SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE subject = %(subject)s AND kind = %(kind)s AND token = %(token)s
  AND lease_until IS NOT NULL
"""

BEGIN_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# Ids, not `<= max(id)`: sequences do not commit in order. The time is from before the snapshot.
READ_DIRTY = """
SELECT coalesce(array_agg(id), '{}'), statement_timestamp() FROM fitting_dirty
WHERE subject = %(subject)s AND kind = %(kind)s
"""

RELEASE = """
UPDATE fitting_fitstate
SET lease_until = NULL, attempts = 0, failures = 0, last_error = '',
    last_duration_seconds = %(duration)s, progress = %(progress)s::jsonb,
    not_before = clock_timestamp() + make_interval(secs => %(gap)s)
WHERE subject = %(subject)s AND kind = %(kind)s AND token = %(token)s
"""

DELETE_DIRTY = "DELETE FROM fitting_dirty WHERE id = ANY(%(ids)s)"

FAIL = """
UPDATE fitting_fitstate
SET lease_until = NULL, failures = failures + 1, last_error = %(error)s,
    not_before = clock_timestamp() + make_interval(secs => CASE
      WHEN failures + 1 >= %(max_raised)s THEN least(%(max_back_off)s, %(back_off)s
           * power(2, least(%(doublings)s, failures + 1 - %(max_raised)s)))
      ELSE %(gap)s END)
WHERE subject = %(subject)s AND kind = %(kind)s AND token = %(token)s
"""

REVIVE = """
UPDATE fitting_fitstate
SET attempts = 0, failures = 0, not_before = NULL, last_error = ''
WHERE subject = %(subject)s AND kind = ANY(%(kinds)s) AND last_error <> ''
"""

# How long each claimable subject has been claimable.
FIND_WAITING = f"""
SELECT s.subject, s.kind, extract(epoch FROM clock_timestamp()
       - greatest(w.at, s.not_before, s.lease_until))::float8
{_CLAIMABLE} ORDER BY w.oldest LIMIT 100
"""

# Everything that a study's page shows moves at least one of these numbers.
# Indexes: primary keys of study, run and fit_state, studyrun by study, dirty_by_subject.
REVISION = """
SELECT s.rev, members.n, members.n_running, members.revs, members.changed, states.newest_fit,
       states.tokens, states.failures, states.error, states.is_running,
       EXISTS (SELECT FROM fitting_dirty d WHERE d.subject = s.id AND d.kind = 'fast')
FROM fitting_study s
CROSS JOIN LATERAL (
  SELECT count(*) AS n, count(*) FILTER (WHERE r.state = 'running') AS n_running,
         coalesce(sum(r.rev), 0)::bigint AS revs,
         coalesce(extract(epoch FROM max(r.changed_at)) * 1000000, 0)::bigint AS changed
  FROM fitting_studyrun m JOIN runs_run r ON r.id = m.run_id
  WHERE m.study_id = s.id AND r.deleted_at IS NULL
) members
CROSS JOIN LATERAL (
  SELECT coalesce(sum(t.token), 0)::bigint AS tokens, coalesce(sum(t.failures), 0) AS failures,
         coalesce(max((t.progress ->> 'fit')::bigint), 0) AS newest_fit,
         coalesce(max(t.last_error) FILTER (WHERE t.kind = 'fast'), '') AS error,
         coalesce(bool_or(t.kind = 'fast' AND t.lease_until > clock_timestamp()), false)
           AS is_running
  FROM fitting_fitstate t WHERE t.subject = s.id AND t.kind = ANY(%(kinds)s)
) states
WHERE s.id = %(study)s
"""


@dataclass(frozen=True)
class Claim:
    """The right to publish one (subject, kind), until somebody else holds a higher token."""

    subject: int
    kind: FitKind
    token: int
    project_id: int
    dirty_since: datetime

    @property
    def key(self) -> dict[str, object]:
        """Return the parameters that name this claim in a statement."""
        return {"subject": self.subject, "kind": self.kind, "token": self.token}


@dataclass(frozen=True)
class Waiting:
    """A subject that a worker could claim now, and for how long it could have."""

    subject: int
    kind: FitKind
    seconds: float

    @property
    def hint(self) -> Subject:
        """Return what a hint about it is called."""
        return name_subject(self.subject, self.kind)


@dataclass(frozen=True)
class Revision:
    """What the revision endpoint of a study answers from."""

    study_rev: int
    n_runs: int
    n_running: int
    runs_rev: int
    runs_changed: int
    newest_fit: int
    tokens: int
    failures: int
    error: str
    is_running: bool
    is_pending: bool


def mark_studies(subjects: Iterable[int], kind: FitKind = FitKind.FAST) -> None:
    """Append one dirty row for each study."""
    _execute(MARK_STUDIES, {"subjects": sorted(set(subjects)), "kind": kind})


def mark_readers(
    run_id: int, metrics: Sequence[str], has_loss: bool, is_judged: bool = False
) -> list[Subject]:
    """Append dirty rows for the studies that hold the run and read one of the metrics.

    Any loss is read: one that is not finite tells of a divergence, whatever the study declares.
    `is_judged` marks the diagnosis of the run as well, and so does a metric with a meaning.
    """
    values = {"run": run_id, "metrics": list(metrics), "reads_all": has_loss}
    return _name(MARK_READERS.fetch({**values, "is_judged": is_judged}))


def mark_holders(run_id: int, is_judged: bool = True) -> list[Subject]:
    """Append dirty rows for all studies that hold the run, and for its diagnosis."""
    values = {"run": run_id, "metrics": [], "reads_all": True}
    return _name(MARK_READERS.fetch({**values, "is_judged": is_judged}))


def _name(rows: Iterable[tuple]) -> list[Subject]:
    return [name_subject(subject, kind) for subject, kind in rows]


def name_subject(subject: int, kind: str) -> Subject:
    """Return what hints call it; runs and studies may share a number."""
    return f"run:{subject}" if kind == FitKind.RUN_DIAG else subject


def forget(held: Claim) -> None:
    """Delete the lease of a subject that is gone."""
    _execute(FORGET, held.key)


def hold_project(project_id: int) -> list[int]:
    """Keep new selections out, or wait for the one being made; returns studies that select."""
    return [row[0] for row in HOLD_PROJECT.fetch({"project": project_id})]


def create_states(subject: int, project_id: int) -> None:
    """Make the leases of a new study."""
    kinds = list(STUDY_KINDS)
    _execute(CREATE_STATES, {"subject": subject, "project": project_id, "kinds": kinds})


def revive(subject: int) -> None:
    """Let a study that failed be tried again at once, because a person changed it."""
    _execute(REVIVE, {"subject": subject, "kinds": list(STUDY_KINDS)})


def claim(kinds: Sequence[FitKind], project_share: int) -> Claim | None:
    """Take the lease of the subject whose change is oldest; None where nothing is claimable."""
    values = {
        "kinds": list(kinds),
        "share": project_share,
        "lease": settings.REFIT_LEASE_SECONDS,
        "lost": LOST_MESSAGE,
        **_BACK_OFF,
    }
    rows = _fetch(CLAIM, values)
    if not rows:
        return None
    subject, kind, token, project_id, at = rows[0]
    return Claim(subject, FitKind(kind), token, project_id, at)


def count_busy() -> int:
    """Return the number of live leases."""
    return _fetch(COUNT_BUSY, {})[0][0]


def renew(held: Claim) -> bool:
    """Extend the lease; False where somebody else holds a newer one."""
    return _execute(RENEW, {**held.key, "lease": settings.REFIT_LEASE_SECONDS}) == 1


def begin_snapshot() -> None:
    """Make the transaction that has just begun see one state of the database."""
    _execute(BEGIN_SNAPSHOT, {})


def read_dirty(held: Claim) -> tuple[list[int], datetime]:
    """Return the ids of the subject's dirty rows in this snapshot, and the time."""
    ids, now = _fetch(READ_DIRTY, held.key)[0]
    return list(ids), now


def release(held: Claim, duration_seconds: float, progress: str) -> bool:
    """End the lease after success; False where the token no longer holds."""
    gap = find_gap(held.kind, duration_seconds)
    values = {"duration": duration_seconds, "progress": progress, "gap": gap}
    return _execute(RELEASE, {**held.key, **values}) == 1


def delete_dirty(ids: Sequence[int]) -> None:
    """Delete exactly these rows."""
    _execute(DELETE_DIRTY, {"ids": list(ids)})


def fail(held: Claim, error: str) -> None:
    """End the lease after an attempt that raised; the third begins the back-off."""
    _execute(FAIL, {**held.key, **_BACK_OFF, "error": error, "gap": find_gap(held.kind, 0.0)})


def find_gap(kind: FitKind, duration_seconds: float) -> float:
    """Return the pause after a fit: a third of a core for one study at most."""
    return min(max(2 * duration_seconds, MIN_GAP_SECONDS[kind]), MAX_GAP_SECONDS)


def find_waiting(kinds: Sequence[FitKind] = KINDS) -> list[Waiting]:
    """Return what could be claimed now, oldest change first."""
    rows = _fetch(FIND_WAITING, {"kinds": list(kinds)})
    return [Waiting(subject, FitKind(kind), seconds) for subject, kind, seconds in rows]


def read_revision(study_id: int) -> Revision:
    """Return the numbers behind a study's revision."""
    return Revision(*_fetch(REVISION, {"study": study_id, "kinds": list(STUDY_KINDS)})[0])


_BACK_OFF = {
    "max_raised": MAX_RAISED,
    "max_lost": MAX_LOST,
    "back_off": BACK_OFF_SECONDS,
    "max_back_off": MAX_BACK_OFF_SECONDS,
    "doublings": MAX_DOUBLINGS,
}


def _execute(statement: str, values: dict[str, object]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount


def _fetch(statement: str, values: dict[str, object]) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()
