"""Error answers: JSON for programs, a page for people, and never a trace."""

from __future__ import annotations

import logging

import pytest
from django.test import Client, RequestFactory

from scaledash.middleware import find_base_url
from teams.models import Scope
from tests.scaledash.urlconf import SECRET
from tests.teams.factories import Api, api_of, error_of, make_user, sign_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.scaledash.urlconf")]


def browser() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/nonsense", "/v2/runs", "/v1/ping/"])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
def test_unknown_api_path_is_404_json(path: str, method: str) -> None:
    answer = getattr(browser(), method)(f"/api{path}")
    assert answer["Content-Type"] == "application/json"
    assert error_of(answer) == (404, "not_found", None)


def test_method_without_route_is_405_json_and_names_the_allowed() -> None:
    answer = api_of(make_user()).call("PUT", "projects", {})
    assert error_of(answer)[:2] == (405, "method_not_allowed")
    assert "POST" in answer["Allow"]


def test_head_is_answered_like_get_without_a_body() -> None:
    answer = api_of(make_user()).call("HEAD", "projects")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("accept", ["text/html", "application/xml"])
def test_other_answer_types_are_406_json(accept: str) -> None:
    answer = api_of(make_user()).get("projects", Accept=accept)
    assert error_of(answer)[:2] == (406, "not_acceptable")
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
def test_other_body_types_are_415_json(content_type: str) -> None:
    api = api_of(make_user())
    headers = {"Authorization": f"Bearer {api.token}"}
    answer = browser().generic("POST", "/api/v1/projects", b"{}", content_type, headers=headers)
    assert error_of(answer)[:2] == (415, "unsupported_media_type")


def test_unsupported_content_encoding_is_415_json() -> None:
    answer = api_of(make_user()).post("projects", {}, **{"Content-Encoding": "br"})
    assert error_of(answer)[:2] == (415, "unsupported_encoding")


def test_chunked_body_is_411_instead_of_looking_empty() -> None:
    answer = api_of(make_user()).post("projects", {}, **{"Transfer-Encoding": "chunked"})
    assert error_of(answer)[:2] == (411, "length_required")


def test_t03_cookie_without_csrf_token_is_403_json() -> None:
    client = sign_in(make_user(), enforce_csrf_checks=True)
    assert error_of(Api(client=client).post("projects", {"slug": "a"}))[:2] == (403, "csrf")


@pytest.mark.parametrize("enforce", [True, False])
def test_t03_cookie_is_nobody_where_tokens_are_asked_for(enforce: bool) -> None:
    client = sign_in(make_user(), enforce_csrf_checks=enforce)
    assert error_of(Api(client=client).post("bearer-only"))[:2] == (401, "auth_required")


def test_token_is_somebody_where_tokens_are_asked_for() -> None:
    assert api_of(make_user(), Scope.WRITE).post("bearer-only").status_code == 200


def test_cookie_with_csrf_token_is_accepted() -> None:
    client = sign_in(make_user(), enforce_csrf_checks=True)
    client.get("/settings/tokens")
    token = client.cookies["scaledash_csrf"].value
    headers = {"X-CSRFToken": token}
    assert Api(client=client).post("projects", {"slug": "a"}, **headers).status_code == 201


def test_large_form_with_a_cookie_is_refused_not_a_crash() -> None:
    client = sign_in(make_user(), enforce_csrf_checks=True, raise_request_exception=False)
    form = b"a=" + b"x" * 3_000_000
    answer = client.generic(
        "POST", "/api/v1/projects", form, content_type="application/x-www-form-urlencoded"
    )
    assert error_of(answer)[:2] in [(413, "too_large"), (403, "csrf")]


@pytest.mark.parametrize("path", ["ping?token=x", "projects?limit=1&token="])
def test_t26_token_in_url_is_400(path: str) -> None:
    assert error_of(api_of(make_user()).get(path))[:2] == (400, "token_in_url")


@pytest.mark.parametrize("path", ["projects?cursor=%00", "projects/%00", "projects/a%00b/members"])
def test_t13_nul_in_a_url_is_400(path: str) -> None:
    assert error_of(api_of(make_user()).get(path))[:2] == (400, "bad_character")


def test_t34_exception_in_the_api_is_500_json_with_an_id_that_the_log_repeats(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = Api().get("fail/internal")
    error = answer.json()["error"]
    assert error_of(answer) == (500, "internal", None)
    told = answer.content.decode()
    assert [word for word in ("holding", "ZeroDivision", "Traceback", SECRET) if word in told] == []
    assert error["id"] in caplog.text


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("outage", (503, "database_unavailable", None)),
        ("interface", (503, "database_unavailable", None)),
        ("missing", (404, "not_found", None)),
        ("denied", (403, "forbidden", None)),
        ("suspicious", (400, "malformed", None)),
        ("busy", (429, "rate", None)),
    ],
)
def test_exceptions_of_the_api_have_documented_answers(
    how: str, expected: tuple[int, str, None]
) -> None:
    assert error_of(Api().get(f"fail/{how}")) == expected


@pytest.mark.parametrize("how", ["outage", "busy"])
def test_answers_that_invite_a_retry_say_when_in_whole_seconds(how: str) -> None:
    assert int(Api().get(f"fail/{how}")["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nonsense", 404),
        ("/fail/missing", 404),
        ("/fail/denied", 403),
        ("/fail/suspicious", 400),
        ("/fail/internal", 500),
        ("/fail/outage", 503),
    ],
)
def test_page_error_is_a_page_with_a_request_id_and_no_trace(path: str, status: int) -> None:
    answer = browser().get(path)
    text = answer.content.decode()
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert answer.context["request_id"] in text
    assert "Traceback" not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("path", "status"), [("/nonsense.json", 404), ("/fail/internal.json", 500)]
)
def test_twin_error_is_json(path: str, status: int) -> None:
    answer = browser().get(path)
    assert answer.status_code == status
    assert error_of(answer)[0] == status


def test_slow_query_is_503_and_says_so() -> None:
    answer = browser().get("/sleep", headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert b"took too long" in answer.content


def test_t23_unknown_host_is_400_and_is_not_repeated() -> None:
    answer = browser().get("/login", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert b"evil.example" not in answer.content


def test_t23_addresses_are_made_from_the_base_url_not_from_the_host(settings: object) -> None:
    settings.SCALEDASH_BASE_URL = "https://runs.example"
    request = RequestFactory().get("/", headers={"Host": "testserver"})
    assert find_base_url(request) == "https://runs.example"


def test_csrf_failure_of_a_page_is_403_with_a_sentence() -> None:
    answer = Client(enforce_csrf_checks=True).post("/login", {"username": "a", "password": "b"})
    assert answer.status_code == 403
    assert b"reload" in answer.content


def test_database_that_is_away_during_the_session_check_is_503(settings: object) -> None:
    client = sign_in(make_user(), raise_request_exception=False)
    settings.SESSION_ENGINE = "tests.scaledash.lost_sessions"
    answer = client.get("/login")
    assert answer.status_code == 503
    assert answer["Retry-After"] == "2"
