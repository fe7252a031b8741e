"""Laws of the learning-rate schedule (LAWS 4.4 h1-h4, 4.5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitting.maths.laws import lr_annealing, multi_power
from fitting.maths.schedules import (
    find_hidden_start,
    make_constant,
    make_cosine,
    make_two_stage,
)
from fitting.maths.types import FloatArray, HeldOut, Rows, Settings
from tests.fitting.maths.reference import read_reference
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

POINT = Settings(replicas=0, hold_out="none")
PEAK = 3e-4


def read_curves(with_schedules: bool = True) -> Rows:
    """Return thu-yao-01-luo/MultiPowerLaw@8da9f19, the 100M curves for training the law."""
    data = read_reference("lr_schedule_curves_100m_train.csv")
    schedules = {
        "constant_24000": make_constant(PEAK, 24000, 2160),
        "cosine_24000": make_cosine(PEAK, 3e-5, 24000, 2160),
        "wsdcon_9": make_two_stage(PEAK, 9e-5, 8000, 24000, 2160),
    }
    columns = {"step": data["step"].astype(float), "lr": data["lr"]}
    groups = tuple(str(name) for name in data["curve"])
    return Rows(columns, data["loss"], (), groups, (), schedules if with_schedules else {})


def test_golden_h1_annealing_law() -> None:
    rows = read_curves()
    fit = fit_rows("lr_annealing", rows, POINT.with_options(**{"lambda": 0.999}))
    golden = {"L0": 2.78890, "A": 0.59257, "C": 0.48122, "alpha": 0.45498}
    assert rows.n == 451
    assert fit.values() == pytest.approx(golden, abs=5e-4)
    assert fit.objective == pytest.approx(1.24095e-4, rel=1e-3)
    predicted = rows.target / np.exp(fit.residuals)
    error = rows.target - predicted
    assert np.mean(np.abs(error)) == pytest.approx(0.00159, abs=2e-5)
    explained = 1 - np.sum(error**2) / np.sum((rows.target - rows.target.mean()) ** 2)
    assert explained == pytest.approx(0.99922, abs=1e-4)


def test_golden_h2_profile_over_lambda() -> None:
    fit = fit_rows("lr_annealing", read_curves(), POINT)
    found = {row["lambda"]: row["objective"] for row in fit.table}
    golden = {
        0.995: 1.3136e-4,
        0.998: 8.5858e-5,
        0.9985: 8.4858e-5,
        0.999: 1.2410e-4,
        0.9995: 3.6449e-4,
    }
    assert {key: found[key] for key in golden} == pytest.approx(golden, rel=2e-3)
    assert fit.options["lambda"] == 0.9985


@pytest.mark.parametrize("warmup", [2160, None])
def test_golden_h3_rate_taken_from_the_rows(warmup: int | None) -> None:
    options = {"lambda": 0.999, "warmup": warmup}
    fit = fit_rows("lr_annealing", read_curves(False), POINT.with_options(**options))
    golden = {"L0": 2.78890, "A": 0.59257, "C": 0.48122, "alpha": 0.45498}
    assert fit.values() == pytest.approx(golden, abs=3e-3)


def test_steps_before_the_first_row_are_said_to_be_a_warm_up() -> None:
    fit = fit_rows("lr_annealing", read_curves(False), POINT.with_options(**{"lambda": 0.999}))
    (said,) = [text for text in fit.warnings if "no rate before step 2176" in text]
    assert "and 2 more" in said
    given = fit_rows("lr_annealing", read_curves(), POINT.with_options(**{"lambda": 0.999}))
    assert not any("no rate before" in text for text in given.warnings)


def test_logging_from_the_start_hides_no_warm_up() -> None:
    assert find_hidden_start(np.arange(100.0, 2000.0, 100.0)) == 0
    assert find_hidden_start(np.array([0.0])) == 0
    assert find_hidden_start(np.arange(500.0, 2000.0, 100.0)) == 500


def test_golden_h4_each_curve_from_the_others() -> None:
    rows = read_curves()
    settings = Settings(replicas=0, options={"lambda": 0.999})
    held_out = fit_rows("lr_annealing", rows, settings).held_out
    assert isinstance(held_out, HeldOut)
    sizes = {name: places.size for name, places in rows.split_groups().items()}
    ends = np.cumsum([0, *sizes.values()])
    error = np.abs(held_out.predicted - held_out.measured)
    found = {
        name: float(error[first:last].mean())
        for name, first, last in zip(sizes, ends[:-1], ends[1:], strict=True)
    }
    golden = {"cosine_24000": 0.0014, "constant_24000": 0.0020, "wsdcon_9": 0.0038}
    assert found == pytest.approx(golden, abs=3e-4)


def make_schedules(total: int = 4000, warmup: int = 200) -> dict[str, FloatArray]:
    return {
        "constant": make_constant(1e-3, total, warmup),
        "cosine": make_cosine(1e-3, 1e-4, total, warmup),
        "two_stage": make_two_stage(1e-3, 3e-4, 2000, total, warmup),
    }


def make_wsd(total: int = 4000, warmup: int = 200) -> FloatArray:
    schedule = make_constant(1e-3, total, warmup)
    schedule[3200:] = np.geomspace(1e-3, 1e-4, total - 3200)
    return schedule


STEPS = np.arange(250, 4000, 30)
ANNEALING = {"L0": 2.6, "A": 0.5, "C": 0.4, "alpha": 0.5}
MULTI = {"L0": 2.6, "A": 0.5, "B": 300.0, "alpha": 0.5, "C": 1.2, "beta": 0.5, "gamma": 0.55}


def make_annealing_curves(noise: float = 0.0) -> Rows:
    return gather_curves(
        {
            name: lr_annealing.predict_schedule(ANNEALING, schedule, 0.999, STEPS)
            for name, schedule in make_schedules().items()
        },
        noise,
    )


def evaluate_multi_exactly(schedule: FloatArray, steps: FloatArray) -> FloatArray:
    """Return the multi-power law step by step, from its definition."""
    summed = np.cumsum(schedule)
    loss = []
    for t in steps.astype(int):
        gain = 0.0
        for k in range(1, t + 1):
            change = schedule[k] - schedule[k - 1]
            if change == 0.0:
                continue
            reach = schedule[k] ** -MULTI["gamma"] * (summed[t] - summed[k - 1])
            gain += change * (1 - (1 + MULTI["C"] * reach) ** -MULTI["beta"])
        loss.append(MULTI["L0"] + MULTI["A"] * summed[t] ** -MULTI["alpha"] + MULTI["B"] * gain)
    return np.array(loss)


def gather_curves(losses: dict[str, FloatArray], noise: float = 0.0) -> Rows:
    rng = np.random.default_rng(2)
    names = tuple(name for name in losses for _ in range(STEPS.size))
    target = np.concatenate(list(losses.values()))
    target = target * (1 + noise * rng.standard_normal(target.size))
    steps = np.tile(STEPS.astype(float), len(losses))
    return Rows({"step": steps}, target, (), names, (), make_schedules())


def test_annealing_truth_is_recovered_and_predicts_another_schedule() -> None:
    fit = fit_rows("lr_annealing", make_annealing_curves(), POINT)
    assert fit.options["lambda"] == 0.999
    assert fit.values() == pytest.approx(ANNEALING, rel=1e-3)
    truth = lr_annealing.predict_schedule(ANNEALING, make_wsd(), 0.999, STEPS)
    found = lr_annealing.predict_schedule(fit.values(), make_wsd(), 0.999, STEPS)
    assert np.mean(np.abs(found - truth)) < 1e-4


def test_multi_power_truth_is_recovered_and_predicts_another_schedule() -> None:
    losses = {name: evaluate_multi_exactly(s, STEPS) for name, s in make_schedules().items()}
    fit = fit_rows("multi_power", gather_curves(losses), POINT.with_options(bins=4000))
    assert fit.values() == pytest.approx(MULTI, rel=1e-3)
    found = multi_power.predict_schedule(fit.values(), make_wsd(), STEPS)
    assert np.mean(np.abs(found - evaluate_multi_exactly(make_wsd(), STEPS))) < 1e-4


def test_multi_power_predicts_another_schedule_under_noise() -> None:
    losses = {name: evaluate_multi_exactly(s, STEPS) for name, s in make_schedules().items()}
    fit = fit_rows("multi_power", gather_curves(losses, 0.001), POINT)
    found = multi_power.predict_schedule(fit.values(), make_wsd(), STEPS)
    assert np.mean(np.abs(found - evaluate_multi_exactly(make_wsd(), STEPS))) < 0.002


def test_three_curves_give_no_interval_and_say_so() -> None:
    fit = fit_rows("lr_annealing", make_annealing_curves(0.001), Settings(replicas=50))
    assert fit.params["alpha"].interval is None
    assert "resampling curves needs 8" in fit.params["alpha"].reason


def test_constant_rates_alone_are_refused() -> None:
    rows = make_annealing_curves()
    constant = rows.take(np.array([name == "constant" for name in rows.groups]))
    assert "no learning rate falls" in refuse_rows("lr_annealing", constant, POINT).sentence


def test_curve_without_any_rate_is_refused() -> None:
    rows = replace(make_annealing_curves(), schedules={})
    assert refuse_rows("lr_annealing", rows, POINT).code == "missing_input"


def test_row_at_the_end_of_the_schedule_has_no_rate_and_is_dropped() -> None:
    rows = make_annealing_curves()
    columns = {"step": np.append(rows.columns["step"], 4000.0)}
    longer = Rows(
        columns, np.append(rows.target, 2.0), (), (*rows.groups, "cosine"), (), rows.schedules
    )
    fit = fit_rows("lr_annealing", longer, POINT.with_options(**{"lambda": 0.999}))
    assert fit.n == rows.n
    assert fit.values() == pytest.approx(ANNEALING, rel=1e-6)
