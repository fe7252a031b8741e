"""Fitted studies, one for each kind of figure: planted, fitted and read once in a process."""

from __future__ import annotations

from fitting.batch_figures import BATCH_FIGURES
from fitting.comparison_figures import COMPARISON_FIGURES
from fitting.compute_figures import COMPUTE_FIGURES
from fitting.critical_figures import CRITICAL_FIGURES
from fitting.instability_figures import INSTABILITY_FIGURES
from fitting.models import Study
from fitting.queries import StudyView, view_study
from fitting.schedule_figures import SCHEDULE_FIGURES
from fitting.score_figures import SCORE_FIGURES
from tests.fitting.factories import (
    make_isoflops,
    make_ladders,
    make_logit_growth,
    make_study,
    make_sweep,
    settle,
)
from tests.fitting.planted import make_batch_sizes, make_batches, make_schedules, make_scores
from tests.runs.factories import Job, make_api, open_run


def make_fitted() -> Study:
    study = make_study()
    make_sweep(study, {"none": 0.08, "ln": 0.05})
    return study


def make_budgeted() -> Study:
    api = make_api()
    study = make_study(api.project)
    make_isoflops(study, lambda run: Job(api, run))
    return study


def make_compared() -> Study:
    study = make_study(variant_keys=["qk_norm"])
    make_ladders(study)
    return study


def make_batched() -> Study:
    study = make_study()
    make_batches(study)
    return study


def make_scheduled() -> Study:
    api = make_api()
    study = make_study(api.project)
    make_schedules(study, api)
    return study


def make_judged() -> Study:
    api = make_api()
    study = make_study(api.project)
    make_logit_growth(study, lambda config: Job(api, open_run(api, config=config)))
    return study


def make_scored() -> Study:
    api = make_api()
    study = make_study(api.project, variant_keys=["logits"])
    make_scores(study, lambda fields: Job(api, open_run(api, **fields)))
    return study


def make_sized() -> Study:
    api = make_api()
    study = make_study(api.project)
    make_batch_sizes(study, lambda fields: Job(api, open_run(api, **fields)))
    return study


MAKERS = {
    "fitted": make_fitted,
    "budgeted": make_budgeted,
    "compared": make_compared,
    "judged": make_judged,
    "batched": make_batched,
    "scheduled": make_scheduled,
    "scored": make_scored,
    "sized": make_sized,
}
KINDS = {
    **dict.fromkeys(INSTABILITY_FIGURES, "judged"),
    **dict.fromkeys(COMPUTE_FIGURES, "budgeted"),
    **dict.fromkeys(COMPARISON_FIGURES, "compared"),
    **dict.fromkeys(SCORE_FIGURES, "scored"),
    **dict.fromkeys(CRITICAL_FIGURES, "sized"),
    **dict.fromkeys(BATCH_FIGURES, "batched"),
    **dict.fromkeys(SCHEDULE_FIGURES, "scheduled"),
}
KNOWN: dict[str, StudyView] = {}  # figures are pure: a view that was read once serves them all


def know(kind: str) -> StudyView:
    """Return the view of a fitted study of a kind, made by the first who asks."""
    if kind not in KNOWN:
        study = MAKERS[kind]()
        settle()
        KNOWN[kind] = view_study(study)
    return KNOWN[kind]
