"""The compute-optimal tabs: what they draw, say and answer, from stored fits."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from fitting import contexts
from fitting.compute_results import describe_design
from fitting.figures import build_figure
from fitting.models import Fit, FitKind, Study
from fitting.palette import ROLES
from fitting.plots.allocation import PF_DAY, REFERENCES
from fitting.plots.frame import LEAST_HEIGHT, MARGIN
from fitting.plots.frontier import break_where_runs_end
from fitting.plots.isoflop import Budget, label_budgets
from fitting.plots.surface import WHITE
from fitting.queries import COMPUTE_OPTIMAL, StudyView, find_newest, view_study
from fitting.services import add_runs
from scaledash.lib.units import format_flops
from tests.fitting.factories import make_isoflops, make_run, make_study, make_sweep, settle
from tests.runs.factories import Job, make_api

Figure = dict[str, object]


@pytest.fixture
def study(transactional_db: None) -> Study:
    study = make_study()
    make_isoflops(study)
    settle()
    return study


@pytest.fixture
def view(db: None, kept_isoflops: Study) -> StudyView:
    return view_study(kept_isoflops)


def draw(view: StudyView, name: str, **options: str) -> Figure:
    figure = build_figure(name, view, options, "1")
    assert figure is not None
    return figure


def traces(figure: Figure, part: str) -> list[dict[str, object]]:
    return [trace for trace in figure["data"] if trace["meta"]["part"] == part]


def build(view: StudyView, tab: str = "isoflop", **options: str) -> dict[str, object]:
    return contexts.build_study(view, tab, options)


def test_each_budget_has_a_parabola_a_ring_and_a_label(view: StudyView) -> None:
    figure = draw(view, "isoflop")
    assert [len(traces(figure, part)) for part in ("cell", "fit", "ring")] == [4, 4, 4]
    labels = [note["text"] for note in figure["layout"]["annotations"]]
    assert labels == ["C = 10¹¹", "C = 3·10¹¹", "C = 10¹²", "C = 3·10¹²"]


def test_labels_of_forty_budgets_stay_apart_and_inside_the_frame() -> None:
    budgets = [
        Budget(
            {"flops": 10.0 ** (17 + place / 8)}, [{"n_params": 1e9, "loss": loss}], 0.5, "circle"
        )
        for place, loss in enumerate(np.geomspace(4.5, 2.1, 40))
    ]
    notes = label_budgets(budgets, (2.0, 4.6))
    height = LEAST_HEIGHT - MARGIN["t"] - MARGIN["b"]
    places = [height * (note["y"] - 2.0) / 2.6 - note["ay"] for note in notes]
    assert 10 <= len(notes) < 40
    assert notes[-1]["text"] == f"C = {format_flops(budgets[-1].profile['flops'])}"
    assert all(above - below >= 13 - 1e-9 for above, below in pairwise(places))
    assert 0 <= min(places) <= max(places) <= height


def test_a_ring_stands_where_the_table_says(view: StudyView) -> None:
    rings = [trace["x"][0] for trace in traces(draw(view, "isoflop"), "ring")]
    rows = draw(view, "isoflop")["table"]["rows"]
    assert rings == [row["n_params"] for row in rows]


def test_a_budget_of_three_sizes_is_hollow_and_says_why(transactional_db: None) -> None:
    study = make_study()
    make_isoflops(study, n_sizes=3)
    settle()
    figure = draw(view_study(study), "isoflop")
    assert len(traces(figure, "hollow")) == 4
    assert not traces(figure, "ring")
    assert "3 sizes; a parabola needs 4" in figure["caption"]
    assert figure["refusal"]["code"] == "too_few_groups"


def test_runs_at_other_learning_rates_are_drawn_small_and_counted(study: Study) -> None:
    cell = study.runs.first()
    shape = {"n_params_non_embedding": cell.n_params_non_embedding, "n_tokens": cell.n_tokens}
    loss = cell.summary["loss.val"]["last"]
    near = make_run(study.project, loss + 0.001, flops=cell.flops, peak_lr=0.1, **shape)
    far = make_run(study.project, 5.5, flops=cell.flops, peak_lr=0.2, **shape)
    add_runs(study, [near, far])
    settle()
    figure = draw(view_study(study), "isoflop")
    assert [trace["customdata"][0][0] for trace in traces(figure, "above")] == [far.uid]
    assert figure["counts"]["drawn"] == 22
    assert figure["counts"]["clipped"] == 1


def test_a_diverged_run_takes_no_part(study: Study) -> None:
    cell = study.runs.first()
    shape = {"n_params_non_embedding": cell.n_params_non_embedding, "n_tokens": cell.n_tokens}
    add_runs(study, [make_run(study.project, math.nan, flops=cell.flops, **shape)])
    settle()
    figure = draw(view_study(study), "isoflop")
    assert (figure["counts"]["diverged"], figure["counts"]["drawn"]) == (1, 20)


def test_lines_are_dashed_beyond_the_largest_budget(view: StudyView) -> None:
    figure = draw(view, "frontier")
    assert max(x for trace in traces(figure, "fit") for x in trace["x"]) <= 3.0001e12
    beyond = traces(figure, "extrapolated")
    assert beyond
    assert {trace["line"]["dash"] for trace in beyond} == {"dash"}


def test_the_exponent_is_one_number_in_kpi_and_table(view: StudyView) -> None:
    document = build(view)
    kpi = next(kpi for kpi in document["kpis"] if kpi["key"] == "n_exponent")
    row = next(row for row in document["exponents"] if row["slug"] == "chinchilla_parametric")
    assert kpi["value"] == row["a_text"] == "0.57"


def test_what_if_answers_at_the_largest_budget_unasked(view: StudyView) -> None:
    what_if = build(view)["what_if"]
    assert what_if["flops"] == pytest.approx(3e12)
    assert what_if["extrapolated"] == ""


def test_what_if_beyond_the_data_says_how_far(view: StudyView) -> None:
    what_if = build(view, c="1e13")["what_if"]
    assert what_if["extrapolated"] == "0.5 decades beyond the largest budget"
    spent = [6 * row["n_params"] * row["n_tokens"] for row in what_if["rows"]]
    assert spent == pytest.approx([1e13] * len(spent), rel=1e-3)


@pytest.mark.parametrize("asked", ["1e15", "0", "-1e12", "1e10"])
def test_what_if_outside_the_range_names_the_range(view: StudyView, asked: str) -> None:
    problem = build(view, c=asked)["what_if"]["problem"]
    assert problem.startswith(f"{asked} lies outside 10¹¹ to 3·10¹³ FLOPs")


def test_what_if_refuses_what_is_no_number(view: StudyView) -> None:
    assert build(view, c="many")["what_if"]["problem"].startswith("'many' is no number")


def test_laws_of_papers_are_drawn_on_request(view: StudyView) -> None:
    assert not traces(draw(view, "optimal_params"), "reference")
    lines = traces(draw(view, "optimal_params", ref="papers"), "reference")
    assert [line["line"]["dash"] for line in lines] == ["dashdot", "dot"]
    for line in lines:
        assert line["line"]["color"] == ROLES["ink3"]
    flops, size = lines[0]["x"][0], lines[0]["y"][0]
    assert flops / (6 * size) / size == pytest.approx(20)
    (ratio, _) = traces(draw(view, "tokens_per_param", ref="papers"), "reference")
    assert ratio["y"] == pytest.approx([20] * len(ratio["x"]))


def test_kaplan_stands_where_its_table_says(view: StudyView) -> None:
    kaplan = REFERENCES[1]
    assert kaplan.read("n_params", PF_DAY) == 1.3e9
    assert kaplan.read("n_params", 10 * PF_DAY) == pytest.approx(1.3e9 * 10**0.73)


def test_the_edge_of_the_surface_is_where_support_ends(view: StudyView) -> None:
    figure = draw(view, "surface")
    below, above = traces(figure, "mask")
    cells = [(row["n_params"], row["n_tokens"]) for row in figure["table"]["rows"]]
    sizes, tokens = zip(*cells, strict=True)
    for flops, high in zip(above["x"][:-2], above["y"][:-2], strict=True):
        limit = min(10 * max(sizes), flops / (6 * min(tokens) / 10), above["y"][-1])
        assert high == pytest.approx(limit, rel=0.05)
    for flops, low in zip(below["x"][:-2], below["y"][:-2], strict=True):
        limit = max(min(sizes) / 10, flops / (6 * max(tokens) * 10), below["y"][-1])
        assert low == pytest.approx(limit, rel=0.05)
    assert above["fillcolor"] == ROLES["panel"]


def test_runs_of_the_surface_show_their_residual_on_request(view: StudyView) -> None:
    (plain,) = traces(draw(view, "surface"), "cell")
    figure = draw(view, "surface", color="residual")
    (marked,) = traces(figure, "cell")
    assert plain["marker"]["color"] == WHITE
    assert (
        marked["marker"]["cmin"]
        == -marked["marker"]["cmax"]
        == -max(map(abs, marked["marker"]["color"]))
    )
    assert len(marked["marker"]["color"]) == figure["counts"]["drawn"]
    assert "Red lies above the law" in figure["caption"]


def test_the_envelope_comes_with_the_deep_fit_and_stays_while_newer_data_are_fitted(
    transactional_db: None,
) -> None:
    api = make_api()
    study = make_study(api.project)
    runs = make_isoflops(study, lambda run: Job(api, run))
    settle()
    assert len(traces(draw(view_study(study), "envelope"), "envelope")) == 1
    deep = find_newest(study, COMPUTE_OPTIMAL, FitKind.DEEP)
    make_sweep(study)
    settle(limit=50)
    newest = view_study(study)
    assert newest.envelope_fit.pk >= deep.pk
    assert draw(newest, "envelope")["counts"]["drawn"] == len(runs)


def test_before_the_deep_fit_the_envelope_says_that_it_comes(view: StudyView) -> None:
    variants = [
        {**item, "envelope": {"code": "pending", "sentence": "comes with the deep fit", "cure": ""}}
        for item in view.compute["variants"]
    ]
    fast = Fit(kind=FitKind.FAST, result={**view.compute, "variants": variants})
    early = replace(view, compute_fit=fast, envelope_fit=None)
    assert draw(early, "envelope")["refusal"]["sentence"] == "Comes with the deep fit"


def test_a_pane_with_a_line_of_another_approach_refuses_nothing(view: StudyView) -> None:
    refusal = {"code": "no", "sentence": "budget 1e+12 has 1 point", "cure": ""}
    variants = [{**item, "isoflop": refusal} for item in view.compute["variants"]]
    without = replace(view, compute_fit=Fit(result={**view.compute, "variants": variants}))
    assert draw(without, "isoflop")["refusal"]["sentence"] == "Budget 10¹² has 1 point"
    assert draw(without, "optimal_params")["refusal"] is None
    lone = [{**item, "frontiers": []} for item in variants]
    alone = replace(view, compute_fit=Fit(result={**view.compute, "variants": lone}))
    assert draw(alone, "optimal_params")["refusal"]["code"] == "no"


def test_a_study_of_budgets_opens_with_isoflop(view: StudyView) -> None:
    assert contexts.choose_tab(view) == "isoflop"


def test_a_sweep_opens_with_the_sweep(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    settle()
    assert contexts.choose_tab(view_study(study)) == "lr"


def test_a_sweep_says_what_its_compute_tabs_miss(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    settle()
    refusal = draw(view_study(study), "surface")["refusal"]
    assert refusal["sentence"] == "None of 21 runs has parameters, tokens and FLOPs"


def test_variants_have_a_link_each_and_figures_follow(transactional_db: None) -> None:
    study = make_study(variant_keys=["qk_norm"])
    make_isoflops(study, config={"qk_norm": "ln"})
    make_isoflops(study, n_sizes=4, config={"qk_norm": "none"})
    settle()
    view = view_study(study)
    assert build(view)["compute_variants"] == ["qk_norm=ln", "qk_norm=none"]
    assert build(view)["shown_variant"] == "qk_norm=ln"
    assert draw(view, "surface", variant="qk_norm=none")["counts"]["drawn"] == 16


def test_the_envelope_is_broken_where_the_leading_run_ends_or_a_better_one_begins() -> None:
    rows = [{"loss": loss} for loss in (2.9, 2.0, 1.95, 1.97, 1.93, 1.931)]
    broken = break_where_runs_end(rows)
    assert [row and row["loss"] for row in broken] == [
        2.9,
        None,
        2.0,
        1.95,
        None,
        1.97,
        1.93,
        1.931,
    ]


def test_an_envelope_of_one_token_count_is_no_optimum() -> None:
    cells = [{"n_tokens": 6.1e5}, {"n_tokens": 6.2e5}]
    alone = {"cells": cells, "frontiers": [{"approach": "chinchilla_envelope"}]}
    assert describe_design(alone).startswith("All runs have about 620k tokens")
    cells[1]["n_tokens"] = 2.4e6
    assert describe_design(alone) == ""
