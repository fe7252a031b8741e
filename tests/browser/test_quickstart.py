"""The first minutes: what the page says to type is what works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, expect

from runs.models import Run
from teams.models import ApiToken, Project
from tests.browser.logger import Logger

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"python": [sys.executable], "bash": ["bash"]}
WAITING = "[data-arrival][data-state=waiting]"
ARRIVED = "[data-arrival][data-state=arrived]"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def run_snippet(page: Page, key: str, folder: Path) -> None:
    """Run the exact text of a snippet as its reader would, with nothing else configured."""
    code = page.locator(f"[data-snippet={key}]")
    path = folder / "snippet"
    path.write_text(code.text_content())
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "SCALEDASH_HOME": str(folder),
    }
    command = [*PROGRAMS[code.get_attribute("data-program")], str(path)]
    subprocess.run(command, cwd=folder, env=env, check=True, timeout=180)


@pytest.mark.parametrize(
    "key", ["client", "http", "curl", pytest.param("sweep", marks=pytest.mark.slow)]
)
def test_each_snippet_as_it_stands_turns_the_page_green(
    open_page: Callable[..., Page], project: Project, tmp_path: Path, key: str
) -> None:
    page = open_page("/docs/quickstart")
    page.wait_for_selector(WAITING)
    page.click("text=Create token")
    page.wait_for_selector("text=It is shown this once")
    page.wait_for_selector("html[data-ready]")
    run_snippet(page, key, tmp_path)
    page.wait_for_selector(ARRIVED)
    run = Run.objects.filter(project=project).latest("received_at")
    assert run.summary["train/loss"]["count"] >= 2
    page.click("[data-arrival-link]")
    page.wait_for_url("**/p/tiny/r/*")


def test_a_project_that_is_typed_is_made_by_the_first_run(
    open_page: Callable[..., Page], project: Project, tmp_path: Path
) -> None:
    page = open_page("/docs/quickstart")
    page.fill("[name=project]", "brand-new")
    page.click("text=Create token")
    page.wait_for_selector("text=It is shown this once")
    page.wait_for_selector("html[data-ready]")
    run_snippet(page, "http", tmp_path)
    page.wait_for_selector(f"{ARRIVED} >> text=in brand-new")
    assert Run.objects.get().project.slug == "brand-new"


def test_a_token_that_is_pasted_stands_in_every_snippet_and_is_sent_nowhere(
    open_page: Callable[..., Page], project: Project
) -> None:
    page = open_page("/docs/quickstart")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url + (request.post_data or "")))
    page.fill("[data-snippet-token]", "sd_mine")
    page.fill("[name=project]", "other")
    texts = page.locator("[data-snippet]").all_text_contents()
    assert all("sd_mine" in text and '"other"' in text for text in texts)
    assert not any("YOUR_TOKEN" in text or "tiny" in text for text in texts)
    with page.expect_response("**/quickstart.json*"):
        pass
    assert not any("sd_mine" in text for text in sent)


def test_the_secret_is_on_one_answer_only(open_page: Callable[..., Page], project: Project) -> None:
    page = open_page("/docs/quickstart")
    page.click("text=Create token")
    page.wait_for_selector("text=It is shown this once")
    page.goto("/docs/quickstart")
    assert "YOUR_TOKEN" in page.inner_text("[data-snippet=curl]")
    assert ApiToken.objects.filter(name__startswith="quickstart", scope="write").count() == 1


def test_the_copy_button_copies_the_whole_snippet(
    open_page: Callable[..., Page], project: Project
) -> None:
    page = open_page("/docs/quickstart")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("[data-snippet=curl] >> xpath=../../button")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == page.locator("[data-snippet=curl]").text_content().strip()


def test_the_last_refusal_is_told_until_a_run_arrives(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    page = open_page("/docs/quickstart")
    page.wait_for_selector(WAITING)
    with pytest.raises(HTTPError, match="422"):
        logger.start("first", scale={"n_params": "many"})
    notice = page.locator("[data-refusal]")
    expect(notice).to_contain_text("The last request of token trainer was refused: invalid.")
    expect(notice).to_contain_text("n_params: 'many' is not a number")
    logger.start("first").log([1], train_loss=[2.0])
    page.wait_for_selector(ARRIVED)
    expect(notice).to_be_hidden()


def test_runs_of_before_or_of_others_do_not_turn_it_green(
    open_page: Callable[..., Page], project: Project
) -> None:
    Run.objects.create(project=project, uid="elsewhere")
    page = open_page("/docs/quickstart")
    with page.expect_response("**/quickstart.json*"):
        pass
    expect(page.locator(WAITING)).to_have_count(1)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_a_telephone(
    open_page: Callable[..., Page], project: Project, theme: str
) -> None:
    page = open_page("/docs/quickstart", theme, 360)
    assert page.evaluate(OVERFLOW) <= 0
