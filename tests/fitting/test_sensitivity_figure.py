"""The figure of LR sensitivity: which points are joined, and what is drawn beside them."""

from __future__ import annotations

import pytest

from fitting.models import Study
from fitting.palette import ROLES
from fitting.plots.lr_sensitivity import label_changes
from fitting.queries import view_study
from tests.fitting.factories import LRS, make_run, make_study, make_sweep
from tests.fitting.test_figures import draw, make_fitted, redraw, traces


@pytest.fixture
def study(transactional_db: None) -> Study:
    return make_fitted()


def test_an_incomplete_grid_is_grey_with_its_coverage(study: Study) -> None:
    runs = [
        make_run(study.project, 2.4 + lr, n_params_non_embedding=6e5, peak_lr=lr, config=config)
        for lr in LRS[1:5]
        for config in ({"qk_norm": "none"}, {"qk_norm": "ln"})
    ]
    redraw(study, *runs)
    partial = traces(draw(view_study(study), "lr_sensitivity"), "partial")
    assert [trace["text"] for trace in partial] == [["4/7"], ["4/7"]]
    assert {trace["marker"]["color"] for trace in partial} == {ROLES["ink3"]}


def test_another_grid_is_never_joined_with_the_standard_one(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    odd = [
        make_run(study.project, loss, n_params_non_embedding=6e5, peak_lr=lr)
        for lr, loss in ((2e-3, 2.6), (7e-3, 2.2), (2e-2, 2.5))
    ]
    redraw(study, *odd)
    figure = draw(view_study(study), "lr_sensitivity")
    (other,) = traces(figure, "non-standard")
    assert (other["x"], other["line"]["dash"]) == ([6e5], "dot")
    assert 6e5 not in traces(figure, "complete")[0]["x"]


def test_another_grid_is_labelled_where_it_changes() -> None:
    assert label_changes(["7 LRs", "7 LRs", "6 LRs", "7 LRs"]) == ["7 LRs", "", "6 LRs", "7 LRs"]


def test_a_sensitivity_of_zero_stands_on_the_lower_edge_and_is_counted(study: Study) -> None:
    flat = [
        make_run(
            study.project, 2.4, n_params_non_embedding=6e5, peak_lr=lr, config={"qk_norm": "ln"}
        )
        for lr in LRS
    ]
    redraw(study, *flat)
    figure = draw(view_study(study), "lr_sensitivity")
    (mark,) = traces(figure, "nonpositive")
    assert mark["y"] == [pytest.approx(10 ** figure["layout"]["yaxis"]["range"][0])]
    assert (figure["counts"]["drawn"], figure["counts"]["nonpositive"]) == (6, 1)
