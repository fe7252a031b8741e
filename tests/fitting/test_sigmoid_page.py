"""The sigmoid of reinforcement learning (P12): planted curves through HTTP, worker and page."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from plotly import graph_objects

from fitting import contexts, tabs
from fitting.figures import build_figure
from fitting.queries import StudyView, view_study
from tests.fitting.factories import make_run, make_study, make_sweep, settle
from tests.fitting.planted import SIGMOIDS
from tests.fitting.planted_views import know
from tests.runs.factories import Job, make_api

Figure = dict[str, object]


@pytest.fixture
def view(transactional_db: None) -> StudyView:
    return know("scored")


def draw(view: StudyView, name: str = "sigmoid") -> Figure:
    figure = build_figure(name, view, {}, "1")
    assert figure is not None
    return figure


def list_rows(view: StudyView) -> list[dict[str, object]]:
    return contexts.build_study(view, "sigmoid", {})["sigmoids"]["runs"]


def test_planted_sigmoids_are_recovered(view: StudyView) -> None:
    found = {row["name"]: row["params"] for row in list_rows(view)}
    for variant, truth in SIGMOIDS.items():
        params = found[f"logits={variant}"]
        assert list(params) == ["A", "C_mid", "B"]  # the order of the columns
        assert [item["value"] for item in params.values()] == pytest.approx(truth, rel=1e-3)


def test_the_second_half_is_predicted_from_the_first(view: StudyView) -> None:
    assert all(row["held_out"] < 1e-3 for row in list_rows(view))
    parts = [trace["meta"]["part"] for trace in draw(view)["data"]]
    assert [parts.count(part) for part in ("point", "early", "held_out", "held_out_line")] == [
        2
    ] * 4


def test_the_first_1500_hours_are_shaded_and_in_no_fit(view: StudyView) -> None:
    region = next(shape for shape in draw(view)["layout"]["shapes"] if shape["type"] == "rect")
    assert region["x1"] == 1500
    assert [row["n_early"] for row in list_rows(view)] == [5, 5]


def test_asymptotes_are_compared_at_one_steepness(view: StudyView) -> None:
    document = contexts.build_study(view, "sigmoid", {})["sigmoids"]
    assert [row["common_text"] for row in document["runs"]] == ["0.52", "0.61"]
    assert "differ by 0.090" in document["sentences"][0]


def test_the_table_of_the_law_says_what_was_fitted(view: StudyView) -> None:
    law = contexts.build_study(view, "sigmoid", {})["sigmoids"]["law"]
    assert "residuals of the score" in law["objective"]


def test_kpi_and_row_show_one_number(view: StudyView) -> None:
    kpis = {kpi["key"]: kpi for kpi in contexts.build_study(view, "sigmoid", {})["kpis"]}
    row = next(row for row in list_rows(view) if row["name"] == "logits=fp32")
    assert kpis["asymptote"]["value"] == row["params"]["A"]["text"]
    assert kpis["score_held_out"]["value"] == row["held_out_text"]


def test_a_study_of_scores_opens_with_them(view: StudyView) -> None:
    assert tabs.choose_tab(view) == "sigmoid"
    assert "sigmoid" in tabs.list_tabs(view, "lr")


def test_both_figures_have_their_place_before_the_deep_fit_reads_the_curves(
    view: StudyView,
) -> None:
    early = replace(view, sigmoid_fit=None)
    assert tabs.list_figures(early, "sigmoid") == ["sigmoid", "score_residuals"]


@pytest.mark.parametrize("name", ["sigmoid", "score_residuals"])
def test_figures_are_finite_and_plotly_knows_every_key(view: StudyView, name: str) -> None:
    figure = draw(view, name)
    json.dumps(figure, allow_nan=False, default=str)
    graph_objects.Figure({"data": figure["data"], "layout": figure["layout"]})
    assert figure["state"] == "ready"


def test_a_study_without_scores_has_no_tab_and_a_sentence(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    settle()
    view = view_study(study)
    assert "sigmoid" not in tabs.list_tabs(view, "lr")
    absent = {item["law"]: item for item in contexts.build_study(view, "lr", {})["absent"]}
    assert "no run logs one" in absent["RL sigmoid"]["sentence"]


def test_scores_above_one_are_refused_with_their_number(transactional_db: None) -> None:
    api = make_api()
    study = make_study(api.project)
    run = make_run(api.project, None, state="running", flops=1e12)
    Job(api, run).log([0, 10, 20], metrics={"train.mean_reward": [1.0, 2.0, 3.0]})
    api.post(f"runs/{run.uid}/finish", {"state": "finished"})
    study.study_runs.create(run=run)
    settle()
    refusal = contexts.build_study(view_study(study), "sigmoid", {})["sigmoids"]["refusal"]
    assert "none of 1 runs with train.mean_reward" in refusal["sentence"]
    assert "1: the score leaves 0 to 1" in refusal["sentence"]
