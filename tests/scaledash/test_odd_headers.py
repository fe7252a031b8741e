"""Odd headers and URLs are answered, never a 500."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.teams.factories import api_of, make_user

pytestmark = pytest.mark.django_db

ODD = [
    "",
    ";",
    ";;;=",
    "*/",
    "garbage",
    "application/json; charset=",
    "application/json; charset=nonsense",
    "\xff\xfe",
    "a" * 10_000,
    ", , ,",
]


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize(
    "name",
    ["Accept", "Content-Encoding", "Authorization", "Cookie", "X-Forwarded-For", "If-None-Match"],
)
def test_t34_odd_header_is_answered(name: str, value: str) -> None:
    headers = {"Authorization": f"Bearer {api_of(make_user()).token}", name: value}
    client = Client(raise_request_exception=False)
    for method, path in (("get", "ping"), ("post", "projects")):
        answer = getattr(client, method)(f"/api/v1/{path}", headers=headers)
        assert answer.status_code < 500
        assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("value", ODD)
def test_t34_odd_content_type_is_answered(value: str) -> None:
    api = api_of(make_user())
    headers = {"Authorization": f"Bearer {api.token}"}
    client = Client(raise_request_exception=False)
    answer = client.generic("POST", "/api/v1/projects", b"{}", value, headers=headers)
    assert answer.status_code in (415, 422)


@pytest.mark.parametrize(
    "path",
    [
        "/%ff",
        "/p/%252e%252e/settings",
        "/p/..%2f..%2fetc/settings",
        "/login?next=%ff",
        "/login/once/%f0%9f%92%a9",
        "/settings/tokens?own=%ff",
        "/p/demo/settings/members/%e2%80%ae/remove",
        "/api/v1/projects/%ff",
        "/" + "a" * 5000,
    ],
)
def test_t09_odd_path_is_answered(path: str) -> None:
    make_user()
    assert Client(raise_request_exception=False).get(path).status_code < 500
