"""Pages in a real Chromium: from the click to the rows on the screen."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.reads import KEYS, LISTED_RUNS, MANY_KEYS, make_listed_runs, make_series_runs
from benchmarks.stage import ROOT, Stage
from benchmarks.table import Row, time_median

if TYPE_CHECKING:
    from playwright.sync_api import Page

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
MANY_RUNS = 10_000
REPEATS = 5
PATIENCE_MS = 30_000  # for one page, on whatever machine
MOST_SECONDS = 240  # of all pages together; what is left then is named and left out
FILTER = "f=lr+%3E%3D+1e-3+and+n_params+%3E+100M&s=loss"
PAGES = (  # what, path, the most milliseconds
    ("page of 10,000 runs, first page", "/p/many/runs", 1_000),
    ("the same, sorted by final loss", "/p/many/runs?s=loss", 1_000),
    ("page of 5,000 runs with 300 keys each", "/p/wide/runs", 1_000),
    ("the same, filtered by lr and n_params, sorted by loss", f"/p/wide/runs?{FILTER}", 1_000),
    ("the same, grouped by two keys", "/p/wide/runs?by=config.model.width,group", 1_000),
)
EXPLORERS = (  # curves, what the address adds, the most ms of the first chart and of a redraw
    (100, "", 1_500, 100),
    (1_000, "&p=all", 4_000, 400),
)
REDRAW = """async (repeats) => {
  const figure = document.querySelector("figure[data-metric]");
  const times = [];
  for (let place = 0; place < repeats; place += 1) {
    for (const [value, wanted] of [["log", "lin log"], ["", "lin lin"]]) {
      const start = performance.now();
      document.querySelector(`button[data-set=ys][value="${value}"]`).click();
      while (figure.dataset.scales !== wanted) await new Promise(requestAnimationFrame);
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      times.push(performance.now() - start);
    }
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
}"""
ASSETS = """() => performance.getEntriesByType("resource")
  .filter((entry) => /\\.(js|css)(\\?|$)/.test(entry.name))
  .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows of pages; none, with a sentence, where there is no browser."""
    chromium = find_browser()
    if chromium is None:
        print("  pages: no playwright or no Chromium here; left out.", file=sys.stderr)
        return
    from playwright.sync_api import sync_playwright

    from teams.models import User
    from teams.services import create_login_link

    make_listed_runs("many", KEYS, MANY_RUNS)
    make_listed_runs("wide", MANY_KEYS, LISTED_RUNS)
    secret = create_login_link(User.objects.get(username="bench"))
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # playwright keeps an event loop here
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(base_url=f"http://127.0.0.1:{stage.port}")
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"/login/once/{secret}")
        yield from stop_in_time(measure_all(page), MOST_SECONDS)
        browser.close()


def measure_all(page: Page) -> Iterator[Row]:
    """Yield the rows of lists, then those of the curves."""
    from teams.models import Project

    yield from measure_pages(page)
    if not Project.objects.filter(slug="series").exists():
        make_series_runs()
    yield from measure_explorer(page)


def stop_in_time(rows: Iterator[Row], seconds: float) -> Iterator[Row]:
    """Yield rows until the time is over; a machine too busy to be measured is said to be one."""
    from playwright.sync_api import TimeoutError as TooSlow

    end = time.monotonic() + seconds
    try:
        for row in rows:
            yield row
            if time.monotonic() > end:
                print(f"  pages: stopped after {seconds:.0f} s; busy machine.", file=sys.stderr)
                return
    except TooSlow as error:
        first = str(error).splitlines()[0]
        print(f"  pages: left off, {first} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)


def measure_pages(page: Page) -> Iterator[Row]:
    """Yield the time of each page until its rows are painted, and the weight of its assets."""

    def show(path: str) -> None:
        page.goto(path, wait_until="commit")
        page.wait_for_selector("[data-table=runs] tbody tr")
        page.evaluate(PAINTED)

    for what, path, most in PAGES:
        seconds = time_median(lambda path=path: show(path), REPEATS)
        yield Row(what, seconds * 1e3, "ms", most)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_load_state("networkidle")
    yield Row("JS and CSS of the page of runs, compressed", page.evaluate(ASSETS) / 1e3, "kB", 80)


def measure_explorer(page: Page) -> Iterator[Row]:
    """Yield the time of the first chart of 100 and of 1,000 curves, and of another scale of y."""
    for n_curves, query, first, redraw in EXPLORERS:
        path = f"/p/series/explore?m=loss{query}"

        def show(path: str = path) -> None:
            page.goto(path, wait_until="commit")
            page.wait_for_selector("figure[data-state=ready]")
            page.evaluate(PAINTED)

        seconds = time_median(show, REPEATS)
        yield Row(
            f"curves of {n_curves} runs x 1,000 points, first chart", seconds * 1e3, "ms", first
        )
        page.wait_for_load_state("networkidle")
        seconds = page.evaluate(REDRAW, REPEATS) / 1e3
        yield Row(f"{n_curves} curves, log y and back", seconds * 1e3, "ms", redraw)


def find_browser() -> str | None:
    """Return the path of a Chromium that playwright can drive, None where there is none."""
    if importlib.util.find_spec("playwright") is None:
        return None
    sys.path.insert(0, str(ROOT / "scripts"))
    from run_tests import find_chromium

    found: str | None = find_chromium()
    return found
