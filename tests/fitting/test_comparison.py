"""The tab of variants and the over-training law: what they draw and say, from stored fits."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from fitting import contexts, tabs
from fitting.figures import build_figure
from fitting.models import Study
from fitting.plots.frame import LEAST_HEIGHT, MARGIN
from fitting.plots.overtraining import label_errors
from fitting.queries import StudyView, view_study
from fitting.services import Refused, add_runs, edit_study
from fitting.texts import MINUS, polish
from tests.fitting.factories import log_loss, make_isoflops, make_ladders, make_study, settle

Figure = dict[str, object]
KNOWN: dict[str, StudyView] = {}  # pages are pure: a view that was read once serves them all


def make_rivals() -> Study:
    """Two studies of one variant each that cross at 1e18 FLOPs; the first looks at the second."""
    both = make_study(variant_keys=["qk_norm"])
    runs = make_ladders(both)
    rival = make_study(both.project, "rival")
    add_runs(rival, [run for run in runs if run.config["qk_norm"] == "ln"])
    mine = make_study(both.project, "mine", compared_with="rival")
    add_runs(mine, [run for run in runs if run.config["qk_norm"] == "none"])
    return mine


def test_two_studies_cross_where_they_were_planted(transactional_db: None) -> None:
    study = make_rivals()
    settle()
    view = view_study(study)
    assert "compare" in tabs.list_tabs(view, "lr")
    chosen = {"reference": view.compute["ladders"][0]["variant"], "variant": "rival"}
    page = contexts.build_study(view, "compare", chosen)
    pairs = page["comparison"]["pairs"]
    crossing = next(pair["crossing"] for pair in pairs if "rival" in pair["second"])
    assert crossing == pytest.approx(1e18, rel=0.3)
    assert [row["value"] for row in page["definition"]][-1] == "rival"


def test_compared_studies_have_names_and_colours_of_their_own(transactional_db: None) -> None:
    study = make_rivals()
    edit_study(study, {"variant_keys": []})
    settle()
    found = contexts.build_study(view_study(study), "compare", {})["comparison"]
    assert {item["text"] for item in found["ladders"]} == {study.name or "mine", "rival"}
    assert len({item["tone"] for item in found["ladders"]}) == 2
    names = {(row["first_text"], row["second_text"]) for row in found["pairs"]}
    assert names == {(study.name or "mine", "rival"), ("rival", study.name or "mine")}


def test_the_other_study_moves_the_comparison(transactional_db: None) -> None:
    study = make_rivals()
    settle()
    before = view_study(study).compute_fit.input_digest
    log_loss(Study.objects.get(slug="rival").runs.first(), 1.9)
    settle()
    assert view_study(study).compute_fit.input_digest != before


def test_a_study_is_compared_with_one_that_exists(transactional_db: None) -> None:
    study = make_study()
    for slug in ("absent", study.slug):
        with pytest.raises(Refused, match="no other study"):
            edit_study(study, {"compared_with": slug})


@pytest.fixture
def view(transactional_db: None) -> StudyView:
    if "two" not in KNOWN:
        study = make_study(variant_keys=["qk_norm"])
        make_ladders(study)
        settle()
        KNOWN["two"] = view_study(study)
    return KNOWN["two"]


@pytest.fixture
def budgeted(transactional_db: None) -> StudyView:
    if "budgets" not in KNOWN:
        study = make_study()
        make_isoflops(study)
        settle()
        KNOWN["budgets"] = view_study(study)
    return KNOWN["budgets"]


def draw(view: StudyView, name: str, **options: str) -> Figure:
    figure = build_figure(name, view, options, "1")
    assert figure is not None
    return figure


def traces(figure: Figure, part: str) -> list[dict[str, object]]:
    return [trace for trace in figure["data"] if trace["meta"]["part"] == part]


def compare(view: StudyView, **options: str) -> dict[str, object]:
    return contexts.build_study(view, "compare", options)


def test_every_rung_is_a_mark_and_every_line_is_dashed_beyond_the_data(view: StudyView) -> None:
    figure = draw(view, "crossover")
    assert sum(len(trace["x"]) for trace in traces(figure, "cell")) == 16
    edge = 1e16 * 4.0**7
    assert max(x for trace in traces(figure, "fit") for x in trace["x"]) <= edge * 1.0001
    assert {trace["line"]["dash"] for trace in traces(figure, "extrapolated")} == {"dash"}


def test_the_planted_crossing_is_marked_where_kpi_and_table_say(view: StudyView) -> None:
    document = compare(view)
    row = document["comparison"]["pairs"][0]
    assert row["crossing"] == pytest.approx(1e18, rel=0.3)
    kpi = next(kpi for kpi in document["kpis"] if kpi["key"] == "crossing")
    assert kpi["value"] == row["crossing_text"]
    lines = [shape for shape in draw(view, "crossover")["layout"]["shapes"] if "x1" in shape]
    assert row["crossing"] in [shape["x0"] for shape in lines]


def test_the_sentence_says_how_many_replicas_cross(view: StudyView) -> None:
    text = " ".join(compare(view)["comparison"]["sentences"])
    assert "of the replicas cross once" in text


def test_the_options_choose_who_is_the_reference(view: StudyView) -> None:
    turned = compare(view, variant="qk_norm=ln", reference="qk_norm=none")["comparison"]
    assert (turned["against"], turned["reference"]) == ("qk_norm=ln", "qk_norm=none")
    gains = {(row["first"], row["second"]): row.get("gain") for row in turned["pairs"]}
    shown = draw(view, "gain", variant="qk_norm=ln", reference="qk_norm=none")
    last = [row["gain"] for row in shown["table"]["rows"] if row["gain"] == row["gain"]]
    assert 1 < last[-1] <= gains["qk_norm=none", "qk_norm=ln"]


def test_the_same_variant_twice_is_another_pair(view: StudyView) -> None:
    same = compare(view, variant="qk_norm=ln", reference="qk_norm=ln")["comparison"]
    assert same["against"] != same["reference"]


def test_one_variant_has_no_tab_and_says_what_is_missing(budgeted: StudyView) -> None:
    assert "compare" not in tabs.list_tabs(budgeted, "lr")
    refusal = compare(budgeted)["comparison"]["refusal"]
    assert refusal["sentence"] == ("a comparison needs the runs of two variants; this study has 1")
    assert draw(budgeted, "gain")["state"] == "refused"


def test_two_variants_have_a_tab(view: StudyView) -> None:
    assert "compare" in tabs.list_tabs(view, "lr")


def test_laws_without_a_fit_are_listed_with_what_is_missing(budgeted: StudyView) -> None:
    absent = {item["law"]: item["sentence"] for item in compare(budgeted)["absent"]}
    assert absent["Variants"] == "a comparison needs the runs of two variants; this study has 1"
    assert "no finished run has all four" in absent["Learning rate x batch"]
    assert "Parametric L(N, D)" not in absent
    assert absent["Envelope"] == "no run has a loss curve of two or more points"


def test_the_recipe_says_why_a_study_of_one_learning_rate_has_no_lr(budgeted: StudyView) -> None:
    recipe = contexts.build_study(budgeted, "frontier", {})["what_if"]["recipe"]
    assert [row["text"] for row in recipe] == ["", ""]
    assert all(row["reason"] for row in recipe)


def test_each_multiplier_has_a_line_with_its_label(budgeted: StudyView) -> None:
    figure = draw(budgeted, "overtraining")
    lines = traces(figure, "fit")
    notes = [note["text"] for note in figure["layout"]["annotations"]]
    assert len(lines) == sum(text.startswith("D/N = ") for text in notes) > 1


def test_withheld_runs_are_diamonds_with_their_error(budgeted: StudyView) -> None:
    figure = draw(budgeted, "overtraining")
    held = traces(figure, "held_out")
    assert figure["counts"]["held_out"] == sum(len(trace["x"]) for trace in held) > 0
    assert "%" in held[0]["customdata"][0][-1]
    labels = [note for note in figure["layout"]["annotations"] if note["text"].endswith(" %")]
    assert labels[0]["text"] in {about[-1].split("(")[1][:-1] for about in held[0]["customdata"]}


def test_errors_of_withheld_runs_stand_apart_and_the_leftmost_highest() -> None:
    cells = [
        ({"n_params": 1e9 * 1.1**place, "n_tokens": 2e10, "loss": 2.0}, 2.0 + error / 100)
        for place, error in ((0, 1), (1, 3), (1, -4), (2, 1), (3, 2), (4, 1))
    ]
    notes = label_errors(cells, (1.9, 3.0))
    assert [note["text"] for note in notes] == ["+0.50 %", "+1.00 %", "+0.50 %", f"{MINUS}2.00 %"]
    scale = (LEAST_HEIGHT - MARGIN["t"] - MARGIN["b"]) / math.log10(3.0 / 1.9)
    heights = [scale * note["y"] - note["ay"] for note in notes]
    assert [note["x"] for note in notes] == sorted((note["x"] for note in notes), reverse=True)
    assert all(left - right >= 13 for right, left in pairwise(heights))


def test_the_table_of_the_law_and_the_figure_hold_the_same_numbers(budgeted: StudyView) -> None:
    rows = contexts.build_study(budgeted, "frontier", {})["overtraining"]["rows"]
    shown = {row["key"]: row["value"] for row in rows}
    law = draw(budgeted, "overtraining")["law"]
    assert shown == {name: item["value"] for name, item in law["params"].items()}


def test_one_token_multiplier_is_refused_in_a_sentence(transactional_db: None) -> None:
    study: Study = make_study()
    make_ladders(study)
    for run in study.runs.all():
        run.n_tokens = 20 * run.n_params_non_embedding
        run.save(update_fields=["n_tokens"])
    settle()
    refusal = draw(view_study(study), "overtraining")["refusal"]
    assert "the law needs at least 2 values of D/N" in refusal["sentence"]


def test_numbers_in_sentences_are_written_as_pages_write_them() -> None:
    assert polish("highest at N = 5.91e+05, 6.34e+03x of it") == "Highest at N = 591k, 6,340x of it"
    assert polish("needs >= 3 LRs") == "Needs ≥ 3 LRs"
    assert polish("budget 1e+12 has no minimum") == "Budget 10¹² has no minimum"
    assert polish("C = 2.5e+10 lies outside 1e+11 to 3e+13 FLOPs") == (
        "C = 2.5·10¹⁰ lies outside 10¹¹ to 3·10¹³ FLOPs"
    )
    assert polish("n_tokens spans a factor 1") == "n_tokens spans a factor 1"
