"""Traps that users of other trackers fell into, by their numbers: pages full of curves."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.logger import Logger

OpenPage = Callable[..., Page]
COUNT_LINES = """() => {
  window.lines = { main: 0, lifted: 0 };
  const stroke = CanvasRenderingContext2D.prototype.stroke;
  CanvasRenderingContext2D.prototype.stroke = function (...path) {
    window.lines[this.canvas.className === "overlay" ? "lifted" : "main"] += 1;
    return stroke.apply(this, path);
  };
}"""
MAX_HEAP_BYTES = 200_000_000
AIR = 0.06  # of the range of y, above and below
SHOWN = "figure[data-metric]:not(.is-left-out)"


def test_u6_only_charts_in_view_are_read_and_a_search_leaves_the_others_out(
    open_page: OpenPage, logger: Logger
) -> None:
    run = logger.start("many", name="many")
    for prefix in range(8):
        names = {f"p{prefix}_loss{number}": [3.0, 2.0, 1.5] for number in range(10)}
        run.log([1, 2, 3], **names)
    page = open_page("/p/tiny/runs")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/p/tiny/r/many")
    page.wait_for_selector("figure[data-metric='p0/loss0'][data-state=ready]")
    assert page.locator("figure[data-metric]").count() == 80
    assert page.locator(".uplot").count() < 40
    page.keyboard.press("/")
    page.keyboard.type("loss9$, p7/loss[12]")
    expect(page.locator("[data-metric-count]")).to_have_text("10 of 80 metrics")
    expect(page.locator(SHOWN)).to_have_count(10)
    page.wait_for_selector("figure[data-metric='p0/loss9'][data-state=ready]")
    page.fill("[name=sm]", "0.5")
    page.wait_for_url("**sm=0.5")
    page.reload()
    expect(page.locator("[data-metric-count]")).to_have_text("10 of 80 metrics")
    page.wait_for_selector("figure[data-metric='p0/loss9'][data-state=ready]")
    expect(page.locator("[data-smoothing]")).to_have_text("0.5")
    assert not any("p3%2Floss5" in url for url in asked)


def measure_heap(page: Page) -> float:
    """Return the bytes that a page's scripts hold."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return float(session.send("Runtime.getHeapUsage")["usedSize"])


def test_u7_hovering_many_curves_draws_one_of_them(open_page: OpenPage, logger: Logger) -> None:
    """Nothing else is drawn again, so that it takes no longer among many curves than among few."""
    for number in range(100):
        run = logger.start(f"r{number}", name=f"r{number}")
        run.log(list(range(1000)), train_loss=[float(number)] * 1000)
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector("figure[data-curves='100'][data-state=ready]")
    assert measure_heap(page) < MAX_HEAP_BYTES
    box = page.locator("figure .u-over").bounding_box()
    page.evaluate(COUNT_LINES)
    for share in (0.2, 0.4, 0.6, 0.8):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * share)
    page.wait_for_selector("tr.is-pointed")
    lines = page.evaluate("window.lines")
    assert lines["main"] == 0
    assert 0 < lines["lifted"] <= 2 * 4


def test_u28_the_average_of_fewer_runs_is_pale_and_says_how_many_count(
    open_page: OpenPage, logger: Logger
) -> None:
    for uid, n in (("long", 40), ("short", 20)):
        logger.start(uid, name=uid).log(list(range(n)), train_loss=[float(n)] * n)
    page = open_page("/p/tiny/explore?m=train/loss&color=-&agg=mean&area=minmax")
    page.wait_for_selector("figure[data-state=ready]")
    badge = page.locator("figure .foot .badge")
    expect(badge).to_have_text("pale where not all runs of a group have points")
    box = page.locator("figure .u-over").bounding_box()
    low, high = 20 - AIR * 20, 40 + AIR * 20
    for mean, share, text in ((40, 0.9, "1 of 2 runs have points here"), (30, 0.2, "2 runs")):
        height = box["height"] * (high - mean) / (high - low)
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + height)
        expect(page.locator(".chart-tip .at").first).to_have_text(text)


def test_u10_a_live_chart_is_sent_what_is_new_and_shows_all_of_it(
    open_page: OpenPage, logger: Logger
) -> None:
    run = logger.start("live", name="live")
    run.log(list(range(100)), train_loss=[1.0] * 100)
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector("figure[data-n='100'][data-state=ready]")
    with page.expect_response(lambda answer: "curves.json" in answer.url) as answered:
        run.log([100, 101], train_loss=[1.0, 3.0])
    (chart,) = answered.value.json()["charts"]
    assert (chart["x"], chart["series"]["live"]["y"]) == ([100, 101], [1.0, 3.0])
    page.wait_for_selector("figure[data-n='102'][data-window='0,101']")
    page.click("figure summary[title=Export]")
    with page.expect_download() as download:
        page.click("[data-export-curves=csv]")
    rows = [row for row in download.value.path().read_text().splitlines() if row[0] != "#"]
    assert len(rows) - 1 == 102
    assert rows[-1] == "live,101,,3"
