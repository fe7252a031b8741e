"""An attention logit of a larger model: predicted from the early step, frozen, scored."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fitting.forecast_page import describe_forecast, read_target
from fitting.forecasting import Prediction, Target, predict
from fitting.models import Forecast, Quantity, Study
from fitting.queries import INSTABILITY, view_study
from fitting.services import add_runs, freeze_forecast, switch_analysis
from fitting.versions import build_histories
from tests.fitting.factories import SIZES, make_logit_growth, make_study, settle
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)

TOP = 4 * SIZES[-1]
STEPS = list(range(10, 1001, 10))
Open = Callable[[dict[str, object]], Job]


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def open_job(study: Study) -> Open:
    """Open a run in the project of the study."""
    api = make_api(study.project)

    def open_one(config: dict[str, object]) -> Job:
        return Job(api, open_run(api, config=config))

    return open_one


@pytest.fixture
def grown(study: Study, open_job: Open) -> Study:
    """Three sizes at two learning rates whose logits at step 100 are lr N / 2."""
    make_logit_growth(study, open_job)
    settle()
    return study


def ask(lr: float, n: float = TOP, **more: object) -> Target:
    return Target(Quantity.MAX_LOGIT, n_params=n, peak_lr=lr, **more)


def land(study: Study, open_job: Open, logit: float, **config: object) -> str:
    """Log a run of the target whose logits stay at one value; returns its id."""
    job = open_job({"n_params_non_embedding": TOP, "peak_lr": 0.01, "total_steps": 1000, **config})
    metrics = {"attn.max_logit.L0": [logit] * len(STEPS), "loss.train": [2.5] * len(STEPS)}
    job.log(STEPS, metrics=metrics)
    add_runs(study, [job.run])
    settle()
    return job.run.uid


def test_logits_are_predicted_frozen_and_scored(grown: Study, open_job: Open) -> None:
    found = predict(view_study(grown), ask(0.01))
    assert isinstance(found, Prediction)
    assert found.value == pytest.approx(0.01 * TOP / 2, rel=1e-6)
    assert (found.low, found.high) == (None, None)  # three sizes leave one residual
    assert found.target.step == 100
    forecast = freeze_forecast(view_study(grown), make_user(), ask(0.01))
    assert describe_forecast(forecast, view_study(grown))["score"] is None
    land(grown, open_job, 1_000.0, peak_lr=0.1)  # another learning rate
    assert describe_forecast(forecast, view_study(grown))["score"] is None
    uid = land(grown, open_job, 2_000.0)
    told = describe_forecast(forecast, view_study(grown))
    assert told["score"]["runs"] == [uid]
    assert told["score"]["measured"] == pytest.approx(2_000.0)
    assert told["score"]["error"] == pytest.approx(forecast.value / 2_000.0 - 1)
    assert told["target_text"] == "N = 592k, LR = 0.01, step 100"
    assert (told["label"], told["level_text"]) == ("Max attention logit", "80 %")
    assert Forecast.objects.get(pk=forecast.pk).value == forecast.value
    histories = {item["analysis"]: item for item in build_histories(grown)["history"]}
    assert set(histories) == {"lr_sweep", "compute_optimal", INSTABILITY}
    told = [(one["why"], one["what"]) for one in histories[INSTABILITY]["versions"]]
    moved = "logits at LR 0.01: 10,000 at N = 2M \N{RIGHTWARDS ARROW} 10,000 at N = 3.01M"
    assert (["newer points of the runs"], [moved]) in told
    assert ["7 \N{RIGHTWARDS ARROW} 8 runs"] in [why for why, _ in told]


def test_what_cannot_be_predicted_says_why(grown: Study) -> None:
    view = view_study(grown)
    expected = [
        (ask(0.02), "no line for LR 0.02; the learning rates are 0.01, 0.1"),
        (ask(0.01, n=1e12), "N lies outside "),
        (ask(float("nan")), "needs LR as a positive number"),
        (ask(0.01, variant="x"), "no line for LR 0.01 and 'x'"),
    ]
    for target, sentence in expected:
        found = predict(view, target)
        assert isinstance(found, dict)
        assert found["sentence"].startswith(sentence)


def test_a_study_without_logits_says_what_to_log(study: Study) -> None:
    settle()
    found = predict(view_study(study), ask(0.01))
    assert isinstance(found, dict)
    assert found["code"] in ("not_logged", "no_prediction")


def test_nothing_is_predicted_while_the_analysis_is_off(grown: Study) -> None:
    switch_analysis(grown, None, INSTABILITY, is_on=False)
    found = predict(view_study(grown), ask(0.01))
    assert isinstance(found, dict)
    assert found["sentence"].startswith("the analysis Instabilities is switched off")


def test_the_form_reads_a_learning_rate() -> None:
    target, problem = read_target({"quantity": "max_logit", "n": "590k", "lr": "3e-2"})
    assert (target.n_params, target.peak_lr, problem) == (590_000.0, 0.03, "")
    assert (
        "'fast' is no number; write LR like"
        in read_target({"quantity": "max_logit", "n": "1k", "lr": "fast"})[1]
    )
