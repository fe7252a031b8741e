"""How long a sign-in lasts and what ends it."""

from __future__ import annotations

import time

import pytest
from django.conf import settings
from django.test import Client

from teams.models import Session, User
from teams.session_store import SEEN_AT, SIGNED_IN_AT
from tests.teams.factories import PASSWORD, Api, make_user, sign_in

pytestmark = pytest.mark.django_db

PAGE = "/settings/tokens"
DAY = 24 * 3600


def age(client: Client, **stamps: float) -> None:
    """Move the session's stamps into the past, in days."""
    session = client.session
    for name, days in stamps.items():
        session[name] = int(time.time() - days * DAY)
    session.save()


def is_served(client: Client) -> bool:
    return client.get(PAGE).status_code == 200


def test_t25_session_id_is_new_after_signing_in() -> None:
    make_user("ann")
    client = Client()
    client.session["planted"] = 1
    session = client.session
    session["planted"] = 1
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = planted = session.session_key
    client.post("/login", {"username": "ann", "password": PASSWORD})
    assert client.cookies[settings.SESSION_COOKIE_NAME].value != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_t25_sign_out_flushes_the_session() -> None:
    client = sign_in(make_user())
    key = client.session.session_key
    assert client.post("/logout")["Location"] == "/login"
    assert not Session.objects.filter(session_key=key).exists()
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    assert not is_served(client)


def test_t21_sign_out_is_no_link() -> None:
    client = sign_in(make_user())
    assert client.get("/logout").status_code == 405
    assert is_served(client)


@pytest.mark.parametrize(
    ("stamps", "served"),
    [
        ({}, True),
        ({SIGNED_IN_AT: 13.9, SEEN_AT: 0.1}, True),
        ({SIGNED_IN_AT: 14.1, SEEN_AT: 0.1}, False),
        ({SIGNED_IN_AT: 3, SEEN_AT: 1.9}, True),
        ({SIGNED_IN_AT: 3, SEEN_AT: 2.1}, False),
    ],
)
def test_t25_session_ends_by_age_and_by_idleness(stamps: dict[str, float], served: bool) -> None:
    client = sign_in(make_user())
    age(client, **stamps)
    assert is_served(client) == served


def test_t25_ended_session_does_not_reach_the_api_either() -> None:
    client = sign_in(make_user())
    age(client, **{SIGNED_IN_AT: 14.1})
    assert Api(client=client).get("ping").status_code == 401


def test_session_without_stamps_is_ended() -> None:
    client = sign_in(make_user())
    session = client.session
    del session[SIGNED_IN_AT]
    session.save()
    assert not is_served(client)


def test_use_is_stamped_by_the_hour_and_not_by_the_request() -> None:
    client = sign_in(make_user())
    before = client.session[SEEN_AT]
    client.get(PAGE)
    assert client.session[SEEN_AT] == before
    age(client, **{SEEN_AT: 0.1})
    client.get(PAGE)
    assert time.time() - client.session[SEEN_AT] < DAY / 24


def test_t25_use_does_not_move_the_absolute_end() -> None:
    client = sign_in(make_user())
    age(client, **{SIGNED_IN_AT: 13, SEEN_AT: 0.1})
    before = client.session[SIGNED_IN_AT]
    client.get(PAGE)
    assert client.session[SIGNED_IN_AT] == before


def test_t25_disabled_user_is_out_on_the_next_request() -> None:
    user = make_user()
    client = sign_in(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert not is_served(client)


def test_t25_cookie_is_for_this_site_and_not_for_scripts() -> None:
    make_user("ann")
    client = Client()
    client.post("/login", {"username": "ann", "password": PASSWORD})
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


CHANGE = {
    "current_password": PASSWORD,
    "new_password": "staple-tape-42",
    "repeated": "staple-tape-42",
}


def test_t25_new_password_ends_all_other_sessions_and_renews_this_one() -> None:
    user = make_user("ann")
    here, there = sign_in(user), sign_in(user)
    key = here.session.session_key
    assert here.post("/settings/password", CHANGE).status_code == 200
    assert is_served(here)
    assert not is_served(there)
    assert here.session.session_key != key


def test_new_password_signs_in_and_the_old_one_does_not() -> None:
    user = make_user("ann")
    sign_in(user).post("/settings/password", CHANGE)
    user.refresh_from_db()
    assert user.check_password("staple-tape-42")
    assert not user.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"current_password": "wrong"}, "current_password"),
        ({"new_password": "tiny", "repeated": "tiny"}, "new_password"),
        ({"repeated": "something-else"}, "repeated"),
        ({"new_password": "123456789012", "repeated": "123456789012"}, "new_password"),
    ],
)
def test_password_is_refused_beside_the_field(change: dict[str, str], field: str) -> None:
    user = make_user("ann")
    answer = sign_in(user).post("/settings/password", {**CHANGE, **change})
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_user_without_a_password_sets_the_first_one() -> None:
    user = make_user("ann")
    user.set_unusable_password()
    user.save()
    client = sign_in(user)
    first = {"new_password": "staple-tape-42", "repeated": "staple-tape-42"}
    assert client.post("/settings/password", first).status_code == 200
    user.refresh_from_db()
    assert user.check_password("staple-tape-42")
