"""Pages of tokens and of a project's settings."""

from __future__ import annotations

import pytest
from django.test import Client

from teams.models import ApiToken, Membership, Project, Role, Scope
from tests.teams.factories import (
    Api,
    find_token,
    get_user,
    make_project,
    make_token,
    make_user,
    sign_in,
)

pytestmark = pytest.mark.django_db

FORM = {"name": "cluster", "scope": "write", "project": "", "lifetime_days": ""}


def browser_of(name: str) -> Client:
    return sign_in(get_user(name))


@pytest.mark.parametrize("path", ["/settings/tokens", "/settings/password", "/p/alpha/settings"])
def test_stranger_is_sent_to_the_form_and_back(path: str) -> None:
    make_project("alpha", ann="admin")
    assert Client().get(path)["Location"] == f"/login?next={path}"


def test_stranger_gets_401_from_a_twin() -> None:
    answer = Client().get("/settings/tokens.json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "auth_required")


def test_new_secret_is_shown_once_and_works() -> None:
    client = sign_in(make_user())
    answer = client.post("/settings/tokens", FORM)
    secret = answer.context["secret"]
    assert secret in answer.content.decode()
    assert answer["Cache-Control"] == "private, no-store"
    assert Api(secret).get("ping").status_code == 200
    for path in ("/settings/tokens", "/settings/tokens.json"):
        assert secret.split("_", 2)[2] not in client.get(path).content.decode()


def test_reload_after_creation_shows_no_secret_and_makes_no_token() -> None:
    client = sign_in(make_user())
    client.post("/settings/tokens", FORM)
    answer = client.post("/settings/tokens", FORM)
    assert answer.status_code == 422
    assert answer.context["secret"] is None
    assert ApiToken.objects.count() == 1


def test_token_may_be_bound_and_expire() -> None:
    make_project("alpha", ann="editor")
    browser_of("ann").post("/settings/tokens", {**FORM, "project": "alpha", "lifetime_days": "30"})
    token = ApiToken.objects.get()
    assert token.project.slug == "alpha"
    assert (token.expires_at - token.created_at).days in (29, 30)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"scope": "root"}, "scope"),
        ({"project": "hidden"}, "project"),
        ({"project": "alpha", "scope": "admin"}, "scope"),
        ({"lifetime_days": "9999"}, "lifetime_days"),
    ],
)
def test_token_form_is_refused_beside_the_field(change: dict[str, str], field: str) -> None:
    make_project("alpha", ann="viewer")
    make_project("hidden", bob="admin")
    answer = browser_of("ann").post("/settings/tokens", {**FORM, **change})
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert ApiToken.objects.count() == 0


def test_form_chooses_the_newest_project_that_the_reader_logs_into() -> None:
    make_project("alpha", ann="viewer")
    make_project("beta", ann="editor")
    make_project("gamma", ann="admin")
    Project.objects.filter(slug="gamma").update(is_demo=True)
    page = browser_of("ann").get("/settings/tokens").content.decode()
    assert '<option value="beta" selected>' in page
    assert '<option value="">all my projects</option>' in page


def test_form_offers_only_projects_of_the_reader() -> None:
    make_project("alpha", ann="viewer")
    make_project("unseen-one", bob="admin")
    assert b"unseen" not in browser_of("ann").get("/settings/tokens").content.lower()


def test_revoking_asks_first_and_then_acts() -> None:
    user = make_user()
    text = make_token(user)
    client, path = sign_in(user), f"/settings/tokens/{find_token(text).key}/revoke"
    assert client.get(path).status_code == 200
    assert Api(text).get("ping").status_code == 200
    assert client.post(path)["Location"] == "/settings/tokens"
    assert Api(text).get("ping").status_code == 401


def test_t02_foreign_token_cannot_be_revoked() -> None:
    text = make_token(make_user())
    client, path = sign_in(make_user()), f"/settings/tokens/{find_token(text).key}/revoke"
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    assert Api(text).get("ping").status_code == 200


def test_list_filters_own_tokens() -> None:
    project = make_project("alpha", ann="admin", bob="editor")
    make_token(get_user("ann"))
    make_token(get_user("bob"), Scope.WRITE, project)
    client = browser_of("ann")
    assert len(client.get("/settings/tokens.json").json()["tokens"]) == 2
    assert len(client.get("/settings/tokens.json?own=1").json()["tokens"]) == 1


def test_twin_says_what_the_page_says() -> None:
    user = make_user()
    make_token(user)
    client = sign_in(user)
    page, twin = client.get("/settings/tokens"), client.get("/settings/tokens.json").json()
    assert [token["id"] for token in page.context["tokens"]] == [twin["tokens"][0]["id"]]
    assert page.context["total"] == twin["total"] == 1


def test_expired_and_revoked_tokens_say_so() -> None:
    user = make_user()
    make_token(user)
    ApiToken.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert b'data-state="expired"' in sign_in(user).get("/settings/tokens").content
    ApiToken.objects.update(revoked_at="2026-01-01T00:00:00Z")
    assert b'data-state="revoked"' in sign_in(user).get("/settings/tokens").content


def test_t06_markup_in_names_stays_text() -> None:
    user = make_user()
    sign_in(user).post("/settings/tokens", {**FORM, "name": "<script>alert(1)</script>"})
    assert b"<script>alert" not in sign_in(user).get("/settings/tokens").content


def test_tokens_page_takes_the_same_queries_for_many(django_assert_max_num_queries: object) -> None:
    user = make_user()
    for _ in range(10):
        make_token(user)
    client = sign_in(user)
    with django_assert_max_num_queries(7):  # session, user, count, list, projects, newest, bell
        client.get("/settings/tokens")


SETTINGS = "/p/alpha/settings"


@pytest.mark.parametrize(
    ("role", "parts"),
    [
        ("editor", {"project", "members", "shares"}),
        ("admin", {"project", "members", "shares", "invitations"}),
    ],
)
def test_settings_show_more_to_whom_it_concerns(role: str, parts: set[str]) -> None:
    make_project("alpha", ann=role, bob="admin")
    assert set(browser_of("ann").get(f"{SETTINGS}.json").json()) == parts
    page = browser_of("ann").get(SETTINGS).content.decode()
    assert ('id="invitations"' in page) == ("invitations" in parts)


def test_editor_sees_members_but_no_control() -> None:
    make_project("alpha", ann="editor", bob="admin")
    answer = browser_of("ann").get(SETTINGS).content.decode()
    assert "bob" in answer
    assert f'action="{SETTINGS}' not in answer


def test_viewer_reads_who_the_members_are_beside_what_they_did() -> None:
    make_project("alpha", ann="viewer", bob="admin")
    client = browser_of("ann")
    page = client.get("/p/alpha/activity").content.decode()
    assert '<th scope="row">bob</th>' in page
    assert SETTINGS not in page
    twin = client.get("/p/alpha/activity.json").json()
    assert [member["user"] for member in twin["members"]] == ["ann", "bob"]


def test_twin_names_members_and_roles() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    twin = browser_of("ann").get(f"{SETTINGS}.json").json()
    assert [(item["user"], item["role"]) for item in twin["members"]] == [
        ("ann", "admin"),
        ("bob", "viewer"),
    ]
    assert twin["project"]["slug"] == "alpha"


def test_member_is_added() -> None:
    make_project("alpha", ann="admin")
    make_user("cara")
    form = {"username": "cara", "role": "editor"}
    answer = browser_of("ann").post(f"{SETTINGS}/members", form)
    assert answer["Location"] == SETTINGS
    assert Membership.objects.get(user__username="cara").role == Role.EDITOR


def test_unknown_name_is_refused_and_stays_typed() -> None:
    make_project("alpha", ann="admin")
    form = {"username": "nobody", "role": "editor"}
    answer = browser_of("ann").post(f"{SETTINGS}/members", form)
    assert answer.status_code == 422
    assert 'value="nobody"' in answer.content.decode()


def test_role_is_changed() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    browser_of("ann").post(f"{SETTINGS}/members/bob", {"role": "admin"})
    assert Membership.objects.get(user__username="bob").role == Role.ADMIN


def test_removal_asks_first_and_then_acts() -> None:
    make_project("alpha", ann="admin", bob="viewer")
    client, path = browser_of("ann"), f"{SETTINGS}/members/bob/remove"
    assert b"Remove bob" in client.get(path).content
    assert Membership.objects.count() == 2
    assert client.post(path)["Location"] == SETTINGS
    assert Membership.objects.count() == 1


@pytest.mark.parametrize(("path", "form"), [("/remove", {}), ("", {"role": "editor"})])
def test_last_admin_stays_with_a_sentence(path: str, form: dict[str, str]) -> None:
    make_project("alpha", ann="admin", bob="editor")
    answer = browser_of("ann").post(f"{SETTINGS}/members/ann{path}", form)
    assert answer.status_code == 422
    assert b"ann is the last admin of alpha" in answer.content
    assert Membership.objects.get(user__username="ann").role == Role.ADMIN


def test_admin_who_leaves_lands_on_the_first_page() -> None:
    make_project("alpha", ann="admin", bob="admin")
    assert browser_of("ann").post(f"{SETTINGS}/members/ann/remove")["Location"] == "/"


def test_name_and_description_are_changed() -> None:
    make_project("alpha", ann="admin")
    browser_of("ann").post(SETTINGS, {"name": "Alpha", "description": "about"})
    project = Project.objects.get()
    assert (project.name, project.description) == ("Alpha", "about")


@pytest.mark.parametrize("confirm", ["", "alph", "ALPHA"])
def test_deletion_needs_the_slug(confirm: str) -> None:
    make_project("alpha", ann="admin")
    answer = browser_of("ann").post(f"{SETTINGS}/delete", {"confirm": confirm})
    assert answer.status_code == 422
    assert Project.objects.get().deleted_at is None


def test_deleted_project_is_gone_but_not_erased() -> None:
    make_project("alpha", ann="admin")
    client = browser_of("ann")
    assert client.post(f"{SETTINGS}/delete", {"confirm": "alpha"})["Location"] == "/"
    assert client.get(SETTINGS).status_code == 404
    assert Project.objects.get().deleted_at is not None


@pytest.mark.parametrize("role", ["viewer", "editor"])
@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("", {"name": "x"}),
        ("/members", {"username": "bob", "role": "admin"}),
        ("/members/bob", {"role": "viewer"}),
        ("/members/bob/remove", {}),
        ("/delete", {"confirm": "alpha"}),
    ],
)
def test_t02_only_admins_change_a_project(role: str, path: str, form: dict[str, str]) -> None:
    make_project("alpha", ann=role, bob="admin")
    assert browser_of("ann").post(SETTINGS + path, form).status_code == 404
    assert Project.objects.get().name == "Alpha"
    assert Membership.objects.get(user__username="bob").role == Role.ADMIN
