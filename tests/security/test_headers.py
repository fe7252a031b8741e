"""Every answer of every route to every kind of caller carries the same protections."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from tests.permissions.calls import Call
from tests.permissions.table import TABLE
from tests.permissions.world import World, keep_world
from tests.teams.factories import PASSWORD, make_user
from tests.test_permission_matrix import ROUTES

ROOT = Path(__file__).resolve().parent.parent.parent
ASK = """
import json, django; django.setup()
from django.conf import settings as s
names = [n for n in dir(s) if n.startswith(("SESSION_COOKIE", "CSRF_COOKIE", "SECURE_"))]
print(json.dumps({n: str(getattr(s, n)) for n in names}))
"""


@pytest.fixture(scope="module")
def kept_world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    with django_db_blocker.unblock(), keep_world() as world:
        yield world


@pytest.fixture
def world(kept_world: World, db: None) -> World:
    return kept_world


def url_of(world: World, name: str) -> str:
    call = TABLE[name].get("GET", Call({}))
    wanted = ROUTES[name].pattern.converters
    return reverse(name, kwargs={key: world.arguments[key] for key in wanted}) + call.query


def find_faults(answer: HttpResponse) -> list[str]:
    headers = answer.headers
    policy = headers.get("Content-Security-Policy", "")
    wanted = {
        "policy": "default-src 'self'" in policy and "frame-ancestors 'none'" in policy,
        "no inline scripts": "script-src 'self';" in policy and "unsafe-eval" not in policy,
        "nosniff": headers.get("X-Content-Type-Options") == "nosniff",
        "no framing": headers.get("X-Frame-Options") == "DENY",
        "opener": headers.get("Cross-Origin-Opener-Policy") == "same-origin",
        "referrer": headers.get("Referrer-Policy")
        in ("same-origin", "no-referrer", "strict-origin"),
        "no store": "no-store" in headers.get("Cache-Control", ""),
        "one origin": not any(name.startswith("Access-Control") for name in headers),
        "no version": "Server" not in headers and "X-Powered-By" not in headers,
    }
    return [name for name, holds in wanted.items() if not holds]


@pytest.mark.parametrize("actor", ["anonymous", "admin", "a_admin"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_t22_every_answer_carries_the_headers(world: World, actor: str, method: str) -> None:
    faults = {}
    for name in sorted(ROUTES):
        answer = world.call(actor, method, url_of(world, name))
        if found := find_faults(answer):
            faults[f"{method} {name} {answer.status_code}"] = found
    assert faults == {}


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "no-referrer") for name in ("share", "share-part", "login-once")),
        *((name, "strict-origin") for name in ("invitation", "reset")),  # they hold forms
    ],
)
def test_t05_address_that_holds_a_secret_is_told_to_nobody(
    world: World, name: str, policy: str
) -> None:
    headers = Client().get(url_of(world, name)).headers
    assert headers["Referrer-Policy"] == policy
    assert headers["X-Robots-Tag"] == "noindex"


def test_t22_policy_has_a_fresh_nonce_each_time(world: World) -> None:
    policies = {Client().get("/login").headers["Content-Security-Policy"] for _ in range(3)}
    assert len(policies) == 3


@pytest.mark.django_db
def test_t25_cookies_of_a_sign_in_are_bound_to_the_site() -> None:
    make_user("ann")
    client = Client()
    client.get("/login")
    client.post("/login", {"username": "ann", "password": PASSWORD})
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    assert (session["httponly"], session["samesite"], session["path"], session["domain"]) == (
        *(True, "Lax"),
        *("/", ""),
    )
    assert client.cookies[settings.CSRF_COOKIE_NAME]["samesite"] == "Lax"


def test_t05_cookie_of_a_share_is_for_its_own_path(world: World) -> None:
    api = world.clients["a_admin"]
    created = api.post(
        "/api/v1/projects/alpha/shares",
        {"kind": "study", "id": "lr-sweep", "password": "open-sesame-9"},
        content_type="application/json",
        headers=world.headers["a_admin"],
    ).json()
    path = "/s/" + created["url"].split("/s/")[1]
    guest = Client()
    guest.post(path, {"password": "open-sesame-9"})
    cookie = guest.cookies["scaledash_share"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"]) == (path, True, "Lax")


def test_t25_behind_tls_cookies_are_secure_and_bound_to_the_host() -> None:
    environment = {
        **os.environ,
        "SCALEDASH_BASE_URL": "https://runs.example",
        "SCALEDASH_ALLOWED_HOSTS": "runs.example",
        "DJANGO_SETTINGS_MODULE": "scaledash.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    found = done.stdout.decode()
    for wanted in (
        '"SESSION_COOKIE_NAME": "__Host-scaledash"',
        '"SESSION_COOKIE_SECURE": "True"',
        '"CSRF_COOKIE_NAME": "__Host-csrf"',
        '"CSRF_COOKIE_SECURE": "True"',
        '"SECURE_SSL_REDIRECT": "True"',
        '"SECURE_HSTS_SECONDS": "31536000"',
    ):
        assert wanted in found
