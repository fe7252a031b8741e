"""The sweep of each variant in a panel of its own, on shared axes."""

from __future__ import annotations

import pytest

from fitting.plots.lr_panels import MOST_PANELS, draw_lr_panels
from fitting.queries import view_study
from fitting.tabs import list_figures
from tests.fitting.factories import make_study, make_sweep, settle
from tests.fitting.planted_views import know
from tests.fitting.test_figures import draw, traces

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_variant_has_a_panel_with_its_runs_and_optima_on_the_same_axes() -> None:
    figure = draw(know("fitted"), "lr_panels")
    layout = figure["layout"]
    titles = [note["text"] for note in layout["annotations"]]
    assert layout["meta"] == {"panels": 2, "rows": 1}
    assert (layout["xaxis2"]["matches"], layout["yaxis2"]["matches"]) == ("x", "y")
    for place, title in enumerate(titles):
        axis = "x" if place == 0 else f"x{place + 1}"
        mine = [trace for trace in figure["data"] if trace.get("xaxis") == axis]
        rings = [trace for trace in mine if trace["meta"]["part"] == "ring"]
        assert {ring["customdata"][0][1] for ring in rings} == {title}
        assert len([trace for trace in mine if trace["meta"]["part"] == "line"]) == 3
    assert figure["counts"]["drawn"] == sum(len(trace["x"]) for trace in traces(figure, "healthy"))


def test_a_study_of_one_variant_has_no_panels() -> None:
    study = make_study()
    make_sweep(study)
    settle()
    view = view_study(study)
    assert "lr_panels" not in list_figures(view, "lr")
    assert draw(view, "lr_panels")["data"] == []


def test_of_many_variants_those_of_most_runs_have_a_panel_and_the_rest_is_counted() -> None:
    study = make_study()
    make_sweep(study, {f"v{place:02}": 0.05 for place in range(MOST_PANELS + 2)})
    settle()
    view = view_study(study)
    figure = draw(view, "lr_panels")
    assert figure["layout"]["meta"]["panels"] == MOST_PANELS
    assert figure["counts"]["undrawn"] == 2 * 21
    assert f"{MOST_PANELS} of most runs" in figure["caption"]


def test_two_learning_rates_are_no_sweep() -> None:
    view = know("fitted")
    few = [row for row in view.rows.rows if row.lr <= sorted({r.lr for r in view.rows.rows})[1]]
    assert draw_lr_panels(few, None, {"none": 0, "ln": 1})["data"] == []
