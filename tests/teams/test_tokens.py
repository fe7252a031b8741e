"""API tokens: what resolves, what is stored, what ends them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from teams import services
from teams.models import ApiToken, Membership, Project, Role, Scope, User
from teams.queries import find_role
from tests.teams.factories import (
    Api,
    add_member,
    api_of,
    error_of,
    find_token,
    get_user,
    make_project,
    make_token,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db


def test_token_resolves_to_its_user_project_and_scope() -> None:
    project = make_project(ann="admin")
    text = make_token(get_user("ann"), Scope.WRITE, project)
    principal = services.resolve_token(text)
    assert (principal.user_id, principal.project_id) == (get_user("ann").pk, project.pk)
    assert principal.scope == Scope.WRITE


def test_only_the_hash_of_the_secret_is_stored() -> None:
    text = make_token(make_user())
    secret = text.split("_", 2)[2]
    stored = ApiToken.objects.values().get()
    assert secret not in str(stored)
    assert stored["secret_sha256"] == services.hash_secret(secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sd_",
        "sd__",
        "sd_0123456789abcdef_" + "x" * 43,
        "sd_\x00123456789abcde_" + "x" * 43,
        "Sd_0123456789abcdef_" + "x" * 43,
        "sd_0123456789abcdef_" + "é" * 43,
        "sd_" + "a" * 100_000,
    ],
)
def test_t01_malformed_or_unknown_token_resolves_to_nobody(text: str) -> None:
    assert services.resolve_token(text) is None


def test_t01_right_id_with_another_secret_resolves_to_nobody() -> None:
    first, second = make_token(make_user()), make_token(make_user())
    mixed = first.rsplit(first.split("_", 2)[2], 1)[0] + second.split("_", 2)[2]
    assert services.resolve_token(mixed) is None


def test_t01_all_bad_tokens_get_the_same_answer() -> None:
    user = make_user()
    revoked, expired, disabled = make_token(user), make_token(user), make_token(make_user("gone"))
    services.revoke_token(find_token(revoked))
    ApiToken.objects.filter(pk=find_token(expired).pk).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    User.objects.filter(username="gone").update(is_active=False)
    answers = [Api(text).get("ping") for text in (None, "nonsense", revoked, expired, disabled)]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["error"]["code"] == "auth_required"


def test_use_is_noted_once_a_minute() -> None:
    text = make_token(make_user())
    services.resolve_token(text)
    first = find_token(text).last_used_at
    services.resolve_token(text)
    assert first is not None
    assert find_token(text).last_used_at == first


def test_use_after_a_minute_is_noted_again() -> None:
    text = make_token(make_user())
    long_ago = timezone.now() - timedelta(minutes=2)
    ApiToken.objects.update(last_used_at=long_ago)
    services.resolve_token(text)
    assert find_token(text).last_used_at > long_ago


def test_project_token_is_no_more_than_its_maker() -> None:
    project = make_project(ann="viewer", bob="admin")
    principal = services.resolve_token(make_token(get_user("ann"), Scope.ADMIN, project))
    assert find_role(principal, project) == Role.VIEWER


def test_scope_bounds_the_role_of_an_admin() -> None:
    project = make_project(ann="admin")
    principal = services.resolve_token(make_token(get_user("ann"), Scope.WRITE))
    assert find_role(principal, project) == Role.EDITOR


def test_lost_membership_ends_a_project_token_on_the_next_request() -> None:
    project = make_project(ann="editor", bob="admin")
    api = api_of(get_user("ann"), Scope.READ, project)
    assert api.get(f"projects/{project.slug}").status_code == 200
    services.remove_member(project, get_user("ann"))
    assert error_of(api.get(f"projects/{project.slug}"))[:2] == (404, "not_found")


def test_token_of_one_project_sees_no_other_project_of_its_maker() -> None:
    first, second = make_project(ann="admin"), make_project()
    add_member(second, get_user("ann"), Role.ADMIN)
    principal = services.resolve_token(make_token(get_user("ann"), Scope.ADMIN, first))
    assert list(Project.objects.visible_to(principal)) == [first]
    assert find_role(principal, second) is None


def test_created_token_is_shown_once_and_works() -> None:
    project = make_project("alpha", ann="admin")
    api = api_of(get_user("ann"))
    answer = api.post("tokens", {"name": "job", "scope": "read", "project": "alpha"})
    text = answer.json()["token"]
    assert answer.status_code == 201
    assert Api(text).get(f"projects/{project.slug}").status_code == 200
    assert text.split("_", 2)[2] not in api.get("tokens").content.decode()


def test_expiry_in_the_past_is_refused() -> None:
    body = {"name": "job", "scope": "read", "expires_at": "2020-01-01T00:00:00Z"}
    answer = api_of(make_user()).post("tokens", body)
    assert error_of(answer) == (422, "out_of_range", "/expires_at")


def test_editor_cannot_make_an_admin_token_of_the_project() -> None:
    make_project("alpha", ann="editor")
    answer = api_of(get_user("ann")).post(
        "tokens", {"name": "job", "scope": "admin", "project": "alpha"}
    )
    assert error_of(answer)[:2] == (403, "role")


def test_project_token_cannot_make_a_token_beyond_its_project() -> None:
    project = make_project("alpha", ann="admin")
    answer = api_of(get_user("ann"), Scope.ADMIN, project).post(
        "tokens", {"name": "job", "scope": "read"}
    )
    assert error_of(answer)[:2] == (403, "scope")


def test_t02_token_for_an_invisible_project_is_404() -> None:
    make_project("hidden", bob="admin")
    answer = api_of(make_user()).post(
        "tokens", {"name": "job", "scope": "read", "project": "hidden"}
    )
    assert error_of(answer)[:2] == (404, "not_found")


def test_t04_unknown_field_is_named() -> None:
    answer = api_of(make_user()).post("tokens", {"name": "job", "scope": "read", "user": "root"})
    assert error_of(answer) == (422, "unknown_field", "/user")


def test_revoked_token_gets_401_on_the_next_request() -> None:
    user = make_user()
    text = make_token(user)
    key = find_token(text).key
    assert api_of(user).delete(f"tokens/{key}").status_code == 204
    assert Api(text).get("ping").status_code == 401


def test_project_admin_sees_and_revokes_tokens_of_members() -> None:
    project = make_project("alpha", ann="admin", bob="editor")
    text = make_token(get_user("bob"), Scope.WRITE, project)
    api = api_of(get_user("ann"))
    key = find_token(text).key
    assert key in [token["id"] for token in api.get("tokens").json()["items"]]
    assert key not in [token["id"] for token in api.get("tokens?own=1").json()["items"]]
    assert api.delete(f"tokens/{key}").status_code == 204


def test_filter_of_own_tokens_is_zero_or_one() -> None:
    answer = api_of(make_user()).get("tokens?own=yes")
    assert error_of(answer) == (422, "unknown_value", "own")


def test_t02_personal_token_of_a_teammate_is_invisible() -> None:
    make_project("alpha", ann="admin", bob="editor")
    key = find_token(make_token(get_user("bob"))).key
    api = api_of(get_user("ann"))
    assert error_of(api.delete(f"tokens/{key}"))[:2] == (404, "not_found")
    assert ApiToken.objects.get(key=key).revoked_at is None


def test_tokens_of_a_deleted_project_are_not_managed_any_more() -> None:
    project = make_project("alpha", ann="admin", bob="editor")
    make_token(get_user("bob"), Scope.WRITE, project)
    services.delete_project(project)
    names = [item["user"] for item in api_of(get_user("ann")).get("tokens").json()["items"]]
    assert names == ["ann"]


def test_listing_tokens_takes_the_same_number_of_queries_for_many(
    django_assert_num_queries: object,
) -> None:
    user = make_user()
    api = api_of(user)
    for _ in range(5):
        make_token(user)
    api.get("ping")
    with django_assert_num_queries(2):  # the caller's token, the list
        api.get("tokens")


def test_ping_names_what_the_token_is_good_for() -> None:
    project = make_project("alpha", ann="editor")
    answer = api_of(get_user("ann"), Scope.WRITE, project).get("ping").json()
    assert (answer["scope"], answer["project"], answer["user"]) == ("write", "alpha", "ann")
    assert answer["expires_at"] is None
    assert set(answer) == {"version", "scope", "project", "user", "expires_at", "time"}


def test_ping_of_a_browser_has_no_scope() -> None:
    answer = Api(client=sign_in(make_user("ann"))).get("ping").json()
    assert (answer["scope"], answer["project"], answer["user"]) == (None, None, "ann")


def test_membership_is_not_needed_for_a_personal_token() -> None:
    assert Membership.objects.count() == 0
    assert api_of(make_user(), Scope.WRITE).get("ping").status_code == 200
