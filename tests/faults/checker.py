"""The invariants of RELIABILITY that hold after any fault: history first, verdict after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import pytest

from fitting import outbox
from fitting.analyses import ANALYSES
from fitting.inputs import AnalysisInput, read_study_rows
from fitting.models import Dirty, Fit, FitKind, Study
from fitting.queries import COMPUTE_OPTIMAL, LR_SWEEP, find_current_fit
from fitting.rows import StudyRows
from scaledash.lib.jsonsafe import decode_float, make_safe

Acks = Mapping[str, float]  # uid of a run -> its last acknowledged loss


def check(studies: Iterable[Study], acks: Acks) -> list[str]:
    """Return what is violated, in words; empty where everything holds."""
    found = [] if not Dirty.objects.exists() else [f"dirty: {Dirty.objects.count()} rows are left"]
    for study in studies:
        found += check_acks(study, acks)
        found += check_scratch(study)
        found += check_order(study)
        found += check_rate(study)
        found += check_names(study)
    return found


def list_newest(study: Study) -> list[Fit]:
    """Return the fit that is shown and the newest of each kind: all must be of the last data."""
    fits = Fit.objects.filter(study=study, analysis=LR_SWEEP).order_by("-id")
    found = [find_current_fit(study), *(fits.filter(kind=k).first() for k in outbox.STUDY_KINDS)]
    return [fit for fit in found if fit is not None]


def check_acks(study: Study, acks: Acks) -> list[str]:
    """I1: every acknowledged loss is stored and is the one that the fits read."""
    stored = {run.uid: run.summary["loss.val"]["last"] for run in study.runs.all()}
    wanted = {uid: loss for uid, loss in acks.items() if uid in stored}
    lost = [uid for uid, loss in wanted.items() if stored[uid] != loss]
    found = [f"acked losses not stored: {lost}"] if lost else []
    for fit in list_newest(study):
        used = {uid: loss for uid, (_, loss) in fit.result["losses"].items()}
        unread = [uid for uid, loss in wanted.items() if used.get(uid) != loss]
        if unread:
            found.append(f"{fit.kind}: stored losses not in the fit: {unread}")
    return found


def check_scratch(study: Study) -> list[str]:
    """I5: the newest fits equal ones from scratch: same digest, parameters to 1e-9."""
    fits = list_newest(study)
    if not fits:
        return ["no fit is shown"]
    rows = read_study_rows(study, None)
    sweeps = [line for fit in fits for line in _compare(fit, study, load(study, rows, fit))]
    others = Fit.objects.filter(study=study, analysis=COMPUTE_OPTIMAL).order_by("-id")
    newest = [fit for fit in (others.filter(kind=k).first() for k in outbox.STUDY_KINDS) if fit]
    stale = [fit for fit in newest if fit.input_digest != load(study, rows, fit).digest]
    return sweeps + [f"{fit.kind}: {fit.analysis} is of other data" for fit in stale]


def load(study: Study, rows: StudyRows, fit: Fit) -> AnalysisInput:
    """Read what a fit should have read."""
    return ANALYSES[fit.analysis].load(study, rows, FitKind(fit.kind))


def _compare(fit: Fit, study: Study, data: AnalysisInput) -> list[str]:
    if data.digest != fit.input_digest:
        return [f"{fit.kind}: the fit is of other data"]
    fresh = make_safe(ANALYSES[fit.analysis].analyse(data, study, FitKind(fit.kind)))
    pairs = zip(fit.result["scales"], fresh["scales"], strict=True)
    if all(_is_close(one, other) for one, other in pairs):
        return []
    return [f"{fit.kind}: the fit has other parameters than one from scratch"]


def _is_close(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    first, second = one["optimum"], other["optimum"]
    if "lr" not in first or "lr" not in second:
        return first == second
    wanted = [second["lr"], second["loss"], *_ends(second)]
    return [first["lr"], first["loss"], *_ends(first)] == pytest.approx(wanted, rel=1e-9)


def _ends(optimum: Mapping[str, object]) -> list[object]:
    interval = optimum["interval"]
    return [decode_float(interval[end]) for end in ("low", "high")] if interval else []


def check_order(study: Study) -> list[str]:
    """I6: tokens strictly increase, no fit is of older data than the one before, none overlap."""
    found = []
    for kind in outbox.STUDY_KINDS:
        fits = Fit.objects.filter(study=study, kind=kind, analysis=LR_SWEEP).order_by("id")
        rows = fits.values_list("token", "data_at", "created_at")
        for (token, data_at, created_at), (later, later_data, _) in pairwise(rows):
            if later <= token:
                found.append(f"{kind}: token {later} published after {token}")
            if later_data < data_at:
                found.append(f"{kind}: token {later} is of older data than {token}")
            if later_data < created_at:
                found.append(f"{kind}: token {later} read its data before {token} was published")
    return found


def check_names(study: Study) -> list[str]:
    """I9: every visible fit names the data that it is of."""
    shown = [find_current_fit(study, analysis) for analysis in ANALYSES]
    return [
        f"{fit.kind}: {fit.analysis} does not name its data"
        for fit in shown
        if fit is not None and not (len(fit.input_digest) == 64 and fit.n_points >= 0)
    ]


def check_rate(study: Study) -> list[str]:
    """I7: fits of one kind <= elapsed / least interval + 1, whatever the rate of changes."""
    found = []
    for kind in outbox.STUDY_KINDS:
        times = list(
            Fit.objects.filter(study=study, kind=kind, analysis=LR_SWEEP)
            .order_by("id")
            .values_list("created_at", flat=True)
        )
        least = outbox.MIN_GAP_SECONDS[kind]
        elapsed = (times[-1] - times[0]).total_seconds() if times else 0.0
        if len(times) > elapsed / least + 1:
            found.append(f"{kind}: {len(times)} fits in {elapsed:.2f} s, gap {least} s")
    return found
