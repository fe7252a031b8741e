"""A real Chromium on the real server; every page a test opens is watched until the test ends.

Models are imported inside the fixtures: pytest may load this file before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.logger import Logger
from tests.browser.watch import Watch

if TYPE_CHECKING:
    from teams.models import Project, User

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE = {"width": 1440, "height": 900}
PATIENCE_MS = 60_000  # of a machine with much else to do

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for the session.

    Playwright keeps an event loop in this thread, which Django would take for async code.
    """
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def ada(live_web: str) -> User:
    """The reader of the pages, admin of what she makes."""
    from teams.models import User

    return User.objects.create_user("ada", password="correct-horse-battery")


@pytest.fixture
def project(ada: User) -> Project:
    from teams.models import Membership, Project, Role

    made = Project.objects.create(slug="tiny", name="Tiny transformers")
    Membership.objects.create(project=made, user=ada, role=Role.ADMIN)
    return made


@pytest.fixture
def logger(live_web: str, ada: User, project: Project) -> Logger:
    """A training job that logs into the project over HTTP."""
    from teams import services
    from teams.models import Scope

    token = services.create_token(ada, "trainer", Scope.ADMIN)[1]
    return Logger(live_web, token, project.slug)


@pytest.fixture
def open_page(browser: Browser, live_web: str, ada: User) -> Iterator[OpenPage]:
    """Open a path as ada; at the end of the test no page may have complained."""
    contexts: list[BrowserContext] = []
    watch = Watch(live_web)

    def open_path(path: str, theme: str = "light", width: int = WIDE["width"]) -> Page:
        context = browser.new_context(
            viewport={**WIDE, "width": width}, color_scheme=theme, base_url=live_web
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        watch.follow(page)
        sign_in(context, ada)
        page.goto(path)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_path
    for context in contexts:
        context.close()
    assert watch.complaints == []


def sign_in(context: BrowserContext, user: User) -> None:
    """Give a browser the cookie of somebody without drawing the page that a link leads to."""
    from teams import services

    link = f"/login/once/{services.create_login_link(user)}"
    assert context.request.get(link).url.endswith("/")
