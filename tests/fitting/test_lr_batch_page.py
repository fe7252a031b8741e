"""Learning rate and batch size of a study: what is read, drawn and said (P9)."""

from __future__ import annotations

import pytest

from fitting import contexts, tabs
from fitting.figures import build_figure
from fitting.palette import ROLES, VIRIDIS
from fitting.queries import StudyView, view_study
from tests.fitting.factories import make_study, make_sweep, settle
from tests.fitting.planted import make_batches

Figure = dict[str, object]
KNOWN: dict[str, StudyView] = {}  # pages are pure: a view that was read once serves them all


@pytest.fixture
def view(transactional_db: None) -> StudyView:
    if "batch" not in KNOWN:
        study = make_study()
        make_batches(study)
        settle()
        KNOWN["batch"] = view_study(study)
    return KNOWN["batch"]


def draw(view: StudyView, **options: str) -> Figure:
    figure = build_figure("lr_batch", view, options, "1")
    assert figure is not None
    return figure


def traces(figure: Figure, part: str) -> list[dict[str, object]]:
    return [trace for trace in figure["data"] if trace["meta"]["part"] == part]


def test_the_star_stands_where_the_table_says(view: StudyView) -> None:
    star = traces(draw(view), "star")[0]
    assert (star["x"][0], star["y"][0]) == pytest.approx((1e-2, 1024), rel=1e-3)
    row = contexts.build_study(view, "lr", {})["batch"]["cells"][0]
    assert row["lr_text"] == "0.01"


def test_every_run_is_a_dot_and_far_ones_are_told_apart(view: StudyView) -> None:
    figure = draw(view)
    dots = {
        part: sum(len(trace["x"]) for trace in traces(figure, part)) for part in ("near", "far")
    }
    assert dots["near"] + dots["far"] == figure["counts"]["drawn"] == 25
    assert dots["far"] > 0


def test_nothing_is_coloured_beyond_two_percent_and_the_edge_is_a_level(view: StudyView) -> None:
    (surface,) = traces(draw(view), "surface")
    assert all(value is not None for row in surface["z"] for value in row)
    assert max(map(max, surface["z"])) > surface["contours"]["end"] == surface["zmax"] == 2
    places, colours = zip(*surface["colorscale"], strict=True)
    assert colours[-3:] == (VIRIDIS[-1], ROLES["panel"], ROLES["panel"])
    assert list(places) == sorted(set(places))  # else Plotly takes a scale of its own
    last_shade = surface["zmax"] - surface["contours"]["size"] / 2
    assert places[-3] == pytest.approx(last_shade / surface["zmax"])


def test_each_level_of_distance_has_its_contour(view: StudyView) -> None:
    levels = [trace["contours"]["start"] for trace in traces(draw(view), "level")]
    assert levels == [0.1, 0.25, 0.5, 1.0, 2.0]


def test_one_cell_is_too_few_for_a_law_and_says_so(view: StudyView) -> None:
    laws = contexts.build_study(view, "lr", {})["batch"]["laws"]
    assert all("n_params spans a factor 1" in law["refusal"]["sentence"] for law in laws)


def test_a_number_beyond_the_cells_shows_the_largest(view: StudyView) -> None:
    assert draw(view, cell="99")["counts"]["drawn"] == 25


def test_a_study_of_one_batch_size_has_a_sentence_in_place_of_a_plot(
    transactional_db: None,
) -> None:
    study = make_study()
    make_sweep(study)
    study.runs.update(n_tokens=1e6, batch_tokens=1024)
    settle()
    view = view_study(study)
    refusal = contexts.build_study(view, "lr", {})["batch"]["refusal"]
    assert refusal["sentence"].endswith("has 7 learning rates at 1 batch size")
    assert draw(view)["state"] == "refused"
    assert "lr_batch" not in tabs.list_figures(view, "lr")
