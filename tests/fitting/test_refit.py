"""The refit engine on one process: claim, snapshot, publish, token, poison."""

from __future__ import annotations

import pytest
from django.db import connection

from fitting import analyses, outbox, refit
from fitting.models import Dirty, Fit, FitKind, FitState, Study
from fitting.queries import LR_SCHEDULE, find_current_fit
from fitting.services import delete_study, set_exclusion
from runs.models import RunState
from tests.fitting.factories import (
    finish,
    log_loss,
    make_run,
    make_study,
    make_sweep,
    settle,
    skip_gaps,
)
from tests.fitting.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    study = make_study()
    make_sweep(study)
    return study


def claim(kind: FitKind = FitKind.FAST) -> outbox.Claim:
    held = outbox.claim([kind], project_share=1)
    assert held is not None
    return held


def settle_diagnoses() -> None:
    Dirty.objects.filter(kind=FitKind.RUN_DIAG).delete()


def expire(study: Study) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE fitting_fitstate SET lease_until = clock_timestamp() - interval '1 s'"
            " WHERE subject = %s AND lease_until IS NOT NULL",
            [study.pk],
        )


def state_of(study: Study, kind: FitKind = FitKind.FAST) -> FitState:
    return FitState.objects.get(subject=study.pk, kind=kind)


def break_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_it(*args: object) -> None:
        raise ZeroDivisionError("a planted fault")

    monkeypatch.setattr(analyses.Analysis, "analyse", raise_it)


def test_a_sweep_is_fitted_and_the_outbox_empties(study: Study) -> None:
    settle()
    optima = [scale["optimum"]["lr"] for scale in find_current_fit(study).result["scales"]]
    assert optima == sorted(optima, reverse=True)
    assert Dirty.objects.count() == 0


def test_a_deep_fit_follows_and_is_the_one_shown(study: Study) -> None:
    settle()
    kinds = set(Fit.objects.filter(study=study).values_list("kind", flat=True))
    shown = find_current_fit(study)
    assert (kinds, shown.kind) == ({"fast", "deep"}, "deep")
    assert shown.result["settings"]["replicas"] == analyses.LR_REPLICAS[FitKind.DEEP]


def test_a_deep_fit_that_takes_too_long_goes_on_in_further_slices(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(refit.SLICE_SECONDS, FitKind.DEEP, 0.0)
    settle()
    deep = Fit.objects.filter(study=study, kind=FitKind.DEEP).order_by("token")
    assert [fit.analysis for fit in deep] == list(analyses.ANALYSES)
    assert len({fit.token for fit in deep}) == len(analyses.ANALYSES)
    assert Dirty.objects.count() == 0


def test_changes_that_arrive_during_a_fit_stay_in_the_outbox(study: Study) -> None:
    held = claim()
    snapshot = refit.read_snapshot(held)
    log_loss(study.runs.first(), 1.0)
    late = set(
        Dirty.objects.filter(kind=FitKind.FAST)
        .exclude(id__in=snapshot.dirty_ids)
        .values_list("id", flat=True)
    )
    refit.publish(held, snapshot, refit.analyse(snapshot, held.kind), 0.1)
    left = set(Dirty.objects.filter(kind=FitKind.FAST).values_list("id", flat=True))
    assert left == late != set()


def test_the_last_change_is_never_lost(study: Study) -> None:
    held = claim()
    snapshot = refit.read_snapshot(held)
    run = study.runs.first()
    log_loss(run, 1.25)
    refit.publish(held, snapshot, refit.analyse(snapshot, held.kind), 0.1)
    skip_gaps()
    settle()
    assert find_current_fit(study).result["losses"][run.uid][1] == 1.25


def test_a_worker_that_lost_its_lease_cannot_publish(study: Study) -> None:
    lost = claim()
    snapshot = refit.read_snapshot(lost)
    expire(study)
    newer = claim()
    assert newer.token > lost.token
    assert not refit.publish(lost, snapshot, refit.analyse(snapshot, lost.kind), 0.1)
    assert not Fit.objects.exists()


def test_a_lost_worker_whose_lease_nobody_took_still_publishes(study: Study) -> None:
    held = claim()
    snapshot = refit.read_snapshot(held)
    expire(study)
    assert refit.publish(held, snapshot, refit.analyse(snapshot, held.kind), 0.1)


def test_a_live_lease_is_not_claimed_twice(study: Study) -> None:
    claim()
    assert outbox.claim([FitKind.FAST], project_share=1) is None


def test_the_pause_after_a_fit_holds(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_GAP_SECONDS", 3_600.0)
    monkeypatch.setitem(outbox.MIN_GAP_SECONDS, FitKind.FAST, 3_600.0)
    refit.run_next(n_workers=1)
    log_loss(study.runs.first(), 1.0)
    assert outbox.claim([FitKind.FAST], project_share=1) is None


def test_the_heartbeat_keeps_a_lease_only_with_its_token(study: Study) -> None:
    lost = claim()
    expire(study)
    newer = claim()
    assert (outbox.renew(lost), outbox.renew(newer)) == (False, True)


def test_a_lease_is_renewed_while_the_fit_runs(study: Study, settings: object) -> None:
    settings.REFIT_LEASE_SECONDS = 0.3
    held = claim()
    first = state_of(study).lease_until
    with refit.keep_lease(held):
        wait_until(lambda: state_of(study).lease_until > first, "the renewal")


def test_the_same_data_make_no_second_version(study: Study) -> None:
    settle()
    read = Fit.objects.exclude(analysis=LR_SCHEDULE)  # whole curves: that of the run has changed
    before = read.count()
    run = study.runs.first()
    log_loss(run, run.summary["loss.val"]["last"])
    assert settle() > 0
    assert read.count() == before
    assert Dirty.objects.count() == 0


def test_a_run_in_progress_changes_no_fit(study: Study) -> None:
    run = finish(make_run(study.project, 2.0, peak_lr=2e-2), RunState.RUNNING)
    study.study_runs.create(run=run)
    settle()
    before = find_current_fit(study)
    log_loss(run, 1.9)
    settle()
    assert find_current_fit(study).pk == before.pk


def test_the_fit_equals_one_from_scratch(study: Study) -> None:
    for place, run in enumerate(study.runs.all()):
        log_loss(run, 2.0 + 0.01 * place)
        refit.run_next(n_workers=1)
        skip_gaps()
    settle()
    grown = find_current_fit(study)
    Fit.objects.filter(study=study).delete()
    outbox.mark_studies([study.pk])
    settle()
    scratch = find_current_fit(study)
    assert scratch.input_digest == grown.input_digest
    assert scratch.result["scales"] == grown.result["scales"]


def test_excluding_a_run_refits_and_keeps_the_old_version(study: Study) -> None:
    settle()
    before = find_current_fit(study)
    set_exclusion(study.study_runs.first(), None, True, "a loose cable")
    settle()
    after = find_current_fit(study)
    assert after.result["n_runs"] == before.result["n_runs"] - 1
    assert after.result["excluded"][0]["reason"] == "a loose cable"
    assert Fit.objects.filter(pk=before.pk).exists()


def test_a_deleted_study_leaves_the_outbox(study: Study) -> None:
    delete_study(study)
    settle()
    assert Dirty.objects.count() == 0


def test_a_failure_is_stored_for_the_page(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    break_fits(monkeypatch)
    refit.run_next(n_workers=1)
    state = state_of(study)
    assert (state.failures, state.lease_until) == (1, None)
    assert state.last_error == "ZeroDivisionError: a planted fault"


def test_the_third_failure_begins_the_back_off(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_fits(monkeypatch)
    waits = []
    for _ in range(4):
        refit.run_next(n_workers=1)
        state = state_of(study)
        waits.append((state.not_before - state_time()).total_seconds())
        FitState.objects.update(not_before=None)
    assert max(waits[:2]) < 1 < 5 < waits[2] <= 10 < waits[3] <= 20


def test_the_sixth_lost_worker_begins_the_back_off(study: Study) -> None:
    for _ in range(outbox.MAX_LOST):
        claim()
        expire(study)
    assert outbox.claim([FitKind.FAST], project_share=1) is None
    assert (state_of(study).not_before - state_time()).total_seconds() > 5


def test_a_failing_study_does_not_hold_up_others(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(outbox._BACK_OFF, "back_off", outbox.MAX_BACK_OFF_SECONDS)
    with monkeypatch.context() as broken:
        break_fits(broken)
        for _ in range(3):
            refit.run_next(n_workers=1)
            FitState.objects.filter(failures__lt=3).update(not_before=None)
    other = make_study()
    make_sweep(other)
    settle()
    assert find_current_fit(other) is not None
    assert find_current_fit(study) is None


def test_the_oldest_change_is_claimed_first(study: Study) -> None:
    other = make_study()
    make_sweep(other)
    log_loss(study.runs.first(), 1.0)
    assert [claim().subject, claim().subject] == [study.pk, other.pk]


def test_a_project_takes_half_of_the_workers_while_another_waits(study: Study) -> None:
    second = make_study(study.project)
    third = make_study()
    assert outbox.claim([FitKind.FAST], project_share=1).subject == study.pk
    assert outbox.claim([FitKind.FAST], project_share=1).subject == third.pk
    assert outbox.claim([FitKind.FAST], project_share=1).subject == second.pk


def test_a_deep_fit_is_left_to_a_worker_that_can_be_spared(study: Study) -> None:
    settle_diagnoses()
    refit.run_next(n_workers=2)
    busy = make_study()
    assert claim().subject == busy.pk
    assert refit.claim_next(n_workers=2) is None
    assert refit.claim_next(n_workers=3).kind == FitKind.DEEP


def state_time() -> object:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]
