"""The schedule law of a study: curves of two lengths, read by the deep fit."""

from __future__ import annotations

import pytest

from fitting import contexts, tabs
from fitting.figures import build_figure
from fitting.queries import StudyView, view_study
from tests.fitting.factories import make_study, make_sweep, settle
from tests.fitting.planted import make_schedules
from tests.runs.factories import make_api

Figure = dict[str, object]
KNOWN: dict[str, StudyView] = {}  # pages are pure: a view that was read once serves them all


@pytest.fixture
def view(transactional_db: None) -> StudyView:
    if "curves" not in KNOWN:
        api = make_api()
        study = make_study(api.project)
        make_schedules(study, api)
        settle()
        KNOWN["curves"] = view_study(study)
    return KNOWN["curves"]


def draw(view: StudyView, name: str = "schedule_fit", **options: str) -> Figure:
    figure = build_figure(name, view, options, "1")
    assert figure is not None
    return figure


def test_both_curves_are_drawn_with_the_law_and_from_each_other(view: StudyView) -> None:
    figure = draw(view)
    parts = [trace["meta"]["part"] for trace in figure["data"]]
    assert [parts.count(part) for part in ("curve", "fit", "held_out_line")] == [2, 2, 2]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["196", "596"]


def test_the_longer_run_is_predicted_from_the_shorter_one(view: StudyView) -> None:
    row = contexts.build_study(view, "schedule", {})["schedule"]["families"][0]
    assert row["mae"] < 5e-3
    assert abs(row["end_error"]) < 0.05


def test_kpi_and_table_of_the_law_show_one_number(view: StudyView) -> None:
    document = contexts.build_study(view, "schedule", {})
    kpi = next(kpi for kpi in document["kpis"] if kpi["key"] == "held_out_mae")
    assert kpi["value"] == document["schedule"]["families"][0]["held_out_text"]


def test_the_multi_power_law_is_an_option_beside_the_annealing_law(view: StudyView) -> None:
    document = contexts.build_study(view, "schedule", {"law": "multi_power"})
    schedule = document["schedule"]
    assert list(schedule["law_choices"]) == ["lr_annealing", "multi_power"]
    assert {row["key"] for row in schedule["law"]["rows"]} >= {"L0", "A", "B", "gamma"}
    kpi = next(kpi for kpi in document["kpis"] if kpi["key"] == "held_out_mae")
    assert kpi["value"] == schedule["families"][0]["other_text"]
    assert "multi-power" in kpi["basis"]
    shown, other = (draw(view, law=law)["data"][2]["y"] for law in ("", "multi_power"))
    assert shown != other
    assert shown == pytest.approx(other, abs=0.05)  # two laws of the same curves


def test_a_study_with_a_family_has_the_tab(view: StudyView) -> None:
    assert "schedule" in tabs.list_tabs(view, "lr")


def test_a_study_without_curves_has_no_tab_and_a_sentence(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    settle()
    view = view_study(study)
    assert "schedule" not in tabs.list_tabs(view, "lr")
    refusal = contexts.build_study(view, "schedule", {})["schedule"]["refusal"]
    assert "no finished run logs both" in refusal["sentence"]
