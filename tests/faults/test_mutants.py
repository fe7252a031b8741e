"""The checker must fail on broken engines; each mutant is one mistake that was avoided."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from django.db import connection, transaction
from django.db.models import Q

from fitting import outbox, receivers, refit
from fitting.hints import Hints
from fitting.models import Dirty, Fit, FitKind, Study
from fitting.sweeper import Sweeper
from tests.faults.checker import Acks, check, check_rate
from tests.fitting.factories import log_loss, make_study, make_sweep, settle, skip_gaps

pytestmark = pytest.mark.django_db(transaction=True)
Patch = pytest.MonkeyPatch


@pytest.fixture
def study() -> Study:
    study = make_study()
    make_sweep(study)
    settle()
    return study


def claim() -> outbox.Claim:
    held = outbox.claim([FitKind.FAST], project_share=1)
    assert held is not None
    return held


def fit_and_publish(held: outbox.Claim, snapshot: refit.Snapshot) -> bool:
    return refit.publish(held, snapshot, refit.analyse(snapshot, held.kind), 0.01)


def judge(study: Study, acks: Acks) -> list[str]:
    """Return the verdict once the engine is at rest; its pace is judged on its own."""
    settle()
    return [line for line in check([study], acks) if " fits in " not in line]


def change_during_a_fit(study: Study) -> Acks:
    run = study.runs.first()
    log_loss(run, 2.9)
    skip_gaps()
    held = claim()
    snapshot = refit.read_snapshot(held)
    log_loss(run, 2.1)
    fit_and_publish(held, snapshot)
    skip_gaps()
    return {run.uid: 2.1}


def test_a_change_during_a_fit_is_fitted_next(study: Study) -> None:
    assert judge(study, change_during_a_fit(study)) == []


def test_mutant_that_deletes_every_dirty_row_is_caught(study: Study, monkeypatch: Patch) -> None:
    def delete_all(ids: Sequence[int]) -> None:
        Dirty.objects.filter(Q(subject=study.pk) | Q(id__in=ids)).delete()

    monkeypatch.setattr(outbox, "delete_dirty", delete_all)
    found = judge(study, change_during_a_fit(study))
    assert any("not in the fit" in line for line in found)


def return_from_the_dead(study: Study) -> Acks:
    """A worker reads, is paused beyond its lease, and publishes after a newer owner has."""
    run = study.runs.first()
    log_loss(run, 2.9)
    skip_gaps()
    paused = claim()
    old = refit.read_snapshot(paused)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE fitting_fitstate SET lease_until = now() - interval '1 s'")
    log_loss(run, 2.1)
    newer = claim()
    fit_and_publish(newer, refit.read_snapshot(newer))
    fit_and_publish(paused, old)
    skip_gaps()
    return {run.uid: 2.1}


def test_a_worker_from_the_dead_publishes_nothing(study: Study) -> None:
    assert judge(study, return_from_the_dead(study)) == []


def test_mutant_without_fencing_token_is_caught(study: Study, monkeypatch: Patch) -> None:
    blind = outbox.RELEASE.replace("AND token = %(token)s", "")
    monkeypatch.setattr(outbox, "RELEASE", blind)
    found = judge(study, return_from_the_dead(study))
    assert any("published after" in line for line in found)
    assert any("older data" in line for line in found)


@pytest.fixture
def lost_hint(study: Study, settings: object, monkeypatch: Patch) -> Acks:
    """A change whose hint was lost with Redis, and a worker that waits for hints."""
    settings.REDIS_URL = ""
    monkeypatch.setattr(receivers, "hints", Hints())
    run = study.runs.first()
    log_loss(run, 2.1)
    skip_gaps()
    return {run.uid: 2.1}


def test_mutant_without_sweeper_is_caught(study: Study, lost_hint: Acks) -> None:
    found = check([study], lost_hint)
    assert any("rows are left" in line for line in found)


def test_the_sweeper_finds_what_a_lost_hint_left(study: Study, lost_hint: Acks) -> None:
    sweeper = Sweeper()
    sweeper.child = _InThisProcess()
    sweeper.sweep()
    assert judge(study, lost_hint) == []
    assert sweeper.child.is_told


class _InThisProcess:
    """Stands where the child process would: a real one would look at another database."""

    is_told = False

    def work(self) -> None:
        self.is_told = True
        refit.run_next(n_workers=1)


class _Killed(BaseException):
    """The process ends here."""


def log_and_die(study: Study, die: Callable[[], None]) -> Acks:
    """A process is killed right after the commit of a batch."""
    run = study.runs.first()
    with pytest.raises(_Killed), transaction.atomic():
        transaction.on_commit(die)
        log_loss(run, 2.1)
    skip_gaps()
    return {run.uid: 2.1}


def end_process() -> None:
    raise _Killed


def test_a_process_killed_after_commit_loses_nothing(study: Study) -> None:
    assert judge(study, log_and_die(study, end_process)) == []


def test_mutant_that_marks_in_a_second_transaction_is_caught(
    study: Study, monkeypatch: Patch
) -> None:
    mark = outbox.mark_readers

    def mark_later(run_id: int, metrics: Sequence[str], *flags: bool) -> list[int]:
        transaction.on_commit(lambda: mark(run_id, metrics, *flags))
        return []

    monkeypatch.setattr(outbox, "mark_readers", mark_later)
    found = judge(study, log_and_die(study, end_process))
    assert any("not in the fit" in line for line in found)


@pytest.fixture
def long_gap(monkeypatch: Patch) -> None:
    """A gap that no fit takes as long as, however busy the machine is."""
    monkeypatch.setitem(outbox.MIN_GAP_SECONDS, FitKind.FAST, outbox.MAX_GAP_SECONDS)


def log_busily(study: Study, n: int = 12) -> list[str]:
    Fit.objects.all().delete()  # those of the fixture were made without a pause
    run = study.runs.first()
    for place in range(n):
        log_loss(run, 2.0 + place / 100)
        refit.run_next(n_workers=1)
    return check_rate(study)


def test_a_busy_study_is_fitted_no_faster_than_the_gap(study: Study, long_gap: None) -> None:
    assert log_busily(study) == []


def test_mutant_without_gap_is_caught(study: Study, long_gap: None, monkeypatch: Patch) -> None:
    monkeypatch.setattr(outbox, "find_gap", lambda kind, seconds: 0.0)
    assert any(line.startswith("fast") for line in log_busily(study))
