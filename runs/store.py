"""The metric store: every SQL statement of runs, each with the index that it uses.

Points live in `runs_chunk`: one row for each metric of a batch, little-endian int64 steps and
float64 values. The metric id 0 holds the wall-clock times of the steps, once for all metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from uuid import UUID

import msgspec
import numpy as np
from django.db import connection
from numpy.typing import NDArray

from runs.blocks import Steps, Values
from runs.codecs import decode_steps
from runs.held import LockedRun, WriterState
from runs.points import NO_POINTS, Series, decode_chunks, resolve_points
from teams.store import TOKEN, Prepared

TIMES = 0
CHANGED_SECONDS = 5  # how old the `changed_at` of a run may be to which batches arrive

# What ingest reads of a run whose row it locks. Not FOR UPDATE: foreign keys to it need not wait.
_HELD = """
  r.rev, r.state, r.attempt, r.last_step, r.outcome, r.ending, r.facts, r.deleted_at,
  r.clock_clamped,
  (SELECT coalesce(jsonb_object_agg(name, r.summary -> name), '{}')
   FROM unnest(%(names)s::text[]) AS name WHERE r.summary ? name), r.outcome_evidence ? 'override'
"""

# Keys of batch, writer and run; an uncommitted twin is waited for. No row: known, or pruned
# already.
CLAIM_BATCH = Prepared(
    "claim_batch",
    f"""
WITH claimed AS (
  INSERT INTO runs_batch (run_id, writer, seq, digest, n_points, received_at)
  VALUES (%(run)s::bigint, %(writer)s::uuid, %(seq)s::bigint, %(digest)s::bytea,
          %(n_points)s::int, clock_timestamp())
  ON CONFLICT DO NOTHING RETURNING run_id, writer, seq
), writer AS (
  INSERT INTO runs_writer AS known
    (run_id, writer, last_seq, max_seq, attempt, attempt_key, resumed, unordered)
  SELECT run_id, writer, CASE WHEN seq = 1 THEN 1 ELSE 0 END, seq, 0, '', false, false
  FROM claimed
  ON CONFLICT (run_id, writer) DO UPDATE
  SET last_seq = CASE WHEN known.last_seq + 1 = excluded.max_seq THEN excluded.max_seq
                      ELSE known.last_seq END,
      max_seq = greatest(known.max_seq, excluded.max_seq)
  WHERE known.last_seq < excluded.max_seq
  RETURNING run_id, last_seq, max_seq, attempt, (xmax = 0) AS is_new
)
SELECT w.last_seq, w.max_seq, w.attempt, w.is_new, {_HELD}
FROM writer w JOIN runs_run r ON r.id = w.run_id FOR NO KEY UPDATE OF r
""",
)

# Primary key of run.
LOCK_RUN = Prepared(
    "lock_run",
    f"SELECT {_HELD} FROM runs_run r WHERE r.id = %(run)s::bigint FOR NO KEY UPDATE",
)

# Primary keys of writer and batch; no digest where the key was pruned.
FIND_DIGEST = """
SELECT b.digest, w.last_seq FROM runs_writer w
LEFT JOIN runs_batch b ON b.run_id = w.run_id AND b.writer = w.writer AND b.seq = %(seq)s
WHERE w.run_id = %(run)s AND w.writer = %(writer)s
"""

# Primary keys of batch and writer; a statement of its own, so that it sees what was committed
# while the writer's row was waited for.
ADVANCE_WRITER = """
UPDATE runs_writer w SET last_seq = coalesce((
  SELECT max(seq) FROM (
    SELECT b.seq, b.seq - row_number() OVER (ORDER BY b.seq) AS gap FROM runs_batch b
    WHERE b.run_id = w.run_id AND b.writer = w.writer AND b.seq > w.last_seq
  ) later WHERE gap = w.last_seq
), w.last_seq)
WHERE w.run_id = %(run)s AND w.writer = %(writer)s
RETURNING last_seq
"""

# Primary key of run.
COUNT_METRICS = """
SELECT count(*) FROM (
  SELECT jsonb_object_keys(summary) FROM runs_run WHERE id = %(run)s
  UNION SELECT unnest(%(names)s::text[])
) names
"""

# Primary keys of attempt and writer.
FIND_ATTEMPTS = """
SELECT no, start_step, attempt_key, request_id FROM runs_attempt WHERE run_id = %(run)s ORDER BY no
"""
ADD_ATTEMPT = """
INSERT INTO runs_attempt
  (run_id, no, start_step, rev, reason, attempt_key, request_id, created_at)
VALUES (%(run)s, %(no)s, %(start_step)s, %(rev)s, %(reason)s, %(attempt_key)s, %(request_id)s,
        clock_timestamp())
"""
LOWER_ATTEMPT = """
UPDATE runs_attempt SET start_step = %(start_step)s WHERE run_id = %(run)s AND no = %(no)s
"""
MOVE_WRITER = """
UPDATE runs_writer SET attempt = %(no)s, attempt_key = %(attempt_key)s, resumed = %(resumed)s
WHERE run_id = %(run)s AND writer = %(writer)s
"""

# Primary key of run: the series that an attempt hides points of wait to be settled.
FLAG_HIDDEN = """
UPDATE runs_run SET settle_at = coalesce(settle_at, clock_timestamp()), summary = (
  SELECT coalesce(jsonb_object_agg(key, CASE WHEN (value ->> 'last_step')::bigint >= %(step)s
    THEN value || '{"unsettled": true}' ELSE value END), '{}') FROM jsonb_each(summary))
WHERE id = %(run)s
"""

# Primary key of run. No column of an index changes with every batch, or each would write to all
# indexes of the table: changed_at follows within seconds, is_compacted once.
_UPDATE_RUN = f"""
UPDATE runs_run SET
  rev = %(rev)s::bigint, summary = summary || %(summary)s::jsonb, attempt = %(attempt)s::int,
  last_step = %(last_step)s::bigint, state = %(state)s::text, outcome = %(outcome)s::text,
  outcome_evidence = coalesce(%(evidence)s::jsonb, outcome_evidence),
  facts = coalesce(%(facts)s::jsonb, facts), n_tokens = coalesce(%(n_tokens)s::float8, n_tokens),
  flops = coalesce(%(flops)s::float8, flops),
  flop_convention = coalesce(%(flop_convention)s::text, flop_convention),
  repeated = repeated + %(repeated)s::int, overwritten = overwritten + %(overwritten)s::int,
  clock_clamped = %(clock_clamped)s::bool, is_compacted = false,
  settle_at = CASE WHEN %(is_settled)s::bool THEN settle_at
                   ELSE coalesce(settle_at, clock_timestamp()) END,
  ended_at = CASE WHEN %(state)s = 'running' THEN NULL ELSE ended_at END,
  received_at = clock_timestamp(), heartbeat_at = clock_timestamp(),
  changed_at = CASE
    WHEN changed_at BETWEEN clock_timestamp() - interval '{CHANGED_SECONDS} seconds'
                        AND clock_timestamp() THEN changed_at
    ELSE clock_timestamp() END
WHERE id = %(run)s::bigint
"""
# Primary key of chunk.
_ADD_CHUNKS = """
INSERT INTO runs_chunk
  (run_id, metric_id, rev, rev_first, attempt, codec, n, first_step, last_step, steps, "values",
   last_value, min_value, max_value, sum_value, n_nan, n_posinf, n_neginf)
SELECT %(run)s::bigint, metric, %(rev)s::bigint, %(rev)s, %(attempt_of_points)s::int, 0, n,
       first_step, last_step, substring(%(steps)s::bytea, step_at, 8 * n),
       substring(%(values)s::bytea, value_at, 8 * n), last_value, min_value, max_value, sum_value,
       n_nan, n_posinf, n_neginf
FROM unnest(%(metric)s::bigint[], %(n)s::int[], %(first_step)s::bigint[], %(end_step)s::bigint[],
            %(step_at)s::int[], %(value_at)s::int[], %(last_value)s::float8[],
            %(min_value)s::float8[], %(max_value)s::float8[], %(sum_value)s::float8[],
            %(n_nan)s::int[], %(n_posinf)s::int[], %(n_neginf)s::int[])
  AS t(metric, n, first_step, last_step, step_at, value_at, last_value, min_value, max_value,
       sum_value, n_nan, n_posinf, n_neginf)
"""
# Primary key of batch.
_ADD_BATCH = """
INSERT INTO runs_batch (run_id, writer, seq, digest, n_points, received_at)
VALUES (%(run)s::bigint, %(writer)s::uuid, %(rev)s::bigint, %(digest)s::bytea,
        %(n_points)s::int, clock_timestamp())
"""
STORE_CLAIMED = Prepared("store_claimed", _UPDATE_RUN, _ADD_CHUNKS)
STORE_UNCLAIMED = Prepared("store_unclaimed", _UPDATE_RUN, _ADD_CHUNKS, _ADD_BATCH)

# Primary key of run.
END_RUN = Prepared(
    "end_run",
    """
UPDATE runs_run SET state = %(state)s::text, ending = NULL, exit_code = %(exit_code)s::int,
  finish_reason = %(reason)s::text, ended_at = %(ended_at)s::timestamptz,
  changed_at = %(changed_at)s::timestamptz
WHERE id = %(run)s::bigint
""",
)

# Index of memberships by user, unique (project, uid) of runs; two rows say that it is ambiguous. A
# token of one project that names the client's default means its own.
_LOGGED = """
SELECT r.id AS run_id, r.project_id AS of_project, m.role, p.slug FROM teams_membership m
JOIN teams_project p ON p.id = m.project_id JOIN runs_run r ON r.project_id = p.id
WHERE m.user_id = {user} AND r.uid = %(uid)s::text
  AND p.deleted_at IS NULL AND r.deleted_at IS NULL AND ({bound} IS NULL OR p.id = {bound})
  AND (%(slug)s::text IS NULL OR p.slug = %(slug)s
       OR ({bound} IS NOT NULL AND %(slug)s = %(default)s::text))
LIMIT 2
"""
_OF_TOKEN = _LOGGED.format(user="token.user_id", bound="token.project_id")
_OF_USER = _LOGGED.format(user="%(user)s::bigint", bound="%(bound)s::bigint")
FIND_LOGGED = Prepared("find_logged", _OF_USER)
FIND_TOKEN_AND_LOGGED = Prepared(
    "find_token_and_logged",
    f"WITH token AS ({TOKEN}) SELECT token.*, logged.* FROM token "
    f"LEFT JOIN LATERAL ({_OF_TOKEN}) logged ON true",
)

# Unique (project, uid) of runs; index of runs by project. Runs are counted where it has none.
FIND_RUN = Prepared(
    "find_run",
    """
WITH known AS (
  SELECT id FROM runs_run WHERE project_id = %(project)s::bigint AND uid = %(uid)s::text
)
SELECT (SELECT id FROM known), CASE WHEN EXISTS (SELECT FROM known) THEN 0 ELSE
  (SELECT count(*) FROM (SELECT FROM runs_run WHERE project_id = %(project)s
                         AND deleted_at IS NULL LIMIT %(limit)s::bigint) held) END
""",
)

# Unique (project, name).
FIND_METRICS = """
SELECT name, id FROM runs_metric WHERE project_id = %(project)s AND name = ANY(%(names)s)
"""
ADD_METRICS = """
INSERT INTO runs_metric (project_id, name)
SELECT %(project)s, name FROM unnest(%(names)s::text[]) AS name ON CONFLICT DO NOTHING
"""

# Primary key of run, unique (project, name).
FIND_METRICS_OF_RUNS = """
SELECT id FROM runs_metric WHERE name = ANY(%(names)s)
  AND project_id IN (SELECT project_id FROM runs_run WHERE id = ANY(%(runs)s))
"""

# Primary key of chunk, by (run, metric) and in the order of arrival.
READ_CHUNKS = """
SELECT run_id, metric_id, attempt, codec, n, steps, "values" FROM runs_chunk
WHERE run_id = ANY(%(runs)s) AND metric_id = ANY(%(metrics)s)
ORDER BY run_id, metric_id, rev
"""

# Primary key of attempt.
READ_STARTS = """
SELECT run_id, no, start_step FROM runs_attempt WHERE run_id = ANY(%(runs)s)
"""

# Primary key of chunk, all metrics of one run: how far the points that stay visible reach.
FIND_LAST_STEP = """
SELECT max(c.last_step) FROM runs_chunk c
JOIN unnest(%(attempts)s::int[], %(limits)s::bigint[]) AS l(no, limit_step) ON l.no = c.attempt
WHERE c.run_id = %(run)s AND c.metric_id <> 0 AND c.last_step < l.limit_step
"""
READ_STRADDLING = """
SELECT l.limit_step, c.codec, c.steps FROM runs_chunk c
JOIN unnest(%(attempts)s::int[], %(limits)s::bigint[]) AS l(no, limit_step) ON l.no = c.attempt
WHERE c.run_id = %(run)s AND c.metric_id <> 0
  AND c.first_step < l.limit_step AND c.last_step >= l.limit_step
"""

CHECK_PATTERN = "SELECT '' ~ %(pattern)s"  # no table: whether a regular expression is one
# Index run_changed (project, changed_at). Rows of the last seconds are summed, because
# transactions do not commit in the order of their clock readings, and batches in quick succession
# leave `changed_at` as it is.
_RECENT = f"changed_at > newest.at - interval '{10 + CHANGED_SECONDS} seconds'"
PROJECT_REVISION = f"""
SELECT coalesce(extract(epoch FROM newest.at) * 1000000, 0)::bigint,
       (SELECT count(*) FROM runs_run WHERE project_id = %(project)s AND {_RECENT}),
       (SELECT mod(coalesce(sum(extract(epoch FROM changed_at) * 1000000 + rev), 0),
                   1000000007)::bigint
        FROM runs_run WHERE project_id = %(project)s AND {_RECENT})
FROM (SELECT max(changed_at) AS at FROM runs_run WHERE project_id = %(project)s) newest
"""

# Primary key of run. A heartbeat alone changes nothing that a page shows.
BEAT = """
UPDATE runs_run SET heartbeat_at = clock_timestamp(),
  changed_at = CASE WHEN state = 'crashed' THEN clock_timestamp() ELSE changed_at END,
  ended_at = CASE WHEN state = 'crashed' THEN NULL ELSE ended_at END,
  state = CASE WHEN state = 'crashed' THEN 'running' ELSE state END
WHERE id = %(run)s AND deleted_at IS NULL RETURNING state
"""


def claim_batch(values: Mapping[str, object]) -> tuple[WriterState, LockedRun] | None:
    """Take the key of a batch and hold its run; None where the key is known already."""
    rows = CLAIM_BATCH.fetch(values)
    return (WriterState(*rows[0][:4]), _read_held(rows[0][4:])) if rows else None


def find_digest(values: Mapping[str, object]) -> tuple[bytes | None, int]:
    """Return the digest under a batch's key, and how far its writer has come."""
    digest, last_seq = fetch(FIND_DIGEST, values)[0]
    return None if digest is None else bytes(digest), last_seq


def advance_writer(run_id: int, writer: UUID) -> int:
    """Move a writer's last seq over what has arrived out of order; returns it."""
    return fetch(ADVANCE_WRITER, {"run": run_id, "writer": writer})[0][0]


def lock_run(run_id: int, names: Sequence[str] = ()) -> LockedRun:
    """Hold the run's row to the end of the transaction; its order is that of the batches."""
    return _read_held(LOCK_RUN.fetch({"run": run_id, "names": list(names)})[0])


def _read_held(found: Sequence[object]) -> LockedRun:
    row = list(found)
    for place in (5, 6, 9):
        row[place] = msgspec.json.decode(row[place]) if isinstance(row[place], str) else row[place]
    return LockedRun(*row)


def count_metrics(run_id: int, names: Sequence[str]) -> int:
    """Return how many metrics the run would have with these."""
    return fetch(COUNT_METRICS, {"run": run_id, "names": list(names)})[0][0]


def find_attempts(run_id: int) -> list[tuple[int, int, str, UUID | None]]:
    """Return the attempts after the first: (no, start_step, attempt_key, request_id)."""
    return fetch(FIND_ATTEMPTS, {"run": run_id})


def find_run(project_id: int, uid: str, limit: int) -> tuple[int | None, int]:
    """Return the run of this id, a deleted one too, else how many the project has up to `limit`."""
    known, n_runs = FIND_RUN.fetch({"project": project_id, "uid": uid, "limit": limit})[0]
    return known, n_runs


def read_project_revision(project_id: int) -> str:
    """Return a text that changes whenever a run of the project does."""
    newest, count, total = fetch(PROJECT_REVISION, {"project": project_id})[0]
    return f"{newest}.{count}.{total}"


def beat(run_id: int) -> str | None:
    """Note a sign of life; returns the run's state, None where it is gone."""
    rows = fetch(BEAT, {"run": run_id})
    return rows[0][0] if rows else None


def read_series(run_id: int, metric: str) -> tuple[Steps, Values]:
    """Return the visible points of one metric of one run."""
    found = read_many([run_id], metric).get(run_id, NO_POINTS)
    return found.steps, found.values


def read_many(run_ids: Sequence[int], metric: str) -> dict[int, Series]:
    """Return the visible points of one metric of many runs; runs without it are left out."""
    rows = fetch(FIND_METRICS_OF_RUNS, {"runs": list(run_ids), "names": [metric]})
    found = read_points(run_ids, [row[0] for row in rows])
    return {run: series for (run, _), series in found.items()}


def read_times(run_ids: Sequence[int]) -> dict[int, Series]:
    """Return the wall-clock time of each step of many runs, seconds since 1970."""
    return {run: series for (run, _), series in read_points(run_ids, [TIMES]).items()}


def read_points(run_ids: Sequence[int], metric_ids: Sequence[int]) -> dict[tuple[int, int], Series]:
    """Return (run, metric) -> visible points."""
    starts: dict[int, dict[int, int]] = {}
    for run, no, start_step in fetch(READ_STARTS, {"runs": list(run_ids)}):
        starts.setdefault(run, {})[no] = start_step
    rows = fetch(READ_CHUNKS, {"runs": list(run_ids), "metrics": list(metric_ids)})
    return {
        key: resolve_points(list(chunks), starts.get(key[0], {}))
        for key, chunks in groupby(rows, key=lambda row: (row[0], row[1]))
    }


def read_stored(run_id: int, metric_id: int) -> tuple[Steps, Values, NDArray[np.int64]]:
    """Return all stored points of a series with their attempts, hidden ones too."""
    return decode_chunks(fetch(READ_CHUNKS, {"runs": [run_id], "metrics": [metric_id]}))


def find_last_step(run_id: int, limits: Sequence[int]) -> int | None:
    """Return the last step that stays visible under these limits of the run's attempts."""
    values = {"run": run_id, "attempts": list(range(len(limits))), "limits": list(limits)}
    found = [row[0] for row in fetch(FIND_LAST_STEP, values) if row[0] is not None]
    for limit, codec, data in fetch(READ_STRADDLING, values):
        below = decode_steps(codec, data)
        found.append(int(below[below < limit].max()))
    return max(found, default=None)


def fetch(statement: str, values: Mapping[str, object]) -> list[tuple]:
    """Run a statement and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def execute(statement: str, values: Mapping[str, object]) -> int:
    """Run a statement and return the number of its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.rowcount
