"""Hints: one a burst, never waited for, silent after an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings
from django.db import transaction

from fitting import hints as module
from fitting.hints import Hints
from runs.models import Run
from runs.signals import batch_stored
from tests.fitting.factories import make_run, make_study

QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture
def hints() -> Iterator[Hints]:
    found = Hints()
    yield found
    found.close()


def test_a_burst_sends_one_hint(hints: Hints, broker: redis.Redis, settings: object) -> None:
    settings.REFIT_HINT_WINDOW_MS = 60_000
    assert all(hints.send([7]) for _ in range(20))
    assert broker.llen(QUEUE) == 1


def test_each_study_has_its_own_window(hints: Hints, broker: redis.Redis, settings: object) -> None:
    settings.REFIT_HINT_WINDOW_MS = 60_000
    hints.send([7])
    hints.send([8])
    assert broker.llen(QUEUE) == 2


def test_a_worker_that_looks_again_is_not_held_back(hints: Hints, broker: redis.Redis) -> None:
    hints.send([7])
    hints.send_again()
    assert broker.llen(QUEUE) == 2


def test_without_redis_no_hint_is_tried(hints: Hints, settings: object) -> None:
    settings.REDIS_URL = ""
    assert (hints.send([7]), hints.errors) == (False, 0)


def test_a_dead_redis_is_counted_and_left_alone(hints: Hints, settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert [hints.send([7]) for _ in range(10)] == [False] * 10
    assert (hints.errors, hints.is_open) == (1, False)


def test_a_redis_that_comes_back_is_used_again(
    hints: Hints, broker: redis.Redis, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    url = settings.REDIS_URL
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert not hints.send([7])
    settings.REDIS_URL = url
    assert hints.send([7])
    assert broker.llen(QUEUE) == 1


@pytest.mark.django_db(transaction=True)
def test_the_hint_follows_the_commit_and_a_dead_redis_does_not_harm_it(
    hints: Hints, settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr("fitting.receivers.hints", hints)
    study = make_study()
    study.study_runs.create(run=make_run(study.project, loss=None))
    with transaction.atomic():
        batch_stored.send(sender=Run, run_id=study.runs.get().pk, metrics=["loss.val"])
        assert hints.errors == 0
    wait_for(lambda: hints.errors == 1)


def test_what_is_left_goes_together_and_soon(
    hints: Hints, broker: redis.Redis, settings: object
) -> None:
    settings.REFIT_HINT_WINDOW_MS = 60_000
    hints.leave([1])
    wait_for(lambda: broker.llen(QUEUE) == 1)
    with hints._lock:  # the thread cannot take anything before all of it is there
        hints._left.update(dict.fromkeys(range(2, 30)))
    hints.leave([1, 30])
    wait_for(lambda: broker.exists("refit:30") == 1 and broker.llen(QUEUE) == 2)
    assert len(broker.keys("refit:*")) == 30


def test_an_open_window_is_known_without_redis(
    hints: Hints, broker: redis.Redis, settings: object
) -> None:
    settings.REFIT_HINT_WINDOW_MS = 60_000
    hints.send([7])
    broker.flushall()
    assert hints.send([7])
    assert broker.llen(QUEUE) == 0


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_expired_tick_is_not_kept_for_ever(hints: Hints, broker: redis.Redis) -> None:
    hints.send([7])
    (message,) = broker.lrange(QUEUE, 0, -1)
    assert b'"expires"' in message
