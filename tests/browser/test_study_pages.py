"""Every tab of studies that have something on each: what is drawn, said, exported and asked."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request

from fitting.critical_figures import CRITICAL_FIGURES
from fitting.models import Study
from fitting.score_figures import SCORE_FIGURES
from fitting.services import add_runs
from teams.models import Project
from tests.browser.test_accessibility import AXE, GRAVE
from tests.fitting.factories import make_isoflops, make_ladders, make_study, make_sweep, settle
from tests.fitting.planted import make_batch_sizes, make_batches, make_scores
from tests.runs.factories import Job, make_api, open_run

SETTLED = "() => !document.querySelector('main figure[data-state=loading]')"
FIGURES = """() => [...document.querySelectorAll("main figure[data-plot]")].map((figure) => {
  const traces = figure.querySelector(".plot-area").data ?? [];
  const of = (part) => traces.filter(({ meta }) => meta?.part === part);
  return {
    name: figure.dataset.plot,
    state: figure.dataset.state,
    drawn: Number(figure.dataset.drawn),
    sentence: figure.querySelector(".refusal").checkVisibility()
      ? figure.querySelector(".sentence").textContent : "",
    plotted: traces.length,
    beyond: of("extrapolated").map(({ line }) => line.dash),
    inside: of("fit").map(({ line }) => line.dash ?? "solid"),
    cloud: [...figure.querySelectorAll(".modebar-btn")].filter(
      ({ dataset }) => /share|cloud/i.test(dataset.title ?? "")).length,
  };
})"""
MISPLACED_MORE = """() => {
  const isMisplaced = (figure) => {
    const more = figure.querySelector("[data-more]");
    const { scrollHeight, clientHeight } = figure.querySelector("figcaption");
    return more && more.hidden !== scrollHeight <= clientHeight;
  };
  const figures = [...document.querySelectorAll("main figure[data-plot]")];
  return figures.filter(isMisplaced).map((figure) => figure.dataset.plot);
}"""
TABS = {  # what a study is planted with -> the figures of its tabs that must be drawn
    "sweep": {"lr": {"lr_loss", "lr_optimum", "lr_sensitivity"}, "history": set(), "runs": set()},
    "budgets": {
        "isoflop": {"isoflop", "optimal_params", "optimal_tokens", "tokens_per_param"},
        "parametric": {"surface", "residuals"},
        "frontier": {"frontier", "overtraining", "overtraining_residuals"},
        "forecasts": set(),
    },
    "ladders": {"compare": {"crossover", "gain", "ladder_residuals"}},
    "batches": {"lr": {"lr_loss", "lr_batch"}},
    "scores": {"sigmoid": set(SCORE_FIGURES)},
    "sizes": {"critical": set(CRITICAL_FIGURES)},
    "mine": {"compare": {"crossover", "gain", "ladder_residuals"}},
}
BUDGETS = "/p/tiny/s/budgets"


@pytest.fixture
def budgets(project: Project) -> Study:
    """A fitted study of budgets, which is planted fast."""
    study = make_study(project, "budgets")
    make_isoflops(study)
    settle(limit=500)
    return study


@pytest.fixture
def planted(project: Project, budgets: Study) -> None:
    """Beside it studies of a sweep, two ladders, batch sizes, RL scores, and one of two studies."""
    make_sweep(make_study(project, "sweep", variant_keys=["qk_norm"]), {"ln": 0.05, "none": 0.09})
    ladders = make_study(project, "ladders", variant_keys=["qk_norm"])
    runs = make_ladders(ladders)
    for name, norm, other in (("rival", "ln", ""), ("mine", "none", "rival")):
        half = make_study(project, name, variant_keys=[], compared_with=other)
        add_runs(half, [run for run in runs if run.config["qk_norm"] == norm])
    api = make_api(project)
    scores = make_study(project, "scores", variant_keys=["logits"])
    make_scores(scores, lambda fields: Job(api, open_run(api, **fields)))
    sizes = make_study(project, "sizes")
    make_batch_sizes(sizes, lambda fields: Job(api, open_run(api, **fields)))
    make_batches(make_study(project, "batches"))
    settle(limit=500)


def open_tabs(page: Page, studies: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Open each tab of each study and give its name when all of it is drawn."""
    for study in studies:
        for tab in TABS[study]:
            page.goto(f"/p/tiny/s/{study}?tab={tab}")
            page.wait_for_selector("html[data-ready]")
            page.wait_for_function(SETTLED)
            yield study, tab


@pytest.mark.usefixtures("budgets")
def test_tabs_draw_answer_export_and_rest(open_page: Callable[..., Page]) -> None:
    """One planting, which takes the time, serves all that is asked of these pages."""
    page = open_page("/", "dark")
    for study, tab in open_tabs(page, ["budgets"]):
        check_figures(page, study, tab)
    check_switches(page)
    check_what_if(page)
    check_forecast(page)
    check_exports(page)
    check_hidden(page)


def check_figures(page: Page, study: str, tab: str) -> None:
    """Every tab draws its figures or says why not; what is extrapolated is dashed."""
    figures = {item["name"]: item for item in page.evaluate(FIGURES)}
    assert set(figures) >= TABS[study][tab], f"{study} {tab}"
    for name, found in figures.items():
        where, is_drawn = f"{study} {tab} {name}", found["plotted"] > 0
        assert is_drawn or (found["sentence"] and name not in TABS[study][tab]), where
        assert set(found["beyond"]) <= {"dash"}, where
        assert set(found["inside"]) <= {"solid"}, where
        assert found["cloud"] == 0, where
    assert page.locator(f"[data-tab={tab}][aria-current=page]").count() == 1, f"{study} {tab}"
    assert page.evaluate(MISPLACED_MORE) == [], f"{study} {tab}"


def check_switches(page: Page) -> None:
    """The laws of papers come to all panes at once, and into the address."""
    page.goto(f"{BUDGETS}?tab=isoflop")
    page.click("#figure-optimal_params button[value=papers]")
    for name in ("optimal_params", "optimal_tokens", "tokens_per_param"):
        page.wait_for_function(
            f"""() => document.querySelector("#figure-{name} .plot-area").data?.filter(
              ({{ meta }}) => meta.part === "reference").length === 2"""
        )
    assert page.url.endswith("?tab=isoflop&ref=papers")
    page.goto(f"{BUDGETS}?tab=parametric")
    page.click("#figure-surface button[value=residual]")
    page.wait_for_selector("#figure-surface >> text=Red lies above the law")


def check_what_if(page: Page) -> None:
    """A budget beyond the data is answered with intervals, and its state is in the address."""
    page.goto(f"{BUDGETS}?tab=frontier")
    page.fill("#what-if-c", "1e13")
    page.click("#what-if button:has-text('Compute')")
    page.wait_for_selector("#what-if >> text=Extrapolated")
    assert "c=1e13" in page.url
    row = page.locator("[data-table=what-if] tbody tr[data-key=chinchilla_parametric] td")
    texts = row.all_inner_texts()
    assert all("\N{EN DASH}" in texts[place] for place in (1, 3, 6)), texts


def check_forecast(page: Page) -> None:
    """A prediction is frozen and waits in the register for the runs that test it."""
    page.goto(f"{BUDGETS}?tab=forecasts")
    page.fill("[data-field=n] input", "200k")
    page.fill("[data-field=d] input", "20M")
    page.click("button:has-text('Predict')")
    page.click("button:has-text('Freeze this forecast')")
    page.wait_for_selector("[data-table=forecasts] >> text=waiting for runs")


def check_exports(page: Page) -> None:
    """A figure is saved as picture, drawing and data; the table holds what the CSV holds."""
    page.goto(f"{BUDGETS}?tab=isoflop")
    page.wait_for_selector("#figure-isoflop[data-state=ready]")
    saved = {name: save(page, name) for name in ("png", "svg", "json", "csv")}
    assert struct.unpack(">II", saved["png"][16:24]) == (1200, 630)
    assert b"Loss against size at equal compute" in saved["svg"]
    assert "C = 3·10¹²" in saved["svg"].decode()
    figure = json.loads(saved["json"])
    n_rows = len([line for line in saved["csv"].decode().splitlines() if not line.startswith("#")])
    assert n_rows == len(figure["table"]["rows"]) + 1
    page.click("#figure-isoflop [data-as-table]")
    assert page.locator("#figure-isoflop .as-table tbody tr").count() == n_rows - 1
    page.emulate_media(media="print")
    assert page.locator("#figure-isoflop .tools, #switches").filter(visible=True).count() == 0
    page.emulate_media(media="screen")
    assert page.locator("#figure-isoflop .tools, #switches").filter(visible=True).count() == 2


def save(page: Page, kind: str) -> bytes:
    """Return what the export of a kind saves."""
    page.click("#figure-isoflop summary")
    with page.expect_download() as download:
        page.click(f"#figure-isoflop [data-export={kind}]")
    return Path(download.value.path()).read_bytes()


def check_hidden(page: Page) -> None:
    """A hidden tab asks nothing, and at once when it is seen."""
    page.goto(BUDGETS)
    page.wait_for_selector("[data-live-pill].live")
    page.clock.install()
    hide(page, True)
    page.wait_for_selector("[data-live-pill].paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(120_000)
    assert asked == []
    with page.expect_request(is_revision):
        hide(page, False)
    page.wait_for_selector("[data-live-pill].live")


def hide(page: Page, is_hidden: bool) -> None:
    """Make the page believe that its tab was hidden or shown."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def is_revision(request: Request) -> bool:
    return "/revision" in request.url


@pytest.mark.slow
@pytest.mark.usefixtures("planted")
def test_every_tab_draws_and_axe_finds_nothing_serious(open_page: Callable[..., Page]) -> None:
    found = {}
    for theme in ("light", "dark"):
        page = open_page("/", theme)
        for study, tab in open_tabs(page, TABS):
            check_figures(page, study, tab)
            page.evaluate(AXE.read_text())
            found[study, tab, theme] = page.evaluate(GRAVE)
    assert {name: grave for name, grave in found.items() if grave} == {}
