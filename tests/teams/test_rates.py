"""The rate of requests of a token."""

from __future__ import annotations

import pytest
from django.test import Client

from teams import rates
from teams.rates import BURST_SECONDS, MAX_BUCKETS, Buckets
from tests.teams.factories import Api, make_token, make_user, sign_in


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(settings: object, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    settings.REQUESTS_PER_SECOND = 0.5
    monkeypatch.setattr(rates, "buckets", Buckets(clock))


def test_t19_bucket_is_full_at_first_and_fills_with_time(clock: Clock) -> None:
    buckets = Buckets(clock)
    waits = [buckets.take(1, 2.0) for _ in range(2 * BURST_SECONDS + 1)]
    assert waits == [0.0] * 2 * BURST_SECONDS + [0.5]
    clock.now += 0.5
    assert [buckets.take(1, 2.0), buckets.take(1, 2.0)] == [0.0, 0.5]


def test_t19_keys_have_buckets_of_their_own(clock: Clock) -> None:
    buckets = Buckets(clock)
    while not buckets.take(1, 1.0):
        pass
    assert buckets.take(2, 1.0) == 0.0


def test_t19_refused_requests_do_not_empty_the_bucket_further(clock: Clock) -> None:
    buckets = Buckets(clock)
    for _ in range(50):
        buckets.take(1, 1.0)
    clock.now += 1
    assert buckets.take(1, 1.0) == 0.0


def test_memory_of_buckets_is_bounded(clock: Clock) -> None:
    buckets = Buckets(clock)
    for key in range(MAX_BUCKETS + 100):
        buckets.take(key, 1.0)
    assert len(buckets._levels) == MAX_BUCKETS


@pytest.mark.django_db
def test_t19_flooding_token_alone_gets_429_and_is_told_when(limited: None) -> None:
    ann = make_user("ann")
    flood, other = Api(make_token(ann)), Api(make_token(ann))
    answers = [flood.get("ping") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].json()["error"]["code"] == "rate"
    assert int(answers[5]["Retry-After"]) == 2
    assert other.get("ping").status_code == 200
    assert sign_in(ann).get("/settings/tokens").status_code == 200


@pytest.mark.django_db
def test_t01_wrong_token_does_not_use_up_the_rate_of_the_right_one(limited: None) -> None:
    token = make_token(make_user("ann"))
    wrong = token[:-4] + "AAAA"
    assert {Api(wrong).get("ping").status_code for _ in range(20)} == {401}
    assert Api(token).get("ping").status_code == 200


@pytest.mark.django_db
def test_without_a_rate_nothing_is_counted(settings: object) -> None:
    assert settings.REQUESTS_PER_SECOND == 0
    api = Api(make_token(make_user("ann")), Client())
    assert {api.get("ping").status_code for _ in range(20)} == {200}
