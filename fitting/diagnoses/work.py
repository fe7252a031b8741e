"""The work of diagnosing one run: read what is new, or all; judge; store if the claim holds.

Points that arrive in order are read once: the stored state grows by the chunks of later batches.
Anything else (an earlier step, another attempt, an edit of the config, a metric that takes
another's place, merged chunks that straddle the mark) rebuilds the state from all visible points.
Both ways end in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from django.db import transaction

from fitting import outbox
from fitting.diagnoses.config import describe_run, make_digest
from fitting.diagnoses.keys import MetricMap
from fitting.diagnoses.rules import read_rules
from fitting.maths.diagnose.case import RunConfig
from fitting.maths.diagnose.extract import extract
from fitting.maths.diagnose.panel import Points, judge_all, update_all
from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.state import pack_state, unpack_state
from fitting.maths.diagnose.units import SAME, convert
from fitting.maths.diagnose.verdict import WARN, Verdict, is_at_least
from fitting.models import RunDiagnosis
from runs import store
from runs.models import Chunk, Metric, Run
from runs.points import decode_chunks

Steps = Dict[str, int]
ATTENTION = ("attention_logits", "attention_entropy")


@dataclass(frozen=True)
class Snapshot:
    """One state of the database: the run, what is new of it, and what is known already.

    `state` and `consumed` are empty where everything has to be read again.
    """

    dirty_ids: list[int]
    data_at: datetime
    run: Run | None
    mapping: MetricMap = field(default_factory=lambda: MetricMap({}))
    config: RunConfig = field(default_factory=RunConfig)
    digest: str = ""
    state: dict[str, object] = field(default_factory=dict)
    consumed: Steps = field(default_factory=dict)
    points: Points = field(default_factory=dict)
    is_rebuilt: bool = False


@dataclass(frozen=True)
class Found:
    """What a snapshot led to."""

    snapshot: Snapshot
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    packed: bytes = b""
    compared: dict[str, object] = field(default_factory=dict)


def diagnose(held: outbox.Claim) -> Found:
    """Read a snapshot and judge it."""
    snapshot = read_snapshot(held)
    if snapshot.run is None:
        return Found(snapshot)
    config = snapshot.config
    state = update_all(snapshot.state, snapshot.points, config)
    consumed = dict(snapshot.consumed)
    consumed |= {key: int(steps[-1]) for key, (steps, _) in snapshot.points.items() if len(steps)}
    packed = pack_state({"consumed": consumed, "state": state})
    verdicts = judge_all(state, config)
    is_sick = any(is_at_least(verdicts[slug], WARN) for slug in ATTENTION)
    compared = {**extract(state, config), "is_sick": is_sick}
    return Found(snapshot, verdicts, packed, compared)


def read_snapshot(held: outbox.Claim) -> Snapshot:
    """Read dirty ids, run, state and points together; nothing stays open while judging."""
    with transaction.atomic():
        outbox.begin_snapshot()
        dirty_ids, data_at = outbox.read_dirty(held)
        run = Run.objects.filter(pk=held.subject, deleted_at=None).first()
        if run is None:
            return Snapshot(dirty_ids, data_at, None)
        config, mapping = describe_run(run, read_rules(run.project_id))
        digest = make_digest(config, mapping, find_version())
        base = Snapshot(dirty_ids, data_at, run, mapping, config, digest)
        known = RunDiagnosis.objects.filter(run_id=run.pk, digest=digest).first()
        grown = _read_new(base, known) if known is not None else None
        return grown or _read_all(base)


def find_version() -> str:
    """Return a text that changes with the diagnostics."""
    return " ".join(f"{slug}.{item.version}" for slug, item in list_diagnostics().items())


def _find_ids(run: Run, mapping: MetricMap) -> dict[int, str]:
    """Return metric id -> key."""
    keys = {metric: key for key, metric in mapping.metrics.items()}
    known = Metric.objects.filter(project=run.project_id, name__in=list(keys))
    return {pk: keys[name] for pk, name in known.values_list("pk", "name")}


def _read_all(base: Snapshot) -> Snapshot:
    assert base.run is not None
    ids = _find_ids(base.run, base.mapping)
    found = store.read_points([base.run.pk], list(ids))
    points = {ids[metric]: (series.steps, series.values) for (_, metric), series in found.items()}
    return _put(base, {}, {}, points, is_rebuilt=True)


def _read_new(base: Snapshot, known: RunDiagnosis) -> Snapshot | None:
    """Return what the batches after the known ones add; None where they are not simply later."""
    assert base.run is not None
    ids = _find_ids(base.run, base.mapping)
    stored = unpack_state(bytes(known.state))
    assert isinstance(stored, dict)
    consumed: dict[str, int] = stored["consumed"]
    if base.run.settle_at is not None:
        return None
    chunks = Chunk.objects.filter(run_id=base.run.pk, rev__gt=known.rev, metric_id__in=list(ids))
    rows = chunks.order_by("metric_id", "rev").values_list(
        "metric_id", "rev_first", "attempt", "codec", "n", "steps", "values"
    )
    grouped: dict[str, list[tuple[object, ...]]] = {}
    for metric, rev_first, attempt, *data in rows:
        if rev_first <= known.rev or attempt != base.run.attempt:
            return None
        grouped.setdefault(ids[metric], []).append((0, metric, attempt, *data))
    points = {}
    for key, its in grouped.items():
        steps, values, _ = decode_chunks(its)
        if np.any(np.diff(steps, prepend=consumed.get(key, -1)) <= 0):
            return None
        points[key] = (steps, values)
    return _put(base, stored["state"], consumed, points, is_rebuilt=False)


def _put(
    base: Snapshot, state: dict[str, object], consumed: Steps, points: Points, is_rebuilt: bool
) -> Snapshot:
    """Return the snapshot with its points in the units of their keys."""
    read = {
        key: (steps, convert(base.mapping.units.get(key, SAME), key, values, base.config))
        for key, (steps, values) in points.items()
    }
    return replace(base, state=state, consumed=consumed, points=read, is_rebuilt=is_rebuilt)
