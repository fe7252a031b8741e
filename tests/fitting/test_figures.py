"""Figures as plain dicts: what is drawn, where, in which words, and that the counts add up."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import plotly.graph_objects as go
import pytest

from fitting.figures import FIGURES, build_figure
from fitting.models import Study
from fitting.palette import ROLES, color_size
from fitting.plots.frame import MINUS
from fitting.plots.lr_labels import count_legend_rows
from fitting.plots.surface import WHITE
from fitting.queries import StudyView, view_study
from fitting.services import add_runs, set_exclusion
from scaledash.lib import jsonsafe
from tests.fitting.factories import LRS, SIZES, make_run, make_study, settle
from tests.fitting.planted_views import KINDS, know, make_fitted

Figure = dict[str, object]


@pytest.fixture
def study(transactional_db: None) -> Study:
    return make_fitted()


@pytest.fixture
def fitted(transactional_db: None) -> StudyView:
    return know("fitted")


def draw(view: StudyView, name: str = "lr_loss", **options: str) -> Figure:
    figure = build_figure(name, view, options, "1")
    assert figure is not None
    return figure


def redraw(study: Study, *runs: object, **options: str) -> Figure:
    add_runs(study, runs)
    settle()
    return draw(view_study(study), **options)


def traces(figure: Figure, part: str) -> list[dict[str, object]]:
    return [trace for trace in figure["data"] if trace["meta"]["part"] == part]


def points(figure: Figure, *parts: str) -> int:
    return sum(len(trace["x"]) for part in parts for trace in traces(figure, part))


@pytest.fixture
def view(name: str, transactional_db: None) -> StudyView:
    """The view of a study that has what the figure draws."""
    return know(KINDS.get(name, "fitted"))


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_plotly_knows_every_key(view: StudyView, name: str) -> None:
    figure = draw(view, name)
    assert figure["data"]
    go.Figure(data=figure["data"], layout=figure["layout"])


@pytest.mark.parametrize("mode", ["lin", "excess", "relative"])
def test_plotly_knows_every_key_of_each_height(fitted: StudyView, mode: str) -> None:
    figure = draw(fitted, "lr_loss", ys=mode)
    go.Figure(data=figure["data"], layout=figure["layout"])


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_every_trace_has_a_part_and_those_of_one_colour_a_tone(view: StudyView, name: str) -> None:
    for trace in draw(view, name)["data"]:
        assert trace["meta"]["part"]
        if trace["type"] == "scatter":
            assert trace["mode"]
            assert trace["meta"].get("tone") or trace["marker"]["color"] == WHITE


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_figures_are_strict_json(view: StudyView, name: str) -> None:
    json.dumps(json.loads(jsonsafe.dumps(draw(view, name))), allow_nan=False)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_names_its_marks_or_leaves_them_blank(view: StudyView, name: str) -> None:
    uids = {row.uid for row in view.rows.rows}
    for trace in draw(view, name)["data"]:
        for custom in trace.get("customdata", ()):
            first = custom[0] if isinstance(custom, list) else custom
            assert first == "" or first in uids


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_figure_without_a_fit_is_stale_not_broken(study: Study, name: str) -> None:
    assert draw(view_study(study), name)["state"] == "stale"


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_a_study_without_runs_is_empty(name: str, transactional_db: None) -> None:
    study = make_study()
    settle()
    figure = draw(view_study(study), name)
    assert (figure["state"], figure["data"], figure["counts"]["n"]) == ("empty", [], 0)


@pytest.mark.parametrize("name", ["lr_optimum", "lr_sensitivity"])
def test_a_study_that_is_too_small_is_refused_in_a_sentence(
    name: str, transactional_db: None
) -> None:
    study = make_study()
    redraw(study, make_run(study.project))
    figure = draw(view_study(study), name)
    assert (figure["state"], figure["data"]) == ("refused", [])
    assert figure["refusal"]["sentence"] == "Needs ≥ 3 LRs at ≥ 2 sizes; have 1 size x 1 LR"


def test_an_unknown_name_is_no_figure(fitted: StudyView) -> None:
    assert build_figure("lr_losses", fitted, {}, "1") is None


def test_every_run_is_one_mark(fitted: StudyView) -> None:
    figure = draw(fitted)
    drawn = points(figure, "healthy", "unfinished", "above", "diverged")
    assert drawn == figure["counts"]["drawn"] == figure["counts"]["n"] == 42


def test_u26_a_config_value_stands_on_x_with_a_line_for_each_size_and_variant(
    fitted: StudyView,
) -> None:
    lines = traces(draw(fitted), "line")
    assert len(lines) == 6
    assert {line["line"]["dash"] for line in lines} == {"solid", "dash"}


def test_a_legend_of_long_names_keeps_rows_for_a_telephone() -> None:
    rows = {
        names: count_legend_rows(SimpleNamespace(variants=names))
        for names in (("",), ("ln", "none"), ("optimizer=adam", "optimizer=lion", "optimizer=muon"))
    }
    assert list(rows.values()) == [0, 1, 3]


def test_the_ring_stands_at_the_fitted_optimum_with_its_interval(fitted: StudyView) -> None:
    rings = traces(draw(fitted), "ring")
    optima = [scale["optimum"] for scale in fitted.result["scales"]]
    assert [ring["x"] for ring in rings] == [[optimum["lr"]] for optimum in optima]
    for ring, optimum in zip(rings, optima, strict=True):
        whisker, interval = ring["error_x"], optimum["interval"]
        low, high = ring["x"][0] - whisker["arrayminus"][0], ring["x"][0] + whisker["array"][0]
        assert (low, high) == pytest.approx((interval["low"], interval["high"]))


def test_the_largest_size_has_the_strongest_colour(fitted: StudyView) -> None:
    by_size = {trace["name"]: trace["marker"]["color"] for trace in traces(draw(fitted), "healthy")}
    assert by_size["148k healthy"] == color_size(1.0) == "#440154"
    assert by_size["9k healthy"] == color_size(0.0) == "#50c26a"


def test_sizes_differ_in_shape_as_well(fitted: StudyView) -> None:
    shapes = [trace["marker"]["symbol"] for trace in traces(draw(fitted), "healthy")]
    assert len(set(shapes)) == len(SIZES)


def test_labels_name_each_size_once(fitted: StudyView) -> None:
    texts = [note["text"] for note in draw(fitted)["layout"]["annotations"]]
    assert [text for text in texts if text.endswith("k")] == ["9k", "37k", "148k"]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_diverged_run_is_a_red_triangle_at_the_initial_loss(study: Study, loss: float) -> None:
    figure = redraw(study, make_run(study.project, loss, peak_lr=0.5, loss_at_init=3.3))
    (mark,) = traces(figure, "diverged")
    assert (mark["x"], mark["y"]) == ([0.5], [3.3])
    assert (mark["marker"]["symbol"], mark["marker"]["color"]) == ("triangle-up", ROLES["bad"])
    assert figure["counts"]["diverged"] == 1


def test_a_diverged_run_below_the_initial_loss_stands_where_it_ended(study: Study) -> None:
    run = make_run(study.project, 3.1, peak_lr=0.5, outcome="diverged")
    (mark,) = traces(redraw(study, run), "diverged")
    assert mark["y"] == [3.1]


def test_a_high_loss_stands_on_the_edge_and_is_counted(study: Study) -> None:
    figure = redraw(study, make_run(study.project, 5.5, peak_lr=0.5))
    (mark,) = traces(figure, "above")
    top = 10 ** figure["layout"]["yaxis"]["range"][1]
    assert mark["y"] == [pytest.approx(top)]
    assert figure["counts"]["clipped"] == 1
    assert any("1 above" in note["text"] for note in figure["layout"]["annotations"])


def test_a_line_that_enters_from_above_is_labelled_on_the_edge(study: Study) -> None:
    first = make_run(study.project, 5.5, n_params_non_embedding=SIZES[0], peak_lr=1e-5)
    layout = redraw(study, first)["layout"]
    (label,) = [note for note in layout["annotations"] if note["text"] == "9k"]
    assert label["x"] == pytest.approx(-5)
    assert label["y"] == pytest.approx(layout["yaxis"]["range"][1])


def test_a_run_in_progress_is_hollow_and_in_no_line(study: Study) -> None:
    figure = redraw(study, make_run(study.project, 2.6, peak_lr=0.5, state="running"))
    (mark,) = traces(figure, "unfinished")
    assert mark["marker"]["symbol"].endswith("-open")
    assert all(0.5 not in line["x"] for line in traces(figure, "line"))


def test_hidden_runs_are_counted_by_reason(study: Study) -> None:
    project = study.project
    figure = redraw(
        study,
        make_run(project, 2.6, peak_lr=None),
        make_run(project, None, state="running"),
    )
    set_exclusion(study.study_runs.first(), None, True, "x")
    figure = draw(view_study(study))
    counts = figure["counts"]
    hidden = counts["excluded"] + counts["without_axes"] + counts["without_loss"]
    assert (counts["n"], counts["drawn"], hidden) == (44, 41, 3)


def test_an_initial_loss_beyond_the_plot_is_said(fitted: StudyView) -> None:
    texts = [note["text"] for note in draw(fitted)["layout"]["annotations"]]
    assert "loss at initialisation 5.800 ↑" in texts
    assert traces(draw(fitted), "initial") == []


def test_excess_is_measured_from_the_best_of_each_line(fitted: StudyView) -> None:
    for line in traces(draw(fitted, ys="excess"), "line"):
        assert min(line["y"]) == 0


def test_the_zoom_survives_until_the_axis_changes(fitted: StudyView) -> None:
    first, same, other = (draw(fitted, ys=ys)["layout"]["uirevision"] for ys in ("", "", "lin"))
    assert first == same != other


def test_a_mark_carries_its_run(fitted: StudyView) -> None:
    marks = traces(draw(fitted), "healthy")
    uids = {custom[0] for trace in marks for custom in trace["customdata"]}
    assert uids == {row.uid for row in fitted.rows.rows}


HOSTILE = '<a href="https://example.org">%{x}</a>&lt;__proto__'


def test_markup_in_names_stays_text(study: Study) -> None:
    run = make_run(study.project, 2.7, name=HOSTILE, config={"qk_norm": HOSTILE})
    figure = redraw(study, run)
    shown = json.dumps([figure["data"], figure["layout"]])
    assert "<a" not in shown
    assert "&lt;a href" in shown


def test_the_table_holds_the_numbers_of_the_marks(fitted: StudyView) -> None:
    figure = draw(fitted)
    marks = [y for trace in traces(figure, "healthy") for y in trace["y"]]
    place = figure["table"]["columns"].index("Final loss")
    assert sorted(row[place] for row in figure["table"]["rows"]) == sorted(marks)


def test_the_law_is_solid_inside_the_data_and_dashed_beyond(fitted: StudyView) -> None:
    figure = draw(fitted, "lr_optimum")
    fit, beyond = traces(figure, "fit")[0], traces(figure, "extrapolated")[0]
    assert max(fit["x"]) == min(beyond["x"]) == max(SIZES)
    assert max(beyond["x"]) == pytest.approx(10 * max(SIZES))
    assert (fit["line"]["dash"], beyond["line"]["dash"]) == ("solid", "dash")


def test_the_exponent_in_the_plot_is_the_fitted_one(fitted: StudyView) -> None:
    texts = [note["text"] for note in draw(fitted, "lr_optimum")["layout"]["annotations"]]
    exponents = [item["exponent"]["exponent"] for item in fitted.result["variants"]]
    wanted = {f"N<sup>{MINUS}{abs(exponent):.2f}</sup>" for exponent in exponents}
    assert all(any(part in text for text in texts) for part in wanted)


def test_an_optimum_at_the_edge_is_half_filled_and_one_sided(transactional_db: None) -> None:
    study = make_study()
    runs = [make_run(study.project, 3 - place / 10, peak_lr=lr) for place, lr in enumerate(LRS)]
    add_runs(study, runs)
    settle()
    (mark,) = traces(draw(view_study(study), "lr_optimum"), "censored")
    assert (mark["text"], mark["y"]) == (["◒"], [LRS[-1]])
    assert mark["error_y"]["array"] == [0.0]
    assert mark["error_y"]["arrayminus"][0] > 0
