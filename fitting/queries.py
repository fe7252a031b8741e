"""Reads of the fitting app: studies, their current fits, history, coverage, revision."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from fitting import outbox
from fitting.compute_results import ComputeDoc
from fitting.models import Fit, FitKind, FitState, Study, StudyRun, SwitchedOff
from fitting.results import LrSweepDoc
from fitting.rows import StudyRow, StudyRows, find_known_losses, read_rows, take_known_loss
from fitting.sizes import group_sizes
from runs.models import Outcome, RunState
from teams.models import Project
from teams.principals import Principal

LR_SWEEP, COMPUTE_OPTIMAL, INSTABILITY = "lr_sweep", "compute_optimal", "instability"
LR_BATCH, LR_SCHEDULE = "lr_batch", "lr_schedule"
CRITICAL_BATCH, RL_SIGMOID = "critical_batch", "rl_sigmoid"
ANALYSES = (
    LR_SWEEP,
    COMPUTE_OPTIMAL,
    LR_BATCH,
    CRITICAL_BATCH,
    LR_SCHEDULE,
    RL_SIGMOID,
    INSTABILITY,
)
# Parts of the compute-optimal analysis that are switched by themselves.
ISOFLOP, ENVELOPE, PARAMETRIC, OVERTRAINING, LADDERS = COMPUTE_PARTS = (
    "isoflop",
    "chinchilla_envelope",
    "chinchilla_parametric",
    "overtraining",
    "ladders",
)
SWITCHABLE = (LR_SWEEP, COMPUTE_OPTIMAL, *COMPUTE_PARTS, *ANALYSES[2:])
# analysis -> the members of a StudyView that hold its fits
MEMBERS = {
    LR_SWEEP: ("fit",),
    COMPUTE_OPTIMAL: ("compute_fit", "envelope_fit"),
    LR_BATCH: ("lr_batch_fit",),
    CRITICAL_BATCH: ("critical_fit",),
    LR_SCHEDULE: ("schedule_fit",),
    RL_SIGMOID: ("sigmoid_fit",),
    INSTABILITY: ("instability_fit",),
}
TITLES = {
    LR_SWEEP: "LR sweep",
    COMPUTE_OPTIMAL: "Compute-optimal",
    ISOFLOP: "IsoFLOP",
    ENVELOPE: "Envelope",
    PARAMETRIC: "Parametric L(N, D)",
    OVERTRAINING: "Over-training",
    LADDERS: "Variants",
    LR_BATCH: "Learning rate and batch",
    CRITICAL_BATCH: "Critical batch",
    LR_SCHEDULE: "Schedules",
    RL_SIGMOID: "RL sigmoid",
    INSTABILITY: "Instabilities",
}
CELL_ORDER = ("done", "running", "diverged", "failed", "excluded")


@dataclass(frozen=True)
class Progress:
    """How the shown fit stands to the data.

    `state` is ready, stale (changes wait or are being fitted), error, or empty (no fit yet).
    `sentence` says it in words; `error` is the stored cause of a failing fit. A pinned fit is an
    earlier version that a reader asked for.
    """

    state: str
    sentence: str
    done: int
    of: int
    error: str
    as_of: str | None
    is_pinned: bool = False


@dataclass(frozen=True)
class StudyView:
    """All that a study's page and figures are made of, read together.

    `off` holds the analyses that are switched off, whose fits are missing here; `last` is the same
    view with the fits that were published before.
    """

    study: Study
    rows: StudyRows
    fit: Fit | None
    progress: Progress
    compute_fit: Fit | None = None
    envelope_fit: Fit | None = None
    instability_fit: Fit | None = None
    lr_batch_fit: Fit | None = None
    schedule_fit: Fit | None = None
    sigmoid_fit: Fit | None = None
    critical_fit: Fit | None = None
    off: Mapping[str, SwitchedOff] = field(default_factory=dict)
    last: StudyView | None = None

    @property
    def compute(self) -> ComputeDoc | None:
        """Return the compute-optimal analysis of the current fit."""
        return self.compute_fit.result if self.compute_fit else None

    @property
    def envelope(self) -> ComputeDoc | None:
        """Return the newest compute-optimal analysis that read the loss curves."""
        return self.envelope_fit.result if self.envelope_fit else None

    @property
    def instability(self) -> dict[str, object] | None:
        """Return the current forecasts of attention logits and gradients."""
        return self.instability_fit.result if self.instability_fit else None

    @property
    def lr_batch(self) -> dict[str, Any] | None:
        """Return the current analysis of learning rate and batch size."""
        return self.lr_batch_fit.result if self.lr_batch_fit else None

    @property
    def schedule(self) -> dict[str, Any] | None:
        """Return the newest schedule law that read the curves, else that it is pending."""
        return self.schedule_fit.result if self.schedule_fit else None

    @property
    def sigmoid(self) -> dict[str, Any] | None:
        """Return the newest sigmoids that read the score curves, else that they are pending."""
        return self.sigmoid_fit.result if self.sigmoid_fit else None

    @property
    def critical(self) -> dict[str, Any] | None:
        """Return the newest critical batch sizes that read the curves, else that they pend."""
        return self.critical_fit.result if self.critical_fit else None

    @property
    def is_envelope_old(self) -> bool:
        """Say whether the curves are of older data than the rest."""
        fits = (self.envelope_fit, self.compute_fit)
        return all(fits) and len({fit.input_digest for fit in fits if fit}) > 1

    @property
    def result(self) -> LrSweepDoc | None:
        """Return the stored result of the current fit."""
        return self.fit.result if self.fit else None


def list_studies(principal: Principal, project: Project | None = None) -> QuerySet[Study]:
    """Return the visible studies with counts of runs and the time of the newest change."""
    studies = Study.objects.visible_to(principal).select_related("project", "created_by")
    if project is not None:
        studies = studies.filter(project=project)
    live = Q(study_runs__run__deleted_at=None)
    return studies.annotate(
        n_runs=Count("study_runs", filter=live),
        n_running=Count("study_runs", filter=live & Q(study_runs__run__state=RunState.RUNNING)),
        n_diverged=Count("study_runs", filter=live & Q(study_runs__run__outcome=Outcome.DIVERGED)),
        n_excluded=Count("study_runs", filter=live & Q(study_runs__excluded=True)),
        changed_at=Max("study_runs__run__changed_at", filter=live),
    )


def find_study(principal: Principal, project: Project, slug: str) -> Study | None:
    """Return the study of this slug if the principal may see it."""
    return list_studies(principal, project).filter(slug=slug).first()


def list_members(study: Study) -> QuerySet[StudyRun]:
    """Return the study's runs as members, by run."""
    members = study.study_runs.filter(run__deleted_at=None)
    return members.select_related("run", "excluded_by").order_by("pk")


def view_study(study: Study) -> StudyView:
    """Read rows, current fit and progress of a study."""
    rows, fit, off = read_rows(study), find_current_fit(study), read_switched_off(study)
    compute = find_current_fit(study, COMPUTE_OPTIMAL)
    is_deep = compute is not None and compute.kind == FitKind.DEEP
    envelope = compute if is_deep else find_newest(study, COMPUTE_OPTIMAL, FitKind.DEEP)
    rows = fill_losses(study, rows, compute if LR_SWEEP in off else fit)
    progress = read_progress(study, fit, off)
    instability, batch = (find_current_fit(study, name) for name in (INSTABILITY, LR_BATCH))
    curves = (find_deepest(study, name) for name in (LR_SCHEDULE, RL_SIGMOID, CRITICAL_BATCH))
    view = StudyView(study, rows, fit, progress, compute, envelope, instability, batch, *curves)
    return hide_fits(view, off)


def read_switched_off(study: Study) -> dict[str, SwitchedOff]:
    """Return the analyses that the study does not make."""
    rows = SwitchedOff.objects.filter(study=study).select_related("switched_by")
    return {row.analysis: row for row in rows.order_by("pk")}


def hide_fits(view: StudyView, off: Mapping[str, SwitchedOff]) -> StudyView:
    """Return the view without the fits of these analyses."""
    if not off:
        return view
    hidden = {member: None for name in off for member in MEMBERS.get(name, ())}
    return replace(view, **hidden, off=off, last=replace(view, off=off))


def fill_losses(study: Study, rows: StudyRows, fit: Fit | None) -> StudyRows:
    """Put the final losses that the fit read off curves into the rows that have not changed."""
    if not study.reads_series or fit is None:
        return rows
    known = find_known_losses(study, rows.loss_metric, fit)
    return replace(rows, rows=tuple(take_known_loss(row, known) for row in rows.rows))


def find_current_fit(study: Study, analysis: str = LR_SWEEP) -> Fit | None:
    """Return the fit to show: the newest by data, the deep one where both saw the same.

    A fit is never older than one shown before it: fits of one kind follow each other, and a deep
    one replaces a fast one only if its data are the same or newer.
    """
    fits = Fit.objects.filter(study=study, analysis=analysis).order_by("-id")
    fast, deep = (fits.filter(kind=kind).first() for kind in (FitKind.FAST, FitKind.DEEP))
    if fast is None or deep is None:
        return fast or deep
    is_as_new = deep.input_digest == fast.input_digest or deep.data_at >= fast.data_at
    return deep if is_as_new else fast


def find_deepest(study: Study, analysis: str) -> Fit | None:
    """Return the newest deep fit, which alone has read curves; before the first a fast one."""
    deep = find_newest(study, analysis, FitKind.DEEP)
    return deep or find_newest(study, analysis, FitKind.FAST)


def find_newest(study: Study, analysis: str, kind: FitKind) -> Fit | None:
    """Return the newest fit of one kind."""
    fits = Fit.objects.filter(study=study, analysis=analysis, kind=kind)
    return fits.order_by("-id").first()


def list_fits(study: Study, analysis: str = LR_SWEEP) -> QuerySet[Fit]:
    """Return the history of an analysis, newest first; `version` counts from 1."""
    fits = Fit.objects.filter(study=study, analysis=analysis)
    earlier = fits.filter(pk__lte=OuterRef("pk")).order_by()
    counted = earlier.values("study").annotate(n=Count("pk")).values("n")
    return fits.annotate(version=Subquery(counted)).order_by("-pk")


def find_version(fit: Fit) -> int:
    """Return the number of a fit in the history of its analysis."""
    return Fit.objects.filter(study=fit.study_id, analysis=fit.analysis, pk__lte=fit.pk).count()


def read_progress(
    study: Study, fit: Fit | None, off: Mapping[str, SwitchedOff] | None = None
) -> Progress:
    """Return how far the fits are behind the data; those of analyses that are off are not made."""
    n_made, is_off = len(set(ANALYSES) - set(off or ())), LR_SWEEP in (off or {})
    now = outbox.read_revision(study.pk)
    states = FitState.objects.filter(subject=study.pk, kind__in=(FitKind.FAST, FitKind.DEEP))
    of_kind = {state.kind: state for state in states}
    state, deep = of_kind.get(FitKind.FAST), of_kind.get(FitKind.DEEP)
    as_of = state.progress.get("data_at") if state else None
    behind = now.is_pending or now.is_running
    done = 0 if behind else n_made
    if state is not None and is_failing(state):
        return Progress("error", _describe_failure(state), done, n_made, now.error, as_of)
    if behind:
        sentence = "Fitting." if now.is_running else "New data wait for the next fit."
        return Progress("stale", sentence, done, n_made, "", as_of)
    if not n_made:
        sentence = "Every analysis of this study is switched off."
        return Progress("ready", sentence, 0, 0, "", as_of)
    if fit is None and not is_off:
        return Progress("empty", "No fit yet.", done, n_made, "", as_of)
    sentence, error = "The fit is of the newest data.", ""
    if deep is not None and is_failing(deep):
        sentence, error = f"{sentence} {_describe_failure(deep)}", deep.last_error
    return Progress("ready", sentence, done, n_made, error, as_of)


def is_failing(state: FitState) -> bool:
    """Say whether the back-off has begun."""
    lost = state.attempts - state.failures
    return state.failures >= outbox.MAX_RAISED or lost >= outbox.MAX_LOST


def _describe_failure(state: FitState) -> str:
    cause = state.last_error or outbox.LOST_MESSAGE
    now = timezone.now()
    wait = max(0, round(((state.not_before or now) - now).total_seconds()))
    name = "deep fit" if state.kind == FitKind.DEEP else "fit"
    times = "once" if state.attempts == 1 else f"{state.attempts} times"
    return f"The {name} failed {times}; next try in {wait} s. {cause}"


def read_revision(study: Study) -> dict[str, object]:
    """Return the revision of a study's page and of its parts, from one indexed query."""
    now = outbox.read_revision(study.pk)
    runs = f"{now.n_runs}.{now.n_running}.{now.runs_rev}.{now.runs_changed}"
    fit = f"{now.newest_fit}.{now.failures}"
    behind = int(now.is_pending or now.is_running)
    parts = {"study": str(now.study_rev), "runs": runs, f"fit:{study.pk}": fit}
    return {
        "rev": "-".join([*parts.values(), str(behind)]),
        "parts": parts,
        "running": now.n_running,
        "fitting": {"done": 0, "of": len(ANALYSES)} if behind else None,
    }


def build_coverage(rows: Iterable[StudyRow]) -> dict[str, object]:
    """Return the grid of scale against learning rate: what each cell of each variant holds."""
    placed = [row for row in rows if row.has_axes]
    size_of = group_sizes(row.n for row in placed)
    scales, lrs = sorted(set(size_of.values())), sorted({row.lr for row in placed})
    variants = sorted({row.variant for row in placed})
    cells: dict[tuple[str, float, float], dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(CELL_ORDER, 0)
    )
    for row in placed:
        cells[row.variant, size_of[row.n], row.lr][find_cell_state(row)] += 1
    empty = dict.fromkeys(CELL_ORDER, 0)
    return {
        "scales": scales,
        "lrs": lrs,
        "variants": [
            {
                "variant": variant,
                "cells": [[cells.get((variant, n, lr), empty) for lr in lrs] for n in scales],
            }
            for variant in variants
        ],
        "without_axes": [row.uid for row in rows if not row.has_axes],
    }


def find_cell_state(row: StudyRow) -> str:
    """Return how a run counts in the grid."""
    if row.excluded:
        return "excluded"
    if row.diverged:
        return "diverged"
    if row.is_finished:
        return "done"
    return "running" if row.state == RunState.RUNNING else "failed"
