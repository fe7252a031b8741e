"""The analyses of a study: what each reads, computes and stores. Workers only.

A new analysis is one entry of ANALYSES here and its name in fitting.queries; the refit engine
reads, fits and publishes all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from fitting.curve_inputs import CriticalInput, ScheduleInput, read_critical, read_schedule
from fitting.diagnoses.publishing import describe
from fitting.diagnoses.study import read_instability, run_instability
from fitting.inputs import (
    AnalysisInput,
    BatchInput,
    ComputeInput,
    LrSweepInput,
    read_compute_optimal,
    read_lr_batch,
    read_lr_sweep,
)
from fitting.maths.compute_optimal import ComputeSettings, LossCurve, analyse_compute_optimal
from fitting.maths.critical_batches import LAW as CRITICAL_LAW
from fitting.maths.critical_batches import analyse_critical_batches, refuse_batches
from fitting.maths.diagnose.study_lr import STABLE, judge_sweep
from fitting.maths.lr_batch import LAWS as BATCH_LAWS
from fitting.maths.lr_batch import BatchSettings, analyse_lr_batch
from fitting.maths.lr_sweep import LrSweepSettings, analyse_lr_sweep
from fitting.maths.records import Refusal
from fitting.maths.registry import get_law
from fitting.maths.rows import Settings
from fitting.maths.schedule_families import LAWS as SCHEDULE_LAWS
from fitting.maths.schedule_families import analyse_schedules
from fitting.maths.score_curves import LAW as SCORE_LAW
from fitting.maths.score_curves import analyse_scores
from fitting.models import FitKind, Study
from fitting.queries import (
    COMPUTE_OPTIMAL,
    CRITICAL_BATCH,
    INSTABILITY,
    LR_BATCH,
    LR_SCHEDULE,
    LR_SWEEP,
    RL_SIGMOID,
)
from fitting.rows import StudyRows
from fitting.score_inputs import ScoreInput, decode_option, read_scores

Result = dict[str, object]
# 1,000 replicas of a sweep of 4 sizes x 7 rates x 2 variants take 10 ms, 10,000 take 90 ms.
LR_REPLICAS = {
    FitKind.FAST: settings.REFIT_BOOTSTRAPS,
    FitKind.DEEP: 10 * settings.REFIT_BOOTSTRAPS,
}
# A replica of approach 3 and its second opinion takes 1.3 ms on 22 cells.
COMPUTE_REPLICAS = {
    FitKind.FAST: settings.REFIT_BOOTSTRAPS // 5,
    FitKind.DEEP: 4 * settings.REFIT_BOOTSTRAPS,
}
WITH_LOSSES = (LR_SWEEP, COMPUTE_OPTIMAL)  # whose versions are compared run by run
NO_CURVES = Refusal(
    "pending", "the law reads whole curves and comes with the deep fit", "wait a moment"
)
COMPUTE_LAWS = ("overtraining", "power_law_constant")
# A replica of a cell of 120 runs takes 20 us.
BATCH_REPLICAS = {
    FitKind.FAST: settings.REFIT_BOOTSTRAPS // 5,
    FitKind.DEEP: settings.REFIT_BOOTSTRAPS,
}
CURVE_POINTS = 48  # of each loss curve that a figure draws
ENVELOPE_POINTS = 250  # of the 1,500 samples of the envelope


@dataclass(frozen=True)
class Analysis:
    """One analysis: `version` rises when the same data would give another result."""

    name: str
    version: int
    read: Callable[[Study, StudyRows, FitKind, int], AnalysisInput]
    run: Callable[[Any, Study, FitKind], Result]

    def load(self, study: Study, rows: StudyRows, kind: FitKind) -> AnalysisInput:
        """Return the input as the current transaction sees it."""
        return self.read(study, rows, kind, self.version)

    def analyse(self, data: AnalysisInput, study: Study, kind: FitKind) -> Result:
        """Return the result as it is stored."""
        result = self.run(data, study, kind)
        chosen = result["settings"]
        assert isinstance(chosen, dict)
        return {
            **result,
            **data.describe(self.name in WITH_LOSSES),
            "settings": {
                **chosen,
                "estimator": study.estimator,
                "tail_fraction": study.tail_fraction,
            },
            "warnings": list(data.rows.warnings),
            "version": self.version,
        }


def run_lr_sweep(data: LrSweepInput, study: Study, kind: FitKind) -> Result:
    """Analyse the sweep of learning rates."""
    known = ("seed", "neighbours", "stable_excess")
    excess = {"stable_excess": STABLE.limit(data.limits, "excess")}
    options = excess | _known_options(study.settings.get(LR_SWEEP, {}), known)
    chosen = LrSweepSettings(replicas=LR_REPLICAS[kind], **options)
    result = analyse_lr_sweep(data.table, chosen)
    verdicts = [describe(verdict) for verdict in judge_sweep(result, data.limits)]
    return {**result.to_dict(), "verdicts": verdicts}


def run_compute_optimal(data: ComputeInput, study: Study, kind: FitKind) -> Result:
    """Fit approaches 1 to 3; the curves are kept as the envelope's figure draws them."""
    options = _known_options(study.settings.get(COMPUTE_OPTIMAL, {}), ("seed", "delta"))
    chosen = ComputeSettings(replicas=COMPUTE_REPLICAS[kind], off=data.off, **options)
    result = analyse_compute_optimal(data.table, chosen, data.curves, data.guests)
    size_of = {row.uid: row for row in data.rows.included}
    curves = [
        {"run": uid, "variant": size_of[uid].variant, "n_params": size_of[uid].n, **_thin(curve)}
        for uid, curve in (data.curves or {}).items()
    ]
    stored: dict[str, Any] = result.to_dict()
    for variant in stored["variants"]:
        variant["envelope"] = _thin_table(variant["envelope"])
    return {**stored, "curves": curves, "laws": describe_laws(COMPUTE_LAWS)}


def run_lr_batch(data: BatchInput, study: Study, kind: FitKind) -> Result:
    """Fit the surface of each cell of learning rate and batch, and the laws over cells."""
    options = _known_options(study.settings.get(LR_BATCH, {}), ("seed",))
    chosen = BatchSettings(replicas=BATCH_REPLICAS[kind], **options)
    result = analyse_lr_batch(data.table, chosen).to_dict()
    return {**result, "laws": describe_laws(BATCH_LAWS)}


def run_lr_schedule(data: ScheduleInput, study: Study, kind: FitKind) -> Result:
    """Fit the laws of schedules to whole curves; a fast fit has not read them."""
    options = _known_options(study.settings.get(LR_SCHEDULE, {}), ("seed",))
    chosen = Settings(replicas=LR_REPLICAS[FitKind.FAST], **options)
    laws = describe_laws(SCHEDULE_LAWS)
    if data.curves is None:
        pending = NO_CURVES.to_dict()
        counts = {"n_runs": data.n_runs, "n_used": 0, "settings": chosen.to_dict()}
        return {"families": [], "refusal": pending, "laws": laws, **counts}
    return {**analyse_schedules(data.curves, chosen).to_dict(), "laws": laws}


def run_critical_batch(data: CriticalInput, study: Study, kind: FitKind) -> Result:
    """Fit the steps to a loss against batch size; a fast fit has not read the curves."""
    options = _known_options(study.settings.get(CRITICAL_BATCH, {}), ("seed",))
    chosen = Settings(LR_REPLICAS[FitKind.FAST], **options)
    laws = describe_laws([CRITICAL_LAW])
    if data.curves:
        return {**analyse_critical_batches(data.curves, chosen).to_dict(), "laws": laws}
    refusal = NO_CURVES if data.curves is None else refuse_batches(data.most_batches)
    counts = {"n_runs": data.n_runs, "n_used": 0, "settings": chosen.to_dict()}
    return {"families": [], "refusal": refusal.to_dict(), "laws": laws, **counts}


def run_rl_sigmoid(data: ScoreInput, study: Study, kind: FitKind) -> Result:
    """Fit the sigmoid to every score curve; a fast fit has not read them."""
    wished = study.settings.get(RL_SIGMOID, {})
    chosen = Settings(LR_REPLICAS[FitKind.FAST], **_known_options(wished, ("seed",)))
    laws = describe_laws([SCORE_LAW])
    if data.table is None:
        counts = {"n_runs": data.n_runs, "n_used": 0, "settings": chosen.to_dict()}
        return {"curves": [], "refusal": NO_CURVES.to_dict(), "laws": laws, **counts}
    found = analyse_scores(data.table, chosen, decode_option(wished))
    return {**found.to_dict(), "laws": laws}


def describe_laws(slugs: Iterable[str]) -> Result:
    """Return what pages say of the laws behind a result: they never load the laws themselves."""
    return {
        law.slug: {
            "title": law.title,
            "formula": law.formula,
            "source": law.source,
            "params": {param.name: param.text for param in law.params},
        }
        for law in map(get_law, slugs)
    }


def _thin_table(envelope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep as many samples of the envelope as a figure can show."""
    table = envelope.get("table", ())
    step = max(1, len(table) // ENVELOPE_POINTS)
    return {**envelope, "table": table[::step]} if table else envelope


def _thin(curve: LossCurve) -> dict[str, object]:
    """Return at most CURVE_POINTS of a curve, the last one among them, at 5 digits."""
    n = curve.flops.size
    places = sorted({round(i * (n - 1) / (CURVE_POINTS - 1)) for i in range(CURVE_POINTS)})
    return {
        "flops": [float(f"{curve.flops[place]:.5g}") for place in places],
        "loss": [float(f"{curve.loss[place]:.5g}") for place in places],
    }


def _known_options(options: Mapping[str, object], known: tuple[str, ...]) -> dict[str, Any]:
    return {name: options[name] for name in known if name in options}


ANALYSES = {
    LR_SWEEP: Analysis(LR_SWEEP, 2, read_lr_sweep, run_lr_sweep),
    COMPUTE_OPTIMAL: Analysis(COMPUTE_OPTIMAL, 3, read_compute_optimal, run_compute_optimal),
    LR_BATCH: Analysis(LR_BATCH, 1, read_lr_batch, run_lr_batch),
    CRITICAL_BATCH: Analysis(CRITICAL_BATCH, 1, read_critical, run_critical_batch),
    LR_SCHEDULE: Analysis(LR_SCHEDULE, 2, read_schedule, run_lr_schedule),
    RL_SIGMOID: Analysis(RL_SIGMOID, 1, read_scores, run_rl_sigmoid),
    INSTABILITY: Analysis(INSTABILITY, 3, read_instability, run_instability),
}
