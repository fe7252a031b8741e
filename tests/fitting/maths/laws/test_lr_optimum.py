"""The best learning rate of a scale and its power law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitting.maths.laws.lr_optimum import LrExponent, LrOptimum, find_optimum, fit_exponent
from fitting.maths.lr_points import gather_points
from fitting.maths.types import FloatArray, Refusal

GRID = np.array([3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1])


def loss_at(lr: FloatArray, best: float) -> FloatArray:
    return 2.0 + 0.08 * np.log(lr / best) ** 2


def optimum_of(lr: FloatArray, loss: FloatArray) -> LrOptimum | Refusal:
    return find_optimum(gather_points(lr, loss, ~np.isfinite(loss)))


def found_optimum(lr: FloatArray, loss: FloatArray) -> LrOptimum:
    found = optimum_of(lr, loss)
    assert isinstance(found, LrOptimum)
    return found


@given(st.floats(1.2e-3, 0.09))
def test_noise_free_parabola_is_recovered(best: float) -> None:
    found = found_optimum(GRID, loss_at(GRID, best))
    assert found.lr == pytest.approx(best, rel=1e-9)


def test_best_and_two_neighbours_on_each_side_are_used() -> None:
    found = found_optimum(GRID, loss_at(GRID, 1e-2))
    assert found.point_lr.tolist() == GRID[1:6].tolist()
    assert (found.curve_lr[0], found.curve_lr[-1]) == pytest.approx((1e-3, 1e-1))


def test_best_at_the_top_of_the_grid_is_censored_upwards() -> None:
    found = found_optimum(GRID, loss_at(GRID, 1.0))
    assert found.censored == "high"
    assert "at grid edge, interval one-sided" in found.sentence
    assert found.interval is not None
    assert found.interval.low == 1e-1
    assert found.interval.high_open


def test_best_at_the_bottom_of_the_grid_is_censored_downwards() -> None:
    found = found_optimum(GRID, loss_at(GRID, 1e-5))
    assert found.censored == "low"
    assert found.interval is not None
    assert (found.interval.low_open, found.interval.high) == (True, 1e-3)


def test_divergence_next_to_the_best_closes_the_interval() -> None:
    loss = np.where(GRID > 0.05, np.nan, loss_at(GRID, 0.5))
    found = found_optimum(GRID, loss)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (1e-2, 1e-1)
    assert "diverged" in found.sentence


def test_three_points_without_repeats_have_no_interval_and_a_reason() -> None:
    found = found_optimum(GRID[2:5], loss_at(GRID[2:5], 1e-2))
    assert found.interval is None
    assert "no residual degrees of freedom" in found.reason


def test_two_points_are_refused() -> None:
    refusal = optimum_of(GRID[:2], np.array([3.0, 2.9]))
    assert isinstance(refusal, Refusal)
    assert refusal.sentence == "needs >= 3 LRs with a finished, stable run; have 2"


def test_equal_losses_are_not_given_an_optimum() -> None:
    found = optimum_of(GRID, np.full(7, 2.5))
    assert isinstance(found, Refusal) or found.censored != ""


def test_seed_interval_covers_the_truth_at_its_level() -> None:
    rng, covered, trials = np.random.default_rng(5), 0, 200
    lr = np.concatenate([GRID[1:6]] * 2)
    for _ in range(trials):
        loss = loss_at(lr, 1.2e-2) + 0.02 * rng.standard_normal(lr.size)
        interval = found_optimum(lr, loss).interval
        assert interval is not None
        covered += interval.low <= 1.2e-2 <= interval.high
    # 200 trials at 95 %: three standard deviations are .046
    assert covered / trials > 0.90


def make_optima(sizes: FloatArray, slope: float, noise: float = 0.0) -> list[LrOptimum]:
    rng = np.random.default_rng(11)
    optima = []
    for size in sizes:
        lr = np.concatenate([GRID] * 2)
        loss = loss_at(lr, 2e-2 * (size / sizes[0]) ** slope) + noise * rng.standard_normal(14)
        optima.append(found_optimum(lr, loss))
    return optima


SIZES = np.array([1e4, 4e4, 1.6e5, 6.4e5])


def test_exponent_of_exact_optima_is_exact() -> None:
    line = fit_exponent(SIZES.tolist(), make_optima(SIZES, -0.31))
    assert isinstance(line, LrExponent)
    assert line.exponent == pytest.approx(-0.31, abs=1e-9)
    assert line.lr[0] == pytest.approx(2e-2, rel=1e-9)


def test_exponent_interval_holds_the_truth_under_seed_noise() -> None:
    line = fit_exponent(SIZES.tolist(), make_optima(SIZES, -0.31, 0.01))
    assert isinstance(line, LrExponent)
    assert line.interval is not None
    assert line.interval.low < -0.31 < line.interval.high
    assert line.resampling == "seeds"


def test_line_beyond_the_largest_size_is_marked_extrapolated() -> None:
    line = fit_exponent(SIZES.tolist(), make_optima(SIZES, -0.31))
    assert isinstance(line, LrExponent)
    assert line.x[-1] == pytest.approx(10 * SIZES[-1])
    assert bool(np.all(line.extrapolated == (line.x > SIZES[-1] * 1.0001)))


def test_two_sizes_are_refused_with_their_number() -> None:
    refusal = fit_exponent([1e4, 4e4], make_optima(SIZES[:2], -0.3))
    assert isinstance(refusal, Refusal)
    assert refusal.sentence.endswith("have 2")


def test_sizes_within_an_octave_are_refused() -> None:
    sizes = np.array([1e4, 1.2e4, 1.5e4])
    refusal = fit_exponent(sizes.tolist(), make_optima(sizes, -0.3))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "span"


def test_more_than_a_third_censored_is_refused() -> None:
    optima = [*make_optima(SIZES, -0.3)[:3], *[found_optimum(GRID, loss_at(GRID, 1.0))] * 2]
    refusal = fit_exponent([*SIZES[:3], 1e6, 2e6], optima)
    assert isinstance(refusal, Refusal)
    assert "2 of 5 sizes" in refusal.sentence
