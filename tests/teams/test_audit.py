"""The audit log and the activity feed: what is written down, by whom, and who reads it."""

from __future__ import annotations

import pytest
from django.db import InternalError, connection, transaction

from runs.models import Run
from runs.services import delete_run
from teams import audit, services
from teams.models import AuditEntry, Membership, Project, Role, Scope
from tests.teams.factories import Api, api_of, find_token, get_user, make_project, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project("alpha", ann="admin", ed="editor", vi="viewer")


def texts(client: object, url: str) -> list[str]:
    return [entry["text"] for entry in client.get(url).json()["entries"]]


def test_change_by_a_page_names_person_and_address(project: Project) -> None:
    sign_in(get_user("ann")).post("/p/alpha/settings/members/vi", {"role": "editor"})
    entry = AuditEntry.objects.get(action="member.changed")
    assert (entry.actor_name, entry.address, entry.target) == ("ann", "127.0.0.1", "vi")
    assert entry.details == {"role": "editor", "before": "viewer"}
    assert entry.token_key == ""


def test_change_by_the_api_names_the_token_too(project: Project) -> None:
    api = api_of(get_user("ann"))
    api.delete("projects/alpha/members/vi")
    entry = AuditEntry.objects.get(action="member.removed")
    assert (entry.actor_name, entry.token_key) == ("ann", find_token(api.token).key)


def test_next_request_is_not_taken_for_the_one_before(project: Project) -> None:
    sign_in(get_user("ann")).post("/p/alpha/settings/members/vi", {"role": "editor"})
    services.remove_member(project, get_user("vi"))
    assert AuditEntry.objects.get(action="member.removed").actor is None


def test_refused_change_leaves_no_entry(project: Project) -> None:
    answer = sign_in(get_user("ann")).post("/p/alpha/settings/members/ann", {"role": "viewer"})
    assert answer.status_code == 422
    assert not AuditEntry.objects.filter(action="member.changed").exists()


def test_change_that_is_undone_takes_its_entry_along(project: Project) -> None:
    with transaction.atomic():
        services.delete_project(project)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.filter(action="project.deleted").exists()


def test_log_tells_of_members_tokens_settings_and_deletes(project: Project) -> None:
    run = Run.objects.create(project=project, uid="run-1", name="big one")
    token = services.create_token(get_user("ann"), "cluster", Scope.WRITE, project)[0]
    services.revoke_token(token)
    services.update_project(project, name="Renamed", description="")
    services.set_member(project, get_user("vi"), Role.EDITOR)
    services.remove_member(project, get_user("vi"))
    delete_run(run)
    services.delete_project(project)
    found = set(AuditEntry.objects.filter(project=project).values_list("action", flat=True))
    assert found >= {
        *("token.created", "token.revoked", "project.changed", "project.deleted"),
        *("member.changed", "member.removed", "run.deleted"),
    }


def test_same_settings_saved_again_are_no_change(project: Project) -> None:
    services.update_project(project, name=project.name)
    services.set_member(project, get_user("vi"), Role.VIEWER)
    assert not AuditEntry.objects.exists()


def test_entry_reads_as_a_sentence(project: Project) -> None:
    services.set_member(project, get_user("vi"), Role.EDITOR)
    entry = AuditEntry.objects.get()
    sentence = "changed the member vi (role editor, before viewer)"
    assert audit.describe_action(entry) == sentence


@pytest.mark.parametrize("statement", ["update", "delete"])
def test_database_refuses_to_change_an_entry(project: Project, statement: str) -> None:
    services.set_member(project, get_user("vi"), Role.EDITOR)
    entries = AuditEntry.objects.all()
    with pytest.raises(InternalError, match="only ever added"), transaction.atomic():
        entries.update(actor_name="bob") if statement == "update" else entries.delete()
    assert AuditEntry.objects.get().action == "member.changed"


def test_entry_outlives_its_actor(project: Project) -> None:
    sign_in(get_user("ann")).post("/p/alpha/settings/members/vi", {"role": "editor"})
    Membership.objects.filter(user=get_user("ann")).delete()
    get_user("ann").delete()
    connection.check_constraints()
    assert AuditEntry.objects.get(action="member.changed").actor_name == "ann"


def test_secrets_never_stand_in_the_log(project: Project) -> None:
    api = api_of(get_user("ann"))
    text = api.post("tokens", {"name": "t", "scope": "read", "project": "alpha"}).json()["token"]
    written = str(list(AuditEntry.objects.values()))
    assert text.split("_", 2)[2] not in written


def test_feed_shows_members_less_than_the_log_shows_admins(project: Project) -> None:
    services.create_token(get_user("ann"), "cluster", Scope.WRITE, project)
    services.set_member(project, get_user("vi"), Role.VIEWER)
    services.update_project(project, name="Renamed")
    assert texts(sign_in(get_user("vi")), "/p/alpha/activity.json") == [
        "changed the project alpha (fields name)"
    ]
    assert len(texts(sign_in(get_user("ann")), "/p/alpha/settings/audit.json")) == 2


def test_feed_never_shows_addresses_or_tokens(project: Project) -> None:
    sign_in(get_user("ann")).post("/p/alpha/settings/members/vi", {"role": "editor"})
    feed = sign_in(get_user("vi")).get("/p/alpha/activity.json").json()["entries"]
    assert feed
    assert not {"address", "token"} & set(feed[0])


def test_t02_log_of_one_project_shows_nothing_of_another(project: Project) -> None:
    beta = make_project("beta", bob="admin")
    services.update_project(beta, name="Secret-5521")
    for path in ("/p/alpha/activity", "/p/alpha/settings/audit"):
        assert b"Secret-5521" not in sign_in(get_user("ann")).get(path).content


def test_api_pages_through_the_log(project: Project) -> None:
    for name in ("one", "two", "three"):
        services.update_project(project, name=name)
    api = api_of(get_user("ann"), Scope.ADMIN, project)
    first = api.get("projects/alpha/audit?limit=2").json()
    rest = api.get(f"projects/alpha/audit?limit=2&cursor={first['next']}").json()
    ids = [item["id"] for item in first["items"] + rest["items"]]
    assert len(set(ids)) == len(ids) == AuditEntry.objects.filter(project=project).count()


@pytest.mark.parametrize("before", ["0", "x", "9" * 30, "-1", "\u0661"])
def test_odd_place_in_the_log_is_answered(project: Project, before: str) -> None:
    answer = sign_in(get_user("ann")).get("/p/alpha/settings/audit.json", {"before": before})
    assert answer.status_code == 200


def test_older_entries_are_one_page_further(project: Project) -> None:
    for number in range(101):
        services.update_project(project, name=f"name {number}")
    ann = sign_in(get_user("ann"))
    newest = ann.get("/p/alpha/settings/audit.json").json()
    older = ann.get("/p/alpha/settings/audit.json", {"before": newest["next"]}).json()
    assert (len(newest["entries"]), len(older["entries"]), older["next"]) == (100, 1, None)


def test_feed_takes_the_same_queries_for_many(
    project: Project, django_assert_max_num_queries: object
) -> None:
    for number in range(20):
        services.update_project(project, name=f"name {number}")
    client = sign_in(get_user("vi"))
    with django_assert_max_num_queries(7):  # session, user, project, role twice, entries, bell
        client.get("/p/alpha/activity")


def test_server_log_is_for_administrators_and_tells_of_sign_ins() -> None:
    make_project("alpha", ann="admin")
    root = get_user("ann")
    root.is_superuser = True
    root.save()
    page = sign_in(root).get("/settings/audit").content.decode()
    assert "signed in the user ann" in page


def test_entry_of_a_token_without_requests_names_nobody(project: Project) -> None:
    assert Api().get("projects/alpha/audit").status_code == 401
    assert not AuditEntry.objects.exists()
