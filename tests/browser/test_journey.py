"""The first half hour of a newcomer: from one command to a link that somebody else opened."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.watch import Watch
from tests.platform.installation import Installation, find_link
from tests.ports import find_free_port
from tests.test_light_client import bare_python, wheel

__all__ = ["bare_python", "wheel"]  # fixtures: the client in an empty virtual environment
pytestmark = pytest.mark.slow
PATIENCE_MS = 240_000  # the fits of the demo come first
UP_SECONDS = 600  # with 347 demo runs, on a machine that is busy
FIGURE = "#figure-lr_loss"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A home and a port of this test's own, with the demo study."""
    made = Installation(
        tmp_path / "home",
        find_free_port(),
        environment={"DEMO": "1"},
        command_seconds=UP_SECONDS,
    )
    yield made
    made.down()


def run_snippet(page: Page, key: str, python: Path, folder: Path) -> None:
    """Run the exact text of a snippet in the empty environment, as its reader would."""
    path = folder / f"{key}.py"
    path.write_text(page.locator(f"[data-snippet={key}]").text_content())
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "SCALEDASH_HOME": str(folder / "spool")}
    subprocess.run([python, str(path)], cwd=folder, env=env, check=True, timeout=180)


def test_from_one_command_to_a_shared_study(
    browser: Browser, installation: Installation, bare_python: Path, tmp_path: Path
) -> None:
    link, watch = find_link(installation.up()), Watch(installation.url)
    owner = browser.new_context(base_url=installation.url, viewport={"width": 1440, "height": 900})
    owner.set_default_timeout(PATIENCE_MS)
    page = owner.new_page()
    watch.follow(page)
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Sign in")
    page.goto(link)
    expect(page.locator("h1")).to_have_text("Projects")
    look_at_the_demo(page)
    log_a_first_run(page, bare_python, tmp_path)
    make_a_study(page, bare_python, tmp_path)
    address = share(page)
    stranger = browser.new_context().new_page()
    watch.follow(stranger)
    stranger.goto(address)
    stranger.wait_for_selector(f"{FIGURE}[data-state=ready]")
    expect(stranger.locator("h1")).to_have_text("My first sweep")
    page.goto("/p/first-steps/settings#shares")
    page.click("table[data-table=shares] summary")
    page.click("table[data-table=shares] >> text=Yes, revoke")
    page.wait_for_selector("text=is revoked")
    assert stranger.goto(address).status == 404
    assert watch.complaints == []
    for context in (stranger.context, owner):
        context.close()


def look_at_the_demo(page: Page) -> None:
    """The first page leads to a study with something to see, and the text says what."""
    page.click("#first-steps a:has-text('Learning rate x size')")
    page.wait_for_selector(f"{FIGURE}:not([data-state=loading])")
    expect(page.locator("[data-about]")).to_contain_text("What to look at")
    page.click(".brand")


def log_a_first_run(page: Page, python: Path, folder: Path) -> None:
    """The first page leads to the quickstart, and that to the first run."""
    page.click("#first-steps a:has-text('quickstart')")
    page.click("text=Create token")
    page.wait_for_selector("text=It is shown this once")
    page.wait_for_selector("html[data-ready]")
    run_snippet(page, "client", python, folder)
    page.wait_for_selector("[data-arrival][data-state=arrived]")
    run_snippet(page, "sweep", python, folder)
    page.wait_for_selector("[data-arrival-link]:visible")
    page.click("[data-arrival-link]")
    page.wait_for_selector("figure[data-metric='train/loss'][data-state=ready]")


def make_a_study(page: Page, python: Path, folder: Path) -> None:
    """The runs of the sweep, chosen in the table, become a study whose optima are fitted."""
    page.goto("/p/first-steps/runs")
    page.wait_for_selector("html[data-ready]")
    page.fill("[data-filter]", "n_params <= 1e6")
    page.press("[data-filter]", "Enter")
    expect(page.locator("[data-table=runs] tbody tr")).to_have_count(15)
    page.check("[data-select-all]")
    page.click("[data-make-study]")
    page.fill("[name=name]", "My first sweep")
    page.click("text=Create study")
    page.wait_for_selector("[data-kpi=best_lr] .value:has-text('0.0')")
    page.wait_for_selector(f"{FIGURE}[data-state=ready][data-drawn='15']")
    exponent = page.inner_text("[data-kpi=exponent] .value")
    assert float(exponent.replace("\N{MINUS SIGN}", "-")) == pytest.approx(-0.3, abs=0.1)


def share(page: Page) -> str:
    page.click("text=Share")
    page.click("text=Make link")
    page.wait_for_selector("[data-preview][data-state=kept]", state="attached")
    address = page.inner_text("#share-address:has-text('/s/')")
    assert re.fullmatch(r"http://\S+/s/\S+/", address)
    page.click("text=Back to My first sweep")
    page.wait_for_selector(FIGURE)
    return address
