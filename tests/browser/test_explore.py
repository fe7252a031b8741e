"""The curves explorer in a browser: curves, rows, address, live points."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.logger import Logger

CHART = "figure[data-metric='train/loss']"
READY = f"{CHART}[data-state=ready]"
TIMES = "\N{MULTIPLICATION SIGN}"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
COUNT_CONTEXTS = """
window.contextKinds = [];
const getContext = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  window.contextKinds.push(kind);
  return getContext.call(this, kind, ...rest);
};
"""
COUNT_LIFTED = """() => {
  window.lifted = 0;
  const { stroke } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.stroke = function (...path) {
    if (this.canvas.className === "overlay") window.lifted += 1;
    return stroke.apply(this, path);
  };
}"""
FLAT = {"low": 1.0, "middle": 2.0, "high": 3.0}


@pytest.fixture
def flat_runs(logger: Logger) -> None:
    """Three runs whose curves are level lines."""
    for uid, height in FLAT.items():
        run = logger.start(uid, name=uid, config={"lr": height, "kind": "a" if height < 3 else "b"})
        run.log(list(range(50)), train_loss=[height] * 50, grad_norm=[10 * height] * 50)
        run.finish()


def hover_height(page: Page, share: float, chart: str = CHART) -> None:
    """Point at the middle of a chart, at a share of its height from the top."""
    over = page.locator(f"{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * share)


@pytest.mark.usefixtures("flat_runs")
def test_hovering_a_curve_marks_its_row_and_the_reverse(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss,grad/norm")
    page.wait_for_selector(READY)
    page.wait_for_selector("figure[data-metric='grad/norm'][data-state=ready]")
    hover_height(page, 0.5)
    page.wait_for_selector("tr.is-pointed[data-line=middle]")
    expect(page.locator(f"{CHART} .chart-tip .name")).to_have_text("middle")
    dimmed = page.locator(".u-over[data-dim=true]")
    expect(dimmed).to_have_count(2)
    page.hover("tr[data-line=high] td:last-child")
    page.wait_for_selector("tr.is-pointed[data-line=high]")
    lifted = "document.querySelector('figure canvas.overlay').getContext('2d')"
    drawn = f"{lifted}.getImageData(0, 0, 3000, 40).data.some((value) => value > 0)"
    assert page.evaluate(drawn)
    page.hover("h1")
    expect(page.locator(".u-over[data-dim=true]")).to_have_count(0)


@pytest.mark.usefixtures("flat_runs")
def test_curves_are_drawn_without_webgl(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/runs")
    page.add_init_script(COUNT_CONTEXTS)
    page.goto("/p/tiny/explore?m=train/loss,grad/norm&facet=config.kind")
    page.wait_for_selector(READY)
    kinds = page.evaluate("window.contextKinds")
    assert set(kinds) == {"2d"}


@pytest.mark.usefixtures("flat_runs")
def test_a_click_pins_a_curve_in_the_address(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(READY)
    hover_height(page, 0.5)
    page.wait_for_selector("tr.is-pointed[data-line=middle]")
    page.mouse.down()
    page.mouse.up()
    page.wait_for_url("**/explore?m=train%2Floss&hl=middle")
    page.reload()
    page.wait_for_selector(READY)
    page.wait_for_selector("tr.is-pinned[data-line=middle]")
    page.wait_for_selector(".u-over[data-dim=true]")


@pytest.mark.usefixtures("flat_runs")
def test_an_entry_of_the_legend_lifts_its_curves_and_a_click_keeps_them(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/p/tiny/explore?m=train/loss&color=config.kind")
    page.wait_for_selector(READY)
    page.evaluate(COUNT_LIFTED)
    page.hover("button.level >> text=a")
    page.wait_for_selector(".u-over[data-dim=true]")
    assert page.evaluate("window.lifted") == 2
    page.click("button.level >> text=b")
    page.wait_for_url("**hl=color%3Db")
    page.reload()
    page.wait_for_selector(READY)
    page.wait_for_selector(".u-over[data-dim=true]")
    page.wait_for_selector("button.level[aria-pressed=true] >> text=b")
    page.hover(f"{CHART} h3")
    with page.expect_download() as download:
        page.keyboard.press("e")
    assert download.value.suggested_filename == "scaledash-train_loss.png"


@pytest.mark.usefixtures("flat_runs")
def test_every_control_is_in_the_address_and_back_undoes_it(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(READY)
    page.select_option("[name=facet]", "config.kind")
    expect(page.locator(f"{CHART}[data-state=ready]")).to_have_count(2)
    page.select_option("[name=agg]", "mean")
    page.select_option("[name=area]", "std")
    page.keyboard.press("Escape")
    page.click("[data-log-y]")
    page.wait_for_url("**/explore?m=train%2Floss&facet=config.kind&ys=log&agg=mean&area=std")
    page.wait_for_selector("[data-table=groups]")
    for _ in range(4):
        page.go_back()
    expect(page.locator(READY)).to_have_count(1)
    expect(page.locator("[name=agg]")).to_have_value("none")
    expect(page.locator("[data-table=groups]")).to_have_count(0)


@pytest.mark.usefixtures("flat_runs")
def test_the_query_bar_filters_runs_and_finds_metrics_by_pattern(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/p/tiny/explore")
    page.wait_for_selector(f"{CHART}[data-curves='3']")
    page.fill("[name=f]", "config.lr > 1.5")
    page.fill("[name=m]", "^(train|grad)/")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{CHART}[data-curves='2']")
    page.wait_for_selector("figure[data-metric='grad/norm'][data-curves='2']")
    page.fill("[name=f]", "config.lr >")
    page.keyboard.press("Enter")
    page.wait_for_selector("#explore-error p:has-text('character')")
    page.fill("[name=f]", "config.lr > 99")
    page.keyboard.press("Enter")
    page.click("text=Clear filter")
    page.wait_for_selector(f"{CHART}[data-curves='3']")


@pytest.mark.usefixtures("flat_runs")
def test_chosen_rows_are_drawn_alone(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(f"{CHART}[data-curves='3']")
    page.check("[data-pick][value=low]")
    page.wait_for_selector(f"{CHART}[data-curves='1']")
    page.wait_for_url("**sel=low")
    page.click("[data-clear-selection]")
    page.wait_for_selector(f"{CHART}[data-curves='3']")


@pytest.mark.usefixtures("flat_runs")
def test_smoothing_keeps_the_raw_curve_behind(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(READY)
    with page.expect_response(
        lambda answer: "curves.json?m=train%2Floss&sm=0.9" in answer.url
    ) as answered:
        page.fill("[name=sm]", "0.9")
    chart = answered.value.json()["charts"][0]
    assert all({"y", "smooth"} <= set(series) for series in chart["series"].values())
    assert "sm=0.9" in page.url


def test_new_points_arrive_and_keep_the_zoom(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    run = logger.start("live")
    run.log(list(range(100)), train_loss=[5 / (step + 1) ** 0.3 for step in range(100)])
    page = open_page("/p/tiny/explore?m=train/loss&xr=20,200")
    page.wait_for_selector(f"{CHART}[data-n='80'][data-window='20,200']")
    run.log([100, 101], train_loss=[1.2, 1.1])
    page.wait_for_selector(f"{CHART}[data-n='82'][data-window='20,200']")
    other = logger.start("second")
    other.log([50], train_loss=[2.0])
    page.wait_for_selector(f"{CHART}[data-n='83'][data-curves='2'][data-window='20,200']")


def test_dragging_zooms_and_a_double_click_shows_everything(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    logger.start("one").log(list(range(101)), train_loss=[1 + step for step in range(101)])
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(f"{CHART}[data-window='0,100']")
    box = page.locator(f"{CHART} .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=4)
    page.mouse.up()
    page.wait_for_url("**xr=*")
    page.wait_for_selector(f"{CHART}[data-n='50'], {CHART}[data-n='51']")
    page.dblclick(f"{CHART} .u-over")
    page.wait_for_selector(f"{CHART}[data-window='0,100'][data-n='101']")
    assert "xr=" not in page.url


def test_what_lines_cannot_show_is_counted(open_page: Callable[..., Page], logger: Logger) -> None:
    logger.start("wild").log([1, 2, 3, 4], train_loss=[2.0, math.nan, math.inf, 0.0])
    logger.start("other").log([1], grad_norm=[1.0])
    page = open_page("/p/tiny/explore?m=train/loss,grad/norm&ys=log")
    page.wait_for_selector(READY)
    badges = page.locator(f"{CHART} .foot .badge").all_inner_texts()
    assert badges == [
        f"1 {TIMES} NaN",
        f"1 {TIMES} Infinity",
        "1 at ≤ 0",
        "1 run without train/loss",
    ]


@pytest.mark.usefixtures("flat_runs")
def test_csv_holds_what_is_drawn_and_png_is_a_picture(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page("/p/tiny/explore?m=train/loss&f=config.lr%20%3C%202.5")
    page.wait_for_selector(READY)
    page.click(f"{CHART} summary[title=Export]")
    with page.expect_download() as download:
        page.click("[data-export-curves=csv]")
    download.value.save_as(tmp_path / "curves.csv")
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert "# filter: config.lr < 2.5; 100 points" in lines
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    assert rows[0] == ["curve", "step", "x_to", "value"]
    assert len(rows) - 1 == int(page.get_attribute(CHART, "data-drawn")) == 100
    assert {(row[0], row[3]) for row in rows[1:]} == {("low", "1"), ("middle", "2")}
    page.click(f"{CHART} summary[title=Export]")
    with page.expect_download() as download:
        page.click("[data-export-curves=png]")
    download.value.save_as(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("flat_runs")
def test_t_shows_the_values_of_all_curves_from_the_highest(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(READY)
    page.keyboard.press("t")
    hover_height(page, 0.3)
    tip = page.locator(f"{CHART} .chart-tip")
    expect(tip).to_contain_text("step")
    assert [text.split()[-1] for text in tip.inner_text().splitlines()[1:]] == [
        "high",
        "middle",
        "low",
    ]


@pytest.mark.usefixtures("flat_runs")
def test_a_chart_that_fails_says_so_and_recovers_by_retry(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/runs")
    refusal = '{"error":{"code":"query_timeout","message":"Too slow.","field":null,"id":"abc"}}'
    page.route(
        "**/curves.json*",
        lambda route: route.fulfill(status=503, content_type="application/json", body=refusal),
    )
    page.goto("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(f"{CHART}[data-state=error] >> text=Too slow. query_timeout abc")
    page.unroute("**/curves.json*")
    page.click(f"{CHART} [data-retry]")
    page.wait_for_selector(READY)


@pytest.mark.usefixtures("flat_runs")
def test_the_theme_recolours_the_curves_without_a_fetch(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(READY)
    picture = f'document.querySelector("{CHART} canvas").toDataURL()'
    light = page.evaluate(picture)
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.click("[data-theme-switch]")
    page.wait_for_function(f"light => {picture} !== light", arg=light)
    assert [url for url in fetched if "curves" in url] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.usefixtures("flat_runs")
def test_the_page_fits_a_telephone(open_page: Callable[..., Page], theme: str) -> None:
    page = open_page("/p/tiny/explore?m=train/loss,grad/norm&facet=config.kind", theme, 360)
    page.wait_for_selector(READY)
    assert page.evaluate(OVERFLOW) <= 0


def test_an_empty_project_shows_what_to_type(
    open_page: Callable[..., Page], logger: Logger
) -> None:
    page = open_page("/p/tiny/explore")
    assert "scaledash.init(" in page.inner_text("#explore-charts .snippet >> nth=0")
    logger.start("first").log([1, 2], train_loss=[3.0, 2.0])
    page.wait_for_selector(READY)
