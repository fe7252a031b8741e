"""Signed-in browsers, password links, disabled accounts."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from teams import accounts
from teams.models import AuditEntry, ResetLink, Session, User
from tests.teams.factories import PASSWORD, Api, make_token, make_user, sign_in

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"
NEW = {"new_password": "staple-tape-42", "repeated": "staple-tape-42"}


def sign_in_with(agent: str) -> Client:
    client = Client(headers={"User-Agent": agent})
    client.post("/login", {"username": "ann", "password": PASSWORD})
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/settings/devices").status_code == 200


def devices_of(client: Client) -> list[dict[str, object]]:
    return client.get("/settings/devices.json").json()["devices"]


def test_page_names_browser_system_and_address() -> None:
    make_user("ann")
    here = sign_in_with(FIREFOX)
    assert [(d["browser"], d["address"], d["is_current"]) for d in devices_of(here)] == [
        ("Firefox on Linux", "127.0.0.1", True)
    ]


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14) Version/18 Safari/605", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140 Mobile Safari/537", "Chrome on Android"),
        ("curl/8.5", "unknown browser"),
        ("", "unknown browser"),
    ],
)
def test_agent_is_told_in_words(agent: str, words: str) -> None:
    assert accounts.describe_agent(agent) == words


def test_t25_one_browser_can_be_signed_out_from_another() -> None:
    make_user("ann")
    here, there = sign_in_with(FIREFOX), sign_in_with("curl/8.5")
    other = next(d for d in devices_of(here) if not d["is_current"])
    assert here.post(f"/settings/devices/{other['id']}/end").status_code == 302
    assert is_signed_in(here)
    assert not is_signed_in(there)


def test_t25_all_other_browsers_can_be_signed_out_at_once() -> None:
    make_user("ann")
    here, *others = (sign_in_with(FIREFOX) for _ in range(3))
    here.post("/settings/devices/end-others")
    assert [is_signed_in(client) for client in (here, *others)] == [True, False, False]


def test_t02_browser_of_somebody_else_is_404() -> None:
    make_user("ann")
    ann, bob = sign_in_with(FIREFOX), sign_in(make_user("bob"))
    device = devices_of(ann)[0]["id"]
    assert bob.post(f"/settings/devices/{device}/end").status_code == 404
    assert is_signed_in(ann)


def test_t26_key_of_a_session_is_never_shown() -> None:
    make_user("ann")
    client = sign_in_with(FIREFOX)
    key = client.session.session_key
    for path in ("/settings/devices", "/settings/devices.json"):
        assert key not in client.get(path).content.decode()


def test_browser_in_which_nobody_is_signed_in_is_not_listed() -> None:
    ann = make_user("ann")
    client = sign_in(ann)
    client.post("/logout")
    assert not Session.objects.filter(user=ann).exists()


def test_ended_sessions_are_forgotten_at_the_next_sign_in() -> None:
    ann = make_user("ann")
    sign_in(ann)
    Session.objects.update(expire_date=timezone.now() - timedelta(days=1))
    sign_in(ann)
    assert Session.objects.filter(user=ann).count() == 1


def test_t06_markup_in_the_name_of_a_browser_stays_text() -> None:
    make_user("ann")
    page = sign_in_with('Firefox/1 Linux "><script>alert(1)</script>').get("/settings/devices")
    assert b"<script>alert" not in page.content


def test_long_agent_is_cut() -> None:
    make_user("ann")
    sign_in_with("x" * 5000)
    assert len(Session.objects.get().agent) == 200


@pytest.fixture
def root() -> Client:
    return sign_in(make_user("root", is_superuser=True))


def make_link(root: Client, name: str = "ann") -> str:
    page = root.post(f"/settings/people/{name}/password-link").content.decode()
    return re.search(r"/reset/[A-Za-z0-9_-]{43}", page).group()


def test_administrator_makes_a_link_and_the_person_sets_a_password(root: Client) -> None:
    make_user("ann")
    address = make_link(root)
    assert Client().post(address, NEW)["Location"] == "/login"
    answer = Client().post("/login", {"username": "ann", "password": NEW["new_password"]})
    assert answer.status_code == 302
    assert Client().post("/login", {"username": "ann", "password": PASSWORD}).status_code == 422


def test_t25_password_link_works_once_and_ends_every_session(root: Client) -> None:
    there = sign_in(make_user("ann"))
    address = make_link(root)
    Client().post(address, NEW)
    assert not is_signed_in(there)
    assert Client().get(address).status_code == 404
    assert Client().post(address, NEW).status_code == 404


def test_looking_at_a_password_link_does_not_use_it(root: Client) -> None:
    make_user("ann")
    address = make_link(root)
    Client().get(address)
    assert Client().get(address).status_code == 200


def test_new_link_ends_the_one_before(root: Client) -> None:
    make_user("ann")
    first, second = make_link(root), make_link(root)
    assert [Client().get(url).status_code for url in (first, second)] == [404, 200]


def test_password_link_ends_after_a_day_and_with_the_account(root: Client) -> None:
    make_user("ann")
    address = make_link(root)
    User.objects.filter(username="ann").update(is_active=False)
    assert Client().get(address).status_code == 404
    User.objects.filter(username="ann").update(is_active=True)
    ResetLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Client().get(address).status_code == 404


def test_weak_password_is_refused_and_leaves_the_link_open(root: Client) -> None:
    make_user("ann")
    address = make_link(root)
    assert Client().post(address, {"new_password": "ann", "repeated": "ann"}).status_code == 422
    assert Client().get(address).status_code == 200


def test_only_the_hash_of_a_password_link_is_stored(root: Client) -> None:
    make_user("ann")
    secret = make_link(root).rpartition("/")[2]
    assert secret not in str(list(ResetLink.objects.values()))
    assert secret not in str(list(AuditEntry.objects.values()))


def test_disabled_person_and_its_tokens_are_out_at_once(root: Client) -> None:
    ann = make_user("ann")
    browser, api = sign_in(ann), Api(make_token(ann))
    root.post("/settings/people/ann/active", {"is_active": "0"})
    assert not is_signed_in(browser)
    assert api.get("ping").status_code == 401
    root.post("/settings/people/ann/active", {"is_active": "1"})
    assert api.get("ping").status_code == 200
    assert not is_signed_in(browser)


def test_administrator_cannot_lock_itself_out(root: Client) -> None:
    assert root.post("/settings/people/root/active", {"is_active": "0"}).status_code == 422
    assert is_signed_in(root)


@pytest.mark.parametrize("path", ["/settings/people", "/settings/audit"])
def test_t03_pages_of_the_server_are_for_its_administrators(path: str) -> None:
    assert sign_in(make_user("ann")).get(path).status_code == 404
    assert sign_in(make_user("root", is_superuser=True)).get(path).status_code == 200


def test_header_leads_to_people_for_administrators_only(root: Client) -> None:
    assert b'href="/settings/people"' in root.get("/settings/devices").content
    ann = sign_in(make_user("ann"))
    assert b'href="/settings/people"' not in ann.get("/settings/devices").content
