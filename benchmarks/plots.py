"""Plots in a real Chromium: weight of pages, first chart, redraw, payload, layout shift, heap.

The budgets are those of the design of the browser's pages; docs/performance.md has the table.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.pages import ARGUMENTS, ASSETS, PAINTED, REPEATS, find_browser
from benchmarks.reads import let_in, make_series_runs
from benchmarks.stage import Stage
from benchmarks.table import Row, time_median

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUN = "/p/series/r/long"
EXPLORER = "/p/series/explore?m=loss"
STUDY = "/p/sweep/s/sweep"
SIZES, RATES, SEEDS = (1e6, 4e6, 16e6, 64e6, 256e6), (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), 4
FIRST_CHART = (  # what, path, most milliseconds, most kB of scripts and styles
    ("a run", RUN, 700, 80),
    ("the explorer, 100 curves of 1,000 points", EXPLORER, 1_500, 80),
    ("a study of 100 runs", STUDY, 1_500, 600),
)
REDRAWN = (  # what, path, curves that are drawn, most milliseconds
    ("100 curves", EXPLORER, 100, 100),
    ("1,000 curves", f"{EXPLORER}&p=all", 1_000, 400),
    ("all plots of a study's tab", STUDY, 0, 150),
)
PATIENCE_MS = 30_000  # for one thing on a page; on a busy machine it is left out, and said
MOST_SECONDS = 240.0  # for all of it
DRAWN = "main figure[data-state=ready]"
AT_REST = "() => !document.querySelector('main figure[data-state=loading]')"
# A change of theme draws every chart anew, and asks the server for nothing.
REDRAW = """() => new Promise((done) => {
  const start = performance.now();
  document.querySelector("[data-theme-switch]").click();
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""
PAYLOAD = """() => Math.max(...performance.getEntriesByType("resource")
  .filter((entry) => entry.name.includes("curves.json")).map((entry) => entry.encodedBodySize))"""
NOTE_SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the rows of plots; none, with a sentence, where there is no browser."""
    chromium = find_browser()
    if chromium is None:
        print("  plots: no playwright or no Chromium here; left out.", file=sys.stderr)
        return
    from playwright.sync_api import sync_playwright

    from teams.models import User
    from teams.services import create_login_link

    make_study()
    make_series_runs()
    secret = create_login_link(User.objects.get(username="bench"))
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # playwright keeps an event loop here
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(
            base_url=f"http://127.0.0.1:{stage.port}", viewport={"width": 1440, "height": 900}
        )
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"/login/once/{secret}")
        deadline = time.monotonic() + MOST_SECONDS
        for what, work in list_work(page):
            yield from measure_in_time(what, work, deadline)
        browser.close()


def list_work(page: Page) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    """Yield what is measured, each with the function that does it."""
    for what, path, most_ms, most_kb in FIRST_CHART:
        yield what, partial(measure_first, page, what, path, (most_ms, most_kb))
    for what, path, n_curves, most_ms in REDRAWN:
        yield f"redraw {what}", partial(measure_redraw, page, what, (path, n_curves, most_ms))
    yield "payload, heap and layout shift", partial(measure_explorer, page)


def measure_in_time(what: str, work: Callable[[], Iterator[Row]], deadline: float) -> Iterator[Row]:
    """Yield the rows of one piece of work; one that takes too long is left out with a sentence."""
    from playwright.sync_api import TimeoutError as TooSlow

    if time.monotonic() > deadline:
        print(f"  {what}: left out, {MOST_SECONDS:.0f} s are over.", file=sys.stderr)
        return
    try:
        yield from work()
    except TooSlow as error:
        first = str(error).splitlines()[0]
        print(f"  {what}: left out, {first} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)


def measure_first(page: Page, what: str, path: str, most: tuple[float, float]) -> Iterator[Row]:
    """Yield the time until the first chart is painted, caches warm, and what was loaded for it."""

    def show() -> None:
        page.goto(path, wait_until="commit")
        page.wait_for_selector(DRAWN)
        page.evaluate(PAINTED)

    yield Row(f"first chart of {what}", time_median(show, REPEATS) * 1e3, "ms", most[0])
    page.wait_for_function(AT_REST)
    page.wait_for_load_state("networkidle")
    yield Row("the same, JS and CSS compressed", page.evaluate(ASSETS) / 1e3, "kB", most[1])


def measure_redraw(page: Page, what: str, wanted: tuple[str, int, float]) -> Iterator[Row]:
    """Yield the milliseconds until everything on a page is drawn anew."""
    path, n_curves, most_ms = wanted
    page.goto(path)
    page.wait_for_selector(DRAWN)
    page.wait_for_function(AT_REST)
    if n_curves:
        page.wait_for_selector(f"text={n_curves:,} curves")
    page.evaluate(REDRAW)
    times = sorted(page.evaluate(REDRAW) for _ in range(REPEATS))
    yield Row(f"redraw {what}", float(times[len(times) // 2]), "ms", most_ms)


def measure_explorer(page: Page) -> Iterator[Row]:
    """Yield the payload of 100 curves, the heap that they take, and how much a study moves."""
    page.goto(EXPLORER)
    page.wait_for_selector(DRAWN)
    yield Row("payload of 100 curves, compressed", page.evaluate(PAYLOAD) / 1e3, "kB", 250)
    devtools = page.context.new_cdp_session(page)
    heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
    yield Row("heap of the explorer with 100 curves", heap / 2**20, "MiB", 200)
    page.add_init_script(NOTE_SHIFTS)
    page.goto(STUDY)
    page.wait_for_selector(DRAWN)
    page.wait_for_function(AT_REST)
    yield Row("layout shift of a study", page.evaluate("window.shift"), "", 0.05)


def make_study() -> None:
    """Create a study of 100 finished runs, fitted."""
    from fitting import refit
    from fitting.models import Dirty, FitState
    from fitting.services import StudyWish, add_runs, create_study
    from runs.models import Metric, Run, RunState
    from teams.models import Project

    Dirty.objects.all().delete()  # the runs of other parts need no verdicts
    project = Project.objects.create(slug="sweep", name="sweep")
    let_in(project)
    Metric.objects.create(project=project, name="loss.val")
    entry = {"last_step": 1000, "min": 1.0, "max": 9.0, "count": 100}
    runs = [
        Run(
            project=project,
            uid=f"n{place}-{number}-{seed}",
            name=f"n{n:.0e} lr{lr:g} seed {seed}",
            state=RunState.FINISHED,
            n_params=n,
            n_params_non_embedding=n,
            peak_lr=lr,
            seed=seed,
            last_step=1000,
            summary={"loss.val": {"last": predict(place, number) + 0.003 * seed, **entry}},
        )
        for place, n in enumerate(SIZES)
        for number, lr in enumerate(RATES)
        for seed in range(SEEDS)
    ]
    Run.objects.bulk_create(runs)
    add_runs(
        create_study(project, None, StudyWish("sweep", name="sweep")),
        Run.objects.filter(project=project),
    )
    while refit.run_next(n_workers=1):
        FitState.objects.filter(failures=0).update(not_before=None)


def predict(size: int, rate: int) -> float:
    """Return a loss whose best learning rate falls with the size."""
    return 3.5 - 0.25 * size + 0.05 * (rate - 2.5 + 0.3 * size) ** 2
