"""A run's page beside its curves: config diff, notes; and the page that compares runs."""

from __future__ import annotations

import json
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
    page.emulate_media(media="print")
    expect(page.locator(".chart-export").first).to_be_hidden()


@pytest.mark.usefixtures("pair")
def test_a_chart_that_fails_says_so_and_recovers_by_retry(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/runs")
    refusal = '{"error":{"code":"query_timeout","message":"Too slow.","field":null,"id":"abc"}}'
    page.route(
        "**/r/a/curves.json*",
        lambda route: route.fulfill(status=503, content_type="application/json", body=refusal),
    )
    page.goto("/p/tiny/r/a")
    chart = page.locator("figure[data-metric='loss/train']")
    expect(chart.locator(".foot")).to_contain_text("Too slow. query_timeout abc")
    page.unroute("**/r/a/curves.json*")
    chart.locator("[data-retry]").click()
    expect(chart).to_have_attribute("data-state", "ready")


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


def test_the_curves_of_a_run_take_another_axis_and_are_saved(
    open_page: OpenPage, logger: Logger
) -> None:
    run = logger.start("a", name="run-a", config={"lr": 0.1})
    run.log([1, 2], loss_train=[3.0, 2.1], tokens=[100.0, 200.0])
    page = open_page("/p/tiny/r/a")
    ready = "figure[data-metric='loss/train'][data-state=ready]"
    page.wait_for_selector(f"{ready}[data-window='1,2']")
    page.select_option("[data-x-axis]", "tokens")
    page.wait_for_selector(f"{ready}[data-window='100,200']")
    assert page.url.endswith("?x=tokens")
    files = {}
    for kind in ("png", "svg", "csv", "json"):
        page.click(f"{ready} .chart-export summary")
        with page.expect_download() as download:
            page.click(f"{ready} [data-export-curves={kind}]")
        files[kind] = download.value.path().read_bytes()
    assert files["png"].startswith(b"\x89PNG")
    assert b"<title>loss/train</title>" in files["svg"]
    assert files["svg"].count(b'<path d="M') == 1
    assert [row[0] for row in json.loads(files["json"])["rows"]] == ["loss/train"] * 2
    assert files["csv"].decode().strip().endswith("2.1")


@pytest.mark.usefixtures("pair")
def test_a_click_on_a_curve_begins_a_comment_on_that_step(open_page: OpenPage) -> None:
    page = open_page("/p/tiny/r/a")
    curve = page.locator("figure[data-metric='loss/train'][data-state=ready] .u-over")
    box = curve.bounding_box()
    curve.click(position={"x": box["width"] - 3, "y": box["height"] / 2})
    page.click("text=Comment on step 2")
    expect(page.locator("#comment-body")).to_be_focused()
    page.keyboard.type("It turns here")
    page.click("[data-comment-form] > button")
    expect(page.locator(".comment .tag")).to_have_text("loss/train at step 2")
    expect(page.locator("#events a[href^='#comment-']")).to_contain_text("It turns here")
    page.wait_for_selector("figure[data-metric='loss/train'][data-state=ready]")
    curve.hover(position={"x": box["width"] - 3, "y": box["height"] / 2})
    expect(page.locator(".chart-tip .flag:visible")).to_contain_text("It turns here")
