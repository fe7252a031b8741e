"""Whole curves of a study's runs to the arrays of the laws of schedules and of batch sizes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fitting.inputs import MAX_CURVES, AnalysisInput, describe_choices, digest_choices
from fitting.maths.critical_batches import BatchCurve
from fitting.maths.laws.critical_batch import MIN_BATCHES
from fitting.maths.schedule_families import ScheduleCurve
from fitting.models import FitKind, Study
from fitting.queries import CRITICAL_BATCH
from fitting.rows import StudyRow, StudyRows
from runs.models import Metric
from scaledash.lib.names import LEARNING_RATE, LOSS_TRAIN, canonical_metric


@dataclass(frozen=True)
class ScheduleInput(AnalysisInput):
    """Loss and learning rate along the steps; None before the deep fit reads them."""

    curves: tuple[ScheduleCurve, ...] | None


def read_schedule(
    study: Study, rows: StudyRows, kind: FitKind = FitKind.FAST, version: int = 1
) -> ScheduleInput:
    """Return the input of the schedule law, with curves for a deep fit."""
    counted = [row for row in rows.included if row.takes_part and not row.diverged]
    choices = describe_choices(study, rows, version, "lr_schedule")
    choices["curves"] = {
        row.uid: [row.stamp, row.n, row.lr, _know(row.batch), row.variant, _know(row.loss)]
        for row in counted
    }
    curves = tuple(read_curves(study, counted)) if kind == FitKind.DEEP else None
    n_points = sum(row.n_values for row in counted)
    return ScheduleInput(rows, digest_choices("", choices), n_points, curves)


def read_curves(study: Study, rows: Sequence[StudyRow]) -> list[ScheduleCurve]:
    """Read training loss and learning rate of the runs that log both."""
    rows = rows[:MAX_CURVES]
    loss = _read_named(study, rows, LOSS_TRAIN)
    lr = _read_named(study, rows, LEARNING_RATE)
    return [
        ScheduleCurve(
            run_id=row.uid,
            variant=row.variant,
            n_params=row.n,
            peak_lr=row.lr,
            batch_tokens=_know(row.batch),
            final_loss=_know(row.loss),
            steps=loss[row.run_id][0],
            loss=loss[row.run_id][1],
            lr_steps=lr[row.run_id][0],
            lr=lr[row.run_id][1],
        )
        for row in rows
        if row.run_id in loss and row.run_id in lr
    ]


def _read_named(
    study: Study, rows: Sequence[StudyRow], canonical: str
) -> Mapping[int, tuple[np.ndarray, np.ndarray]]:
    """Return run id -> finite points of the metric that is known by this name."""
    from runs.store import read_many

    names = Metric.objects.filter(project=study.project_id).values_list("name", flat=True)
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for name in sorted(name for name in names if canonical_metric(name) == canonical):
        for run_id, series in read_many([row.run_id for row in rows], name).items():
            known = np.isfinite(series.values)
            if int(known.sum()) > 1:
                found.setdefault(
                    run_id, (series.steps[known].astype(np.float64), series.values[known])
                )
    return found


@dataclass(frozen=True)
class CriticalInput(AnalysisInput):
    """The loss along the steps of models with several batch sizes; None before the deep fit."""

    curves: tuple[BatchCurve, ...] | None
    most_batches: int


def read_critical(
    study: Study, rows: StudyRows, kind: FitKind = FitKind.FAST, version: int = 1
) -> CriticalInput:
    """Return the input of the critical batch size; models of few batch sizes are not read."""
    counted = [row for row in rows.included if row.is_finished and _has_sizes(row)]
    batches: dict[tuple[str, float], set[float]] = defaultdict(set)
    for row in counted:
        batches[row.variant, row.n].add(row.batch)
    enough = [row for row in counted if len(batches[row.variant, row.n]) >= MIN_BATCHES]
    choices = describe_choices(study, rows, version, CRITICAL_BATCH)
    choices["curves"] = {
        row.uid: [row.stamp, row.variant, *map(repr, (row.n, row.lr, row.batch))] for row in enough
    }
    curves: tuple[BatchCurve, ...] | None = ()
    if enough:
        curves = tuple(_read_losses(enough)) if kind == FitKind.DEEP else None
    n_points = sum(row.n_values for row in enough)
    most = max(map(len, batches.values()), default=0)
    return CriticalInput(rows, digest_choices("", choices), n_points, curves, most)


def _has_sizes(row: StudyRow) -> bool:
    known = all(math.isfinite(value) and value > 0 for value in (row.n, row.batch))
    return known and bool(row.loss_metric) and not row.diverged


def _read_losses(rows: Sequence[StudyRow]) -> list[BatchCurve]:
    """Read the study's loss along the steps of each run."""
    from runs.store import read_many

    rows, found = rows[:MAX_CURVES], []
    for metric in sorted({row.loss_metric for row in rows}):
        mine = {row.run_id: row for row in rows if row.loss_metric == metric}
        for run_id, series in read_many(list(mine), metric).items():
            row, known = mine[run_id], np.isfinite(series.values) & (series.steps > 0)
            steps, loss = series.steps[known].astype(np.float64), series.values[known]
            head = (row.uid, row.variant, row.n, row.batch, _know(row.lr))
            found.append(BatchCurve(*head, steps, loss))
    return sorted(found, key=lambda curve: curve.run_id)


def _know(value: float) -> float:
    return value if math.isfinite(value) else 0.0
