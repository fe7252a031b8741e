"""D5 and the study's part of D6: golden numbers of the reference trial, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.diagnose.epsilon_trend import EpsilonTrend, GradientGroup, fit_epsilon_trend
from fitting.maths.diagnose.logit_forecast import (
    Group,
    LogitForecast,
    choose_step,
    forecast_logits,
)
from fitting.maths.diagnose.scale_trend import fit_trend
from fitting.maths.records import Refusal

SIZES = np.array([9328.0, 37088.0, 147904.0])
TARGET = 590720.0


@pytest.mark.parametrize(
    ("values", "line", "parabola"),
    [  # trial without QK-norm at step 190, LR .01, .03, .1: forecasts for N = 590,720
        ([7.0, 20.1, 45.3], 120, 80),
        ([20.1, 85.0, 328.0], 1349, 1153),
        ([246.7, 1486.6, 5613.4], 29057, 13231),
    ],
)
def test_golden_forecasts_of_the_trial(values: list[float], line: float, parabola: float) -> None:
    y = np.array(values)
    straight, curved = fit_trend(SIZES, y, 1), fit_trend(SIZES, y, 2)
    assert straight is not None and curved is not None
    assert straight.predict(TARGET) == pytest.approx(line, rel=5e-3)  # inputs have 3 digits
    assert curved.predict(TARGET) == pytest.approx(parabola, rel=1.2e-2)


def forecast(values: list[float], sizes: np.ndarray = SIZES, **more: object) -> object:
    return forecast_logits(Group(0.1, "none", sizes, np.array(values)), 190, **more)


def test_three_sizes_get_a_line_without_interval() -> None:
    found = forecast([246.7, 1486.6, 5613.4])
    assert isinstance(found, LogitForecast)
    assert (found.degree, found.low, found.held_out) == (1, None, None)
    assert found.crossing == pytest.approx(2.3e5, rel=0.05)
    assert "interval unknown" in found.sentence


@pytest.mark.parametrize(("last", "place"), [(1.02, "inside"), (2.0, "outside")])
def test_largest_size_is_said_to_be_inside_or_outside(last: float, place: str) -> None:
    sizes = np.geomspace(1e4, 1e6, 6)
    wobble = np.array([1.05, 0.96, 1.03, 0.97, 1.02, last])
    found = forecast((10 * (sizes / 1e4) ** 0.7 * wobble).tolist(), sizes)
    assert isinstance(found, LogitForecast)
    assert f"the largest size is {place} its 80% interval" in found.sentence
    assert found.held_out is not None
    assert found.held_out_low is not None and found.held_out_high is not None
    assert found.held_out_low < found.held_out < found.held_out_high
    assert (found.held_out_low <= 1.0 <= found.held_out_high) == (place == "inside")


def test_held_out_size_on_three_points_has_no_interval() -> None:
    found = forecast([10.0, 20.0, 40.0, 80.0], np.geomspace(1e4, 1e6, 4))
    assert isinstance(found, LogitForecast)
    assert "hold-out error +0%, interval unknown" in found.sentence


def test_target_beyond_the_crossing_is_a_warning() -> None:
    assert forecast([246.7, 1486.6, 5613.4], target=TARGET).severity == "warn"
    assert forecast([246.7, 1486.6, 5613.4], target=1e5).severity == "ok"


def test_runs_above_the_limit_are_left_out_and_named() -> None:
    sizes = np.append(SIZES, TARGET)
    found = forecast([246.7, 1486.6, 5613.4, 37428.0], sizes)
    assert found.excluded == (TARGET,)
    assert found.sizes.size == 3


def test_too_few_sizes_are_refused() -> None:
    found = forecast([10.0, 20.0], SIZES[:2])
    assert isinstance(found, Refusal)
    assert "needs 3 sizes" in found.sentence


def test_interval_covers_a_power_law_with_noise() -> None:
    rng = np.random.default_rng(0)
    sizes = np.geomspace(1e4, 1e6, 7)
    hits = 0
    for _ in range(100):
        values = 10 * (sizes / 1e4) ** 1.0 * np.exp(rng.normal(0, 0.1, 7))
        found = forecast(values.tolist(), sizes)
        hits += found.low <= 1e7 <= found.high
    assert 65 <= hits <= 98  # nominal 80%, two of seven degrees of freedom and AICc's choice apart


def test_repeats_of_a_size_count_as_one() -> None:
    sizes = np.repeat(SIZES, 2)
    found = forecast([200.0, 300.0, 1400.0, 1600.0, 5000.0, 6000.0], sizes)
    assert found.sizes.tolist() == SIZES.tolist()


def test_early_step_is_two_percent_of_the_longest_run() -> None:
    assert choose_step(np.array([1e5, 2e4])) == 2000
    assert choose_step(np.array([600.0, np.nan])) == 100
    assert choose_step(np.array([])) == 100


def test_golden_slope_of_the_gradient() -> None:
    sizes = np.array([9328.0, 37088.0, 147904.0, 590720.0])
    rms = np.array([4.1e-4, 1.3e-4, 3.1e-5, 5.3e-6])  # trial with QK-norm, LR .1
    found = fit_epsilon_trend(GradientGroup(0.1, "rms", "grad.rms.block0.mlp_in", 1e-8, sizes, rms))
    assert isinstance(found, EpsilonTrend)
    assert found.slope == pytest.approx(-1.05, abs=0.01)
    assert found.crossing is None
    assert "do not meet within 2 decades" in found.sentence


def test_gradient_meets_epsilon_where_the_line_says() -> None:
    sizes = np.array([1e6, 1e7, 1e8])
    group = GradientGroup(0.3, "", "grad.rms.a", 1e-8, sizes, 1e-1 / sizes)
    found = fit_epsilon_trend(group)
    assert isinstance(found, EpsilonTrend)
    assert found.crossing is None
    near = fit_epsilon_trend(GradientGroup(0.3, "", "grad.rms.a", 1e-9, sizes, 1e0 / sizes))
    assert isinstance(near, EpsilonTrend)
    assert near.crossing == pytest.approx(1e9)
