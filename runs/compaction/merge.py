"""Compaction: many small chunks become few, and no reader or writer notices.

Each merge is a transaction of its own: read, delete, insert, compare bit by bit, COMMIT. It may be
repeated, interrupted or run twice at once; chunks that another compaction holds are left to it.
"""

from __future__ import annotations

import time

import numpy as np
from django.db import transaction

from runs.blocks import Steps, Values, compute_statistics
from runs.codecs import decode_steps, decode_values, encode
from runs.compaction import store as sql
from runs.compaction.plan import Header, Merge, plan_merges
from runs.packing import take_last
from runs.store import execute, fetch

BATCHES = 64  # a running run is looked at again after as many
RUNS_AT_ONCE = 20
RUN_SECONDS = 15.0


class Broken(Exception):
    """The merged points are not the points that were there; nothing is changed."""


class _Taken(Exception):
    """Another compaction was faster."""


def find_runs(limit: int = RUNS_AT_ONCE) -> list[int]:
    """Return runs that are worth compacting."""
    found = fetch(sql.FIND_CANDIDATES, {"batches": BATCHES, "limit": limit})
    return [row[0] for row in found]


def compact_run(run_id: int, seconds: float = RUN_SECONDS) -> int:
    """Merge the chunks of a run; returns the number of merges.

    After `seconds` it stops between two merges, and the next call goes on.
    """
    deadline = time.monotonic() + seconds
    known = fetch(sql.FIND_RUN, {"run": run_id})
    if not known:
        return 0
    rev, is_ended = known[0]
    headers = [Header(*row) for row in fetch(sql.READ_HEADERS, {"run": run_id})]
    merged = 0
    for merge in plan_merges(headers, is_ended):
        if time.monotonic() > deadline:
            return merged
        merged += apply_merge(run_id, merge)
    # The open end of a running run stays above the mark, so that its end is seen.
    execute(sql.MARK_COMPACTED, {"run": run_id, "rev": rev if is_ended else rev - 1})
    return merged


def apply_merge(run_id: int, merge: Merge) -> bool:
    """Merge some chunks; False where another compaction has them."""
    try:
        with transaction.atomic():
            _replace(run_id, merge)
    except _Taken:
        return False
    return True


def _replace(run_id: int, merge: Merge) -> None:
    key = {"run": run_id, "metric": merge.metric, "revs": list(merge.revs)}
    rows = fetch(sql.LOCK_CHUNKS, key)
    if len(rows) != len(merge.revs):
        raise _Taken
    steps = np.concatenate([decode_steps(row[0], row[1]) for row in rows])
    values = np.concatenate([decode_values(row[0], row[2]) for row in rows])
    if execute(sql.DELETE_CHUNKS, key) != len(rows):
        raise _Taken
    described = describe_points(steps, values)
    rest = {"rev": merge.revs[-1], "rev_first": rows[0][3], "attempt": merge.attempt}
    stored = fetch(sql.INSERT_CHUNK, {**key, **described, **rest})[0]
    _check(stored, steps, values)


def describe_points(steps: Steps, values: Values) -> dict[str, object]:
    """Return the columns of a merged chunk."""
    codec, step_bytes, value_bytes = encode(steps, values)
    matrix = values.reshape(1, -1)
    found = compute_statistics(matrix)
    has_finite = found.count_finite()[0] > 0
    return {
        "codec": codec,
        "steps": step_bytes,
        "values": value_bytes,
        "n": len(steps),
        "first_step": int(steps.min()),
        "end_step": int(steps.max()),
        "last_value": float(take_last(steps, matrix)[0]),
        "min_value": float(found.minimum[0]) if has_finite else None,
        "max_value": float(found.maximum[0]) if has_finite else None,
        "sum_value": float(found.total[0]),
        **{name: int(getattr(found, name)[0]) for name in ("n_nan", "n_posinf", "n_neginf")},
    }


def _check(stored: tuple[int, bytes, bytes], steps: Steps, values: Values) -> None:
    """Compare what the database holds now with what it held, bit by bit."""
    codec, step_bytes, value_bytes = stored
    new_steps, new_values = decode_steps(codec, step_bytes), decode_values(codec, value_bytes)
    is_same = np.array_equal(new_steps, steps) and np.array_equal(
        new_values.view(np.int64), values.view(np.int64)
    )
    if not is_same:
        raise Broken(f"{len(steps):,} points did not survive codec {codec}")
