"""Goldens of power_law_constant, broken_power, critical_batch and rl_sigmoid (LAWS 4.1, 4.4)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.frontier import find_frontier
from fitting.maths.laws.critical_batch import estimate_noise_scale
from fitting.maths.laws.rl_sigmoid import refit_at_steepness
from fitting.maths.registry import get_law
from fitting.maths.types import Refusal, Rows, Settings
from tests.fitting.maths.reference import read_reference
from tests.fitting.maths.synthetic import fit_rows, make_rows, refuse_rows

POINT = Settings(replicas=0)


def read_frontier() -> Rows:
    data = read_reference("chinchilla_svg.csv")
    places = find_frontier(data["flops"], data["loss"])
    return Rows({"flops": data["flops"][places]}, data["loss"][places])


def test_golden_octave_frontier_of_chinchilla() -> None:
    rows = read_frontier()
    fit = fit_rows("power_law_constant", rows, Settings())
    assert rows.n == 13
    assert fit.values()["L_inf"] == pytest.approx(1.7446, abs=1e-3)
    assert fit.values()["a"] == pytest.approx(0.16835, abs=1e-3)
    limit, exponent = fit.params["L_inf"].interval, fit.params["a"].interval
    assert limit is not None
    assert exponent is not None
    assert (limit.low, limit.high) == pytest.approx((1.58, 1.86), abs=0.06)
    assert (exponent.low, exponent.high) == pytest.approx((0.136, 0.195), abs=0.015)
    assert "spans 0.67 decades" in fit.warnings[0]


def test_limit_at_zero_in_many_replicas_withholds_its_interval() -> None:
    x = np.geomspace(1, 100, 12)
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(12)
    fit = fit_rows("power_law_constant", Rows({"x": x}, 2.0 * x**-0.1 * noise), Settings())
    assert fit.params["L_inf"].interval is None
    assert "put L_inf at 0" in fit.params["L_inf"].reason
    assert fit.curve is not None
    assert np.all(np.isfinite(fit.curve.low))


def test_golden_s8_broken_power_from_most_starts() -> None:
    data = read_reference("synthetic/bnsl_one_break.csv")
    fit = fit_rows("broken_power", Rows({"x": data["x"]}, data["y"]), POINT)
    truth = {"a": 0.05, "b": 1.5, "c0": 0.1, "c1": 0.4, "d1": 100.0, "f1": 0.3}
    assert fit.values() == pytest.approx(truth, rel=1e-5)
    assert fit.convergence.starts_at_best >= 0.9


def test_broken_power_with_eight_points_is_refused() -> None:
    rows = make_rows("broken_power").take(np.arange(0, 120, 15))
    assert "needs 9 points; have 8" in refuse_rows("broken_power", rows).sentence


def test_golden_s6_critical_batch() -> None:
    data = read_reference("synthetic/critical_batch.csv")
    fit = fit_rows(
        "critical_batch", Rows({"batch_tokens": data["batch"]}, data["steps_to_target"]), POINT
    )
    assert fit.values()["S_min"] == pytest.approx(2015, abs=1)
    assert fit.derived["B_crit"].value == pytest.approx(391.4, abs=0.5)


def test_steps_that_grow_with_the_batch_are_refused() -> None:
    batch = np.array([16.0, 64.0, 256.0, 1024.0])
    refusal = refuse_rows("critical_batch", Rows({"batch_tokens": batch}, 1000 + batch))
    assert refusal.code == "sign"


def test_critical_batch_far_outside_the_batches_is_refused() -> None:
    batch = np.array([1e5, 4e5, 1.6e6, 6.4e6])
    rows = Rows({"batch_tokens": batch}, 2000 * (1 + 40 / batch))
    assert refuse_rows("critical_batch", rows).code == "extrapolated"


def test_three_batch_sizes_are_refused() -> None:
    rows = make_rows("critical_batch").take(np.array([0, 3, 6]))
    assert "have 3" in refuse_rows("critical_batch", rows).sentence


def test_noise_scale_from_two_batches_averages_before_the_ratio() -> None:
    signal, noise = 2.0, 300.0
    small, large = signal + noise / 10, signal + noise / 1000
    jitter = np.array([-1.0, 1.0])
    found = estimate_noise_scale((10.0, 1000.0), (small + jitter, large + 0.1 * jitter))
    assert found == pytest.approx(noise / signal, rel=1e-12)
    assert isinstance(
        estimate_noise_scale((10.0, 1000.0), (np.array([1.0]), np.array([2.0]))), Refusal
    )


def test_golden_s5_rl_sigmoid() -> None:
    data = read_reference("synthetic/rl_sigmoid.csv")
    rows = Rows({"gpu_hours": data["gpu_hours"]}, data["pass_rate"])
    fit = fit_rows("rl_sigmoid", rows, Settings(options={"r0": 0.3}))
    assert fit.values()["A"] == pytest.approx(0.6104, abs=2e-4)
    assert fit.values()["C_mid"] == pytest.approx(3012, abs=5)
    assert fit.values()["B"] == pytest.approx(1.900, abs=5e-3)
    assert fit.params["A"].standard_error == pytest.approx(0.0008, abs=2e-4)
    assert fit.params["B"].standard_error == pytest.approx(0.026, abs=5e-3)


def test_golden_s5_early_cut_is_flagged_extrapolated() -> None:
    data = read_reference("synthetic/rl_sigmoid.csv")
    early = data[data["gpu_hours"] < 8e3]
    rows = Rows({"gpu_hours": early["gpu_hours"]}, early["pass_rate"])
    fit = fit_rows("rl_sigmoid", rows, Settings(options={"r0": 0.3}))
    assert fit.values()["A"] == pytest.approx(0.6118, abs=2e-4)
    assert fit.params["A"].standard_error == pytest.approx(0.0072, abs=1.5e-3)
    assert "A is extrapolated" in fit.warnings[0]


def test_start_score_is_asked_for_never_fitted() -> None:
    rows = make_rows("rl_sigmoid")
    assert "R0" in refuse_rows("rl_sigmoid", rows, Settings()).sentence


def test_data_before_the_midpoint_withhold_the_asymptote() -> None:
    hours = np.geomspace(1500.0, 16000.0, 60)
    score = 0.3 + 0.4 / (1 + (40000 / hours) ** 1.5)
    fit = fit_rows(
        "rl_sigmoid", Rows({"gpu_hours": hours}, score), Settings(9, options={"r0": 0.3})
    )
    assert fit.params["A"].interval is None
    assert "before C_mid" in fit.params["A"].reason


def test_points_before_the_first_hours_are_cut_and_counted() -> None:
    rows = make_rows("rl_sigmoid")
    fit = fit_rows("rl_sigmoid", rows, Settings(0, options={"r0": 0.3, "first_hours": 3000.0}))
    cut = int(np.sum(rows.columns["gpu_hours"] < 3000))
    assert [(item.rule, item.count) for item in fit.exclusions] == [("law_rule", cut)]


def test_data_below_the_bend_are_called_worthless_for_extrapolation() -> None:
    flops = np.geomspace(1e7, 1e9, 12)
    error = 60.0 * (flops + 4e9) ** -0.28 + 0.12
    fit = fit_rows("saturating_power", Rows({"flops": flops}, error), POINT)
    assert any("worthless" in warning for warning in fit.warnings)


def test_single_token_multiplier_is_refused() -> None:
    n = np.geomspace(1e7, 1e9, 8)
    loss = 1.8 + 300 * (6 * n**2) ** -0.13
    refusal = refuse_rows("overtraining", Rows({"n_params": n, "n_tokens": 20 * n}, loss))
    assert "20 tokens per parameter" in refusal.sentence


def test_scattered_errors_are_reduced_to_the_frontier_and_counted() -> None:
    rows = make_rows("saturating_power")
    worse = Rows(
        {"flops": np.tile(rows.columns["flops"], 2) * np.repeat([1.0, 1.01], rows.n)},
        np.concatenate([rows.target, rows.target * 1.2]),
    )
    fit = fit_rows("saturating_power", worse, POINT)
    assert fit.n == rows.n
    assert fit.exclusions[-1].count == rows.n
    assert fit.values()["k"] == pytest.approx(0.28, rel=1e-4)


def test_one_variable_law_reports_the_scale_at_which_the_loss_is_one() -> None:
    fit = fit_rows("power_law", make_rows("power_law"), POINT)
    assert fit.derived["x_c"].value == pytest.approx(8.8e13, rel=1e-6)


def test_rising_quantity_has_a_negative_exponent() -> None:
    x = np.geomspace(1, 100, 9)
    fit = fit_rows("power_law", Rows({"x": x}, 3 * x**0.7), POINT)
    assert fit.values()["a"] == pytest.approx(-0.7, rel=1e-9)


def test_asymptotes_are_compared_at_a_common_steepness() -> None:
    rows, options = make_rows("rl_sigmoid"), get_law("rl_sigmoid").read_options({"r0": 0.3})
    own = refit_at_steepness(rows, options, 1.92)
    assert own["A"] == pytest.approx(0.61, rel=1e-6)
    steeper = refit_at_steepness(rows, options, 2.5)
    assert steeper["B"] == pytest.approx(2.5)
    assert steeper["A"] < own["A"]
