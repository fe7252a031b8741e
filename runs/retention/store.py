"""The SQL of retention, each statement with the index that it uses; all in bounded steps."""

from __future__ import annotations

# Index run_to_purge: deleted runs only. The database's clock rules.
FIND_TO_PURGE = """
SELECT id FROM runs_run
WHERE deleted_at IS NOT NULL AND (purge_at <= clock_timestamp()
  OR (%(days)s > 0 AND deleted_at < clock_timestamp() - make_interval(days => %(days)s)))
ORDER BY id LIMIT %(limit)s
"""

# Primary keys of chunk and batch, one run.
DELETE_CHUNKS = """
DELETE FROM runs_chunk WHERE run_id = %(run)s AND (metric_id, rev) IN (
  SELECT metric_id, rev FROM runs_chunk WHERE run_id = %(run)s
  ORDER BY metric_id, rev LIMIT %(limit)s)
"""
DELETE_BATCHES = """
DELETE FROM runs_batch WHERE run_id = %(run)s AND (writer, seq) IN (
  SELECT writer, seq FROM runs_batch WHERE run_id = %(run)s ORDER BY writer, seq LIMIT %(limit)s)
"""
COUNT_LEFT = """
SELECT (SELECT count(*) FROM runs_chunk WHERE run_id = %(run)s),
       (SELECT count(*) FROM runs_batch WHERE run_id = %(run)s)
"""

# Block range index batch_by_time, then primary keys. A key that a gap still waits for is kept;
# where batches have no order (no writer of their own, or one that says so), age alone counts.
PRUNE_BATCHES = """
DELETE FROM runs_batch WHERE (run_id, writer, seq) IN (
  SELECT b.run_id, b.writer, b.seq FROM runs_batch b
  LEFT JOIN runs_writer w ON w.run_id = b.run_id AND w.writer = b.writer
  WHERE b.received_at < clock_timestamp() - make_interval(days => %(days)s)
    AND (w.writer IS NULL OR w.unordered OR b.seq <= w.last_seq)
  LIMIT %(limit)s)
"""
