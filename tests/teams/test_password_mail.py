"""Links for forgotten passwords by e-mail."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from django.core import mail
from django.test import Client

from teams.models import AuditEntry, ResetLink, User
from tests.teams.factories import PASSWORD, make_user, sign_in

pytestmark = pytest.mark.django_db
NEW = {"new_password": "staple-tape-42", "repeated": "staple-tape-42"}
WAIT_SECONDS = 60


@pytest.fixture(autouse=True)
def _email(settings: object) -> None:
    settings.SENDS_EMAIL = True
    settings.DEFAULT_FROM_EMAIL = "scaledash@example.org"
    settings.SCALEDASH_BASE_URL = "http://runs.example.org"


def make_person(name: str = "ann", email: str = "ann@example.org", **fields: object) -> User:
    user = make_user(name, **fields)
    User.objects.filter(pk=user.pk).update(email=email)
    return user


def ask(wanted: str, address: str = "127.0.0.1") -> tuple[int, str]:
    """Ask for a link; returns status and page without the parts that change with every page."""
    response = Client(REMOTE_ADDR=address).post("/forgot", {"wanted": wanted})
    page = re.sub(r'nonce="[^"]+"|name="csrfmiddlewaretoken" value="[^"]+"', "", response.text)
    return response.status_code, page


def wait_for_letters(count: int) -> list[mail.EmailMessage]:
    end = time.monotonic() + WAIT_SECONDS
    while len(mail.outbox) < count and time.monotonic() < end:
        threading.Event().wait(0.005)
    assert len(mail.outbox) == count
    return mail.outbox


def read_link(letter: mail.EmailMessage) -> str:
    return re.search(r"http://runs\.example\.org(/reset/[A-Za-z0-9_-]{43})\n", letter.body).group(1)


@pytest.mark.parametrize("wanted", ["ann", "Ann@Example.org"])
def test_person_sets_a_new_password_by_a_mailed_link(wanted: str) -> None:
    make_person()
    ask(wanted)
    (letter,) = wait_for_letters(1)
    assert (letter.to, letter.from_email) == (["ann@example.org"], "scaledash@example.org")
    assert Client().post(read_link(letter), NEW)["Location"] == "/login"
    signed_in = Client().post("/login", {"username": "ann", "password": NEW["new_password"]})
    assert signed_in.status_code == 302


def test_t25_answer_is_the_same_whether_an_account_exists() -> None:
    make_person()
    make_person("bob", "")
    make_person("eve", "eve@example.org", is_active=False)
    answers = {ask(who) for who in ("ann", "bob", "eve", "nobody", "nobody@example.org")}
    assert len(answers) == 1
    assert [letter.to for letter in wait_for_letters(1)] == [["ann@example.org"]]


def test_t19_one_caller_is_stopped_before_anything_is_looked_up() -> None:
    assert [ask("nobody")[0] for _ in range(6)] == [200] * 5 + [429]
    make_person()
    assert ask("ann")[0] == 429
    assert not ResetLink.objects.exists()
    assert ask("ann", "192.0.2.7")[0] == 200


def test_t19_a_mailbox_gets_three_links_an_hour_from_any_number_of_callers() -> None:
    make_person()
    statuses = [ask("ann", f"192.0.2.{number}")[0] for number in range(1, 6)]
    assert statuses == [200] * 5
    assert len(wait_for_letters(3)) == ResetLink.objects.count() == 3


def test_asking_again_leaves_the_first_link_until_one_is_used() -> None:
    make_person()
    ask("ann")
    ask("ann")
    first, second = (read_link(letter) for letter in wait_for_letters(2))
    assert Client().post(first, NEW).status_code == 302
    assert Client().get(second).status_code == 404


def test_mailed_link_ends_after_an_hour_and_stands_in_the_audit_log() -> None:
    ann = make_person()
    ask("ann")
    wait_for_letters(1)
    link = ResetLink.objects.get(user=ann)
    assert (link.expires_at - link.created_at).total_seconds() == pytest.approx(3600, abs=5)
    entry = AuditEntry.objects.get(action="password_link.mailed")
    assert (entry.target, entry.address, entry.actor_name) == ("ann", "127.0.0.1", "")
    audit = sign_in(make_user("root", is_superuser=True)).get("/settings/audit").text
    assert "somebody not signed in" in audit


def test_t23_link_never_follows_the_host_header(settings: object) -> None:
    settings.ALLOWED_HOSTS = ["testserver", "evil.example"]
    make_person()
    Client(headers={"Host": "evil.example"}).post("/forgot", {"wanted": "ann"})
    assert "evil" not in wait_for_letters(1)[0].body


def test_without_e_mail_the_page_says_that_an_administrator_helps(
    settings: object,
) -> None:
    settings.SENDS_EMAIL = False
    make_person()
    for page in (Client().get("/forgot"), Client().post("/forgot", {"wanted": "ann"})):
        assert page.status_code == 200
        assert "Ask its administrator" in page.text
    assert not ResetLink.objects.exists()
    assert "/forgot" in Client().get("/login").text


def test_address_is_changed_with_the_current_password_only() -> None:
    client = sign_in(make_person())
    new = {"email": "new@example.org"}
    assert client.post("/settings/email", {**new, "current_password": "wrong"}).status_code == 422
    assert User.objects.get().email == "ann@example.org"
    assert client.post("/settings/email", {**new, "current_password": PASSWORD}).status_code == 302
    assert User.objects.get().email == "new@example.org"
    assert "new@example.org" in client.get("/settings/password").text


def test_a_new_address_ends_the_links_sent_to_the_old_one() -> None:
    client = sign_in(make_person())
    ask("ann")
    link = read_link(wait_for_letters(1)[0])
    client.post("/settings/email", {"email": "", "current_password": PASSWORD})
    assert Client().get(link).status_code == 404


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_server_that_is_away_changes_no_answer_and_is_logged(
    settings: object, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", closed_port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    make_person()
    assert ask("ann")[0] == 200
    end = time.monotonic() + WAIT_SECONDS
    while "were not sent" not in caplog.text and time.monotonic() < end:
        threading.Event().wait(0.005)
    assert "1 password e-mails were not sent" in caplog.text


def test_new_people_may_give_an_address_where_e_mail_is_sent(settings: object) -> None:
    settings.SCALEDASH_BASE_URL = "http://127.0.0.1:8000"
    assert 'name="email"' in Client().get("/setup").text
    account = {"username": "root", "email": "root@example.org", **NEW}
    assert Client().post("/setup", account).status_code == 302
    assert User.objects.get().email == "root@example.org"


def test_new_people_are_asked_for_no_address_where_none_is_sent(settings: object) -> None:
    settings.SENDS_EMAIL = False
    assert 'name="email"' not in Client().get("/setup").text
