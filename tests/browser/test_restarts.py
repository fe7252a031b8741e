"""A server that is stopped and started again under an open page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from scaledash import programs
from scaledash.processes import Child
from teams.models import User
from teams.services import create_login_link
from tests.browser.conftest import PATIENCE_MS
from tests.browser.logger import Logger, log_sweep
from tests.browser.watch import Watch
from tests.conftest import _is_serving, run_until_ready
from tests.fitting.factories import settle
from tests.ports import find_free_port

CHART = "figure[data-metric='train/loss']"
FIGURE = "#figure-lr_loss"
MOST_ERRORS = 12  # of refused requests while the server is away for a dozen seconds
Start = Callable[[], AbstractContextManager[Child]]


@pytest.fixture
def address(_web: str) -> str:
    """Where the server of this test listens, each time that it starts."""
    return f"http://127.0.0.1:{find_free_port()}"


@pytest.fixture
def start(
    address: str, live_web: str, process_environment: dict[str, str], tmp_path: Path
) -> Start:
    """Start a web process of this test's own, on the same database as the session's."""
    port = int(address.rsplit(":", 1)[1])
    environment = {**process_environment, "SCALEDASH_BASE_URL": address}
    command = replace(programs.web(environment, tmp_path, "127.0.0.1", port))
    return lambda: run_until_ready(command, lambda: _is_serving(port))


@pytest.fixture
def page(browser: Browser, address: str, ada: User) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    context.set_default_timeout(PATIENCE_MS)
    page, watch = context.new_page(), Watch(address)
    watch.follow(page)
    yield page
    context.close()
    assert watch.complaints == []


@pytest.mark.slow
def test_open_pages_survive_a_restart_and_keep_their_zoom(
    page: Page, start: Start, ada: User, logger: Logger
) -> None:
    log_sweep(logger)
    settle()
    run = logger.start("long")
    run.log(list(range(100)), train_loss=[5 / (step + 1) ** 0.3 for step in range(100)])
    errors: list[str] = []
    with start():
        page.goto(f"/login/once/{create_login_link(ada)}")
        study = page.context.new_page()
        study.on("console", lambda message: errors.append(message.text))
        page.on("console", lambda message: errors.append(message.text))
        study.goto("/p/tiny/s/lr-sweep")
        study.wait_for_selector(f"{FIGURE}[data-state=ready]")
        page.goto("/p/tiny/r/long?xr=20,200")
        page.wait_for_selector(f"{CHART}[data-n='80'][data-window='20,200']")
    for shown in (page, study):
        shown.wait_for_selector("[data-live-pill].reconnecting")
    run.log([100, 101], train_loss=[1.2, 1.1])
    page.wait_for_timeout(5000)
    assert page.locator(f"{CHART} canvas").count() == 1
    assert study.locator(f"{FIGURE}[data-state=ready] .js-plotly-plot").is_visible()
    assert 0 < len(errors) <= MOST_ERRORS, errors
    with start():
        page.wait_for_selector(f"{CHART}[data-state=ready][data-n='82'][data-window='20,200']")
        for shown in (page, study):
            shown.wait_for_selector("[data-live-pill].live")
        study.wait_for_selector(f"{FIGURE}[data-state=ready]")
