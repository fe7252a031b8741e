"""The keyboard alone: sections, rows, selection, a study of it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from fitting.models import Study
from teams.models import Project
from tests.browser.logger import Logger, log_cell

MOST_STOPS = 150
# The focused element and whether it shows: an outline or a shadow around it or its frame.
STOP = """() => {
  const element = document.activeElement;
  if (element === document.body || element === document.documentElement) return null;
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
  const isOutlined = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  const isRinged = isOutlined || boxShadow !== "none";
  return [element.outerHTML.slice(0, 100), isRinged && element.checkVisibility()];
}"""


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


def test_the_keyboard_alone_leads_from_the_projects_to_a_shared_study(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_cell(logger, 10_000, 1e-2, True, "lr-sweep")
    page = open_page("/")
    tab_to(page, "a[href='/p/tiny/s/lr-sweep']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/tiny/s/lr-sweep")
    page.wait_for_selector("html[data-ready]")
    tab_to(page, "a[href*='/shares/new']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#share-title")
    tab_to(page, "main button[type=submit]")
    page.keyboard.press("Enter")
    address = page.locator("#share-address")
    expect(address).to_be_visible()
    page.goto(address.inner_text())
    page.wait_for_selector("[data-share]")
    expect(page.locator("h1")).to_have_text("lr-sweep")


def test_every_stop_of_a_page_is_seen_and_none_holds_the_focus(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_cell(logger, 10_000, 1e-2, True, "lr-sweep")
    page = open_page("/p/tiny/s/lr-sweep")
    seen = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(STOP)
        if stop is None:
            break
        seen.append(stop)
    assert stop is None, "the focus never leaves the page"
    assert len(seen) > 20
    assert [name for name, is_ringed in seen if not is_ringed] == []


def test_a_menu_opens_by_key_and_escape_gives_the_focus_back(
    open_page: Callable[..., Page], project: Project
) -> None:
    page = open_page("/p/tiny/runs")
    page.focus("header details.menu summary")
    page.keyboard.press("Enter")
    expect(page.locator("header .menu-body")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.locator("header .menu-body")).to_be_hidden()
    assert page.evaluate("document.activeElement.matches('details.menu > summary')")


def test_the_list_of_keys_holds_the_focus_while_it_is_open(
    open_page: Callable[..., Page], project: Project
) -> None:
    page = open_page("/p/tiny/runs")
    page.focus("[data-keys-open]")
    page.keyboard.press("Enter")
    inside = (
        "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
    )
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(inside)
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.keysOpen") == ""


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is on the first element of this kind."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"the Tab key does not reach {selector}")
