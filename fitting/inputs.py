"""Rows of the database to the arrays of the maths: the one bridge between them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.final_loss import estimate_final_loss
from fitting.maths.lr_sweep import LrSweepTable
from fitting.models import Fit, Study
from fitting.rows import StudyRow, StudyRows, find_known_losses, read_rows, take_known_loss


@dataclass(frozen=True)
class LrSweepInput:
    """What the analysis of a learning-rate sweep reads, and its digest.

    Parameters
    ----------
    table : the runs that are not excluded; the loss of a run that takes no part is NaN, so that
        a run in progress changes nothing before it ends
    digest : of the logical points and of every choice that changes the result
    """

    rows: StudyRows
    table: LrSweepTable
    digest: str
    n_points: int

    @property
    def n_runs(self) -> int:
        """Return the number of runs in the table."""
        return len(self.table.run_ids)

    def describe(self) -> dict[str, object]:
        """Return what is stored beside the result, so that it can be judged and repeated."""
        rows = self.rows
        return {
            "sources": dict(rows.sources),
            "loss_metric": rows.loss_metric,
            "variant_keys": list(rows.variant_keys),
            "excluded": [
                {"run": row.uid, "reason": row.exclusion_reason}
                for row in rows.rows
                if row.excluded
            ],
            "losses": {row.uid: [row.stamp, row.loss] for row in rows.included if row.takes_part},
        }


def read_lr_sweep(study: Study, version: int, last: Fit | None) -> LrSweepInput:
    """Read the study's runs as they stand in the current transaction.

    `last` is the newest fit: the final losses it holds of runs that have not changed since are
    taken from there, so that curves are read once.
    """
    rows = read_rows(study)
    if study.reads_series:
        rows = replace(rows, rows=estimate_losses(study, rows, last))
    included = rows.included
    table = make_table(included)
    digest = _digest(table, describe_choices(study, rows, version))
    n_points = sum(row.n_values for row in included if row.takes_part)
    return LrSweepInput(rows, table, digest, n_points)


def make_table(rows: list[StudyRow]) -> LrSweepTable:
    """Put rows into columns."""
    losses = [row.loss if row.takes_part else math.nan for row in rows]
    return LrSweepTable(
        run_ids=tuple(row.uid for row in rows),
        scale=np.array([row.n if row.has_axes else math.nan for row in rows], dtype=np.float64),
        variant=tuple(row.variant for row in rows),
        peak_lr=np.array([row.lr for row in rows], dtype=np.float64),
        loss=np.array(losses, dtype=np.float64),
        loss_at_init=np.array([row.loss_at_init for row in rows], dtype=np.float64),
        seed=np.array([row.seed for row in rows], dtype=np.float64),
        finished=np.array([row.is_finished for row in rows], dtype=np.bool_),
        diverged=np.array([row.diverged for row in rows], dtype=np.bool_),
    )


def describe_choices(study: Study, rows: StudyRows, version: int) -> dict[str, object]:
    """Return every choice that changes the result beside the data."""
    return {
        "version": version,
        "estimator": study.estimator,
        "tail_fraction": study.tail_fraction if study.reads_series else None,
        "loss_metric": rows.loss_metric,
        "sources": dict(rows.sources),
        "variants": sorted({row.variant for row in rows.included}),
        "settings": study.settings.get("lr_sweep", {}),
        "warnings": list(rows.warnings),
    }


def estimate_losses(study: Study, rows: StudyRows, last: Fit | None) -> tuple[StudyRow, ...]:
    """Return the rows with the final loss of those that take part read off their curves."""
    known = find_known_losses(study, rows.loss_metric, last)
    return tuple(_estimate(study, row, known) for row in rows.rows)


def _estimate(study: Study, row: StudyRow, known: Mapping[str, list[object]]) -> StudyRow:
    if not row.takes_part or not row.loss_metric:
        return row
    taken = take_known_loss(row, known)
    if not taken.is_provisional:
        return taken
    from runs.store import read_series

    steps, values = read_series(row.run_id, row.loss_metric)
    found = estimate_final_loss(steps, values, study.estimator, study.tail_fraction)
    return replace(row, loss=found.value, is_provisional=False)


def _digest(table: LrSweepTable, choices: Mapping[str, object]) -> str:
    text = json.dumps(choices, sort_keys=True, default=str)
    return hashlib.sha256(f"{table.digest()}\n{text}".encode()).hexdigest()
