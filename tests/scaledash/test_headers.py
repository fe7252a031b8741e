"""The headers that every answer carries, errors and static files included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.http import HttpResponse
from django.test import Client

from tests.teams.factories import api_of, make_user, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scaledash.urlconf")]

ALWAYS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PATHS = [
    "/healthz",
    "/readyz",
    "/login",
    "/login/once/nothing",
    "/settings/tokens",
    "/settings/tokens.json",
    "/nonsense",
    "/nonsense.json",
    "/fail/internal",
    "/fail/outage",
    "/fail/suspicious",
    "/static/nothing.js",
    "/static/probe.css",
    "/api/v1/ping",
    "/api/v1/nonsense",
    "/api/v1/fail/internal",
    "/api/v1/projects?cursor=%00",
    "/api/schema",
    "/api/docs",
]


@pytest.fixture
def browser(settings: object, tmp_path: Path) -> Client:
    """A signed-in browser of a server with one static file."""
    (tmp_path / "probe.css").write_text("a{}")
    settings.STATIC_ROOT = tmp_path
    return sign_in(make_user(), raise_request_exception=False)


def nonce_of(answer: HttpResponse) -> str:
    return re.search("'nonce-([^']+)'", answer["Content-Security-Policy"]).group(1)


@pytest.mark.parametrize("path", PATHS)
def test_t22_answer_carries_the_headers(browser: Client, path: str) -> None:
    answer = browser.get(path)
    answer.close()
    assert {name: answer.get(name) for name in ALWAYS} == ALWAYS
    policy = answer["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert re.search("script-src 'self'(;|$)", policy)
    assert answer["Referrer-Policy"] in ("same-origin", "no-referrer", "strict-origin")


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("/static/")])
def test_t22_answer_is_not_kept_by_caches(browser: Client, path: str) -> None:
    assert "no-store" in browser.get(path)["Cache-Control"]


def test_static_file_may_be_cached(browser: Client) -> None:
    answer = browser.get("/static/probe.css")
    answer.close()
    assert answer.status_code == 200
    assert "no-store" not in answer["Cache-Control"]


def test_nonce_is_fresh_for_each_answer(browser: Client) -> None:
    assert nonce_of(browser.get("/login")) != nonce_of(browser.get("/login"))


@pytest.mark.parametrize("path", ["/login/once/nothing", "/s/nothing"])
def test_t22_address_with_a_secret_is_no_referrer(browser: Client, path: str) -> None:
    assert browser.get(path)["Referrer-Policy"] == "no-referrer"


def test_login_form_keeps_its_origin() -> None:
    # With no-referrer a browser sends "Origin: null" and the CSRF check would refuse the form.
    assert Client().get("/login", follow=True)["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/api/v1/ping", "/login", "/static/nothing.js"])
def test_t21_no_answer_opens_the_origin(browser: Client, path: str) -> None:
    answer = browser.get(path, headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


def test_t22_refused_host_carries_the_headers_too(browser: Client) -> None:
    answer = browser.get("/login", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert {name: answer.get(name) for name in ALWAYS} == ALWAYS


def test_api_answer_is_json_and_nothing_else() -> None:
    assert api_of(make_user()).get("ping")["Content-Type"] == "application/json"
