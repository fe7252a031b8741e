"""What the sweeper does for runs."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from runs import tasks
from runs.models import Run, RunState
from runs.tasks import LIVENESS_SECONDS, OUTAGE_SECONDS, Liveness
from tests.fitting.waiting import wait_until
from tests.runs.factories import Job, make_api, open_run

SILENT = timedelta(seconds=settings.CRASHED_AFTER_SECONDS + 10)


class Clock:
    """The one thing that is faked: the monotonic clock of the process."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tasks, "time", clock)
    return clock


@pytest.fixture
def silent_run(db: None) -> Run:
    run = open_run(make_api())
    Run.objects.filter(pk=run.pk).update(heartbeat_at=timezone.now() - SILENT)
    return run


def state_of(run: Run) -> str:
    return Run.objects.get(pk=run.pk).state


def test_silent_run_is_marked_once_the_sweeper_has_watched_long_enough(
    clock: Clock, silent_run: Run
) -> None:
    liveness = Liveness()
    assert liveness(LIVENESS_SECONDS) == 0
    clock.now += settings.CRASHED_AFTER_SECONDS + 1
    assert liveness(LIVENESS_SECONDS) == 1
    assert state_of(silent_run) == RunState.CRASHED


def test_outage_of_the_server_marks_nobody(clock: Clock, silent_run: Run) -> None:
    liveness = Liveness()
    liveness(LIVENESS_SECONDS)
    clock.now += 10_000
    assert liveness(OUTAGE_SECONDS + 1) == 0
    assert state_of(silent_run) == RunState.RUNNING


def test_data_brings_a_crashed_run_back(db: None) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    job.log([1], loss=[3.0])
    Run.objects.filter(pk=run.pk).update(state=RunState.CRASHED, ended_at=timezone.now())
    job.log([2], loss=[2.9])
    run.refresh_from_db()
    assert (run.state, run.ended_at) == (RunState.RUNNING, None)


def test_heartbeat_brings_a_crashed_run_back(db: None) -> None:
    api = make_api()
    run = open_run(api)
    Run.objects.filter(pk=run.pk).update(state=RunState.CRASHED, ended_at=timezone.now())
    assert api.post(f"runs/{run.uid}/heartbeat").json() == {"state": "running"}


@pytest.mark.django_db(transaction=True)
def test_sweeper_settles_a_series_with_late_points(live_sweeper: Path) -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    job.log([1, 2, 3], loss=[3.0, 2.0, 1.0])
    assert job.log([2], loss=[7.0])["overwritten"] is None

    def is_settled() -> bool:
        run.refresh_from_db()
        return run.settle_at is None

    wait_until(is_settled, "settling by the sweeper")
    entry = {"last": 1.0, "last_step": 3, "min": 1.0, "max": 7.0, "count": 3, "overwritten": 1}
    assert run.summary == {"loss": entry}
    assert run.overwritten == 1
