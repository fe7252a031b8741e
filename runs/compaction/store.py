"""The SQL of compaction, each statement with the index that it uses."""

from __future__ import annotations

# Partial index run_to_compact: runs with batches that no compaction has seen. A running one is
# left alone until enough of them are there.
FIND_CANDIDATES = """
SELECT id FROM runs_run
WHERE NOT is_compacted AND rev > compacted_rev
  AND (state <> 'running' OR rev >= compacted_rev + %(batches)s)
ORDER BY id LIMIT %(limit)s
"""

# Primary key of run.
FIND_RUN = "SELECT rev, state <> 'running' FROM runs_run WHERE id = %(run)s"
MARK_COMPACTED = """
UPDATE runs_run SET compacted_rev = %(rev)s, is_compacted = (rev = %(rev)s AND state <> 'running')
WHERE id = %(run)s AND compacted_rev < %(rev)s
"""

# Primary key of chunk, one run; in the order of arrival, and without the points.
READ_HEADERS = """
SELECT metric_id, attempt, codec, n, rev FROM runs_chunk WHERE run_id = %(run)s
ORDER BY metric_id, rev
"""

# Primary key of chunk. Rows that another compaction holds are passed over, and missed below.
LOCK_CHUNKS = """
SELECT codec, steps, "values", rev_first FROM runs_chunk
WHERE run_id = %(run)s AND metric_id = %(metric)s AND rev = ANY(%(revs)s)
ORDER BY rev FOR UPDATE SKIP LOCKED
"""
DELETE_CHUNKS = """
DELETE FROM runs_chunk
WHERE run_id = %(run)s AND metric_id = %(metric)s AND rev = ANY(%(revs)s)
"""
INSERT_CHUNK = """
INSERT INTO runs_chunk
  (run_id, metric_id, rev, rev_first, attempt, codec, n, first_step, last_step, steps, "values",
   last_value, min_value, max_value, sum_value, n_nan, n_posinf, n_neginf)
VALUES (%(run)s, %(metric)s, %(rev)s, %(rev_first)s, %(attempt)s, %(codec)s, %(n)s,
  %(first_step)s, %(end_step)s, %(steps)s, %(values)s, %(last_value)s, %(min_value)s,
  %(max_value)s, %(sum_value)s, %(n_nan)s, %(n_posinf)s, %(n_neginf)s)
RETURNING codec, steps, "values"
"""
