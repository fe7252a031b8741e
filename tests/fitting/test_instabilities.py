"""The instabilities of a study: forecasts from stored diagnoses, the tab, its runs and figures."""

from __future__ import annotations

import pytest

from fitting import contexts
from fitting.figures import build_figure
from fitting.models import Study
from fitting.queries import INSTABILITY, find_current_fit, view_study
from tests.fitting.factories import SIZES, make_logit_growth, make_run, make_study, settle
from tests.fitting.factories import add_runs as add
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Role, add_member, make_user, sign_in


@pytest.fixture
def study(transactional_db: None) -> Study:
    api = make_api()
    study = make_study(api.project)
    make_logit_growth(study, lambda config: Job(api, open_run(api, config=config)))
    settle()
    return study


def build(study: Study) -> dict[str, object]:
    return contexts.build_study(view_study(study), "instab", {})["instabilities"]


def test_crossing_is_forecast_from_the_early_step(study: Study) -> None:
    result = find_current_fit(study, INSTABILITY).result
    crossings = {item["lr"]: item["crossing"] for item in result["forecasts"]}
    assert result["step"] == 100  # where logits are lr N, half of their plateau
    assert crossings[0.1] == pytest.approx(2e5, rel=0.02)
    assert crossings[0.01] == pytest.approx(2e6, rel=0.02)


def test_gradient_meets_epsilon_at_the_planted_size(study: Study) -> None:
    gradients = find_current_fit(study, INSTABILITY).result["gradients"]
    assert [item["slope"] for item in gradients] == pytest.approx([-1.0, -1.0], abs=1e-3)
    assert all(item["crossing"] is None for item in gradients)  # 1e8 is beyond two decades


def test_runs_stand_by_their_first_bad_step(study: Study) -> None:
    found = build(study)
    steps = [item["first_step"] for item in found["bad_runs"]]
    assert steps == sorted(steps)
    assert {item["diagnostic"] for item in found["bad_runs"]} == {"Attention-logit growth"}
    assert found["n_diagnosed"] == 6


def test_every_diagnostic_has_a_row_with_its_reason_of_unknown(study: Study) -> None:
    matrix = {row["diagnostic"]: row for row in build(study)["matrix"]}
    assert len(matrix) == 15
    assert matrix["attention_entropy"]["counts"] == [("unknown", 6)]
    assert matrix["attention_entropy"]["reason"] == "not logged: attn.entropy.L*"


def test_page_shows_forecast_runs_and_figures(study: Study) -> None:
    reader = sign_in(add_member(study.project, make_user(), Role.VIEWER))
    page = reader.get(f"/p/{study.project.slug}/s/{study.slug}?tab=instab").content.decode()
    assert "At LR 0.1 attention logits reach 10000" in page
    assert page.count("<figure") == 4
    assert "not logged: attn.entropy.L*" in page
    twin = reader.get(f"/p/{study.project.slug}/s/{study.slug}.json?tab=instab").json()
    assert twin["instabilities"]["n_bad"] == len(build(study)["bad_runs"])


def test_runs_together_have_verdicts_on_the_page_and_in_the_api(study: Study) -> None:
    found = {item["diagnostic"]: item for item in build(study)["verdicts"]}
    assert found["logit_forecast"]["severity"] == "watch"
    assert found["singular_values"]["sentence"] == "not logged: param.top_sv.*"
    assert {"lr_drift", "stable_lr", "lr_sensitivity", "stalled_runs"} <= set(found)
    reader = sign_in(add_member(study.project, make_user(), Role.VIEWER))
    page = reader.get(f"/p/{study.project.slug}/s/{study.slug}?tab=instab").content.decode()
    assert page.count('<details class="verdict"') == len(build(study)["verdicts"])
    answer = make_api(study.project).get(f"studies/{study.pk}/diagnoses").json()
    assert len(answer["study"]) == len(build(study)["verdicts"])


def test_study_that_logs_no_logits_is_refused_in_a_sentence(transactional_db: None) -> None:
    study = make_study()
    add(study, [make_run(study.project)])
    settle()
    figure = build_figure("attention_logits", view_study(study), {}, "1")
    assert (figure["state"], figure["data"]) == ("refused", [])
    assert "logs attn.max_logit" in figure["refusal"]["sentence"]


def test_line_is_solid_within_the_data_and_dashed_beyond(study: Study) -> None:
    figure = build_figure("logit_forecast", view_study(study), {}, "1")
    beyond = [trace for trace in figure["data"] if trace["meta"]["part"] == "extrapolated"]
    assert len(beyond) == 2
    assert all(min(trace["x"]) <= SIZES[-1] < max(trace["x"]) for trace in beyond)
