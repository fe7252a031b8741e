"""SQL of diagnoses beside the outbox: marking many runs at once."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection

from fitting import outbox

# As outbox.MARK_READERS does for one run. Primary keys of run and fit_state.
MARK_RUNS = """
WITH chosen AS (SELECT r.id, r.project_id FROM runs_run r WHERE r.id = ANY(%(runs)s)),
lease AS (
  INSERT INTO fitting_fitstate (subject, kind, project_id, token, attempts, failures,
                                last_duration_seconds, last_error, progress)
  SELECT c.id, 'run_diag', c.project_id, 0, 0, 0, 0, '', '{}'::jsonb FROM chosen c
  WHERE NOT EXISTS (SELECT FROM fitting_fitstate WHERE subject = c.id AND kind = 'run_diag')
  ON CONFLICT DO NOTHING
)
INSERT INTO fitting_dirty (subject, kind, at)
SELECT id, 'run_diag', clock_timestamp() FROM chosen
RETURNING subject, kind
"""


def mark_runs(run_ids: Iterable[int]) -> list[outbox.Subject]:
    """Append one dirty row for the diagnosis of each run."""
    with connection.cursor() as cursor:
        cursor.execute(MARK_RUNS, {"runs": sorted(set(run_ids))})
        rows = cursor.fetchall()
    return [outbox.name_subject(subject, kind) for subject, kind in rows]
