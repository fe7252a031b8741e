"""The status page: the worst fact first, each figure with its age, for administrators only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from fitting.models import Dirty, Fit, FitKind, FitState
from fitting.queries import LR_SWEEP
from fitting.status.broker import AWAY, NOT_CONFIGURED, UP, Broker, ask_broker, asker
from fitting.status.report import ALL_WELL, Disk, build_report, write_bytes
from fitting.status.store import Readings, read_readings
from fitting.sweeper import CONNECTION_NAME
from tests.fitting.factories import make_study
from tests.fitting.waiting import wait_until
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import make_user, sign_in

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)
WELL = Readings(
    n_dirty=0,
    oldest_seconds=None,
    n_busy=0,
    n_failing=0,
    n_fits=20,
    lag_p50_seconds=1.0,
    lag_p95_seconds=2.0,
    fitted_at=NOW,
    n_points=600,
    n_batches=6,
    received_at=NOW,
    n_sweepers=1,
    sweep_seconds=0.4,
    database_bytes=12_000_000,
    postgres_version="18.1",
    now=NOW,
)
BROKER = Broker(UP, "8.0", 0, 1, NOW.timestamp())
DISK = Disk(free_bytes=50 * 10**9, total_bytes=100 * 10**9)


def report(readings: Readings = WELL, broker: Broker = BROKER, disk: Disk = DISK) -> dict:
    return build_report(readings, broker, disk)


def text_of(document: dict, key: str) -> str:
    return next(figure["text"] for figure in document["figures"] if figure["key"] == key)


def test_a_server_without_trouble_is_all_well() -> None:
    assert (report()["sentence"], report()["tone"]) == (ALL_WELL, "ok")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_sweepers": 0, "sweep_seconds": None}, "The sweeper is not running"),
        ({"sweep_seconds": 42.0}, "has not looked for work for 42 s"),
        ({"claimable_seconds": 90.0, "n_dirty": 7}, "could have been fitted for 90 s"),
        ({"lag_p95_seconds": 30.0}, "more than 30 s after its change"),
        (
            {"n_failing": 2, "failing": "alpha/sweep, deep: ValueError: singular"},
            "2 fits fail; most often alpha/sweep, deep: ValueError: singular",
        ),
    ],
)
def test_each_trouble_of_the_database_is_named(changes: dict[str, object], words: str) -> None:
    assert words in report(replace(WELL, **changes))["sentence"]


def test_deep_fits_that_waited_their_turn_are_no_trouble() -> None:
    late = replace(WELL, n_deep=14, deep_p50_seconds=40.0, deep_p95_seconds=95.0, deep_at=NOW)
    assert report(late)["sentence"] == ALL_WELL
    assert text_of(report(late), "deep") == "lag p50 40 s, p95 95 s, 14 fits"


def test_a_stopped_worker_is_named() -> None:
    assert "No worker answers" in report(broker=replace(BROKER, n_workers=0))["sentence"]


def test_a_full_disk_is_named() -> None:
    document = report(disk=Disk(free_bytes=5 * 10**8, total_bytes=10**12))
    assert "500 MB are left" in document["sentence"]


def test_the_worst_fact_stands_in_the_sentence() -> None:
    document = report(replace(WELL, n_failing=1, sweep_seconds=None), Broker(AWAY))
    assert document["sentence"].startswith("The sweeper is not running")


def test_without_redis_its_figures_are_unknown() -> None:
    document = report(broker=Broker(AWAY))
    assert document["sentence"].startswith("Redis is away")
    assert text_of(document, "workers") == "unknown"
    assert "hints in Redis: unknown" in text_of(document, "queue")
    assert "Redis unknown" in text_of(document, "versions")


def test_a_server_that_is_meant_to_run_without_redis_is_well() -> None:
    assert report(broker=Broker(NOT_CONFIGURED))["sentence"] == ALL_WELL


def test_points_a_second_are_those_of_the_last_minute() -> None:
    assert text_of(report(), "ingest") == "10.0 points/s in 6 batches"


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 B"), (12_300, "12.3 kB"), (5e9, "5 GB"), (2.5e12, "2.5 TB")]
)
def test_sizes_have_units_of_a_thousand(size: float, text: str) -> None:
    assert write_bytes(size) == text


@pytest.mark.django_db
def test_stored_points_are_counted() -> None:
    api = make_api()
    Job(api, open_run(api)).log([1, 2, 3], loss=[3.0, 2.0, 1.0])
    readings = read_readings(CONNECTION_NAME)
    assert (readings.n_points, readings.n_batches) == (3, 1)
    assert readings.received_at is not None
    assert readings.database_bytes > 1_000_000


@pytest.mark.django_db
def test_the_fit_that_failed_most_often_is_named_with_its_reason() -> None:
    study, api = make_study(), make_api()
    run = open_run(api)
    for subject, kind, failures in ((study.pk, "deep", 3), (run.pk, "run_diag", 1)):
        FitState.objects.update_or_create(
            subject=subject,
            kind=kind,
            defaults={"project": study.project, "failures": failures, "last_error": f"no {kind}"},
        )
    readings = read_readings(CONNECTION_NAME)
    assert readings.n_failing == 2
    assert readings.failing == f"{study.project.slug}/{study.slug}, deep: no deep"


@pytest.mark.django_db
def test_the_lag_of_fast_fits_is_measured_apart_from_that_of_deep_ones() -> None:
    study = make_study()
    for kind, lag in ((FitKind.FAST, 1.0), (FitKind.FAST, 2.0), (FitKind.DEEP, 90.0)):
        Fit.objects.create(
            study=study,
            analysis=LR_SWEEP,
            kind=kind,
            token=int(lag),
            n_runs=1,
            n_points=1,
            data_at=timezone.now(),
            duration_seconds=0.1,
            lag_seconds=lag,
            result={},
        )
    readings = read_readings(CONNECTION_NAME)
    assert (readings.n_fits, readings.lag_p95_seconds) == (2, pytest.approx(1.95))
    assert (readings.n_deep, readings.deep_p95_seconds) == (1, 90.0)


@pytest.mark.django_db
def test_a_deep_fit_that_waits_is_no_study_that_nobody_fits() -> None:
    study = make_study()
    Dirty.objects.all().delete()
    long_ago = timezone.now() - timedelta(seconds=300)
    Dirty.objects.create(subject=study.pk, kind=FitKind.DEEP, at=long_ago)
    assert read_readings(CONNECTION_NAME).claimable_seconds == 0.0
    Dirty.objects.create(subject=study.pk, kind=FitKind.FAST, at=long_ago)
    assert read_readings(CONNECTION_NAME).claimable_seconds > 290


@pytest.mark.django_db
def test_redis_that_answers_is_up_and_one_that_does_not_is_away(settings: object) -> None:
    assert ask_broker().state == UP
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert ask_broker().state == AWAY
    settings.REDIS_URL = ""
    assert ask_broker().state == NOT_CONFIGURED


def test_a_worker_that_runs_is_counted(live_worker: Path) -> None:
    assert ask_broker().n_workers == 1


def test_a_sweeper_that_runs_is_seen(
    live_sweeper: Path,
) -> None:
    wait_until(lambda: read_readings(CONNECTION_NAME).n_sweepers == 1, "the sweeper to connect")
    wait_until(lambda: read_readings(CONNECTION_NAME).sweep_seconds < 10, "a sweep of late")
    assert read_readings("nobody").n_sweepers == 0


@pytest.mark.django_db
def test_the_page_and_its_twin_say_the_same() -> None:
    asker.forget()
    client = sign_in(make_user(is_superuser=True))
    document = client.get("/status.json").json()
    assert document["sentence"].startswith("The sweeper is not running")
    assert document["sentence"].split("`")[0] in client.get("/status").content.decode()


@pytest.mark.django_db
def test_nobody_else_sees_it() -> None:
    for path in ("/status", "/status.json"):
        assert sign_in(make_user()).get(path).status_code == 404
    assert Client().get("/status.json").status_code == 401
