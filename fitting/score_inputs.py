"""Scores of a study's runs along their compute to the arrays of the sigmoid."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fitting.inputs import AnalysisInput, describe_choices, digest_choices
from fitting.maths.score_curves import FLOPS, HOURS, ScoreCurve, ScoreTable
from fitting.models import FitKind, Study
from fitting.queries import RL_SIGMOID
from fitting.rows import StudyRow, StudyRows, is_loss
from runs.models import Metric, Outcome, Run
from scaledash.lib.jsonsafe import decode_float

if TYPE_CHECKING:
    from runs.store import Series

MAX_RUNS = 200  # a pair of curves takes 2 ms to read
# In the order in which they are looked for; the first one that runs log is read.
SCORES = (
    re.compile(r"(.*[./_-])?pass_?rate", re.IGNORECASE),
    re.compile(r"(.*[./_-])?pass[@_](at_)?1", re.IGNORECASE),
    re.compile(r"(.*[./_-])?success_?rate", re.IGNORECASE),
    re.compile(r"(.*[./_-])?mean_?reward", re.IGNORECASE),
    re.compile(r"(.*[./_-])?accuracy", re.IGNORECASE),
)
NAMES = "pass|rate|reward|accuracy|gpu"  # parts of names that are looked at
GPU_HOURS = re.compile(r"(.*[./_-])?gpu_?hours", re.IGNORECASE)


@dataclass(frozen=True)
class ScoreInput(AnalysisInput):
    """The score curves; None before the deep fit reads them, where there are any to read."""

    table: ScoreTable | None


def read_scores(
    study: Study, rows: StudyRows, kind: FitKind = FitKind.FAST, version: int = 1
) -> ScoreInput:
    """Return the input of the sigmoid; a study whose runs log no score reads nothing."""
    counted = [row for row in rows.included if row.is_finished and row.outcome != Outcome.DIVERGED]
    metric, hours = find_metrics(study, counted)
    choices = describe_choices(study, rows, version, RL_SIGMOID)
    choices["score"] = [metric, hours]
    counted = counted[:MAX_RUNS] if metric else []
    choices["curves"] = {row.uid: [row.stamp, row.variant, repr(row.n)] for row in counted}
    table: ScoreTable | None = ScoreTable((), FLOPS, metric)
    if metric:
        reads = kind == FitKind.DEEP
        table = read_curves(counted, metric, hours, study.loss_metric) if reads else None
    n_points = sum(row.n_values for row in counted)
    return ScoreInput(rows, digest_choices("", choices), n_points, table)


def find_metrics(study: Study, rows: Sequence[StudyRow]) -> tuple[str, str]:
    """Return the names of the score and of the GPU-hours, "" where no run logs one.

    A declared loss metric that is no loss is the score.
    """
    declared = study.loss_metric if study.loss_metric and not is_loss(study.loss_metric) else ""
    metrics = Metric.objects.filter(project=study.project_id, name__iregex=NAMES)
    known = list(metrics.order_by("name").values_list("name", flat=True))
    offered = [name for pattern in SCORES for name in known if pattern.fullmatch(name)]
    scores = [declared] if declared else offered
    clocks = [name for name in known if GPU_HOURS.fullmatch(name)]
    if not scores or not rows:
        return declared, ""
    logged = _count_logged([row.run_id for row in rows], [*scores, *clocks])
    score = next((name for name in scores if logged.get(name)), declared)
    # One unit for the study: hours only where every run with the score tells them.
    clock = next((name for name in clocks if logged.get(name, 0) >= logged.get(score, 1)), "")
    return score, clock


def _count_logged(run_ids: Sequence[int], names: Sequence[str]) -> Mapping[str, int]:
    """Return in how many summaries each metric stands."""
    runs = Run.objects.filter(pk__in=run_ids)
    return {name: runs.filter(summary__has_key=name).count() for name in dict.fromkeys(names)}


def read_curves(
    rows: Sequence[StudyRow], metric: str, hours: str, declared: str = ""
) -> ScoreTable:
    """Read the score of each run against GPU-hours, else against its FLOPs spent evenly."""
    from runs.store import read_many

    run_ids = [row.run_id for row in rows]
    scores = read_many(run_ids, metric)
    clocks = read_many(run_ids, hours) if hours else {}
    curves = []
    for row in rows:
        if row.run_id not in scores:
            continue
        steps = scores[row.run_id].steps.astype(np.float64)
        score = scores[row.run_id].values
        compute = _spend(row, steps, clocks.get(row.run_id))
        known = np.isfinite(score) & np.isfinite(compute) & (compute > 0)
        if not known.any():
            continue
        start = score[0] if steps[0] <= 0 else _read_start(row, metric, declared)
        order = np.argsort(compute[known], kind="stable")
        curve = (compute[known][order], score[known][order], float(start))
        curves.append(ScoreCurve(row.uid, row.variant, row.n, *curve))
    return ScoreTable(tuple(curves), HOURS if hours else FLOPS, metric)


def _read_start(row: StudyRow, metric: str, declared: str) -> float:
    """Return what the study reads as the metric at initialisation, if that metric is the score."""
    return row.loss_at_init if metric == declared else math.nan


def _spend(row: StudyRow, steps: np.ndarray, clock: Series | None) -> np.ndarray:
    """Return the compute spent at each step."""
    if clock is not None:
        return np.interp(steps, clock.steps, clock.values, left=math.nan, right=math.nan)
    if not (row.last_step and math.isfinite(row.c)):
        return np.full(steps.size, math.nan)
    return row.c * steps / float(row.last_step)


def decode_option(options: Mapping[str, object]) -> float | None:
    """Return the compute before which points are left out, None where nobody chose one."""
    wished = decode_float(options.get("first_compute"))
    return wished if wished is None or wished >= 0 else None
