"""Pages that are open while runs log."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, Route, expect

from teams.models import Membership, Project, User
from tests.browser.logger import Logger, log_cell, log_sweep

TIMES = "\N{MULTIPLICATION SIGN}"
CHART = "figure[data-metric='train/loss']"
IDLE_POLLS = 3
RECONNECTING_MS = 5000
FIT_VERSION = "Number(document.querySelector('[data-fit-version]').dataset.fitVersion)"


@pytest.fixture
def refits(live_sweeper: Path, live_worker: Path) -> None:
    """Whatever refits: a worker fed by hints, and the sweeper behind it."""


def test_a_project_appears_with_its_first_run(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    page = open_page("/")
    page.wait_for_selector("[data-live-pill].live")
    logger.project = "brand-new"
    logger.start("first").log([1], train_loss=[3.0])
    page.wait_for_selector("tr[data-key='brand-new']")


def test_the_run_page_gains_a_point_and_keeps_the_zoom(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    run = logger.start("live")
    run.log(list(range(100)), train_loss=[5 / (step + 1) ** 0.3 for step in range(100)])
    page = open_page("/p/tiny/r/live?xr=20,200")
    page.wait_for_selector(f"{CHART}[data-n='80'][data-window='20,200']")
    run.log([100, 101], train_loss=[1.2, 1.1])
    page.wait_for_selector(f"{CHART}[data-n='82'][data-window='20,200']")
    page.wait_for_selector("[data-kpi=loss] .value:has-text('1.1')")


def test_the_first_point_replaces_the_empty_state(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    run = logger.start("young")
    page = open_page("/p/tiny/r/young")
    page.wait_for_selector("text=No point yet")
    run.log([1, 2], train_loss=[3.0, 2.0])
    page.wait_for_selector(f"{CHART}[data-state=ready][data-n='2']")


def test_non_finite_values_show_as_crosses_with_their_counts(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    run = logger.start("wild")
    values = [3.0, 2.5, math.nan, math.inf, -math.inf, 2.2]
    run.log(list(range(6)), train_loss=values, val_loss=[math.nan] * 6)
    run.log([6], grad_norm=[0.0])
    page = open_page("/p/tiny/r/wild?ys=log")
    foot = page.locator(f"{CHART} .foot")
    page.wait_for_selector(f"{CHART}[data-state=ready]")
    assert {f"1 {TIMES} {kind}" for kind in ("NaN", "Infinity", "-Infinity")} <= set(
        foot.locator(".badge.bad").all_inner_texts()
    )
    only_nan = page.locator("figure[data-metric='val/loss'] .badge.bad")
    expect(only_nan).to_have_text(f"6 {TIMES} NaN")
    page.wait_for_selector("figure[data-metric='grad/norm'] .badge:has-text('1 at ≤ 0')")
    page.goto("/p/tiny/runs")
    page.wait_for_selector("tr[data-key=wild]")


@pytest.mark.usefixtures("refits")
def test_the_study_gains_a_point_and_its_fit_follows(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    total = log_sweep(logger)
    page = open_page("/p/tiny/s/lr-sweep")
    page.wait_for_selector(f"#figure-lr_loss[data-state=ready][data-drawn='{total}']")
    page.wait_for_selector("[data-fit-version]")
    before = int(page.get_attribute("[data-fit-version]", "data-fit-version"))
    log_cell(logger, 10_000, 5e-3, True, "lr-sweep")
    page.wait_for_selector(f"#figure-lr_loss[data-drawn='{total + 1}']")
    page.wait_for_function(f"version => {FIT_VERSION} > version", arg=before)


@pytest.mark.usefixtures("refits")
def test_kpi_ring_legend_and_table_show_the_same_optimum(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_sweep(logger)
    page = open_page("/p/tiny/s/lr-sweep")
    page.wait_for_selector("#figure-lr_loss[data-state=ready]")
    page.wait_for_selector("[data-table=optima]")
    rings = page.evaluate(
        """() => document.querySelector("#figure-lr_loss .plot-area").data
          .filter((trace) => trace.meta?.part === "ring")
          .map((trace) => trace.customdata[0].slice(1, 4))"""
    )
    rows = page.evaluate(
        """() => [...document.querySelectorAll("[data-table=optima] tbody tr")].map((row) => [
          row.cells[0].textContent.trim(), row.cells[1].textContent.trim(),
          row.querySelector("[data-field=lr_optimum]").textContent.trim()])"""
    )
    legend = page.evaluate(
        """() => [...document.querySelectorAll("[data-table=legend] tbody tr")]
          .flatMap((row) => [...row.querySelectorAll("td")])
          .map((cell) => cell.textContent.trim())"""
    )
    best = page.inner_text("[data-kpi=best_lr] .value")
    assert len(rings) == 6
    assert sorted(rings) == sorted(rows)
    assert sorted(legend) == sorted(lr for _, _, lr in rows)
    assert best in {lr for _, size, lr in rows if size == "160k"}


def test_unchanged_data_is_never_fetched_again(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    logger.start("still").log([1, 2, 3], train_loss=[3.0, 2.0, 1.0])
    page = open_page("/p/tiny/r/still")
    page.wait_for_selector(f"{CHART}[data-state=ready]")
    with page.expect_response(is_revision):
        pass
    answers: list[tuple[int, bool]] = []
    page.on("response", lambda answer: answers.append((answer.status, is_revision(answer))))
    for _ in range(IDLE_POLLS):
        with page.expect_response(is_revision):
            pass
    assert set(answers) == {(304, True)}


def is_revision(answer: Response) -> bool:
    return "/revision" in answer.url


HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_the_pill_says_why_nothing_comes_and_the_old_curve_stays(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    run = logger.start("steady")
    run.log([1, 2, 3], train_loss=[3.0, 2.0, 1.0])
    page = open_page("/p/tiny/r/steady")
    pill = page.locator("[data-live-pill]")
    page.wait_for_selector(f"{CHART}[data-state=ready]")
    page.context.set_offline(True)
    expect(pill).to_have_text("paused")
    page.context.set_offline(False)
    expect(pill).to_have_text("live")
    page.evaluate(HIDE, True)
    expect(pill).to_have_text("paused")
    page.evaluate(HIDE, False)
    expect(pill).to_have_text("live")
    page.clock.install()
    unanswered: list[Route] = []
    page.route("**/revision*", lambda route: unanswered.append(route))
    with page.expect_request(lambda request: "/revision" in request.url):
        page.evaluate("document.dispatchEvent(new CustomEvent('stir'))")
    expect(pill).to_have_text("live")
    page.clock.fast_forward(RECONNECTING_MS)
    expect(pill).to_have_text("reconnecting")
    assert page.locator(f"{CHART} canvas").count() == 1
    unanswered[0].continue_()
    expect(pill).to_have_text("live")


def test_a_comment_appears_on_another_open_page_and_an_at_offers_the_members(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    logger.start("one")
    project = Project.objects.get()
    Membership.objects.create(project=project, user=User.objects.create_user("vi"), role="viewer")
    writer, reader = open_page("/p/tiny/r/one"), open_page("/p/tiny/r/one", "dark")
    reader.fill("#comment-body", "half a thought")
    reader.wait_for_selector("[data-live-pill].live")
    names = writer.locator("#comment-names [role=option]")
    writer.click("#comment-body")
    writer.keyboard.type("See this, @")
    expect(names).to_have_text(["ada", "vi"])
    writer.keyboard.press("ArrowDown")
    writer.keyboard.press("ArrowDown")
    writer.keyboard.press("Enter")
    expect(writer.locator("#comment-body")).to_have_value("See this, @vi ")
    expect(names).to_have_count(0)
    writer.click("#comments button:has-text('Comment')")
    expect(reader.locator(".comment .prose")).to_have_text("See this, @vi")
    expect(reader.locator("#comments-title")).to_have_text("Comments 1")
    expect(reader.locator("#comment-body")).to_have_value("half a thought")


def test_a_figure_that_fails_says_so_and_recovers_by_retry(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_cell(logger, 10_000, 1e-2, True, "lr-sweep")
    page = open_page("/p/tiny/studies")
    refusal = '{"error":{"code":"query_timeout","message":"Too slow.","field":null,"id":"abc"}}'
    page.route(
        "**/lr_loss.json*",
        lambda route: route.fulfill(status=503, content_type="application/json", body=refusal),
    )
    page.goto("/p/tiny/s/lr-sweep")
    page.wait_for_selector("#figure-lr_loss[data-state=error] >> text=query_timeout · abc")
    page.unroute("**/lr_loss.json*")
    page.click("#figure-lr_loss [data-retry]")
    page.wait_for_selector("#figure-lr_loss:not([data-state=error])[data-drawn='1']")


def test_rows_that_could_not_be_read_come_with_the_next_answer(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    logger.start("one").log([1], train_loss=[3.0])
    page = open_page("/p/tiny/runs")
    page.wait_for_selector("[data-live-pill].live")
    page.route("**/p/tiny/runs", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        logger.start("two").log([1], train_loss=[3.0])
    page.unroute("**/p/tiny/runs")
    page.wait_for_selector("tr[data-key=two]")


def test_a_figure_that_was_unreachable_recovers_by_itself(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    log_cell(logger, 10_000, 1e-2, True, "lr-sweep")
    page = open_page("/p/tiny/s/lr-sweep")
    page.wait_for_selector("#figure-lr_loss[data-drawn='1']:not([data-state=loading])")
    page.route("**/lr_loss.json*", lambda route: route.abort())
    log_cell(logger, 10_000, 3e-2, True, "lr-sweep")
    page.wait_for_selector("#figure-lr_loss[data-state=error] >> text=does not answer")
    expect(page.locator("#figure-lr_loss .js-plotly-plot")).to_be_visible()
    expect(page.locator("#figure-lr_loss .plot-area")).to_have_css(
        "filter", re.compile("grayscale")
    )
    expect(page.locator("#figure-lr_loss [data-retry]")).to_be_visible()
    page.unroute("**/lr_loss.json*")
    page.wait_for_selector("#figure-lr_loss[data-drawn='2']:not([data-state=error])")


def test_two_tabs_agree_without_a_reload(open_page: Callable[..., Page], logger: Logger) -> None:
    for uid in ("one", "two"):
        logger.start(uid).log([1], train_loss=[3.0])
    first, second = open_page("/p/tiny/runs"), open_page("/p/tiny/runs?arch=1", "dark")
    first.check("input[value=one]")
    first.click("button[value=archive]")
    expect(first.locator("tr[data-key=one]")).to_have_count(0)
    expect(second.locator("tr[data-key=one] .pill", has_text="archived")).to_be_visible()
