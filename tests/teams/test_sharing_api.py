"""Share links and invitations by the API."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from teams.models import Invitation, Membership, Project, Role, Scope, Share
from tests.permissions.world import make_measurements
from tests.teams.factories import Api, api_of, error_of, get_user, make_project, make_user, sign_in

pytestmark = pytest.mark.django_db

SHARES, INVITATIONS = "projects/alpha/shares", "projects/alpha/invitations"
STUDY = {"kind": "study", "id": "lr-sweep"}


@pytest.fixture
def project() -> Project:
    project = make_project("alpha", ann="admin", ed="editor", vi="viewer")
    make_measurements(project)
    return project


@pytest.fixture
def api(project: Project) -> Api:
    return api_of(get_user("ann"), Scope.ADMIN, project)


def path_of(answer: object) -> str:
    assert answer.status_code == 201, answer.content
    return urlsplit(answer.json()["url"]).path


@pytest.mark.parametrize("mode", ["live", "frozen"])
@pytest.mark.parametrize("subject", [STUDY, {"kind": "run", "id": "run-1"}], ids=["study", "run"])
def test_link_made_by_the_api_opens_until_it_is_revoked(
    api: Api, subject: dict[str, str], mode: str
) -> None:
    created = api.post(SHARES, {**subject, "mode": mode})
    path = path_of(created)
    assert Client().get(path).status_code == 200
    assert api.delete(f"{SHARES}/{created.json()['id']}").status_code == 204
    assert Client().get(path).status_code == 404


def test_list_names_links_and_never_their_addresses(api: Api) -> None:
    token = path_of(api.post(SHARES, {**STUDY, "title": "For review"})).split("/")[2]
    answer = api.get(SHARES)
    listed = answer.json()["items"]
    assert [(item["title"], item["state"], item["mode"]) for item in listed] == [
        ("For review", "active", "live")
    ]
    assert token not in answer.content.decode()


def test_password_of_a_link_is_asked_for(api: Api) -> None:
    path = path_of(api.post(SHARES, {**STUDY, "password": "open-sesame-9"}))
    assert "data-share" not in Client().get(path).content.decode()


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"kind": "planet"}, 422, "unknown_value", "/kind"),
        ({"id": "absent"}, 404, "not_found", None),
        ({"mode": "warm"}, 422, "unknown_value", "/mode"),
        ({"password": "sesame7"}, 422, "too_short", "/password"),
        ({"with_notes": "yes"}, 422, "wrong_type", "/with_notes"),
        ({"with_notes": 1}, 422, "wrong_type", "/with_notes"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 422, "out_of_range", "/expires_at"),
        ({"sha256": "0" * 64}, 422, "unknown_field", "/sha256"),
        ({"subject": {"study": 1}}, 422, "unknown_field", "/subject"),
    ],
)
def test_t04_refused_link_names_its_field(
    api: Api, change: dict[str, object], status: int, code: str, field: str | None
) -> None:
    assert error_of(api.post(SHARES, {**STUDY, **change})) == (status, code, field)
    assert not Share.objects.exists()


def test_t02_run_and_link_of_another_project_are_absent(api: Api) -> None:
    beta = make_project("beta", bob="admin")
    make_measurements(beta)
    other = api_of(get_user("bob"), Scope.ADMIN, beta)
    made = other.post("projects/beta/shares", {"kind": "run", "id": "run-2"}).json()
    assert api.delete(f"{SHARES}/{made['id']}").status_code == 404
    assert error_of(other.post(SHARES, STUDY))[0] == 404


def test_t03_write_token_of_a_training_job_makes_no_link(project: Project) -> None:
    api = api_of(get_user("ann"), Scope.WRITE, project)
    assert error_of(api.post(SHARES, STUDY))[:2] == (403, "scope")


def test_invitation_made_by_the_api_lets_one_person_in(api: Api) -> None:
    path = path_of(api.post(INVITATIONS, {"role": "editor", "label": "Grace"}))
    assert sign_in(make_user("grace")).post(path).status_code == 302
    assert Membership.objects.get(user__username="grace").role == Role.EDITOR
    assert [(i["state"], i["used_by"]) for i in api.get(INVITATIONS).json()["items"]] == [
        ("used", "grace")
    ]


def test_revoked_invitation_is_404_at_once(api: Api) -> None:
    created = api.post(INVITATIONS, {"role": "viewer"})
    assert api.delete(f"{INVITATIONS}/{created.json()['id']}").status_code == 204
    assert Client().get(path_of(created)).status_code == 404


def test_list_never_shows_the_address_of_an_invitation(api: Api) -> None:
    secret = path_of(api.post(INVITATIONS, {"role": "viewer"})).rpartition("/")[2]
    assert secret not in api.get(INVITATIONS).content.decode()


@pytest.mark.parametrize(
    ("days", "code"), [(-1, "out_of_range"), (31, "out_of_range")], ids=["past", "too far"]
)
def test_end_of_an_invitation_lies_within_a_month(api: Api, days: int, code: str) -> None:
    at = (timezone.now() + timedelta(days=days)).isoformat()
    answer = error_of(api.post(INVITATIONS, {"role": "viewer", "expires_at": at}))
    assert answer == (422, code, "/expires_at")
    assert not Invitation.objects.exists()


def test_handing_over_by_the_api_swaps_the_roles(api: Api) -> None:
    answer = api.post("projects/alpha/hand-over", {"user": "vi"})
    assert (answer.json()["user"], answer.json()["role"]) == ("vi", "admin")
    assert Membership.objects.get(user=get_user("ann")).role == Role.EDITOR


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_handing_over_to_no_other_member_is_refused(api: Api, user: str) -> None:
    answer = error_of(api.post("projects/alpha/hand-over", {"user": user}))
    assert answer == (422, "unknown_value", "/user")
