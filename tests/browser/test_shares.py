"""Share links in two browsers: the owner makes and revokes, a stranger only reads."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page

from teams.accounts import create_reset_link
from teams.invitations import create_invitation
from teams.models import Project, Role, User
from teams.sharing import ShareWish, Subject, create_share
from tests.browser.logger import Logger, log_cell, log_sweep
from tests.browser.watch import Watch

STUDY = "#figure-lr_loss"
FIT_VERSION = "Number(document.querySelector('[data-fit-version]').dataset.fitVersion)"
PNG_OF_SHARE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1200, 630)


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/p/tiny/s/lr-sweep", "live"),
        ("/p/tiny/s/lr-sweep", "frozen"),
        ("/p/tiny/r/walk", "live"),
        ("/p/tiny/r/walk", "frozen"),
        ("/p/tiny/explore?m=train/loss&ys=log", "live"),
    ],
)
def test_t05_owner_shares_and_revokes_stranger_reads_and_then_does_not(
    open_page: Callable[..., Page], browser: Browser, logger: Logger, mode: str, path: str
) -> None:
    log_sweep(logger)
    run = logger.start("walk")
    run.log(list(range(50)), train_loss=[5 / (step + 1) ** 0.3 for step in range(50)])
    owner = open_page(path)
    owner.click("text=Share")
    owner.wait_for_selector("#share-title")
    owner.select_option("[name=mode]", mode)
    owner.click("text=Make link")
    address = owner.inner_text("#share-address:has-text('/s/')")
    owner.wait_for_selector("[data-preview][data-state=kept]", state="attached")
    watch = Watch(logger.base_url)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    stranger = context.new_page()
    watch.follow(stranger)
    stranger.goto(address)
    ready = "figure[data-plot='lr_loss']" if "/s/" in path else "figure[data-metric='train/loss']"
    stranger.wait_for_selector(f"[data-share={mode}]")
    stranger.wait_for_selector(f"{ready}:not([data-state=loading])")
    if "/explore" in path:  # a reader changes scales, and begins with those that were shared
        stranger.wait_for_selector(f"{ready}[data-scales='lin log']")
        stranger.click("button[data-set=ys][value=lin]")
        stranger.wait_for_selector(f"{ready}[data-scales='lin lin']")
    picture = stranger.get_attribute("meta[property='og:image']", "content")
    assert context.request.get(picture).body().startswith(PNG_OF_SHARE)
    token = address.rsplit("/s/", 1)[1]
    inward = [
        r.url for r in watch.requests if f"/s/{token}" not in r.url and "/static/" not in r.url
    ]
    assert inward == []
    run.log([50, 51], train_loss=[1.2, 1.1])
    if "/r/" in path:
        points = {"live": 52, "frozen": 50}[mode]
        stranger.wait_for_selector(f"{ready}[data-n='{points}']")
    owner.goto("/p/tiny/settings#shares")
    owner.click("table[data-table=shares] summary")
    owner.click("table[data-table=shares] >> text=Yes, revoke")
    owner.wait_for_selector("text=is revoked")
    assert stranger.goto(address).status == 404
    context.close()
    assert watch.complaints == []


PBKDF2 = "django.contrib.auth.hashers.PBKDF2PasswordHasher"
NEW_PASSWORD = "staple-tape-42"


def test_forms_at_secret_addresses_reach_the_server(
    browser: Browser, live_web: str, logger: Logger, settings: object
) -> None:
    """A browser names no origin under no-referrer, and then no form passes the CSRF check."""
    settings.PASSWORD_HASHERS = [PBKDF2]  # that of the server; tests hash cheaper
    log_sweep(logger)
    project = Project.objects.get(slug="tiny")
    owner = project.memberships.get(role=Role.ADMIN).user
    subject = Subject({"study": project.studies.get().pk}, "Sweep")
    wish = ShareWish("study", subject, password="open-sesame-9")
    locked = create_share(project, owner, wish)[1]
    ends = timezone.now() + timedelta(days=1)
    invitation = create_invitation(project, owner, Role.VIEWER, ends)[1]
    page = browser.new_context(base_url=live_web).new_page()
    page.goto(f"/s/{locked}/")
    page.fill("#password", "wrong")
    page.click("text=Open")
    page.wait_for_selector("text=This is not the password")
    page.fill("#password", "open-sesame-9")
    page.click("text=Open")
    page.wait_for_selector("[data-share=live]")
    page.goto(f"/invitation/{invitation}")
    page.fill("#id_username", "grace")
    page.fill("#id_new_password", NEW_PASSWORD)
    page.fill("#id_repeated", NEW_PASSWORD)
    page.click("main button.primary >> nth=0")
    page.wait_for_url("**/p/tiny/runs")
    page.goto(f"/reset/{create_reset_link(User.objects.get(username='grace'))}")
    page.fill("#id_new_password", NEW_PASSWORD)
    page.fill("#id_repeated", NEW_PASSWORD)
    page.click("main button.primary")
    page.wait_for_url("**/login")
    page.context.close()


@pytest.mark.slow
@pytest.mark.usefixtures("live_sweeper", "live_worker")
def test_t05_a_live_study_follows_its_data_a_frozen_one_does_not_and_both_end(
    open_page: Callable[..., Page], browser: Browser, logger: Logger
) -> None:
    total = log_sweep(logger)
    owner = open_page("/p/tiny/s/lr-sweep")
    owner.wait_for_selector("[data-fit-version]")
    strangers: dict[str, Page] = {}
    for mode in ("live", "frozen"):
        owner.goto("/p/tiny/shares/new?kind=study&id=lr-sweep")
        owner.select_option("[name=mode]", mode)
        owner.click("text=Make link")
        stranger = strangers[mode] = browser.new_context().new_page()
        stranger.goto(owner.inner_text("#share-address:has-text('/s/')"))
        stranger.wait_for_selector(f"{STUDY}[data-state=ready][data-drawn='{total}']")
    versions = {mode: read_version(page) for mode, page in strangers.items()}
    log_cell(logger, 10_000, 5e-3, True, "lr-sweep")
    live, frozen = strangers["live"], strangers["frozen"]
    live.wait_for_selector(f"{STUDY}[data-drawn='{total + 1}']")
    live.wait_for_function(f"version => {FIT_VERSION} > version", arg=versions["live"])
    frozen.reload()
    frozen.wait_for_selector(f"{STUDY}[data-state=ready][data-drawn='{total}']")
    assert read_version(frozen) == versions["frozen"]
    owner.goto("/p/tiny/settings#shares")
    for mode, page in strangers.items():
        row = owner.locator("table[data-table=shares] tr", has_text=mode)
        row.locator("summary").click()
        row.locator("text=Yes, revoke").click()
        owner.wait_for_selector("text=is revoked")
        assert page.reload().status == 404
        page.context.close()


def read_version(page: Page) -> int:
    """Return which version of the fit a page shows."""
    return int(page.get_attribute("[data-fit-version]", "data-fit-version"))
