"""The declared estimators of a run's final loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitting.maths.final_loss import ESTIMATORS, estimate_final_loss

STEPS = np.arange(0.0, 101.0)
VALUES = np.linspace(5.0, 3.0, 101)


def test_last_is_the_value_at_the_largest_step_in_any_order() -> None:
    assert estimate_final_loss(STEPS[::-1], VALUES[::-1], "last").value == 3.0


def test_tail_mean_averages_the_stated_share_of_the_steps() -> None:
    found = estimate_final_loss(STEPS, VALUES, "tail_mean", tail_fraction=0.1)
    assert found.value == pytest.approx(VALUES[90:].mean(), rel=1e-14)
    assert (found.n_used, found.first_step, found.last_step) == (11, 90.0, 100.0)


def test_tail_median_ignores_one_spike() -> None:
    values = VALUES.copy()
    values[95] = 40.0
    found = estimate_final_loss(STEPS, values, "tail_median", tail_fraction=0.1)
    assert found.value < 3.2


def test_best_is_the_smallest_value() -> None:
    found = estimate_final_loss(np.arange(4.0), np.array([4.0, 2.5, 3.0, 3.1]), "best")
    assert (found.value, found.first_step) == (2.5, 1.0)


def test_average_of_a_constant_is_that_constant_whatever_its_length() -> None:
    for n in (1, 2, 50):
        found = estimate_final_loss(np.arange(float(n)), np.full(n, 2.5), "ema")
        assert found.value == pytest.approx(2.5, rel=1e-14)


def test_average_equals_its_recursive_definition() -> None:
    decay, state = 1 - 1 / (0.2 * 101), 0.0
    for value in VALUES:
        state = decay * state + (1 - decay) * value
    found = estimate_final_loss(STEPS, VALUES, "ema", tail_fraction=0.2)
    assert found.value == pytest.approx(state / (1 - decay**101), rel=1e-12)


def test_curve_that_ends_non_finite_has_no_final_loss() -> None:
    values = VALUES.copy()
    values[-1] = np.nan
    found = estimate_final_loss(STEPS, values, "tail_mean")
    assert np.isnan(found.value)
    assert found.n_nonfinite == 1


def test_non_finite_values_before_the_end_are_left_out_and_counted() -> None:
    values = VALUES.copy()
    values[[97, 98]] = np.inf
    found = estimate_final_loss(STEPS, values, "tail_mean", tail_fraction=0.05)
    assert np.isfinite(found.value)
    assert (found.n_nonfinite, found.n_used) == (2, 4)


def test_empty_curve_has_no_final_loss() -> None:
    assert np.isnan(estimate_final_loss(np.empty(0), np.empty(0)).value)


def test_unknown_estimator_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="'mode' is no estimator"):
        estimate_final_loss(STEPS, VALUES, "mode")


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40),
    st.sampled_from(sorted(ESTIMATORS)),
    st.floats(0.01, 1.0),
)
def test_estimate_lies_between_the_extremes(values: list[float], name: str, tail: float) -> None:
    array = np.array(values)
    found = estimate_final_loss(np.arange(float(array.size)), array, name, tail)
    slack = 1e-9 * (1 + np.abs(array).max())
    assert array.min() - slack <= found.value <= array.max() + slack
