"""What the database says of the server's state: every statement with the index that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from fitting import outbox
from fitting.models import FitKind

WINDOW_SECONDS = 600  # of fast fits: whether they are slow now, not after an import long past
DEEP_WINDOW_SECONDS = 3600
RATE_SECONDS = 60

# Primary key of dirty by its order; small whenever workers keep up.
QUEUE = """
SELECT count(*), extract(epoch FROM clock_timestamp() - min(at))::float8 FROM fitting_dirty
"""
# Leases and errors: one row a study and kind.
STATES = """
SELECT count(*) FILTER (WHERE s.lease_until > clock_timestamp()),
       count(*) FILTER (WHERE s.last_error <> '')
FROM fitting_fitstate s
"""
# Leases and errors again, and primary keys of what they belong to: the one that failed most often.
FAILING = """
SELECT coalesce((
  SELECT p.slug || '/' || coalesce(y.slug, r.uid, '') || ', ' || s.kind || ': ' || s.last_error
  FROM fitting_fitstate s JOIN teams_project p ON p.id = s.project_id
  LEFT JOIN fitting_study y ON y.id = s.subject AND s.kind <> %(run_diag)s
  LEFT JOIN runs_run r ON r.id = s.subject AND s.kind = %(run_diag)s
  WHERE s.last_error <> '' ORDER BY s.failures DESC, s.subject LIMIT 1
), '')
"""
# Primary key, backwards: of the newest two thousand fits those of one kind.
LAG = """
SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY lag_seconds),
       percentile_cont(0.95) WITHIN GROUP (ORDER BY lag_seconds), max(created_at)
FROM (SELECT kind, lag_seconds, created_at FROM fitting_fit ORDER BY id DESC LIMIT 2000) newest
WHERE created_at > clock_timestamp() - make_interval(secs => %(window)s) AND kind = %(kind)s
"""
# BRIN batch_by_time.
RATE = """
SELECT coalesce(sum(n_points), 0)::bigint, count(*), max(received_at) FROM runs_batch
WHERE received_at > clock_timestamp() - make_interval(secs => %(window)s)
"""
# The statistics of connections: no table of ours, and no Redis.
SWEEP = """
SELECT count(*), extract(epoch FROM clock_timestamp() - max(query_start))::float8
FROM pg_stat_activity WHERE datname = current_database() AND application_name = %(name)s
"""
SERVER = """
SELECT pg_database_size(current_database()), current_setting('server_version'), clock_timestamp()
"""


@dataclass(frozen=True)
class Readings:
    """Numbers of one moment, by the database's clock; None where nothing was there to measure.

    `lag` and `claimable` are of fast fits, which follow a change at once; deep ones wait behind
    all of them by design.
    """

    n_dirty: int
    oldest_seconds: float | None
    n_busy: int
    n_failing: int
    n_fits: int
    lag_p50_seconds: float | None
    lag_p95_seconds: float | None
    fitted_at: datetime | None
    n_points: int
    n_batches: int
    received_at: datetime | None
    n_sweepers: int
    sweep_seconds: float | None
    database_bytes: int
    postgres_version: str
    now: datetime
    claimable_seconds: float = 0.0
    n_deep: int = 0
    deep_p50_seconds: float | None = None
    deep_p95_seconds: float | None = None
    deep_at: datetime | None = None
    failing: str = ""  # the fit that failed most often, and why


def read_readings(sweeper_name: str) -> Readings:
    """Read everything, one small statement after the other."""
    return Readings(
        *_fetch(QUEUE, {}),
        *_fetch(STATES, {}),
        *_fetch(LAG, {"window": WINDOW_SECONDS, "kind": FitKind.FAST}),
        *_fetch(RATE, {"window": RATE_SECONDS}),
        *_fetch(SWEEP, {"name": sweeper_name}),
        *_fetch(SERVER, {}),
        max((item.seconds for item in outbox.find_waiting([FitKind.FAST])), default=0.0),
        *_fetch(LAG, {"window": DEEP_WINDOW_SECONDS, "kind": FitKind.DEEP}),
        *_fetch(FAILING, {"run_diag": FitKind.RUN_DIAG}),
    )


def _fetch(statement: str, values: dict[str, object]) -> tuple:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()
