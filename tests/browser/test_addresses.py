"""What an address holds that makes no sense: the default is shown, and the page says so."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.logger import Logger, log_cell

RUN = "r/n10000-lr0p01-on"
ODD = {
    "runs?s=wrong&p=x&state=odd&by=nonsense&cols=name,nothing&arch=9": 6,
    f"{RUN}?x=colour&xs=cube&ys=cube&xr=2,1": 4,
    "s/lr-sweep?tab=nowhere&ys=cube": 2,
    "explore?xs=cube&sm=7&agg=median2&xr=a,b": 4,
}
SAID = "main .notice:has-text('was not understood'), main .hint:has-text('was not understood')"


def test_values_that_make_no_sense_are_named_and_the_default_shown(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_cell(logger, 10_000, 1e-2, True, "lr-sweep")
    page = open_page("/")
    for path, n_notes in ODD.items():
        assert page.goto(f"/p/tiny/{path}").status == 200, path
        page.wait_for_selector("html[data-ready]")
        expect(page.locator(SAID), path).to_have_count(n_notes)
        expect(page.locator("[data-key=n10000-lr0p01-on], figure").first, path).to_be_visible()
        twin = path.replace("?", ".json?", 1)
        assert page.request.get(f"/p/tiny/{twin}").status == 200, twin
    page.goto("/p/tiny/runs?s=wrong")
    page.wait_for_selector("html[data-ready]")
    page.click("th a:has-text('Loss')")
    expect(page.locator(SAID)).to_have_count(0)
