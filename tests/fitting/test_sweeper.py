"""The sweeper and the Celery worker as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from fitting import refit, sweeper
from fitting.models import Dirty, Fit, FitKind, Study
from fitting.queries import LR_SWEEP
from scaledash import programs
from scaledash.processes import Child
from tests.fitting.factories import log_loss, make_study, make_sweep
from tests.fitting.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
StartSweeper = Callable[..., Child]
STUBBORN = """
import django
django.setup()
from django.conf import settings
from fitting import sweeper

settings.REFIT_SOFT_LIMIT_SECONDS, settings.REFIT_HARD_LIMIT_SECONDS = 0.05, 0.1

def fit_for_ever(n_workers):
    while True:
        try:
            while True:
                pass
        except sweeper.TookTooLong:
            pass

sweeper.work_until_idle(fit_for_ever)
"""


@pytest.fixture
def start_sweeper(process_environment: dict[str, str], tmp_path: Path) -> Iterator[StartSweeper]:
    """Start a sweeper with some environment variables changed."""
    started = []

    def start(**changes: str) -> Child:
        child = Child(programs.sweeper({**process_environment, **changes}, tmp_path))
        started.append(child)
        return child

    yield start
    for child in started:
        child.stop()


@pytest.fixture
def study(transactional_db: None) -> Study:
    study = make_study()
    make_sweep(study)
    return study


def is_settled(study: Study) -> bool:
    kinds = set(Fit.objects.filter(study=study).values_list("kind", flat=True))
    return kinds == {FitKind.FAST, FitKind.DEEP} and not Dirty.objects.exists()


def children_of(pid: int) -> list[int]:
    listing = subprocess.run(
        ["pgrep", "-P", str(pid), "-f", "sweep --child"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in listing.stdout.split()]


@pytest.mark.slow
def test_without_redis_the_sweeper_fits(study: Study, start_sweeper: StartSweeper) -> None:
    start_sweeper(REDIS_URL="")
    wait_until(lambda: is_settled(study), "the fit")


@pytest.mark.slow
def test_without_an_answering_redis_the_sweeper_fits(
    study: Study, start_sweeper: StartSweeper
) -> None:
    start_sweeper(REDIS_URL="redis://127.0.0.1:1/0")
    wait_until(lambda: is_settled(study), "the fit")


def test_without_a_worker_the_sweeper_fits(study: Study, start_sweeper: StartSweeper) -> None:
    assert settings.REDIS_URL
    start_sweeper()
    wait_until(lambda: is_settled(study), "the fit")


@pytest.mark.slow
def test_a_worker_fits_on_a_hint_alone(live_worker: Path) -> None:
    study = make_study()
    make_sweep(study)
    log_loss(study.runs.first(), 2.0)
    wait_until(lambda: Fit.objects.filter(study=study).exists(), "the fit")


def test_worker_and_sweeper_bring_the_outbox_to_rest(
    study: Study, live_worker: Path, live_sweeper: Path
) -> None:
    wait_until(lambda: is_settled(study), "the fit")
    assert "Traceback" not in live_worker.read_text() + live_sweeper.read_text()


@pytest.mark.slow
def test_a_killed_child_is_replaced(study: Study, start_sweeper: StartSweeper) -> None:
    parent = start_sweeper(REDIS_URL="")
    wait_until(lambda: is_settled(study), "the first fit")
    (old,) = children_of(parent.pid)
    os.kill(old, signal.SIGKILL)
    run = study.runs.first()
    log_loss(run, 1.5)
    newest = Fit.objects.filter(study=study, analysis=LR_SWEEP).order_by("-id")
    wait_until(lambda: newest.first().result["losses"][run.uid][1] == 1.5, "the second fit")


def test_sigterm_ends_the_sweeper_and_its_child_with_status_0(
    study: Study, start_sweeper: StartSweeper
) -> None:
    parent = start_sweeper(REDIS_URL="")
    wait_until(lambda: children_of(parent.pid) != [], "the child")
    parent.ask_to_stop()
    wait_until(lambda: parent.poll() is not None, "the end")
    assert parent.poll() == 0
    assert children_of(parent.pid) == []


@pytest.mark.slow
def test_a_child_whose_parent_is_killed_ends_by_itself(
    study: Study, start_sweeper: StartSweeper
) -> None:
    parent = start_sweeper(REDIS_URL="")
    wait_until(lambda: children_of(parent.pid) != [], "the child")
    (child,) = children_of(parent.pid)
    os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the end of the child")


def test_a_fit_beyond_the_soft_limit_is_stopped_and_told(study: Study, settings: object) -> None:
    settings.REFIT_SOFT_LIMIT_SECONDS = 0.05
    settings.REFIT_HARD_LIMIT_SECONDS = 60

    def fit_for_ever(n_workers: int) -> bool:
        while True:
            refit.is_anything_waiting()

    with pytest.raises(sweeper.TookTooLong):
        sweeper.work_until_idle(fit_for_ever)


def test_a_fit_beyond_the_hard_limit_is_killed(process_environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", STUBBORN]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=process_environment, timeout=180, check=False
    )
    assert done.returncode == -signal.SIGALRM
