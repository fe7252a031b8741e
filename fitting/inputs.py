"""Rows of the database to the arrays of the maths: the one bridge between them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fitting.axes import LARGEST, SMALLEST
from fitting.diagnoses.rules import read_limits
from fitting.maths.budgets import ComputeTable
from fitting.maths.compute_optimal import LossCurve
from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.study_lr import LR_DIAGNOSTICS
from fitting.maths.final_loss import estimate_final_loss
from fitting.maths.lr_batch import BatchTable
from fitting.maths.lr_sweep import LrSweepTable
from fitting.models import Fit, FitKind, Study
from fitting.queries import COMPUTE_PARTS, ENVELOPE, LR_SWEEP, find_newest, read_switched_off
from fitting.rows import StudyRow, StudyRows, find_known_losses, read_rows, take_known_loss

MAX_CURVES = 400  # a curve takes 1 to 2 ms to read


@dataclass(frozen=True)
class AnalysisInput:
    """What an analysis of a study reads, and its digest.

    Parameters
    ----------
    digest : of the logical points and of every choice that changes the result
    n_points : values of the loss behind the runs that count
    """

    rows: StudyRows
    digest: str
    n_points: int

    @property
    def n_runs(self) -> int:
        """Return the number of runs that are not excluded."""
        return len(self.rows.included)

    def describe(self, has_losses: bool = True) -> dict[str, object]:
        """Return what is stored beside the result, so that it can be judged and repeated.

        The final losses stand with the analyses whose versions are compared run by run.
        """
        rows = self.rows
        losses = {row.uid: [row.stamp, row.loss] for row in rows.included if row.has_ended}
        return {
            "sources": dict(rows.sources),
            "loss_metric": rows.loss_metric,
            "variant_keys": list(rows.variant_keys),
            "excluded": [
                {"run": row.uid, "reason": row.exclusion_reason}
                for row in rows.rows
                if row.excluded
            ],
            **({"losses": losses} if has_losses else {}),
        }


@dataclass(frozen=True)
class LrSweepInput(AnalysisInput):
    """The runs that are not excluded; the loss of a run that takes no part is NaN, so that a run
    in progress changes nothing before it ends.
    """

    table: LrSweepTable
    limits: Limits = field(default_factory=dict)


@dataclass(frozen=True)
class ComputeInput(AnalysisInput):
    """The runs that are not excluded, and for a deep fit the loss curve of each that counts."""

    table: ComputeTable
    curves: Mapping[str, LossCurve] | None
    guests: Mapping[str, ComputeTable] = field(default_factory=dict)
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchInput(AnalysisInput):
    """The runs that ended well and say on how many tokens a step they trained."""

    table: BatchTable


def read_study_rows(study: Study, last: Fit | None) -> StudyRows:
    """Read the study's runs as they stand in the current transaction.

    `last` is the newest fit: the final losses it holds of runs that have not changed since are
    taken from there, so that curves are read once.
    """
    rows = read_rows(study)
    return replace(rows, rows=estimate_losses(study, rows, last)) if study.reads_series else rows


def read_lr_sweep(
    study: Study, rows: StudyRows, kind: FitKind = FitKind.FAST, version: int = 1
) -> LrSweepInput:
    """Return the input of the sweep; the same for every kind of fit."""
    included = rows.included
    table = make_table(included)
    limits = read_limits(study.project_id)
    own = {item.slug: limits[item.slug] for item in LR_DIAGNOSTICS if item.slug in limits}
    choices = describe_choices(study, rows, version, "lr_sweep")
    choices["limits"] = {slug: [str(item) for item in its.values()] for slug, its in own.items()}
    digest = digest_choices(table.digest(), choices)
    n_points = sum(row.n_values for row in included if row.takes_part)
    return LrSweepInput(rows, digest, n_points, table, own)


def make_table(rows: list[StudyRow]) -> LrSweepTable:
    """Put rows into columns."""
    losses = [row.loss if row.takes_part else math.nan for row in rows]
    return LrSweepTable(
        run_ids=tuple(row.uid for row in rows),
        scale=_column(row.n if row.has_axes else math.nan for row in rows),
        variant=tuple(row.variant for row in rows),
        peak_lr=_column(row.lr for row in rows),
        loss=_column(losses),
        loss_at_init=_column(row.loss_at_init for row in rows),
        seed=_column(row.seed for row in rows),
        finished=np.array([row.is_finished for row in rows], dtype=np.bool_),
        diverged=np.array([row.diverged for row in rows], dtype=np.bool_),
    )


def read_compute_optimal(
    study: Study, rows: StudyRows, kind: FitKind = FitKind.FAST, version: int = 1
) -> ComputeInput:
    """Return the input of the compute-optimal analysis, with loss curves for a deep fit."""
    included = rows.included
    table = make_compute_table(included)
    counted = [row for row in included if row.has_compute and row.has_ended]
    choices = describe_choices(study, rows, version, "compute_optimal")
    choices["curves"] = {row.uid: [row.stamp, row.total_steps] for row in counted}
    off = tuple(name for name in read_switched_off(study) if name in COMPUTE_PARTS)
    if off:
        choices["off"] = sorted(off)
    needs_curves = kind == FitKind.DEEP and ENVELOPE not in off
    curves = read_curves(counted) if needs_curves else None
    n_points = sum(row.n_values for row in counted)
    guests = read_guests(study)
    choices["guests"] = {name: guest.digest() for name, guest in guests.items()}
    digest = digest_choices(table.digest(), choices)
    return ComputeInput(rows, digest, n_points, table, curves, guests, off)


def read_guests(study: Study) -> dict[str, ComputeTable]:
    """Return the runs of the study that this one is compared with, by its slug."""
    if not study.compared_with:
        return {}
    others = Study.objects.filter(project=study.project_id, deleted_at=None)
    other = others.filter(slug=study.compared_with).exclude(pk=study.pk).first()
    if other is None:
        return {}
    last = find_newest(other, LR_SWEEP, FitKind.FAST)
    return {other.slug: make_compute_table(read_study_rows(other, last).included)}


def make_compute_table(rows: list[StudyRow]) -> ComputeTable:
    """Put rows into columns."""
    known = [row.has_compute for row in rows]

    def pick(values: Sequence[float]) -> np.ndarray:
        pairs = zip(values, known, strict=True)
        return _column(value if is_known else math.nan for value, is_known in pairs)

    return ComputeTable(
        run_ids=tuple(row.uid for row in rows),
        n_params=pick([row.n for row in rows]),
        n_tokens=pick([row.d for row in rows]),
        flops=pick([row.c for row in rows]),
        variant=tuple(row.variant for row in rows),
        peak_lr=_column(row.lr for row in rows),
        loss=_column(row.loss if row.has_ended else math.nan for row in rows),
        loss_at_init=_column(row.loss_at_init for row in rows),
        finished=np.array([row.is_finished for row in rows], dtype=np.bool_),
        diverged=np.array([row.diverged for row in rows], dtype=np.bool_),
    )


def read_curves(rows: Sequence[StudyRow]) -> dict[str, LossCurve]:
    """Read the loss of healthy runs against compute; FLOPs are spent evenly over the steps."""
    healthy = [row for row in rows if row.last_step and not row.diverged and row.loss_metric]
    found = {}
    for row in healthy[:MAX_CURVES]:
        curve = _read_curve(row)
        if curve is not None:
            found[row.uid] = curve
    return found


def _read_curve(row: StudyRow) -> LossCurve | None:
    from runs.store import read_series

    steps, values = read_series(row.run_id, row.loss_metric)
    taken = (steps > 0) & np.isfinite(values)
    if int(taken.sum()) < 2:
        return None
    flops = row.c * steps[taken] / float(row.last_step or 1)
    horizon = row.c * max(1.0, (row.total_steps or 0) / float(row.last_step or 1))
    return LossCurve(row.uid, flops.astype(np.float64), values[taken], horizon)


def read_lr_batch(
    study: Study, rows: StudyRows, kind: FitKind = FitKind.FAST, version: int = 1
) -> BatchInput:
    """Return the runs that ended well with size, tokens, learning rate and batch size."""
    counted = [row for row in rows.included if row.is_finished and _has_batch(row)]
    columns = ((row.n, row.d, row.lr, row.batch, row.loss) for row in counted)
    table = (
        BatchTable(
            tuple(row.uid for row in counted),
            tuple(row.variant for row in counted),
            *(np.array(list(column)) for column in zip(*columns, strict=True)),
        )
        if counted
        else BatchTable((), (), *(np.empty(0) for _ in range(5)))
    )
    digest = digest_choices(table.digest(), describe_choices(study, rows, version, "lr_batch"))
    return BatchInput(rows, digest, sum(row.n_values for row in counted), table)


def _has_batch(row: StudyRow) -> bool:
    known = all(SMALLEST <= value <= LARGEST for value in (row.n, row.d, row.lr, row.batch))
    is_lost = row.diverged or row.loss > row.loss_at_init
    return known and math.isfinite(row.loss) and row.loss > 0 and not is_lost


def describe_choices(
    study: Study, rows: StudyRows, version: int, analysis: str
) -> dict[str, object]:
    """Return every choice that changes the result beside the data."""
    return {
        "version": version,
        "estimator": study.estimator,
        "tail_fraction": study.tail_fraction if study.reads_series else None,
        "loss_metric": rows.loss_metric,
        "sources": dict(rows.sources),
        "variants": sorted({row.variant for row in rows.included}),
        "settings": study.settings.get(analysis, {}),
        "warnings": list(rows.warnings),
    }


def estimate_losses(study: Study, rows: StudyRows, last: Fit | None) -> tuple[StudyRow, ...]:
    """Return the rows with the final loss of those that have ended read off their curves."""
    known = find_known_losses(study, rows.loss_metric, last)
    return tuple(_estimate(study, row, known) for row in rows.rows)


def _estimate(study: Study, row: StudyRow, known: Mapping[str, list[object]]) -> StudyRow:
    if not row.has_ended or not row.loss_metric:
        return row
    taken = take_known_loss(row, known)
    if not taken.is_provisional:
        return taken
    from runs.store import read_series

    steps, values = read_series(row.run_id, row.loss_metric)
    found = estimate_final_loss(steps, values, study.estimator, study.tail_fraction)
    return replace(row, loss=found.value, is_provisional=False)


def _column(values: Iterable[float]) -> np.ndarray:
    return np.array(list(values), dtype=np.float64)


def digest_choices(table: str, choices: Mapping[str, object]) -> str:
    """Return the digest of the data and of every choice that changes the result."""
    text = json.dumps(choices, sort_keys=True, default=str)
    return hashlib.sha256(f"{table}\n{text}".encode()).hexdigest()
