"""Studies, fits and runs of studies as the API shows them."""

from __future__ import annotations

from django.urls import reverse

from fitting.models import Fit, Study, StudyRun
from fitting.queries import Progress, StudyView, find_version
from fitting.rows import StudyRow

NUMBERS = ("n", "d", "c", "lr", "batch", "seed", "loss_at_init", "loss")


def describe_study(study: Study) -> dict[str, object]:
    """Return a study; `variant_keys` is null where the server finds them."""
    return {
        "id": study.pk,
        "project": study.project.slug,
        "slug": study.slug,
        "name": study.name,
        "description": study.description,
        "selection": study.selection,
        "mapping": study.mapping,
        "variant_keys": study.variant_keys if study.has_chosen_variants else None,
        "loss_metric": study.loss_metric,
        "compared_with": study.compared_with,
        "estimator": study.estimator,
        "tail_fraction": study.tail_fraction,
        "rev": study.rev,
        "n_runs": study.n_runs,
        "n_running": study.n_running,
        "n_diverged": study.n_diverged,
        "n_excluded": study.n_excluded,
        "created_by": study.created_by.username if study.created_by else None,
        "created_at": study.created_at,
        "changed_at": study.changed_at,
        "url": reverse("study", args=[study.project.slug, study.slug]),
    }


def describe_view(view: StudyView) -> dict[str, object]:
    """Return a study with what it reads, how current its fit is, and the fit."""
    rows = view.rows
    return {
        **describe_study(view.study),
        "reads": {
            "sources": dict(rows.sources),
            "loss_metric": rows.loss_metric,
            "variant_keys": list(rows.variant_keys),
            "warnings": list(rows.warnings),
        },
        "progress": describe_progress(view.progress),
        "fit": None if view.fit is None else describe_fit(view.fit, find_version(view.fit)),
    }


def describe_progress(progress: Progress) -> dict[str, object]:
    """Return how the shown fit stands to the data."""
    return {
        "state": progress.state,
        "sentence": progress.sentence,
        "done": progress.done,
        "of": progress.of,
        "error": progress.error or None,
        "as_of": progress.as_of,
    }


def describe_fit(fit: Fit, version: int) -> dict[str, object]:
    """Return a fit without its result."""
    return {
        "version": version,
        "analysis": fit.analysis,
        "kind": fit.kind,
        "token": fit.token,
        "input_digest": fit.input_digest,
        "n_runs": fit.n_runs,
        "n_points": fit.n_points,
        "data_at": fit.data_at,
        "created_at": fit.created_at,
        "duration_seconds": fit.duration_seconds,
        "lag_seconds": fit.lag_seconds,
    }


def describe_row(row: StudyRow) -> dict[str, object]:
    """Return one run of a study as the study's mapping reads it; unknown numbers are "NaN"."""
    return {
        "run": row.uid,
        "name": row.name,
        **{name: getattr(row, name) for name in NUMBERS},
        "loss_metric": row.loss_metric or None,
        "is_provisional": row.is_provisional,
        "variant": row.variant,
        "state": row.state,
        "diverged": row.diverged,
        "takes_part": row.takes_part,
        "excluded": row.excluded,
        "reason": row.exclusion_reason,
        "last_step": row.last_step,
    }


def describe_exclusion(member: StudyRun) -> dict[str, object]:
    """Return who left a run out, when and why."""
    return {
        "run": member.run.uid,
        "excluded": member.excluded,
        "reason": member.exclusion_reason,
        "by": member.excluded_by.username if member.excluded_by else None,
        "at": member.excluded_at,
    }
