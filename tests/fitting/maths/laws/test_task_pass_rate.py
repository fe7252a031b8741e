"""Pass rates by sampling until the task passes (LAWS_FURTHER)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.laws.task_pass_rate import fit_by_regression, maximise
from fitting.maths.types import Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

SLUG = "task_pass_rate"
SIZES = np.geomspace(3e7, 1.5e9, 6)
C, ALPHA = 4000.0, 0.42


def make_models(r: int, seed: int, sizes: np.ndarray = SIZES) -> Rows:
    rng = np.random.default_rng(seed)
    rate = np.exp(-C * sizes**-ALPHA)
    tries = r + rng.negative_binomial(r, rate)
    columns = {"n_params": sizes, "tries": tries.astype(float)}
    return Rows(columns, np.full(sizes.size, float(r)))


def alphas_of(r: int, trials: int = 300) -> tuple[float, float]:
    """Return the median exponent of the likelihood and of least squares."""
    likely, squares = [], []
    for seed in range(trials):
        rows = make_models(r, seed)
        likely.append(maximise(rows, np.ones((1, rows.n)))[0][0, 1])
        squares.append(fit_by_regression(rows))
    return float(np.median(likely)), float(np.median(squares))


def test_exponent_is_recovered_with_ten_passes() -> None:
    likelihood, _ = alphas_of(10)
    assert likelihood == pytest.approx(ALPHA, abs=0.02)


@pytest.mark.parametrize("r", [10, 50])
def test_likelihood_spreads_as_little_as_the_counts_allow(r: int) -> None:
    found = [maximise(make_models(r, seed), np.ones((1, 6)))[0][0, 1] for seed in range(1000)]
    rate = np.exp(-C * SIZES**-ALPHA)
    information = r * np.log(rate) ** 2 / (1 - rate)
    x = np.log(SIZES)
    centred = x - np.average(x, weights=information)
    bound = np.sum(information * centred**2) ** -0.5
    assert np.std(found) == pytest.approx(bound, rel=0.1)


def test_least_squares_is_biased_with_two_passes_and_the_likelihood_is_not() -> None:
    likelihood, squares = alphas_of(2)
    assert likelihood == pytest.approx(ALPHA, abs=0.02)
    assert squares < 0.40


def test_fit_predicts_a_larger_model() -> None:
    fit = fit_rows(SLUG, make_models(400, 1), Settings(replicas=200))
    assert fit.values()["alpha"] == pytest.approx(ALPHA, abs=0.05)
    assert fit.derived["pass_rate"].value == pytest.approx(0.6315, abs=0.03)


def test_exact_rates_give_exact_parameters() -> None:
    tries = np.full(6, 1e9)
    rows = Rows({"n_params": SIZES, "tries": tries}, tries * np.exp(-C * SIZES**-ALPHA))
    values = fit_rows(SLUG, rows, Settings(replicas=0)).values()
    assert values["alpha"] == pytest.approx(ALPHA, rel=1e-6)
    assert values["c"] == pytest.approx(C, rel=1e-5)


def test_model_that_never_passed_stays_in_the_likelihood() -> None:
    sizes = np.concatenate([[3e6], SIZES])
    rows = make_models(50, 2)
    columns = {"n_params": sizes, "tries": np.concatenate([[1e5], rows.columns["tries"]])}
    fit = fit_rows(SLUG, Rows(columns, np.concatenate([[0.0], rows.target])), Settings(replicas=0))
    assert fit.n == 7
    assert any("1 models never passed" in warning for warning in fit.warnings)


def test_accelerated_emergence_withholds_extrapolation() -> None:
    tries = np.full(6, 1e5)
    log_n = np.log(SIZES / 1e8)
    rate = np.exp(-np.exp(0.5 - 0.4 * log_n - 0.1 * log_n**2))
    rows = Rows({"n_params": SIZES, "tries": tries}, np.round(tries * rate))
    fit = fit_rows(SLUG, rows, Settings(replicas=0))
    assert any("accelerated emergence" in warning for warning in fit.warnings)


def test_chance_level_is_refused() -> None:
    refusal = refuse_rows(SLUG, make_models(10, 0), Settings(0, options={"chance": 0.25}))
    assert "passes by chance" in refusal.sentence


def test_saturated_rates_are_refused() -> None:
    rows = Rows({"n_params": SIZES, "tries": np.full(6, 100.0)}, np.full(6, 97.0))
    assert refuse_rows(SLUG, rows).code == "saturated"
