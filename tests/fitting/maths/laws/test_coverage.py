"""Repeated sampling: exact curves, planted beta distributions, the edges (LAWS 4.5)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from fitting.maths.coverage import estimate_pass, measure_coverage, tabulate_pass
from fitting.maths.laws.coverage_power import fit_coverage
from fitting.maths.types import Refusal, Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, refuse_rows


def make_problems(seed: int, n_problems: int = 500) -> Rows:
    rng = np.random.default_rng(seed)
    correct = rng.binomial(1000, rng.beta(0.45, 6.0, n_problems)).astype(float)
    return Rows({"n_samples": np.full(n_problems, 1000.0)}, correct)


def test_pass_at_k_equals_its_definition_by_counting() -> None:
    outcomes = [1, 1, 0, 0, 0, 0, 1]
    for k in (1, 2, 3, 5):
        draws = list(combinations(outcomes, k))
        exact = np.mean([max(draw) for draw in draws])
        found = estimate_pass(np.array([7.0]), np.array([3.0]), k)
        assert found[0] == pytest.approx(exact, rel=1e-12)


def test_too_few_failures_make_success_certain() -> None:
    assert estimate_pass(np.array([10.0]), np.array([8.0]), 3)[0] == 1.0


def test_table_equals_the_single_estimates() -> None:
    rows, ks = make_problems(0, 20), np.array([1.0, 10.0, 1000.0])
    table = tabulate_pass(rows, ks)
    for column, k in enumerate(ks):
        single = estimate_pass(rows.columns["n_samples"], rows.target, k)
        assert table[:, column] == pytest.approx(single, abs=1e-12)


def test_k_beyond_the_samples_is_refused() -> None:
    refusal = measure_coverage(make_problems(0), 2000)
    assert isinstance(refusal, Refusal)
    assert "only 1000 samples" in refusal.sentence


def test_exact_curve_gives_its_parameters() -> None:
    ks = np.geomspace(1, 1000, 30)
    assert fit_coverage(ks, np.exp(-2.5 * ks**-0.5)) == pytest.approx((2.5, 0.5), abs=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_beta_lies_within_three_standard_errors(seed: int) -> None:
    fit = fit_rows("coverage_beta_binomial", make_problems(seed), Settings(replicas=300))
    for name, truth in {"alpha": 0.45, "beta": 6.0}.items():
        estimate = fit.params[name]
        assert estimate.standard_error is not None
        assert abs(estimate.value - truth) < 3 * estimate.standard_error


def test_problems_never_solved_are_refused() -> None:
    rows = Rows({"n_samples": np.full(20, 50.0)}, np.zeros(20))
    assert refuse_rows("coverage_power", rows).sentence
    assert refuse_rows("coverage_beta_binomial", rows).sentence


def test_power_law_interval_resamples_problems() -> None:
    fit = fit_rows("coverage_power", make_problems(3), Settings(replicas=300))
    interval = fit.params["b"].interval
    assert interval is not None
    assert interval.low < fit.values()["b"] < interval.high
