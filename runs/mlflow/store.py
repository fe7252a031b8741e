"""The SQL of the MLflow protocol, with the index that it uses."""

from __future__ import annotations

# Primary key of batch. MLflow's requests have no order, so there is no writer to advance; an
# uncommitted twin is waited for, and no row comes back where the key is known.
CLAIM_REQUEST = """
INSERT INTO runs_batch (run_id, writer, seq, digest, n_points, received_at)
VALUES (%(run)s, %(writer)s, %(seq)s, %(digest)s, %(n_points)s, clock_timestamp())
ON CONFLICT DO NOTHING RETURNING seq
"""
