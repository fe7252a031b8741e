"""The keyboard alone: sections, rows, selection, a study of it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from fitting.models import Study
from tests.browser.logger import Logger


def test_keys_lead_from_the_projects_to_a_study_of_two_runs(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    for uid in ("one", "two", "three"):
        logger.start(uid, name=uid).log([1], train_loss=[1.0])
    page = open_page("/p/tiny/studies")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/p/tiny/runs")
    page.wait_for_selector("html[data-ready]")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    expect(page.locator("[data-selected-count]")).to_have_text("2")
    page.keyboard.press("m")
    page.wait_for_selector("text=2 chosen runs")
    page.fill("[name=name]", "By keyboard")
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/tiny/s/by-keyboard")
    assert Study.objects.get(slug="by-keyboard").study_runs.count() == 2


def test_the_first_tab_stop_skips_to_the_content(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    page = open_page("/p/tiny/runs")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_list_of_keys_opens_and_gives_the_focus_back(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    page = open_page("/p/tiny/runs")
    page.focus("[data-keys-open]")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.keysOpen") == ""


def test_keys_do_nothing_while_somebody_types(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    logger.start("one").log([1], train_loss=[1.0])
    page = open_page("/p/tiny/runs")
    page.keyboard.press("/")
    page.keyboard.type("gs?")
    assert page.input_value("[data-filter]") == "gs?"
    assert page.url.endswith("/p/tiny/runs")


def test_the_selection_survives_a_reload(open_page: Callable[..., Page], logger: Logger) -> None:
    logger.start("one").log([1], train_loss=[1.0])
    page = open_page("/p/tiny/runs")
    page.check("input[value=one]")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("tr[data-key=one]")).to_have_attribute("data-selected", "true")
