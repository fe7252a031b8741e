"""Learning-rate sensitivity: the trial's published values and the rules of DIAGNOSTICS D4."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.laws.lr_sensitivity import (
    STANDARD_GRID,
    LrSensitivity,
    compare_grids,
    measure_sensitivity,
)
from fitting.maths.lr_sweep import analyse_lr_sweep
from fitting.maths.types import FloatArray, Refusal
from tests.fitting.maths.trial_sweep import SIZES, make_trial_table

# DIAGNOSTICS D4, the trial of DEMO section 5: widths 16, 32, 64, 128.
FULL_GRID = {"off": (0.578, 0.384, 0.344, 0.333), "on": (0.528, 0.305, 0.203, 0.179)}
HIGH_LR = {"off": (0.177, 0.210, 0.335, 0.398), "on": (0.100, 0.072, 0.094, 0.181)}
LOSSES = np.array([4.0, 3.0, 2.5, 2.4, 2.6, 5.0, 9.0])


def sensitivity_of(
    lr: FloatArray = STANDARD_GRID, loss: FloatArray = LOSSES, initial: float = 6.0
) -> LrSensitivity:
    found = measure_sensitivity(lr, loss, np.full(lr.size, initial))
    assert isinstance(found, LrSensitivity)
    return found


@pytest.mark.parametrize(("least_lr", "golden"), [(0.0, FULL_GRID), (0.009, HIGH_LR)])
def test_golden_d4_trial_sensitivities(
    least_lr: float, golden: dict[str, tuple[float, ...]]
) -> None:
    result = analyse_lr_sweep(make_trial_table(least_lr))
    expected = {
        (variant, size): value
        for variant, values in golden.items()
        for size, value in zip(SIZES.values(), values, strict=True)
    }
    found = {(item.variant, item.scale): item.sensitivity for item in result.scales}
    for key, value in expected.items():
        sensitivity = found[key]
        assert isinstance(sensitivity, LrSensitivity)
        assert sensitivity.value == pytest.approx(value, abs=1e-3)


def test_value_is_the_plain_mean_with_losses_capped_at_the_initial_one() -> None:
    found = sensitivity_of()
    assert found.value == pytest.approx(np.minimum(LOSSES, 6.0).mean() - 2.4, rel=1e-12)
    assert (found.n_capped, found.coverage, found.grid) == (1, "7/7", "standard")


def test_left_and_right_add_up() -> None:
    found = sensitivity_of()
    assert found.left == pytest.approx((1.6 + 0.6 + 0.1) / 7, rel=1e-12)
    assert found.left + found.right == pytest.approx(found.value, rel=1e-12)


def test_not_finite_loss_counts_as_the_initial_loss() -> None:
    with_nan = sensitivity_of(loss=np.append(LOSSES[:6], np.nan))
    assert with_nan.value == sensitivity_of().value


def test_missing_points_show_in_the_coverage() -> None:
    found = sensitivity_of(STANDARD_GRID[1:6], LOSSES[1:6])
    assert found.coverage == "5/7"
    assert found.missing.tolist() == [3e-4, 3e-1]


def test_other_grid_is_a_trapezoid_and_labelled() -> None:
    lr = np.array([1e-3, 2e-3, 4e-3, 8e-3])
    found = sensitivity_of(lr, np.array([3.0, 2.0, 2.0, 4.0]))
    assert found.grid == "non-standard"
    assert found.value == pytest.approx((0.5 + 0.0 + 1.0) / 3, rel=1e-12)
    assert (found.left, found.right) == pytest.approx((0.5 / 3, 1.0 / 3), rel=1e-12)


def test_extra_rates_beside_a_complete_grid_change_nothing() -> None:
    lr, loss = np.append(STANDARD_GRID, 5e-2), np.append(LOSSES, 2.0)
    found = sensitivity_of(lr, loss)
    assert found.value == sensitivity_of().value
    assert found.ignored.tolist() == [5e-2]


def test_seeds_are_capped_before_they_are_averaged() -> None:
    lr = np.concatenate([STANDARD_GRID, STANDARD_GRID[-1:]])
    found = sensitivity_of(lr, np.append(LOSSES, 3.0))
    assert found.losses[-1] == pytest.approx((6.0 + 3.0) / 2)


def test_one_seed_gives_no_interval_and_says_so() -> None:
    found = sensitivity_of()
    assert found.interval is None
    assert "one seed per LR" in found.reason


def test_repeats_give_an_interval_around_the_value() -> None:
    lr = np.concatenate([STANDARD_GRID] * 3)
    loss = np.concatenate([LOSSES, LOSSES + 0.05, LOSSES - 0.05])
    found = sensitivity_of(lr, loss)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high + 0.02


def test_model_at_chance_is_marked() -> None:
    found = sensitivity_of(loss=np.full(7, 7.0))
    assert found.value == 0.0
    assert found.at_chance


def test_unknown_initial_loss_is_refused() -> None:
    found = measure_sensitivity(STANDARD_GRID, LOSSES, np.full(7, np.nan))
    assert isinstance(found, Refusal)
    assert "loss_at_init not logged" in found.sentence


def test_different_ranges_are_not_compared() -> None:
    whole, part = sensitivity_of(), sensitivity_of(STANDARD_GRID[1:6], LOSSES[1:6])
    assert compare_grids(whole, whole) is None
    refusal = compare_grids(whole, part)
    assert refusal is not None
    assert "not comparable" in refusal.sentence


def test_moving_optimum_reports_the_lower_of_two_windows() -> None:
    lr, loss = np.append(STANDARD_GRID, 1e-4), np.append(LOSSES, 4.5)
    found = sensitivity_of(lr, loss)
    assert found.shifted is not None
    assert found.lower == min(found.value, found.shifted)
    assert found.shifted == pytest.approx((4.5 + 4 + 3 + 2.5 + 2.4 + 2.6 + 5) / 7 - 2.4, rel=1e-12)
