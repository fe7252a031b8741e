"""Metrics on entry: stored exactly once, however often their request arrives.

The key of a request is the digest of its body under a writer that stands for all MLflow clients
of the run. A run that has ended takes points too: MLflow users log evaluations afterwards.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec
from django.db import transaction

from runs import store
from runs.held import LockedRun, LoggedRun, WriterState
from runs.ingest import Known, Storing
from runs.metric_names import check_quota, find_ids
from runs.mlflow import kept
from runs.mlflow.numbering import make_columns, number_points
from runs.mlflow.reading import Point
from runs.mlflow.store import CLAIM_REQUEST
from runs.models import Run
from runs.validation import Batch
from teams.api.errors import not_found


def accept_points(run: Run | LoggedRun, points: Sequence[Point], body: object) -> None:
    """Store the points of a request; one that was there before changes nothing."""
    if not points:
        return
    digest = hashlib.sha256(msgspec.json.encode(body, order="sorted")).digest()
    batch = Batch(
        columns=make_columns(points),
        writer=uuid.uuid5(uuid.NAMESPACE_URL, f"mlflow:{run.pk}"),
        seq=int.from_bytes(digest[:8], "big") >> 1,  # bigint has 63 bits
    )
    metric_ids = find_ids(run.project_id, run.pk, batch.names)
    try:
        with transaction.atomic():
            MlflowStoring(run, batch, metric_ids, digest, points).store()
    except Known:
        return


class MlflowStoring(Storing):
    """A request on its way in: unordered, and with numbers for points that have no steps."""

    def __init__(
        self,
        run: Run | LoggedRun,
        batch: Batch,
        metric_ids: Mapping[str, int],
        digest: bytes,
        points: Sequence[Point],
    ) -> None:
        super().__init__(run, batch, metric_ids, digest)
        self.points = points

    def _claim(self) -> tuple[WriterState | None, LockedRun]:
        values = {
            "run": self.run.pk,
            "writer": self.batch.writer,
            "seq": self.batch.seq,
            "digest": self.digest,
            "n_points": self.batch.n_points,
        }
        if not store.fetch(CLAIM_REQUEST, values):
            raise Known
        return None, store.lock_run(self.run.pk, self.batch.names)

    def _check_run(self) -> None:
        if self.held.deleted_at is not None:
            raise not_found(f"run {self.run.uid!r}")
        if len(self.held.summary) < len(self.batch.names):
            check_quota(self.run.pk, self.batch.names)

    def _revise(self) -> None:
        held = kept.read_numbering(self.run.pk, self.batch.names)
        found = number_points(self.points, held, self.held.summary)
        if not found.points:
            raise Known
        if found.has_changed:
            kept.write_numbering(self.run.pk, held, found.state)
        self.batch = replace(self.batch, columns=make_columns(found.points))
