"""Projects and members over the API."""

from __future__ import annotations

import json

import pytest

from teams.models import Membership, Project, Role, Scope
from tests.teams.factories import (
    Api,
    add_member,
    api_of,
    error_of,
    get_user,
    make_project,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db


def test_list_names_only_projects_of_the_caller() -> None:
    make_project("alpha", ann="viewer")
    make_project("hidden", bob="admin")
    answer = api_of(get_user("ann")).get("projects").json()
    assert [(item["slug"], item["role"]) for item in answer["items"]] == [("alpha", "viewer")]


def test_list_is_paged_by_cursor_without_gap_or_repeat() -> None:
    user = make_user()
    for index in range(5):
        add_member(make_project(f"p{index}"), user)
    api, seen, cursor = api_of(user), [], ""
    while cursor is not None:
        page = api.get(f"projects?limit=2&cursor={cursor}").json()
        seen += [item["slug"] for item in page["items"]]
        cursor = page["next"]
    assert seen == ["p0", "p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "٣", "9" * 30, ""])
def test_t14_limit_that_is_no_positive_number_is_refused(limit: str) -> None:
    answer = api_of(make_user()).get(f"projects?limit={limit}")
    assert error_of(answer) == (422, "out_of_range", "limit")


@pytest.mark.parametrize("cursor", ["!", "é", "____", "AA", "YWJj" * 100])
def test_foreign_cursor_never_breaks_the_list(cursor: str) -> None:
    answer = api_of(make_user()).get(f"projects?cursor={cursor}")
    assert answer.status_code in (200, 422)


def test_cursor_that_is_no_number_is_refused_where_ids_count() -> None:
    answer = api_of(make_user()).get("tokens?cursor=YWJj")
    assert error_of(answer) == (422, "bad_cursor", "cursor")


def test_list_of_projects_takes_two_queries(django_assert_num_queries: object) -> None:
    user = make_user()
    for _ in range(4):
        add_member(make_project(), user)
    api = api_of(user)
    api.get("ping")
    with django_assert_num_queries(2):  # the token, the list
        api.get("projects")


def test_creator_becomes_admin() -> None:
    answer = api_of(make_user()).post("projects", {"slug": "alpha"})
    assert answer.status_code == 201
    assert (answer.json()["name"], answer.json()["role"]) == ("alpha", "admin")


def test_taken_slug_is_409() -> None:
    make_project("alpha")
    answer = api_of(make_user()).post("projects", {"slug": "alpha"})
    assert error_of(answer) == (409, "slug_taken", "/slug")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "required", "/slug"),
        ({"slug": ""}, "required", "/slug"),
        ({"slug": None}, "required", "/slug"),
        ({"slug": 7}, "wrong_type", "/slug"),
        ({"slug": True}, "wrong_type", "/slug"),
        ({"slug": "../../etc"}, "invalid", "/slug"),
        ({"slug": "a b"}, "invalid", "/slug"),
        ({"slug": "é"}, "invalid", "/slug"),
        ({"slug": "a" * 65}, "too_long", "/slug"),
        ({"slug": "a", "owner": 1}, "unknown_field", "/owner"),
        ({"slug": "a", "is/admin": 1}, "unknown_field", "/is~1admin"),
        ({"slug": "a", "name": "x\x00"}, "bad_character", "/name"),
        ([], "wrong_type", ""),
        ("alpha", "wrong_type", ""),
    ],
)
def test_t04_t14_bad_body_is_named(body: object, code: str, field: str) -> None:
    answer = api_of(make_user()).post("projects", json.dumps(body))
    assert error_of(answer) == (422, code, field)
    assert Project.objects.count() == 0


def test_project_token_cannot_create_a_project() -> None:
    project = make_project(ann="admin")
    answer = api_of(get_user("ann"), Scope.ADMIN, project).post("projects", {"slug": "other"})
    assert error_of(answer)[:2] == (403, "scope")


def test_admin_changes_name_and_description() -> None:
    make_project("alpha", ann="admin")
    answer = api_of(get_user("ann")).patch("projects/alpha", {"name": "A", "description": ""})
    assert (answer.status_code, answer.json()["name"]) == (200, "A")
    assert Project.objects.get().name == "A"


def test_empty_change_is_refused() -> None:
    make_project("alpha", ann="admin")
    assert error_of(api_of(get_user("ann")).patch("projects/alpha", {}))[:2] == (422, "required")


def test_editor_cannot_change_the_project() -> None:
    make_project("alpha", ann="editor")
    client = sign_in(get_user("ann"))
    answer = Api(client=client).patch("projects/alpha", {"name": "A"})
    assert error_of(answer)[:2] == (403, "role")


def test_deleted_project_is_gone_for_its_admin_and_frees_its_slug() -> None:
    make_project("alpha", ann="admin")
    api = api_of(get_user("ann"))
    assert api.delete("projects/alpha").status_code == 204
    assert error_of(api.get("projects/alpha"))[:2] == (404, "not_found")
    assert api.post("projects", {"slug": "alpha"}).status_code == 201
    assert Project.objects.count() == 2


def test_t02_hidden_and_absent_project_get_the_same_answer() -> None:
    make_project("hidden", bob="admin")
    api = api_of(make_user())
    hidden, absent = api.get("projects/hidden"), api.get("projects/absent")
    assert hidden.status_code == absent.status_code == 404
    assert hidden.content.replace(b"hidden", b"absent") == absent.content


def test_member_is_added_by_user_name() -> None:
    project = make_project("alpha", ann="admin")
    make_user("cara")
    answer = api_of(get_user("ann")).post(
        "projects/alpha/members", {"user": "cara", "role": "editor"}
    )
    assert (answer.status_code, answer.json()["role"]) == (201, "editor")
    assert project.memberships.get(user__username="cara").role == Role.EDITOR


def test_unknown_user_is_named() -> None:
    make_project("alpha", ann="admin")
    answer = api_of(get_user("ann")).post(
        "projects/alpha/members", {"user": "nobody", "role": "editor"}
    )
    assert error_of(answer) == (422, "unknown_value", "/user")


def test_second_membership_is_409() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    answer = api_of(get_user("ann")).post(
        "projects/alpha/members", {"user": "bob", "role": "admin"}
    )
    assert error_of(answer)[:2] == (409, "already_member")
    assert Membership.objects.get(user__username="bob").role == Role.VIEWER


def test_unknown_role_is_named() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    answer = api_of(get_user("ann")).patch("projects/alpha/members/bob", {"role": "owner"})
    assert error_of(answer) == (422, "unknown_value", "/role")


def test_role_is_changed() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    answer = api_of(get_user("ann")).patch("projects/alpha/members/bob", {"role": "editor"})
    assert answer.json()["role"] == "editor"


def test_removed_member_loses_the_project_on_the_next_request() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    bob = api_of(get_user("bob"), Scope.READ)
    assert bob.get("projects/alpha").status_code == 200
    assert api_of(get_user("ann")).delete("projects/alpha/members/bob").status_code == 204
    assert bob.get("projects/alpha").status_code == 404


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PATCH", {"role": "viewer"})])
def test_last_admin_stays(method: str, body: object) -> None:
    make_project("alpha", ann="admin", bob="editor")
    answer = api_of(get_user("ann")).call(method, "projects/alpha/members/ann", body)
    assert error_of(answer)[:2] == (409, "last_admin")
    assert Membership.objects.get(user__username="ann").role == Role.ADMIN


def test_disabled_admin_does_not_count_as_one() -> None:
    project = make_project("alpha", ann="admin")
    add_member(project, make_user(is_active=False), Role.ADMIN)
    answer = api_of(get_user("ann")).delete("projects/alpha/members/ann")
    assert error_of(answer)[:2] == (409, "last_admin")


def test_viewer_reads_members() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    items = api_of(get_user("bob"), Scope.READ).get("projects/alpha/members").json()["items"]
    assert {(item["user"], item["role"]) for item in items} == {
        ("ann", "admin"),
        ("bob", "viewer"),
    }
