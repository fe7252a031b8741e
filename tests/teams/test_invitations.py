"""Invitations: one link, one person, one role, an end."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from teams import services
from teams.invitations import (
    accept_invitation,
    create_invitation,
    find_invitation,
    join_with_account,
)
from teams.models import AuditEntry, Invitation, Membership, Project, Role, User
from tests.teams.factories import get_user, make_project, make_user, sign_in

pytestmark = pytest.mark.django_db

ACCOUNT = {"username": "grace", "new_password": "staple-tape-42", "repeated": "staple-tape-42"}


@pytest.fixture
def project() -> Project:
    return make_project("alpha", ann="admin", ed="editor", vi="viewer")


def invite(project: Project, role: Role = Role.EDITOR, days: float = 7) -> str:
    expires_at = timezone.now() + timedelta(days=days)
    return f"/invitation/{create_invitation(project, get_user('ann'), role, expires_at)[1]}"


def role_of(name: str) -> str:
    return Membership.objects.get(user__username=name).role


def test_admin_makes_a_link_and_a_new_person_joins_with_it(project: Project) -> None:
    form = {"role": "editor", "label": "Grace", "lifetime_days": "7"}
    page = sign_in(get_user("ann")).post("/p/alpha/settings/invitations", form).content.decode()
    address = re.search(r"/invitation/[A-Za-z0-9_-]{43}", page).group()
    guest = Client()
    assert b"Alpha" in guest.get(address).content
    assert guest.post(address, ACCOUNT)["Location"] == "/p/alpha/runs"
    assert guest.get("/p/alpha/runs").status_code == 200
    assert role_of("grace") == "editor"


def test_person_with_an_account_joins_by_one_button(project: Project) -> None:
    client = sign_in(make_user("grace"))
    address = invite(project)
    assert "Join as grace" in client.get(address).content.decode()
    assert client.post(address).status_code == 302
    assert role_of("grace") == "editor"


def test_looking_at_an_invitation_does_not_use_it(project: Project) -> None:
    address = invite(project)
    Client().get(address)
    assert Client().get(address).status_code == 200


def test_invitation_works_once(project: Project) -> None:
    address = invite(project)
    sign_in(make_user("grace")).post(address)
    assert sign_in(make_user("heidi")).post(address).status_code == 404
    assert not Membership.objects.filter(user__username="heidi").exists()


def test_slower_of_two_does_not_join_and_gets_no_account(project: Project) -> None:
    invitation = find_invitation(invite(project).rpartition("/")[2])
    assert accept_invitation(invitation, make_user("fast"))
    assert join_with_account(invitation, "slow", "staple-tape-42") is None
    assert not User.objects.filter(username="slow").exists()


def test_t05_dead_invitations_are_one_and_the_same_404(project: Project) -> None:
    used, revoked, expired = invite(project), invite(project), invite(project)
    sign_in(make_user("grace")).post(used)
    hashed = services.hash_secret(revoked.rpartition("/")[2])
    known = Invitation.objects.get(sha256=hashed)
    sign_in(get_user("ann")).post(f"/p/alpha/settings/invitations/{known.pk}/revoke")
    past = timezone.now() - timedelta(seconds=1)
    hashed = services.hash_secret(expired.rpartition("/")[2])
    Invitation.objects.filter(sha256=hashed).update(expires_at=past)
    answers = [Client().get(url) for url in (used, revoked, expired, f"/invitation/{'A' * 43}")]
    assert {answer.status_code for answer in answers} == {404}
    plain = {re.sub(rb'(nonce|value|content)="[^"]*"', b"", a.content) for a in answers}
    assert len({re.sub(rb"/invitation/[A-Za-z0-9_-]+", b"", text) for text in plain}) == 1


LOSSES = {
    "removed": lambda project, maker: services.remove_member(project, maker),
    "editor": lambda project, maker: services.set_member(project, maker, Role.EDITOR),
    "disabled": lambda project, maker: User.objects.filter(pk=maker.pk).update(is_active=False),
    "deleted project": lambda project, maker: services.delete_project(project),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_invitation_ends_with_the_power_of_its_maker(project: Project, loss: str) -> None:
    address = invite(project)
    services.set_member(project, get_user("ed"), Role.ADMIN)
    LOSSES[loss](project, get_user("ann"))
    assert Client().get(address).status_code == 404


def test_accepting_never_takes_a_higher_role_away(project: Project) -> None:
    sign_in(get_user("ann")).post(invite(project, Role.VIEWER))
    assert role_of("ann") == "admin"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "ANN"}, "id_username_error"),
        ({"username": "a b<script>"}, "id_username_error"),
        ({"new_password": "short", "repeated": "short"}, "id_new_password_error"),
        ({"repeated": "other-tape-42"}, "id_repeated_error"),
    ],
)
def test_refused_account_keeps_the_invitation_open(
    project: Project, change: dict[str, str], field: str
) -> None:
    address = invite(project)
    answer = Client().post(address, {**ACCOUNT, **change})
    assert answer.status_code == 422
    assert f'id="{field}"' in answer.content.decode()
    assert Client().get(address).status_code == 200


@pytest.mark.parametrize("days", ["0", "9999", "x", ""])
def test_lifetime_is_one_of_the_offered(project: Project, days: str) -> None:
    form = {"role": "viewer", "label": "", "lifetime_days": days}
    answer = sign_in(get_user("ann")).post("/p/alpha/settings/invitations", form)
    assert answer.status_code == 422
    assert not Invitation.objects.exists()


def test_t02_invitation_of_another_project_cannot_be_revoked(project: Project) -> None:
    invite(project)
    make_project("beta", bob="admin")
    known = Invitation.objects.get()
    answer = sign_in(get_user("bob")).post(f"/p/beta/settings/invitations/{known.pk}/revoke")
    assert answer.status_code == 404


def test_only_the_hash_of_an_invitation_is_stored(project: Project) -> None:
    secret = invite(project).rpartition("/")[2]
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(t)::text FROM teams_invitation t")
        assert secret not in str(cursor.fetchall())
    assert secret not in str(list(AuditEntry.objects.values()))
    assert secret not in sign_in(get_user("ann")).get("/p/alpha/settings.json").content.decode()


def test_t22_address_of_an_invitation_is_kept_from_others(project: Project) -> None:
    headers = Client().get(invite(project)).headers
    assert headers["Referrer-Policy"] == "strict-origin"  # its form needs an Origin
    assert headers["X-Robots-Tag"] == "noindex"
    assert "no-store" in headers["Cache-Control"]


def test_editor_sees_no_invitations(project: Project) -> None:
    invite(project)
    assert "invitations" not in sign_in(get_user("ed")).get("/p/alpha/settings.json").json()


def test_handing_over_swaps_the_roles(project: Project) -> None:
    answer = sign_in(get_user("ann")).post("/p/alpha/settings/hand-over", {"member": "vi"})
    assert answer.status_code == 302
    assert (role_of("ann"), role_of("vi")) == ("editor", "admin")
    assert AuditEntry.objects.filter(action="project.handed_over").exists()


@pytest.mark.parametrize("name", ["ann", "nobody", ""])
def test_handing_over_needs_another_member(project: Project, name: str) -> None:
    answer = sign_in(get_user("ann")).post("/p/alpha/settings/hand-over", {"member": name})
    assert answer.status_code in (404, 422)
    assert role_of("ann") == "admin"


def test_project_is_not_handed_to_a_disabled_account(project: Project) -> None:
    User.objects.filter(username="vi").update(is_active=False)
    sign_in(get_user("ann")).post("/p/alpha/settings/hand-over", {"member": "vi"})
    assert (role_of("ann"), role_of("vi")) == ("admin", "viewer")
