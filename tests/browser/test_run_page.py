"""A run's page beside its curves: config diff, notes; and the page that compares runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.logger import Logger

OpenPage = Callable[..., Page]


@pytest.fixture
def pair(logger: Logger) -> None:
    """Log two runs that differ in one key of three."""
    for uid, lr in (("a", 0.1), ("b", 0.3)):
        config = {"optim": {"lr": lr, "name": "adamw"}, "layers": 4}
        run = logger.start(uid, name=f"run-{uid}", config=config)
        run.log([1, 2], loss_train=[3.0, 2.0 + lr], lr=[lr, lr])


@pytest.mark.usefixtures("pair")
def test_the_config_is_compared_with_another_run_and_the_choice_is_in_the_address(
    open_page: OpenPage,
) -> None:
    page = open_page("/p/tiny/r/a?ys=log")
    page.fill("[data-base-form] input", "run-b")
    page.press("[data-base-form] input", "Enter")
    expect(page.locator("[data-table=config-diff] tbody tr")).to_have_count(1)
    expect(page.locator("[data-table=config-diff] tbody tr")).to_have_text("optim.lr0.10.3")
    assert page.url.endswith("?ys=log&base=run-b")
    page.click("text=2 equal")
    expect(page.locator(".equal-keys tr[data-key=layers]")).to_be_visible()


@pytest.mark.usefixtures("pair")
def test_charts_stand_below_the_first_part_of_their_names(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/r/a")
    names = page.locator(".chart-group > summary")
    expect(names).to_have_count(2)
    expect(names.nth(0)).to_have_text("loss 1")
    expect(names.nth(1)).to_have_text("metrics 1")


@pytest.mark.usefixtures("pair")
def test_notes_are_written_in_place(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/r/a")
    page.click(".notes-editor summary")
    page.fill("textarea[name=notes]", "Diverged at **step 3**, see `lr`.")
    page.click("text=Save notes")
    expect(page.locator("#notes strong")).to_have_text("step 3")
    expect(page.locator("#notes code")).to_have_text("lr")


@pytest.mark.usefixtures("pair")
def test_two_clicks_and_a_key_compare_two_runs(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    page.check("input[value=a]")
    expect(page.locator("[data-compare]")).to_be_disabled()
    page.check("input[value=b]")
    page.press("body", "c")
    page.wait_for_url("**/p/tiny/compare?sel=a%2Cb")
    row = page.locator("[data-table=compare-config] tr.differs")
    expect(row).to_have_text("optim.lr0.10.3")
    expect(page.locator("[data-table=compare-loss] tbody tr")).to_have_count(1)
    page.click("text=Curves of these runs")
    page.wait_for_url("**/p/tiny/explore?sel=a%2Cb")
    page.wait_for_selector("figure[data-metric='loss/train'][data-state=ready]")
