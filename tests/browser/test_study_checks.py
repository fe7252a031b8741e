"""What the tabs of a study promise, on studies whose law is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from fitting.models import Forecast, Study
from fitting.services import add_runs
from runs.models import Outcome
from teams.models import Project
from tests.browser.test_study_pages import BUDGETS, SETTLED
from tests.fitting.factories import (
    LRS,
    SIZES,
    make_isoflops,
    make_logit_growth,
    make_run,
    make_study,
    make_sweep,
    predict_loss,
    settle,
)
from tests.runs.factories import Job, open_run
from tests.teams.factories import Scope, api_of

OpenPage = Callable[..., Page]
pytestmark = pytest.mark.slow
TRACES = """(name) => document.querySelector(`#figure-${name} .plot-area`).data.map((trace) => ({
  part: trace.meta?.part ?? "", x: trace.x, y: trace.y, z: trace.z ?? null,
  uids: (trace.customdata ?? []).map((of) => (Array.isArray(of) ? of[0] : of)),
  whisker: trace.error_x ?? null,
}))"""


def read_traces(page: Page, name: str, *parts: str) -> list[dict[str, object]]:
    page.wait_for_selector(f"#figure-{name}[data-state=ready]")
    return [trace for trace in page.evaluate(TRACES, name) if trace["part"] in parts]


def test_marks_are_the_runs_triangles_the_diverged_and_rings_the_planted_optima(
    open_page: OpenPage, project: Project
) -> None:
    study = make_study(project, "sweep")
    runs = make_sweep(study)
    hot = [
        make_run(
            project,
            math.nan,
            n_params_non_embedding=size,
            peak_lr=1.0,
            outcome=Outcome.DIVERGED,
        )
        for size in SIZES
    ]
    add_runs(study, hot)
    settle()
    page = open_page("/p/tiny/s/sweep")
    found = read_traces(page, "lr_loss", "healthy", "above", "unfinished", "diverged", "ring")
    drawn = {part: [] for part in ("healthy", "above", "unfinished", "diverged")}
    for trace in found:
        drawn.get(trace["part"], []).extend(trace["uids"])
    assert sorted(drawn["diverged"]) == sorted(run.uid for run in hot)
    assert sorted(uid for uids in drawn.values() for uid in uids) == sorted(
        run.uid for run in [*runs, *hot]
    )
    figure = page.locator("#figure-lr_loss")
    assert (
        figure.get_attribute("data-n") == figure.get_attribute("data-drawn") == str(len(runs) + 3)
    )
    expect(figure.locator("[data-count=diverged]")).to_have_text("3 diverged")
    rings = [trace for trace in found if trace["part"] == "ring"]
    planted = [LRS[4 - place] for place in range(len(SIZES))]
    assert len(rings) == len(planted)
    for ring, truth in zip(rings, planted, strict=True):
        (lr,), whisker = ring["x"], ring["whisker"]
        low, high = lr - whisker["arrayminus"][0], lr + whisker["array"][0]
        assert low * 0.999 <= truth <= high * 1.001


def test_the_compute_tabs_draw_nothing_beyond_their_data(
    open_page: OpenPage, project: Project
) -> None:
    study = make_study(project, "budgets")
    make_isoflops(study)
    lone = [  # a budget whose smallest loss stands at its edge: three sizes, no vertex
        make_run(
            project,
            predict_loss(n, 1e13 / (6 * n)),
            n_params_non_embedding=n,
            n_tokens=1e13 / (6 * n),
            flops=1e13,
        )
        for n in (4e5, 8e5, 1.6e6)
    ]
    add_runs(study, lone)
    settle()
    page = open_page(f"{BUDGETS}?tab=isoflop")
    hollow = read_traces(page, "isoflop", "hollow")
    assert [sorted(trace["uids"]) for trace in hollow] == [sorted(run.uid for run in lone)]
    rows = page.locator("[data-table=budgets] tbody tr")
    assert [row.get_attribute("data-key") for row in page.locator("tr.excluded").all()] == ["10¹³"]
    expect(rows).to_have_count(5)
    page.goto(f"{BUDGETS}?tab=frontier")
    fitted = read_traces(page, "frontier", "fit", "extrapolated")
    ends = {part: [t["x"] for t in fitted if t["part"] == part] for part in ("fit", "extrapolated")}
    assert ends["extrapolated"]
    largest = max(x for xs in ends["fit"] for x in xs)
    assert min(x for xs in ends["extrapolated"] for x in xs) == pytest.approx(largest, rel=0.02)
    page.goto(f"{BUDGETS}?tab=parametric")
    check_support(page, study)
    expect(page.locator("#figure-residuals")).to_be_visible()
    page.wait_for_selector("#figure-residuals[data-state=ready] .js-plotly-plot")
    check_register(page, study)


def check_support(page: Page, study: Study) -> None:
    """No colour shows where N or D lies beyond ten times the fitted range."""
    (surface,) = read_traces(page, "surface", "surface")
    (low_x, low), (high_x, high) = (
        (np.log(mask["x"][:-2]), np.log(mask["y"][:-2]))
        for mask in read_traces(page, "surface", "mask")
    )
    sizes = [run.n_params_non_embedding for run in study.runs.all()]
    tokens = [run.n_tokens for run in study.runs.all()]
    coloured = 0
    for n, row in zip(surface["y"], surface["z"], strict=True):
        for c, value in zip(surface["x"], row, strict=True):
            d = c / (6 * n)
            inside = min(sizes) / 10.1 <= n <= max(sizes) * 10.1
            inside &= min(tokens) / 10.1 <= d <= max(tokens) * 10.1
            is_below = math.log(n) <= np.interp(math.log(c), low_x, low)
            is_covered = is_below or math.log(n) >= np.interp(math.log(c), high_x, high)
            assert value is None or inside or is_covered, (n, d)
            coloured += value is not None
    assert coloured


def check_register(page: Page, study: Study) -> None:
    """A frozen forecast stays as it was through a refit, and is scored by the run it names."""
    page.goto(f"{BUDGETS}?tab=forecasts")
    page.fill("[data-field=n] input", "200k")
    page.fill("[data-field=d] input", "20M")
    page.click("button:has-text('Predict')")
    page.click("button:has-text('Freeze this forecast')")
    page.wait_for_selector("[data-table=forecasts] >> text=waiting for runs")
    cells = page.locator("[data-table=forecasts] tbody tr").locator("th, td")
    before = cells.all_inner_texts()
    stored = Forecast.objects.values().get()
    shape = {"n_params_non_embedding": 2e5, "n_tokens": 2e7, "flops": 6 * 2e5 * 2e7}
    add_runs(study, [make_run(study.project, predict_loss(2e5, 2e7), **shape)])
    settle()
    page.wait_for_selector("[data-table=forecasts] >> text=inside the interval")
    after = cells.all_inner_texts()
    kept = (0, 1, 2, 3, 4, 8)
    assert [after[place] for place in kept] == [before[place] for place in kept]
    assert Forecast.objects.values().get() == stored


def test_planted_logits_are_flagged_at_their_step_and_what_was_not_logged_is_unknown(
    open_page: OpenPage, project: Project
) -> None:
    user = project.memberships.get().user
    api = api_of(user, Scope.ADMIN, project)
    api.project = project
    study = make_study(project, "logits")
    make_logit_growth(study, lambda config: Job(api, open_run(api, config=config)))
    settle()
    page = open_page("/p/tiny/s/logits?tab=instab")
    page.wait_for_function(SETTLED)
    rows = page.locator("[data-table=bad-runs] tbody tr")
    steps = [
        int(text.replace(",", "")) for text in rows.locator("td:first-child").all_inner_texts()
    ]
    assert all(first <= second for first, second in pairwise(steps))
    # logits are lr N min(step / 200, 1): the largest run passes 1e4 at step 140
    crossing = page.locator("[data-table=bad-runs] tbody tr", has_text="148k")
    expect(crossing.first).to_contain_text("140")
    healthy = study.runs.filter(peak_lr=1e-2, n_params_non_embedding=SIZES[0]).get()
    expect(page.locator(f"tr[data-key='{healthy.uid}']")).to_have_count(0)
    entropy = page.locator("[data-table=diagnostics] tr[data-key=attention_entropy]")
    expect(entropy).to_contain_text("6 unknown")
    expect(entropy).to_contain_text("not logged: attn.entropy.L*")
    expect(entropy.locator(".pill.ok")).to_have_count(0)
