"""Every page, in both themes and two widths: nothing in the console, nothing off origin."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from teams.models import Project, User
from teams.services import create_login_link
from tests.browser.every_page import log_everything, walk
from tests.browser.logger import LOSS_AT_INIT, Logger, log_cell, log_sweep
from tests.fitting.factories import settle
from tests.permissions.table import TABLE

# Routes below which a browser shows something, and why no page of them is opened here.
NO_PAGE = {
    "setup": "answers 404 as soon as there is an administrator",
    "login-once": "signs in and leads on",
    "study-file": "is a download; test_hostile_names opens it",
    "share-part": "answers data",
    "api-docs": "is drf-spectacular's page",
    "api-schema": "is a document",
    "healthz": "is for machines",
    "readyz": "is for machines",
}
WIDTHS = (360, 2560)
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
NAMELESS = """() => [...document.querySelectorAll(
    "button, a[href], input, select, textarea, summary")]
  .filter((element) => element.type !== "hidden" && element.checkVisibility())
  .filter((element) => !(element.getAttribute("aria-label") || element.title
    || element.textContent.trim() || element.labels?.length))
  .map((element) => element.outerHTML.slice(0, 80))"""


def list_page_routes() -> set[str]:
    """Return the routes that show a page; a new one has to join those that are opened."""
    shown = {name for name, calls in TABLE.items() if "GET" in calls} - set(NO_PAGE)
    machines, documents = (
        ("api-", "mlflow-"),
        ("-json", "-figure", "-curves", "-count", "-revision"),
    )
    return {n for n in shown if not n.startswith(machines) and not n.endswith(documents)}


def fit_all() -> None:
    """Do the work that a worker would do, also what a diagnosis leads to."""
    settle(limit=500)


def test_every_page_is_quiet_named_and_fits_a_telephone_and_a_wall(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    page, paths = open_page("/", "dark"), log_everything(logger)
    assert list_page_routes() - set(paths) == set()
    for name in walk(page, paths):
        assert page.evaluate(NAMELESS) == [], name
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(OVERFLOW) <= 0, f"{name} at {width} px"
        page.set_viewport_size({"width": 1440, "height": 900})


def test_an_empty_project_shows_what_to_type(
    open_page: Callable[..., Page], project: Project
) -> None:
    page = open_page("/p/tiny/runs")
    snippet = page.inner_text(".snippet")
    assert "scaledash.init(" in snippet
    assert 'project="tiny"' in snippet


def test_without_scripts_a_page_reads_and_offers_nothing_dead(
    browser: Browser, logger: Logger, ada: User
) -> None:
    log_sweep(logger)
    fit_all()
    context = browser.new_context(java_script_enabled=False, base_url=logger.base_url)
    page = context.new_page()
    page.goto(f"/login/once/{create_login_link(ada)}")
    page.goto("/p/tiny/s/lr-sweep")
    expect(page.locator("main > noscript .notice")).to_contain_text("Scripts are off")
    expect(page.locator("[data-table=optima] [data-field=lr_optimum]").first).to_be_visible()
    for dead in ("text=Loading the plot", "[data-theme-switch]", "[data-export=png]"):
        assert page.locator(dead).count() > 0
        expect(page.locator(f"{dead} >> visible=true")).to_have_count(0)
    page.goto("/p/tiny/runs")
    ages = page.locator("time[data-age]").all_inner_texts()
    assert ages
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", age) for age in ages)
    assert "ago" not in page.inner_text("main tbody")
    context.close()


def test_the_theme_is_kept_and_recolours_without_a_fetch(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_sweep(logger)
    fit_all()
    page = open_page("/p/tiny/s/lr-sweep")
    page.wait_for_selector("#figure-lr_loss[data-state=ready]")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    line = "document.querySelector('#figure-lr_loss .js-line').style.stroke"
    light = page.evaluate(line)
    page.click("[data-theme-switch]")
    page.wait_for_function(f"light => {line} !== light", arg=light)
    assert [url for url in fetched if "figures" in url] == []
    page.reload()
    assert page.get_attribute("html", "data-theme") == "dark"


def test_the_loss_axis_is_in_the_address_and_back_undoes_it(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_sweep(logger)
    fit_all()
    page = open_page("/p/tiny/s/lr-sweep")
    axis = "document.querySelector('#figure-lr_loss .plot-area').layout?.yaxis?.type"
    page.wait_for_function(f"() => {axis} === 'log'")
    page.emulate_media(media="print")
    expect(page.locator("#figure-lr_loss summary")).to_be_hidden()  # paper has no controls
    page.emulate_media(media="screen")
    page.click("#figure-lr_loss button[value=lin]")
    page.wait_for_function(f"() => {axis} === 'linear'")
    assert page.url.endswith("?ys=lin")
    page.go_back()
    page.wait_for_function(f"() => {axis} === 'log'")


def test_names_that_look_like_markup_show_as_text(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    name = "<img src=x onerror=alert(1)><a href='https://example.org'>%{x}</a>"
    for place, lr in enumerate((1e-3, 1e-2, 1e-1)):
        scale = {"n_params": 1000, "peak_lr": lr, "loss_at_init": LOSS_AT_INIT}
        config = {"__proto__": name, "qk_norm": name}
        run = logger.start(f"r{place}", name=name, study="odd", scale=scale, config=config)
        run.log([1, 2], train_loss=[5.0, 4.0 - place])
        run.finish()
    page = open_page("/p/tiny/runs")
    assert page.inner_text("tbody th >> nth=0") == name
    page.goto("/p/tiny/r/r0")
    assert page.inner_text("h1") == name
    page.goto("/p/tiny/s/odd")
    page.wait_for_selector("#figure-lr_loss:not([data-state=loading])")
    assert page.locator("main a[href^='https://example.org']").count() == 0


def test_the_csv_holds_one_row_for_each_run_drawn(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    total = log_sweep(logger)
    fit_all()
    page = open_page("/p/tiny/s/lr-sweep")
    page.wait_for_selector(f"#figure-lr_loss[data-drawn='{total}']")
    page.click("#figure-lr_loss summary")
    with page.expect_download() as download:
        page.click("#figure-lr_loss [data-export=csv]")
    lines = Path(download.value.path()).read_text().splitlines()
    assert len([line for line in lines if not line.startswith("#")]) == total + 1


def test_one_click_leaves_a_run_out_and_one_takes_it_in_again(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_cell(logger, 10_000, 1e-2, True, "lr-sweep")
    settle()
    page = open_page("/p/tiny/s/lr-sweep?tab=runs")
    version = page.get_attribute("#kpis", "data-fit-version")
    page.click("button:has-text('leave out')")
    page.wait_for_selector("tr.excluded >> text=left out by hand")
    page.wait_for_selector("[data-live-pill].fitting >> text=fitting")
    settle()
    page.wait_for_selector(f"#kpis:not([data-fit-version='{version}'])")
    page.wait_for_selector("[data-live-pill].live")
    page.click("tr.excluded summary:has-text('reason')")
    page.fill("[name=reason]", "bad node")
    page.click("tr.excluded button:has-text('Keep')")
    page.wait_for_selector("tr.excluded >> text=bad node")
    page.click("text=take in")
    page.wait_for_selector("[data-table=study-runs] tbody tr:not(.excluded)")
