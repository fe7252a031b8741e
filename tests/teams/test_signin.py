"""Signing in and out: the form, its limiter, the one-time link, the first administrator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone

from teams import services
from teams.models import LoginFailure, LoginLink, User
from tests.teams.factories import PASSWORD, make_user, sign_in, wait_until_blocked

pytestmark = pytest.mark.django_db

WRONG = "The user name or the password is wrong."


def try_login(client: Client, username: str, password: str, **extra: object) -> object:
    return client.post("/login", {"username": username, "password": password}, **extra)


def is_signed_in(client: Client) -> bool:
    return get_user(client).is_authenticated


def test_right_password_signs_in() -> None:
    make_user("ann")
    client = Client()
    answer = try_login(client, "ann", PASSWORD)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_signed_in(client)


@pytest.mark.parametrize(
    ("username", "password"),
    [("ann", "wrong-password"), ("nobody", PASSWORD), ("gone", PASSWORD), ("ANN", PASSWORD)],
)
def test_wrong_name_wrong_password_and_disabled_user_get_one_sentence(
    username: str, password: str
) -> None:
    make_user("ann")
    make_user("gone", is_active=False)
    client = Client()
    answer = try_login(client, username, password)
    assert answer.status_code == 422
    assert answer.context["form"].non_field_errors() == [WRONG]
    assert username in answer.content.decode()
    assert password not in answer.content.decode()
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "https:evil.example",
        "\x08//evil.example",
        "http://testserver/p/demo/runs",
    ],
)
def test_t24_foreign_next_leads_to_the_first_page(target: str) -> None:
    make_user("ann")
    form = {"username": "ann", "password": PASSWORD, "next": target}
    assert Client().post("/login", form)["Location"] == "/"


def test_own_next_is_followed() -> None:
    make_user("ann")
    client = Client()
    shown = client.get("/settings/tokens?own=1", follow=True)
    assert shown.context["next"] == "/settings/tokens?own=1"
    form = {"username": "ann", "password": PASSWORD, "next": shown.context["next"]}
    assert client.post("/login", form)["Location"] == "/settings/tokens?own=1"


def test_t24_signed_in_reader_is_not_sent_away_either() -> None:
    assert sign_in(make_user()).get("/login?next=//evil.example")["Location"] == "/"


def test_t21_login_needs_its_csrf_token() -> None:
    make_user("ann")
    answer = try_login(Client(enforce_csrf_checks=True), "ann", PASSWORD)
    assert answer.status_code == 403


@pytest.mark.parametrize("username", ["", "a\x00b", "x" * 151, "ann\n"])
def test_odd_names_never_break_the_form(username: str) -> None:
    make_user("ann")
    assert try_login(Client(), username, "wrong").status_code == 422


def fail_often(client: Client, username: str = "ann", times: int = 5, **extra: object) -> None:
    for _ in range(times):
        assert try_login(client, username, "wrong-password", **extra).status_code == 422


def test_t19_sixth_wrong_password_is_429_and_says_when() -> None:
    make_user("ann")
    client = Client()
    fail_often(client)
    answer = try_login(client, "ann", PASSWORD)
    assert answer.status_code == 429
    assert 14 * 60 < int(answer["Retry-After"]) <= 15 * 60
    assert b"15 min" in answer.content
    assert not is_signed_in(client)


def test_t19_unknown_names_are_limited_alike() -> None:
    make_user("ann")
    client = Client()
    fail_often(client, "nobody")
    assert try_login(client, "nobody", PASSWORD).status_code == 429


@pytest.mark.parametrize("name", ["ANN", " ann ", "\uff41nn"])
def test_t19_spelling_does_not_open_a_new_count(name: str) -> None:
    make_user("ann")
    client = Client()
    fail_often(client)
    assert try_login(client, name, PASSWORD).status_code == 429


def test_t19_other_address_and_other_name_are_counted_apart() -> None:
    make_user("ann")
    make_user("bob")
    client = Client()
    fail_often(client)
    assert try_login(client, "bob", PASSWORD).status_code == 302
    assert try_login(Client(), "ann", PASSWORD, REMOTE_ADDR="192.0.2.1").status_code == 302


def test_t19_claimed_forwarding_does_not_change_the_address() -> None:
    make_user("ann")
    client = Client()
    fail_often(client)
    answer = try_login(client, "ann", PASSWORD, headers={"X-Forwarded-For": "192.0.2.1"})
    assert answer.status_code == 429


def test_t19_own_proxy_names_the_address(settings: object) -> None:
    settings.TRUSTED_PROXIES = 1
    make_user("ann")
    client = Client()
    fail_often(client, headers={"X-Forwarded-For": "192.0.2.1"})
    answer = try_login(client, "ann", PASSWORD, headers={"X-Forwarded-For": "192.0.2.2"})
    assert answer.status_code == 302


def test_failures_older_than_the_window_are_forgotten() -> None:
    make_user("ann")
    client = Client()
    fail_often(client)
    LoginFailure.objects.update(at=timezone.now() - timedelta(minutes=15, seconds=1))
    assert try_login(client, "ann", PASSWORD).status_code == 302
    assert LoginFailure.objects.count() == 0


def test_refused_tries_do_not_prolong_the_wait() -> None:
    make_user("ann")
    client = Client()
    fail_often(client)
    try_login(client, "ann", PASSWORD)
    assert LoginFailure.objects.count() == 5


def test_success_forgives_earlier_failures() -> None:
    make_user("ann")
    client = Client()
    fail_often(client, times=4)
    assert try_login(client, "ann", PASSWORD).status_code == 302
    assert LoginFailure.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_t19_parallel_guesses_share_one_count() -> None:
    make_user("ann")

    def guess(number: int) -> int:
        try:
            return try_login(Client(), "ann", f"wrong-password-{number}").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(guess, range(16)))
    assert statuses.count(422) <= 5
    assert set(statuses) <= {422, 429}


def test_link_signs_in_once_and_leaves_its_address() -> None:
    secret = services.create_login_link(make_user("ann"))
    client = Client()
    answer = client.get(f"/login/once/{secret}")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert is_signed_in(client)


def test_used_link_leads_to_the_form_and_signs_nobody_in() -> None:
    secret = services.create_login_link(make_user("ann"))
    Client().get(f"/login/once/{secret}")
    client = Client()
    assert client.get(f"/login/once/{secret}")["Location"] == "/login"
    assert not is_signed_in(client)


def test_expired_link_leads_to_the_form() -> None:
    secret = services.create_login_link(make_user("ann"))
    LoginLink.objects.update(expires_at=timezone.now())
    assert Client().get(f"/login/once/{secret}")["Location"] == "/login"


def test_link_of_a_disabled_user_leads_to_the_form() -> None:
    user = make_user("ann")
    secret = services.create_login_link(user)
    User.objects.update(is_active=False)
    assert Client().get(f"/login/once/{secret}")["Location"] == "/login"


def test_unknown_link_leads_to_the_form() -> None:
    make_user("ann")
    assert Client().get("/login/once/nonsense")["Location"] == "/login"


@pytest.mark.parametrize("method", ["head", "post", "options"])
def test_only_get_uses_up_a_link(method: str) -> None:
    secret = services.create_login_link(make_user("ann"))
    assert getattr(Client(), method)(f"/login/once/{secret}").status_code == 405
    assert LoginLink.objects.get().used_at is None


def test_only_the_hash_of_a_link_is_stored() -> None:
    secret = services.create_login_link(make_user("ann"))
    assert secret not in str(LoginLink.objects.values().get())


def test_link_lives_fifteen_minutes() -> None:
    services.create_login_link(make_user("ann"))
    link = LoginLink.objects.get()
    assert link.expires_at - link.created_at == pytest.approx(
        timedelta(minutes=15), abs=timedelta(seconds=5)
    )


def test_no_link_is_issued_beyond_loopback(settings: object) -> None:
    settings.SCALEDASH_BIND = "0.0.0.0"
    with pytest.raises(services.Refused, match=r"0\.0\.0\.0"):
        services.create_login_link(make_user("ann"))
    assert LoginLink.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_link_used_twice_at_the_same_moment_signs_in_once() -> None:
    secret = services.create_login_link(make_user("ann"))

    def use() -> bool:
        try:
            return services.use_login_link(secret) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert services.use_login_link(secret) is not None
            second = pool.submit(use)
            wait_until_blocked()
        assert second.result() is False


SETUP = {"username": "root", "new_password": PASSWORD, "repeated": PASSWORD}


def test_empty_database_leads_to_setup() -> None:
    assert Client().get("/login")["Location"] == "/setup"


def test_setup_makes_an_administrator_and_signs_in() -> None:
    client = Client()
    assert client.get("/setup").status_code == 200
    assert client.post("/setup", SETUP)["Location"] == "/"
    assert User.objects.get().is_superuser
    assert is_signed_in(client)


@pytest.mark.parametrize("method", ["get", "post"])
def test_setup_is_404_once_there_is_a_user(method: str) -> None:
    make_user(is_active=False)
    assert getattr(Client(), method)("/setup", SETUP).status_code == 404
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"new_password": "short", "repeated": "short"}, "new_password"),
        ({"new_password": "passwordpassword", "repeated": "different-password"}, "repeated"),
        (
            {
                "username": "horse-battery",
                "new_password": "horse-battery",
                "repeated": "horse-battery",
            },
            "new_password",
        ),
        ({"username": "a/b"}, "username"),
        ({"username": ""}, "username"),
    ],
)
def test_setup_refuses_beside_the_field(change: dict[str, str], field: str) -> None:
    answer = Client().post("/setup", {**SETUP, **change})
    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert User.objects.count() == 0


def test_setup_on_loopback_asks_for_no_code() -> None:
    assert "code" not in Client().get("/setup").context["form"].fields


@pytest.mark.parametrize("code", ["", "0" * 20])
def test_setup_beyond_loopback_needs_the_code(settings: object, code: str) -> None:
    settings.SCALEDASH_BIND = "0.0.0.0"
    answer = Client().post("/setup", {**SETUP, "code": code})
    assert answer.context["form"].errors["code"]
    assert User.objects.count() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("SCALEDASH_BASE_URL", "https://runs.example.org"), ("TRUSTED_PROXIES", 1)],
)
def test_setup_behind_a_proxy_on_this_machine_needs_the_code(
    settings: object, name: str, value: object
) -> None:
    setattr(settings, name, value)
    assert Client().post("/setup", SETUP).context["form"].errors["code"]
    assert User.objects.count() == 0


def test_setup_beyond_loopback_accepts_the_code(settings: object) -> None:
    settings.SCALEDASH_BIND = "0.0.0.0"
    form = {**SETUP, "code": services.compute_setup_code()}
    assert Client().post("/setup", form).status_code == 302


def test_setup_code_belongs_to_the_secret_key(settings: object) -> None:
    before = services.compute_setup_code()
    settings.SECRET_KEY = "another" * 10
    assert services.compute_setup_code() != before


@pytest.mark.django_db(transaction=True)
def test_two_setups_at_the_same_moment_make_one_administrator() -> None:
    def create(name: str) -> bool:
        try:
            return services.create_first_admin(name, PASSWORD) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(create, ["a", "b", "c", "d"]))
    assert made.count(True) == 1
    assert User.objects.count() == 1


def test_command_prints_the_code_only_while_there_is_no_user() -> None:
    out = StringIO()
    call_command("setup_code", stdout=out)
    assert out.getvalue().strip() == services.compute_setup_code()
    make_user()
    out = StringIO()
    call_command("setup_code", stdout=out)
    assert services.compute_setup_code() not in out.getvalue()
