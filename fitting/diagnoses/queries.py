"""Reads of diagnoses for pages and the API: stored rows only, nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fitting.models import Alert, Dirty, FitKind, FitState, RunDiagnosis, Study
from fitting.queries import (
    INSTABILITY,
    LR_SWEEP,
    find_current_fit,
    is_failing,
    read_switched_off,
)
from runs.models import Run

ORDER = ("critical", "warn", "watch", "unknown", "ok")
BAD = ("critical", "warn")
HIDDEN = ("evidence",)  # what limits the others is no instability
NEVER = 2**62
ROW_FIELDS = ("run_id", "severities", "worst", "counts", "computed_at", "attempt", "rev")


def build_diagnoses(run: Run) -> dict[str, object]:
    """Return all verdicts of a run with how they stand to its data, and its outcome."""
    found = RunDiagnosis.objects.filter(run_id=run.pk).defer("state").first()
    verdicts = found.verdicts if found else []
    since = {
        (item.diagnostic, item.severity): item.at
        for item in Alert.objects.filter(run_id=run.pk, attempt=run.attempt)
    }
    state, sentence = read_progress(run, found)
    return {
        "run": run.uid,
        "state": state,
        "sentence": sentence,
        "outcome": run.outcome,
        "outcome_evidence": run.outcome_evidence,
        "worst": found.worst if found else "unknown",
        "counts": sort_counts(found.counts) if found else {},
        "summary": summarise(found.counts) if found else "not diagnosed yet",
        "attempt": found.attempt if found else None,
        "rev": found.rev if found else None,
        "computed_at": found.computed_at if found else None,
        "data_at": found.data_at if found else None,
        "diagnoses": [
            {**item, "noted_at": since.get((item["diagnostic"], item["severity"]))}
            for item in verdicts
        ],
    }


def read_progress(run: Run, found: RunDiagnosis | None) -> tuple[str, str]:
    """Return how the verdicts stand to the data: ready, stale, error or empty, and a sentence."""
    state = FitState.objects.filter(subject=run.pk, kind=FitKind.RUN_DIAG).first()
    if state is not None and is_failing(state):
        return "error", f"The diagnosis failed: {state.last_error}"
    if Dirty.objects.filter(subject=run.pk, kind=FitKind.RUN_DIAG).exists():
        return "stale", "What has changed waits for the next diagnosis."
    if found is None:
        return "empty", "Nothing that a diagnostic reads has been logged."
    return "ready", "The verdicts are of the newest points."


def list_bad(verdicts: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """Return the stored verdicts at warn or critical: by step, those without one last."""
    bad = [
        item for item in verdicts if item["severity"] in BAD and item["diagnostic"] not in HIDDEN
    ]
    return sorted(bad, key=lambda item: (read_step(item), ORDER.index(str(item["severity"]))))


def read_step(verdict: Mapping[str, object]) -> int:
    """Return since which step a verdict holds, `NEVER` where it does not say."""
    step = verdict["first_step"]
    return step if isinstance(step, int) else NEVER


def find_first_bad_step(verdicts: Sequence[Mapping[str, object]]) -> int | None:
    """Return the earliest step since which one of the verdicts is bad."""
    steps = [read_step(item) for item in list_bad(verdicts)]
    first = min(steps, default=NEVER)
    return None if first == NEVER else first


def sort_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts, worst severity first."""
    return {severity: counts[severity] for severity in ORDER if counts.get(severity)}


def summarise(counts: Mapping[str, int]) -> str:
    """Return the counts in words: "1 critical, 2 warn, 9 unknown, 3 ok"."""
    return ", ".join(f"{count} {severity}" for severity, count in sort_counts(counts).items())


def read_severities(run_ids: Iterable[int]) -> dict[int, RunDiagnosis]:
    """Return run -> its diagnosis without state and verdicts."""
    rows = RunDiagnosis.objects.filter(run_id__in=list(run_ids)).only(*ROW_FIELDS)
    return {row.run_id: row for row in rows}


def read_verdicts(study: Study) -> list[RunDiagnosis]:
    """Return the diagnoses of the study's runs, verdicts included."""
    members = study.study_runs.filter(run__deleted_at=None).values("run_id")
    rows = RunDiagnosis.objects.filter(run_id__in=members).defer("state").select_related("run")
    return list(rows.order_by("run_id"))


def read_study_verdicts(study: Study) -> list[dict[str, object]]:
    """Return the verdicts on the runs of a study together, as its current fits hold them."""
    made = {LR_SWEEP, INSTABILITY} - read_switched_off(study).keys()
    fits = [find_current_fit(study, name) for name in sorted(made, reverse=True)]
    return [item for fit in fits if fit is not None for item in fit.result.get("verdicts", [])]
