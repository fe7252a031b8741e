"""The door: the first administrator, wrong passwords, addresses that sign in once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from teams.models import LoginFailure, User
from teams.services import create_login_link
from tests.browser.watch import Watch

PASSWORD = "correct-horse-battery"
WRONG = "The user name or the password is wrong."


@pytest.fixture
def stranger(browser: Browser, live_web: str) -> Iterator[Page]:
    """A browser that has never been here."""
    context = browser.new_context(base_url=live_web)
    page, watch = context.new_page(), Watch(live_web)
    watch.follow(page)
    yield page
    context.close()
    assert watch.complaints == []


def fill_in(page: Page, name: str, password: str) -> None:
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.click("main button[type=submit]")


def test_a_fresh_server_makes_one_administrator_and_has_no_setup_after(stranger: Page) -> None:
    stranger.goto("/")
    expect(stranger.locator("h1")).to_have_text("Make the first administrator")
    stranger.fill("[name=username]", "grace")
    stranger.fill("[name=new_password]", PASSWORD)
    stranger.fill("[name=repeated]", PASSWORD)
    stranger.click("main button[type=submit]")
    expect(stranger.locator("h1")).to_have_text("Projects")
    assert User.objects.get().is_superuser
    assert stranger.goto("/setup").status == 404


@pytest.mark.usefixtures("ada")
def test_a_wrong_name_and_a_wrong_password_get_the_same_sentence(stranger: Page) -> None:
    stranger.goto("/login")
    for name in ("ada", "nobody"):
        fill_in(stranger, name, "guess")
        expect(stranger.locator("[role=alert], .field-error")).to_have_text(WRONG)
        assert stranger.input_value("[name=username]") == name
        assert stranger.input_value("[name=password]") == ""


@pytest.mark.usefixtures("ada")
def test_who_guesses_on_is_told_when_to_try_again(stranger: Page) -> None:
    failures = [LoginFailure(username="ada", address="127.0.0.1", at=timezone.now())]
    LoginFailure.objects.bulk_create(failures * settings.LOGIN_FAILURES_ALLOWED)
    stranger.goto("/login")
    with stranger.expect_response("**/login") as answer:
        fill_in(stranger, "ada", "guess")
    assert answer.value.status == 429
    assert 0 < int(answer.value.header_value("Retry-After") or 0) <= 15 * 60
    expect(stranger.locator("main [role=alert]")).to_have_text(
        "Too many wrong passwords; try again in 15 min."
    )


def test_a_printed_address_signs_in_once(stranger: Page, ada: User) -> None:
    address = f"/login/once/{create_login_link(ada)}"
    stranger.goto(address)
    expect(stranger.locator("h1")).to_have_text("Projects")
    assert address not in stranger.url
    stranger.context.clear_cookies()
    stranger.goto(address)
    expect(stranger.locator("h1")).to_have_text("Sign in")
    expect(stranger.locator("main")).to_contain_text("make up, typed again in its folder")
