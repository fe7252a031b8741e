"""Every route x method x actor, walked from the URLconf; a new route fails until it is judged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from pytest_django import DjangoDbBlocker

from tests.permissions.calls import OK, Call
from tests.permissions.table import TABLE
from tests.permissions.world import ACTORS, CANARY, World, hash_database, keep_world

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# GET writes here, and says so: it uses up the sign-in link, and counts who opens a shared page.
GET_WRITES = {"login-once", "share"}
# What a link shows is shown to whoever holds it.
SHOWN_TO_ALL = {"share", "share-part", "invitation"}
ADMINS = ("admin", "a_admin")
OUTSIDERS = ("anonymous", "stranger", "b_admin", "revoked")


def walk(resolver: URLResolver) -> Iterator[URLPattern]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from walk(entry)
        else:
            yield entry


ROUTES = {str(route.name): route for route in walk(get_resolver())}


@pytest.fixture(scope="module")
def kept_world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), keep_world() as world:
        yield world


@pytest.fixture(scope="module")
def untouched(kept_world: World) -> dict[str, str]:
    """The digests of all tables before any test."""
    return hash_database()


@pytest.fixture
def world(kept_world: World, db: None) -> World:
    return kept_world


def url_of(world: World, name: str, query: str = "") -> str:
    wanted = ROUTES[name].pattern.converters
    url = reverse(name, kwargs={key: world.arguments[key] for key in wanted})
    return url + query


def is_expected(answer: HttpResponse, wanted: object) -> bool:
    return answer.status_code < 400 if wanted == OK else answer.status_code == wanted


def test_every_route_has_a_name_and_every_name_one_route() -> None:
    names = [route.name for route in walk(get_resolver())]
    assert None not in names
    assert len(names) == len(set(names))


def test_t01_every_route_is_judged() -> None:
    assert sorted(set(ROUTES) - set(TABLE)) == []
    assert sorted(set(TABLE) - set(ROUTES)) == []


@pytest.mark.parametrize("name", sorted(set(TABLE) & set(ROUTES)))
def test_t01_t02_t03_actors_get_what_the_table_says(world: World, name: str) -> None:
    surprises = []
    for method, call in TABLE[name].items():
        assert set(call.answers) == set(ACTORS)
        url = url_of(world, name, call.query)
        for actor, wanted in call.answers.items():
            answer = world.call(actor, method, url, call.body)
            text = answer.content.decode()
            what = f"{actor} {method} {url}: {answer.status_code}"
            if not is_expected(answer, wanted):
                surprises.append(f"{what}, not {wanted}: {text[:300]}")
            if actor in OUTSIDERS and CANARY in text and name not in SHOWN_TO_ALL:
                surprises.append(f"{what} names what alpha holds")
    assert surprises == []


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_methods_that_are_not_judged_are_405(world: World, name: str) -> None:
    url = url_of(world, name)
    for method in set(METHODS) - set(TABLE.get(name, {})):
        statuses = {world.call(actor, method, url).status_code for actor in ADMINS}
        assert statuses <= {405, 401, 302}, f"{method} {url}"
        assert 405 in statuses, f"{method} {url}"


@pytest.mark.parametrize("name", sorted(set(ROUTES) - GET_WRITES))
def test_t21_get_never_writes(untouched: dict[str, str], world: World, name: str) -> None:
    url = url_of(world, name, TABLE.get(name, {}).get("GET", Call({})).query)
    for actor in ("anonymous", "viewer", "admin", "a_read", "a_admin"):
        world.send(actor, "GET", url)
        world.send(actor, "HEAD", url)
    assert hash_database() == untouched


@pytest.mark.parametrize("name", sorted(GET_WRITES))
def test_t21_the_listed_exceptions_do_write(
    untouched: dict[str, str], world: World, name: str
) -> None:
    world.send("anonymous", "GET", url_of(world, name))
    assert hash_database() != untouched
