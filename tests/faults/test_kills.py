"""kill -9 of anything at any moment: nothing acknowledged is lost, and the fit converges."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import psycopg2
import pytest
from django.db import InterfaceError, OperationalError, connection

from fitting.hints import hints
from fitting.models import Dirty, Fit, FitState, Study
from fitting.queries import LR_SWEEP
from tests.faults.checker import check
from tests.faults.load import Load, make_studies
from tests.faults.world import World
from tests.fitting.factories import log_loss
from tests.fitting.waiting import wait_until

BLOCK_READING = "LOCK TABLE fitting_fit IN ACCESS EXCLUSIVE MODE"
BLOCK_PUBLISHING = "LOCK TABLE fitting_fit IN SHARE ROW EXCLUSIVE MODE"
ROUNDS = [pytest.param(20, id="long")]
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def holding(world: World, statement: str) -> Iterator[None]:
    """Hold a lock on a connection of its own, so that a refit stands still where it needs it."""
    other = psycopg2.connect(world.env["DATABASE_URL"])
    try:
        with other.cursor() as cursor:
            cursor.execute(statement)
            yield
    finally:
        other.close()


def is_blocked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        return cursor.fetchone()[0] > 0


def is_at_rest() -> bool:
    try:
        leases = FitState.objects.exclude(lease_until=None)
        return not Dirty.objects.exists() and not leases.exists()
    except (OperationalError, InterfaceError):
        connection.close()
        return False


def settle(studies: list[Study], seconds: float = 90) -> None:
    wait_until(is_at_rest, "the end of all refits", seconds)
    assert Fit.objects.filter(study__in=studies).exists()


@pytest.mark.parametrize("where", [BLOCK_READING, BLOCK_PUBLISHING], ids=["reading", "publishing"])
def test_a_worker_killed_in_a_refit_loses_nothing(world: World, where: str) -> None:
    (study,) = studies = make_studies(1)
    world.start_worker()
    world.start_sweeper()
    settle(studies)
    run = study.runs.first()
    with holding(world, where):
        log_loss(run, 1.75)
        wait_until(is_blocked, "a refit at its lock")
        world.kill("worker")
    world.start_worker()
    settle(studies)
    assert check(studies, {run.uid: 1.75}) == []


def test_a_child_of_the_worker_killed_in_a_refit_loses_nothing(world: World) -> None:
    (study,) = studies = make_studies(1)
    world.start_worker()
    world.start_sweeper()
    settle(studies)
    run = study.runs.first()
    with holding(world, BLOCK_READING):
        log_loss(run, 1.75)
        wait_until(is_blocked, "a refit at its lock")
        world.kill_children("worker")
    settle(studies)
    assert check(studies, {run.uid: 1.75}) == []


@pytest.mark.parametrize("rounds", ROUNDS)
def test_workers_and_sweepers_killed_under_load(world: World, rounds: int) -> None:
    studies = make_studies(4)
    world.start_worker()
    world.start_sweeper()
    with Load(studies) as load:
        for victim in itertools.islice(itertools.cycle(["worker", "sweeper"]), rounds):
            wait_for_progress(load)
            world.kill(victim)
            {"worker": world.start_worker, "sweeper": world.start_sweeper}[victim]()
    settle(studies)
    assert check(studies, load.acks) == []


@pytest.mark.parametrize("rounds", ROUNDS)
def test_redis_killed_and_flushed_under_load(world: World, rounds: int) -> None:
    studies = make_studies(2)
    world.start_worker()
    world.start_sweeper()
    with Load(studies) as load:
        for _ in range(rounds):
            wait_for_progress(load)
            world.flush_redis()
            wait_for_progress(load)
            world.kill("redis")
            wait_for_fits(studies)
            world.start_redis()
    settle(studies)
    assert check(studies, load.acks) == []


def test_a_worker_takes_hints_again_after_redis_was_killed(world: World) -> None:
    (study,) = studies = make_studies(1)
    world.start_worker()
    world.start_sweeper()
    settle(studies)
    world.kill("sweeper")
    world.kill("redis")
    world.start_redis()
    hints.reset()
    run = study.runs.first()
    log_loss(run, 1.75)
    fits = Fit.objects.filter(study=study, analysis=LR_SWEEP).order_by("-id")
    wait_until(lambda: fits.first().result["losses"][run.uid][1] == 1.75, "a fit by the worker")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_postgres_killed_under_load(world: World, rounds: int) -> None:
    studies = make_studies(2)
    world.start_worker()
    world.start_sweeper()
    with Load(studies) as load:
        for _ in range(rounds):
            wait_for_progress(load)
            world.kill("postgres")
            connection.close()
            world.start_postgres()
    settle(studies)
    assert check(studies, load.acks) == []
    assert "Traceback" not in world.read_logs()


@pytest.mark.slow
def test_twenty_live_studies_survive_kills_of_everything(world: World) -> None:
    studies = make_studies(20)
    world.start_worker()
    world.start_sweeper()
    settle(studies, 400)
    restart = {
        "worker": world.start_worker,
        "sweeper": world.start_sweeper,
        "redis": world.start_redis,
        "postgres": world.start_postgres,
    }
    with Load(studies) as load:
        for victim in [*restart] * 3:
            wait_for_progress(load)
            world.kill(victim)
            connection.close()
            restart[victim]()
    hints.reset()
    settle(studies, 400)
    assert check(studies, load.acks) == []
    assert load.n_acked >= 240


def test_two_hundred_changes_during_fits_lead_to_few_fits(world: World) -> None:
    studies = make_studies(1)
    world.start_worker()
    world.start_sweeper()
    with Load(studies, pause_seconds=0.0) as load:
        wait_until(lambda: load.n_acked >= 200, "200 changes")
    settle(studies)
    assert check(studies, load.acks) == []
    assert Fit.objects.filter(kind="fast").count() < load.n_acked


def wait_for_progress(load: Load, changes: int = 20) -> None:
    target = load.n_acked + changes
    wait_until(lambda: load.n_acked >= target, f"{changes} more changes")


def wait_for_fits(studies: list[Study]) -> None:
    before = Fit.objects.count()
    wait_until(lambda: Fit.objects.count() > before, "one more fit")
