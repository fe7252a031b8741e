"""Purging deleted runs, and pruning keys of old batches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from runs.models import Batch, Chunk, Run, Writer
from runs.retention import purge
from tests.fitting.waiting import wait_until
from tests.runs.factories import Job, make_api, open_run, read_series
from tests.teams.factories import Api, error_of


def log_run(api: Api, n: int = 5) -> Run:
    run = open_run(api)
    job = Job(api, run)
    for step in range(n):
        job.log([step], loss=[1.0])
    return run


def test_only_a_deleted_run_can_be_purged(api: Api) -> None:
    run = log_run(api)
    assert error_of(api.post(f"runs/{run.uid}/purge"))[:2] == (409, "not_deleted")


def test_purge_takes_everything_of_the_run_and_nothing_of_others(api: Api) -> None:
    run, other = log_run(api), log_run(api)
    api.delete(f"runs/{run.uid}")
    answer = api.post(f"runs/{run.uid}/purge")
    assert (answer.status_code, answer.json()) == (
        202,
        {"is_asked": True, "chunks": 5, "batches": 5},
    )
    assert purge.find_runs() == [run.pk]
    assert purge.purge_run(run.pk)
    for model in (Chunk, Batch, Writer):
        assert set(model.objects.values_list("run", flat=True)) == {other.pk}
    assert not Run.objects.filter(pk=run.pk).exists()
    assert api.get(f"runs/{run.uid}/purge").status_code == 404


def test_purge_that_runs_out_of_time_goes_on_later(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "ROWS_AT_ONCE", 2)
    run = log_run(api)
    api.delete(f"runs/{run.uid}")
    api.post(f"runs/{run.uid}/purge")
    assert not purge.purge_run(run.pk, seconds=0)
    assert api.get(f"runs/{run.uid}/purge").json()["chunks"] == 3
    assert purge.purge_run(run.pk)


def test_restored_run_is_not_erased(api: Api) -> None:
    run = log_run(api)
    api.delete(f"runs/{run.uid}")
    api.post(f"runs/{run.uid}/purge")
    api.post(f"runs/{run.uid}/restore")
    assert purge.find_runs() == []
    assert not purge.purge_run(run.pk)
    assert read_series(run, "loss")[0] == [0, 1, 2, 3, 4]


def test_deleted_run_is_kept_for_as_long_as_the_setting_says(api: Api) -> None:
    run = log_run(api)
    api.delete(f"runs/{run.uid}")
    assert purge.find_runs() == []
    long_ago = timezone.now() - timedelta(days=settings.PURGE_AFTER_DAYS, minutes=1)
    Run.objects.filter(pk=run.pk).update(deleted_at=long_ago)
    assert purge.find_runs() == [run.pk]


def test_old_keys_are_pruned_but_not_above_a_gap(api: Api) -> None:
    run = open_run(api)
    job = Job(api, run)
    job.log([1], loss=[1.0])
    job.batch([2], loss=[1.0])  # seq 2 never arrives
    job.log([3], loss=[1.0])
    api.post(f"runs/{run.uid}/metrics", {"points": [{"step": 4, "loss": 1.0}]})
    assert purge.prune_keys() == 0
    long_ago = timezone.now() - timedelta(days=settings.KEEP_BATCH_KEYS_DAYS, minutes=1)
    Batch.objects.update(received_at=long_ago)
    assert purge.prune_keys() == 2
    assert list(Batch.objects.values_list("seq", flat=True)) == [3]


@pytest.mark.django_db(transaction=True)
def test_worker_erases_what_the_sweeper_finds(live_worker: Path, live_sweeper: Path) -> None:
    api = make_api()
    run = log_run(api)
    api.delete(f"runs/{run.uid}")
    api.post(f"runs/{run.uid}/purge")
    wait_until(lambda: not Run.objects.filter(pk=run.pk).exists(), "purge by the worker")
    assert not Chunk.objects.filter(run=run.pk).exists()
