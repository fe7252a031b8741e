"""The annealing law over a study's loss curves: families, prediction of a longer run, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.laws.lr_annealing import predict_schedule
from fitting.maths.schedule_families import ScheduleCurve, analyse_schedules, choose_families
from fitting.maths.schedules import make_cosine
from fitting.maths.types import Fit, Refusal, Settings

TRUTH = {"L0": 1.5, "A": 0.6, "C": 0.4, "alpha": 0.45}
PLAIN = Settings(0)


def make_curve(total: int, n: float = 1e6, peak: float = 0.01, seed: int = 0) -> ScheduleCurve:
    """A cosine run of the planted law, logged every fifth step."""
    schedule = make_cosine(peak, 0.0, total, total // 10)
    steps = np.arange(5.0, total, 5.0)
    loss = np.full(steps.size, 9.0)
    late = steps >= total // 10
    loss[late] = predict_schedule(TRUTH, schedule, 0.995, steps[late])
    return ScheduleCurve(
        f"n{n:g}-t{total}-lr{peak:g}-{seed}",
        "",
        n,
        peak,
        1024.0,
        float(loss[-1]),
        steps,
        loss,
        np.arange(float(total)),
        schedule,
    )


def test_a_longer_cosine_is_predicted_from_the_shorter_ones() -> None:
    curves = [make_curve(total) for total in (200, 400, 800)]
    (family,) = analyse_schedules(curves, PLAIN).families
    assert isinstance(family.fit, Fit)
    assert family.mae < 2e-3
    assert family.held_out_mae < 0.02
    assert abs(family.end_error) < 0.02
    assert [curve.total_steps for curve in family.curves] == [200, 400, 800]


def test_the_warm_up_takes_no_part() -> None:
    (family,) = analyse_schedules([make_curve(200), make_curve(600)], PLAIN).families
    assert max(curve.loss.max() for curve in family.curves) < 9.0
    assert family.curves[1].steps[0] >= 60


def test_of_two_learning_rates_the_one_with_more_lengths_is_a_family() -> None:
    curves = [make_curve(total, peak=0.02) for total in (200, 400)]
    curves += [make_curve(total) for total in (200, 400, 800)]
    (family,) = choose_families(curves)
    assert {curve.peak_lr for curve in family} == {0.01}


def test_seeds_of_one_length_are_no_family() -> None:
    result = analyse_schedules([make_curve(200, seed=seed) for seed in (0, 1)], PLAIN)
    assert isinstance(result.refusal, Refusal)
    assert result.refusal.sentence.endswith("none of 2 runs has a partner")


def test_no_curve_names_what_is_to_be_logged() -> None:
    refusal = analyse_schedules([], PLAIN).refusal
    assert isinstance(refusal, Refusal)
    assert "optim.lr" in refusal.cure


@pytest.mark.parametrize("sizes", [(1e6, 2e6)])
def test_each_size_is_a_family_of_its_own(sizes: tuple[float, float]) -> None:
    curves = [make_curve(total, n) for n in sizes for total in (200, 600)]
    assert [family.n_params for family in analyse_schedules(curves, PLAIN).families] == [1e6, 2e6]
