"""Saved views: who saves, sees, changes and deletes them, and what they open."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client

from runs.models import Metric, Run, SavedView
from runs.saved_views import canonise
from scaledash.lib.urlstate import ORDER
from teams.models import AuditEntry, Project, Scope
from tests.conftest import ROOT
from tests.teams.factories import api_of, get_user, make_project, sign_in

QUERY = "f=lr%20%3E%201&s=-loss&cols=name%2Closs"


@pytest.fixture
def project(db: None) -> Project:
    found = make_project("kept", ann="viewer", eve="editor", bob="editor")
    Run.objects.create(project=found, uid="one")
    Metric.objects.create(project=found, name="loss.train")
    return found


def browse(name: str) -> Client:
    return sign_in(get_user(name))


def save(who: str, name: str = "Best", query: str = QUERY, **flags: str) -> SavedView | None:
    fields = {"page": "runs", "name": name, "query": query, **flags}
    answer = browse(who).post("/p/kept/views", fields)
    assert answer.status_code == 302, answer.content
    return SavedView.objects.filter(name=name, owner=get_user(who)).first()


def change(who: str, view: SavedView, action: str, **fields: str) -> int:
    address = f"/p/kept/views/{view.pk}"
    return browse(who).post(address, {"action": action, **fields}).status_code


def names(who: str) -> list[str]:
    return [view["name"] for view in browse(who).get("/views.json").json()["views"]]


def test_server_and_browser_know_the_same_keys_in_the_same_order() -> None:
    text = (ROOT / "static/js/state.js").read_text()
    listed = text.partition("ORDER = [")[2].partition("]")[0]
    assert tuple(listed.replace('"', "").replace(",", " ").split()) == ORDER


def test_a_state_is_kept_in_one_form_without_unknown_keys_and_page() -> None:
    text = "?cols=name,loss&zz=1&p=7&s=-loss&f=lr+>+1&v=-"
    assert canonise("runs", text) == QUERY
    assert canonise("explore", "p=all&m=loss&cols=x") == "m=loss&p=all"


def test_opening_a_view_gives_the_address_it_was_saved_from(project: Project) -> None:
    view = save("ann")
    answer = browse("ann").get(f"/p/kept/runs?v={view.pk}")
    assert answer.headers["Location"] == f"/p/kept/runs?{QUERY}"
    twin = browse("ann").get(f"/p/kept/runs.json?v={view.pk}").json()
    assert (twin["filter"], twin["columns"]) == ("lr > 1", ["name", "loss"])


def test_a_view_that_is_gone_is_said_and_the_plain_page_shown(project: Project) -> None:
    answer = browse("ann").get("/p/kept/runs?v=12345", follow=True)
    assert answer.redirect_chain == [("/p/kept/runs?v=-", 302)]
    assert "There is no saved view" in answer.content.decode()
    assert browse("ann").get("/p/kept/runs.json?v=12345").status_code == 404


def test_a_bare_address_opens_the_default_and_ones_own_before_the_projects(
    project: Project,
) -> None:
    save("eve", "Ours", "f=lr%20%3E%202", is_shared="on", is_default="on")
    assert browse("ann").get("/p/kept/runs").headers["Location"].endswith("?f=lr%20%3E%202&v=-")
    save("ann", "Mine", "f=lr%20%3E%203", is_default="on")
    assert browse("ann").get("/p/kept/runs").headers["Location"].endswith("?f=lr%20%3E%203&v=-")
    assert browse("bob").get("/p/kept/runs").headers["Location"].endswith("?f=lr%20%3E%202&v=-")


def test_the_plain_page_and_a_page_that_reads_itself_again_stay(project: Project) -> None:
    save("ann", is_default="on")
    assert browse("ann").get("/p/kept/runs?v=-").status_code == 200
    again = browse("ann").get("/p/kept/runs", headers={"Sec-Fetch-Dest": "empty"})
    assert again.status_code == 200


def test_there_is_one_default_of_a_person_and_a_page(project: Project) -> None:
    first, second = save("ann", "First", is_default="on"), save("ann", "Second")
    assert change("ann", second, "default") == 302
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.is_default, second.is_default) == (False, True)


def test_a_private_view_is_its_owners_alone(project: Project) -> None:
    view = save("ann")
    assert (names("ann"), names("eve")) == (["Best"], [])
    assert change("eve", view, "rename", name="x") == 404
    assert not AuditEntry.objects.filter(action__startswith="view.").exists()


def test_a_view_of_the_project_is_saved_and_changed_by_editors(project: Project) -> None:
    assert save("ann", "Wide", is_shared="on") is None
    view = save("eve", "Wide", is_shared="on")
    assert names("ann") == ["Wide"]
    assert (change("ann", view, "delete"), change("bob", view, "rename", name="New")) == (404, 302)
    assert names("ann") == ["New"]
    assert AuditEntry.objects.filter(action="view.saved", target="Wide").count() == 1


def test_a_stranger_sees_no_view_and_saves_none(project: Project) -> None:
    save("eve", "Wide", is_shared="on")
    make_project("other", sam="admin")
    assert names("sam") == []
    fields = {"page": "runs", "name": "x", "query": ""}
    assert browse("sam").post("/p/kept/views", fields).status_code == 404


def test_update_takes_the_state_that_is_shown(project: Project) -> None:
    view = save("ann")
    assert change("ann", view, "update", query="?s=loss&p=3") == 302
    view.refresh_from_db()
    assert view.query == "s=loss"


def test_a_deleted_view_comes_back_by_undo_until_its_name_is_taken(project: Project) -> None:
    view = save("ann")
    change("ann", view, "delete")
    assert names("ann") == []
    page = browse("ann").get("/views").content.decode()
    assert f"/p/kept/views/{view.pk}/restore" in page
    assert browse("eve").post(f"/p/kept/views/{view.pk}/restore").status_code == 404
    browse("ann").post(f"/p/kept/views/{view.pk}/restore")
    assert names("ann") == ["Best"]


def test_names_are_taken_once_and_the_refusal_says_so(project: Project) -> None:
    save("ann")
    fields = {"page": "runs", "name": " Best ", "query": ""}
    answer = browse("ann").post("/p/kept/views", fields, follow=True)
    assert "already a view called" in answer.content.decode()
    assert SavedView.objects.count() == 1


def test_the_list_says_what_a_view_names_that_is_gone(project: Project) -> None:
    fields = {"page": "explore", "name": "Old", "query": "sel=one,two&m=loss.train,acc,lo.*"}
    browse("ann").post("/p/kept/views", fields)
    (view,) = browse("ann").get("/views.json").json()["views"]
    assert view["missing"] == ["run two", "metric acc"]


def test_the_api_saves_lists_changes_deletes_and_brings_back(project: Project) -> None:
    api = api_of(get_user("eve"), Scope.ADMIN, project)
    body = {"page": "explore", "name": "LR", "query": "m=loss", "is_shared": True}
    made = api.post("projects/kept/views", body).json()
    assert (made["url"], made["owner"]) == ("/p/kept/explore?m=loss", "eve")
    here = f"projects/kept/views/{made['id']}"
    assert api.patch(here, {"is_default": True}).json()["is_default"] is True
    listed = api.get(f"projects/kept/views?{urlencode({'page': 'explore'})}").json()["items"]
    assert [view["name"] for view in listed] == ["LR"]
    assert api.delete(here).status_code == 204
    assert api.get(here).status_code == 404
    assert api.post(f"{here}/restore").json()["name"] == "LR"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"page": "runs", "name": " ", "query": ""}, 422, "/name"),
        ({"page": "home", "name": "x", "query": ""}, 422, "/page"),
        ({"page": "runs", "name": "x", "query": "", "owner": "eve"}, 422, "/owner"),
        ({"page": "runs", "name": "x", "query": "", "is_shared": True}, 403, "/is_shared"),
    ],
)
def test_t04_refused_views_name_their_field(
    project: Project, body: dict[str, object], status: int, field: str
) -> None:
    api = api_of(get_user("ann"), Scope.ADMIN, project)
    answer = api.post("projects/kept/views", body)
    assert answer.status_code == status
    assert answer.json()["error"]["field"] == field


def test_role_of_viewers_is_checked_for_shared_views(project: Project) -> None:
    view = save("eve", "Wide", is_shared="on")
    api = api_of(get_user("ann"), Scope.ADMIN, project)
    assert api.patch(f"projects/kept/views/{view.pk}", {"name": "x"}).status_code == 403
