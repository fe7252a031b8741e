"""Forecasts: predicted from the stored fit, frozen for good, scored by later runs alone."""

from __future__ import annotations

import pytest

from fitting import contexts
from fitting.alerts.studies import raise_scores
from fitting.forecasting import Prediction, Target, predict
from fitting.models import Alert, Forecast, Quantity, Study
from fitting.queries import StudyView, view_study
from fitting.scoring import score
from fitting.services import Refused, add_runs, freeze_forecast
from tests.fitting.factories import (
    SIZES,
    make_isoflops,
    make_run,
    make_study,
    make_sweep,
    predict_loss,
    settle,
)
from tests.teams.factories import make_user

N, D = 200_000.0, 9e6


@pytest.fixture
def study(transactional_db: None) -> Study:
    study = make_study()
    make_isoflops(study)
    settle()
    return study


@pytest.fixture
def view(db: None, kept_isoflops: Study) -> StudyView:
    """For tests that write no runs and fit nothing."""
    return view_study(kept_isoflops)


def ask(view: StudyView, **target: object) -> Prediction:
    found = predict(view, Target(**target))
    assert isinstance(found, Prediction), found
    return found


def freeze(view: StudyView, **target: object) -> Forecast:
    return freeze_forecast(view, make_user(), Target(**target))


def land(study: Study, n: float, d: float, loss: float, **fields: object) -> object:
    shape = {"n_params_non_embedding": n, "n_tokens": d, "flops": 6 * n * d, **fields}
    run = make_run(study.project, loss, **shape)
    add_runs(study, [run])
    return run


def test_the_loss_of_a_run_is_predicted_from_the_law(view: StudyView) -> None:
    found = ask(view, quantity=Quantity.LOSS, n_params=N, n_tokens=D)
    assert found.value == pytest.approx(predict_loss(N, D), rel=1e-3)
    assert found.low <= found.value <= found.high
    assert found.decades_beyond > 0


def test_the_optimal_size_of_a_budget_is_predicted(view: StudyView) -> None:
    found = ask(view, quantity=Quantity.OPTIMAL_SIZE, flops=1e13)
    assert found.decades_beyond == pytest.approx(0.523, abs=1e-3)
    assert found.value > 100_000


def test_the_best_learning_rate_is_predicted(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    settle()
    found = ask(view_study(study), quantity=Quantity.OPTIMAL_LR, n_params=590_000.0)
    assert 5e-4 < found.value < 1e-2  # the factory's optimum falls by 3 at each size
    assert found.decades_beyond == pytest.approx(0.6126, abs=1e-3)


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ({"quantity": "loss", "n_params": N}, "needs D as a positive number"),
        ({"quantity": "loss", "n_params": -1.0, "n_tokens": D}, "needs N as a positive number"),
        ({"quantity": "optimal_lr", "n_params": N}, "the LR* exponent needs"),
        ({"quantity": "optimal_size", "flops": 1e20}, "C = 1e+20 lies outside"),
        ({"quantity": "loss", "n_params": N, "n_tokens": D, "variant": "x"}, "no law of this"),
    ],
)
def test_what_cannot_be_predicted_is_refused(
    view: StudyView, target: dict[str, object], sentence: str
) -> None:
    found = predict(view, Target(**target))
    assert not isinstance(found, Prediction)
    assert found["sentence"].startswith(sentence)


def test_a_frozen_forecast_survives_refits_unchanged(study: Study) -> None:
    view = view_study(study)
    forecast = freeze(view, quantity=Quantity.LOSS, n_params=N, n_tokens=D)
    land(study, 50_000.0, 1e6, 2.5)
    settle()
    again = Forecast.objects.get(pk=forecast.pk)
    assert (again.value, again.low, again.high) == (forecast.value, forecast.low, forecast.high)
    assert again.fit_id == view.compute_fit.pk


def test_a_refused_prediction_freezes_nothing(view: StudyView) -> None:
    with pytest.raises(Refused, match="Needs N and D"):
        freeze(view, quantity=Quantity.LOSS)
    assert not Forecast.objects.exists()


def test_a_forecast_waits_for_runs(view: StudyView) -> None:
    assert score(freeze(view, quantity=Quantity.LOSS, n_params=N, n_tokens=D), view) is None


def test_the_best_new_run_at_the_target_scores_a_loss(study: Study) -> None:
    view = view_study(study)
    forecast = freeze(view, quantity=Quantity.LOSS, n_params=N, n_tokens=D)
    land(study, N, D, forecast.value * 1.2, peak_lr=0.1)
    best = land(study, N * 1.01, D * 0.98, forecast.value * 1.05, peak_lr=0.01)
    settle()
    found = score(forecast, view_study(study))
    assert found.run_ids[0] == best.uid
    assert found.error == pytest.approx(1 / 1.05 - 1)
    assert found.is_inside is False


def test_a_score_is_told_once(study: Study) -> None:
    view = view_study(study)
    forecast = freeze(view, quantity=Quantity.LOSS, n_params=N, n_tokens=D)
    land(study, N, D, forecast.value * 1.2)
    settle()
    assert raise_scores(study) == []
    (told,) = Alert.objects.filter(study=study)
    assert (told.kind, told.severity) == ("forecast", "warn")
    assert "outside its interval" in told.sentence


def test_a_run_that_the_fit_had_seen_scores_nothing(kept_isoflops: Study, view: StudyView) -> None:
    seen = kept_isoflops.runs.first()
    forecast = freeze(
        view,
        quantity=Quantity.LOSS,
        n_params=seen.n_params_non_embedding,
        n_tokens=seen.n_tokens,
    )
    assert score(forecast, view_study(kept_isoflops)) is None


def test_a_new_budget_scores_an_optimal_size(study: Study) -> None:
    view = view_study(study)
    forecast = freeze(view, quantity=Quantity.OPTIMAL_SIZE, flops=1e13)
    for place in range(-2, 3):
        n = forecast.value * 2.0**place
        land(study, n, 1e13 / (6 * n), predict_loss(n, 1e13 / (6 * n)))
    settle()
    found = score(forecast, view_study(study))
    assert found.error == pytest.approx(0.0, abs=0.05)
    assert len(found.run_ids) == 5


def test_a_new_size_scores_a_best_learning_rate(transactional_db: None) -> None:
    study = make_study()
    make_sweep(study)
    settle()
    forecast = freeze(view_study(study), quantity=Quantity.OPTIMAL_LR, n_params=4 * SIZES[-1])
    assert score(forecast, view_study(study)) is None
    for lr, loss in ((1e-3, 2.4), (3e-3, 2.1), (1e-2, 2.2), (3e-2, 2.6)):
        run = make_run(study.project, loss, n_params_non_embedding=4 * SIZES[-1], peak_lr=lr)
        run.config = {"qk_norm": "none"}
        run.save(update_fields=["config"])
        add_runs(study, [run])
    settle()
    found = score(forecast, view_study(study))
    assert found is not None
    assert found.measured == pytest.approx(4.5e-3, rel=0.3)


def test_the_register_shows_target_number_and_outcome(
    kept_isoflops: Study, view: StudyView
) -> None:
    freeze(view, quantity=Quantity.LOSS, n_params=N, n_tokens=D)
    (row,) = contexts.build_study(view_study(kept_isoflops), "forecasts", {})["forecasts"]
    assert row["target_text"] == "N = 200k, D = 9M"
    assert row["score"] is None
    assert row["fit_version"] >= 1


def test_a_mistyped_number_is_named(view: StudyView) -> None:
    options = {"quantity": "loss", "n": "many", "d": "1M"}
    document = contexts.build_study(view, "forecasts", options)
    assert document["problem"] == "'many' is no number; write N like 400M or 1e13."
