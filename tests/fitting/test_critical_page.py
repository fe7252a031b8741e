"""The critical batch size of a study: planted curves through HTTP, worker and page."""

from __future__ import annotations

import pytest

from fitting import contexts, tabs
from fitting.figures import build_figure
from fitting.queries import StudyView, view_study
from tests.fitting.factories import make_study, make_sweep, settle
from tests.fitting.planted import CRITICAL
from tests.fitting.planted_views import know

Document = dict[str, object]


@pytest.fixture
def view(transactional_db: None) -> StudyView:
    return know("sized")


def read(view: StudyView) -> Document:
    return contexts.build_study(view, "critical", {})


def test_the_planted_critical_batch_is_recovered_at_every_loss(view: StudyView) -> None:
    found = [row["critical"] for row in read(view)["critical"]["targets"]]
    assert len(found) == 4
    assert found == pytest.approx([CRITICAL] * 4, rel=0.05)


def test_a_study_of_batch_sizes_alone_opens_with_them(view: StudyView) -> None:
    assert tabs.choose_tab(view) == "critical"


def test_of_each_batch_size_the_faster_rate_counts(view: StudyView) -> None:
    table = build_figure("critical_batch", view, {}, "1")["table"]["rows"]
    assert {row["lr"] for row in table} == {3e-3}
    assert len({row["batch"] for row in table}) == 7


def test_the_largest_batch_is_predicted_from_the_others(view: StudyView) -> None:
    lowest = read(view)["critical"]["targets"][0]
    kpi = {kpi["key"]: kpi["value"] for kpi in read(view)["kpis"]}
    assert kpi["critical_held_out"] == lowest["held_out"]
    assert float(lowest["held_out"].split()[0]) < 5


def test_kpi_table_and_mark_show_one_number(view: StudyView) -> None:
    document = read(view)
    text = document["critical"]["targets"][0]["critical_text"]
    assert document["kpis"][0]["value"] == text
    note = build_figure("critical_batch", view, {}, "1")["layout"]["annotations"][0]
    assert note["text"] == f"B_crit = {text}"


def test_a_study_of_one_batch_size_has_no_tab_and_a_sentence(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    study.runs.update(batch_tokens=1024)
    settle()
    view = view_study(study)
    assert "critical" not in tabs.list_tabs(view, "lr")
    absent = {item["law"]: item for item in contexts.build_study(view, "lr", {})["absent"]}
    assert "has 1" in absent["Critical batch size"]["sentence"]
