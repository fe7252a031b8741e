"""Influence, variations, profiles, alternatives and the next run."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.allocation import split_budget
from fitting.maths.frontier import compare_allocations
from fitting.maths.plan import rank_next_runs
from fitting.maths.predict import Prediction, predict_target
from fitting.maths.registry import get_law
from fitting.maths.select import compare_laws
from fitting.maths.trust import (
    Influence,
    Profile,
    leave_one_out,
    profile_parameter,
    vary_exclusions,
    vary_option,
)
from fitting.maths.types import Refusal, Rows, Settings
from tests.fitting.maths.reference import read_chinchilla
from tests.fitting.maths.synthetic import fit_rows, make_rows

PARAMETRIC, VPNLS = get_law("chinchilla_parametric"), get_law("chinchilla_vpnls")
POINT = Settings(replicas=0)


def test_bad_run_is_the_most_influential() -> None:
    rows = make_rows("chinchilla_vpnls", 0.002)
    rows.target[17] *= 1.06
    found = leave_one_out(VPNLS, rows)
    assert isinstance(found, Influence)
    assert found.rank()[0] == "run0017"


def test_influence_equals_a_fit_without_the_run() -> None:
    rows = make_rows("chinchilla_parametric", 0.002)
    found = leave_one_out(PARAMETRIC, rows)
    assert isinstance(found, Influence)
    without = fit_rows("chinchilla_parametric", rows.take(np.arange(1, rows.n)), POINT).values()
    assert found.params["beta"][0] == pytest.approx(without["beta"], rel=1e-6)


def test_influence_works_for_laws_that_are_not_separable() -> None:
    rows = make_rows("kaplan", 0.002).take(np.arange(0, 81, 4))
    found = leave_one_out(get_law("kaplan"), rows)
    assert isinstance(found, Influence)
    assert found.shift.size == rows.n


def test_golden_c8_delta_is_shown_to_move_beta() -> None:
    found = vary_option(PARAMETRIC, read_chinchilla(), "delta", [1e-4, 1e-3, 1e-2, 1e-1])
    golden = [0.36538, 0.36717, 0.38154, 0.40588]
    assert found.read("beta") == pytest.approx(golden, abs=1e-3)


def test_golden_c6_exclusions_are_shown_to_move_beta() -> None:
    rows = read_chinchilla(with_all=True)
    highest = rows.target >= np.sort(rows.target)[-5]
    found = vary_exclusions(PARAMETRIC, rows, {"the five highest losses": highest})
    assert found.changes[1] == "without the five highest losses (5 rows)"
    assert found.read("beta") == pytest.approx([0.4530, 0.36717], abs=5e-4)


def test_profile_is_lowest_at_the_estimate_and_bounds_the_truth() -> None:
    rows = make_rows("chinchilla_vpnls", 0.002, seed=5)
    best = fit_rows("chinchilla_vpnls", rows, POINT)
    grid = np.linspace(1.5, 1.85, 71)
    found = profile_parameter(VPNLS, rows, "E", grid)
    assert isinstance(found, Profile)
    assert found.objective.min() >= best.objective * (1 - 1e-9)
    assert grid[np.argmin(found.objective)] == pytest.approx(best.values()["E"], abs=0.006)
    assert found.interval.low < 1.69 < found.interval.high


def test_profile_of_a_weakly_identified_limit_is_open_below() -> None:
    x = np.geomspace(1, 60, 14)
    noise = 1 + 0.03 * np.random.default_rng(0).standard_normal(14)
    rows = Rows({"x": x}, (0.5 + x**-0.2) * noise)
    found = profile_parameter(
        get_law("power_law_constant"), rows, "L_inf", np.geomspace(1e-3, 1.3, 60)
    )
    assert isinstance(found, Profile)
    assert found.interval.low_open


def test_alternatives_show_criteria_and_disagreement_without_a_winner() -> None:
    rows = make_rows("chinchilla_parametric", 0.002)
    names = ("chinchilla_parametric", "kaplan")
    fits = {name: fit_rows(name, rows, POINT) for name in names}
    target = {"n_params": np.array([1e11]), "n_tokens": np.array([2e12])}
    found = compare_laws({**fits, "broken": Refusal("span", "no", "")}, rows, target)
    first, second = found.candidates
    assert first.aicc_excess == 0.0
    assert second.aicc_excess > 10
    assert second.held_out_max > first.held_out_max
    assert found.spread > 0.01
    assert list(found.refusals) == ["broken"]


def test_approaches_stand_side_by_side_at_a_budget() -> None:
    rows = make_rows("chinchilla_parametric", 0.001)
    fits = {
        name: fit_rows(name, rows, Settings(100))
        for name in ("chinchilla_parametric", "chinchilla_vpnls")
    }
    found = compare_allocations(fits, 1e23, 6e22)
    assert len(found.allocations) == 2
    assert 1.0 <= found.n_params_ratio < 1.2
    truth = {name: np.array([v]) for name, v in PARAMETRIC.truth.items()}
    n_best = split_budget(truth, 1e23)[0][0]
    interval = found.allocations[0].n_params.interval
    assert interval is not None
    assert interval.low < n_best < interval.high
    assert found.allocations[0].decades_beyond == pytest.approx(np.log10(1 / 0.6))


def test_prediction_says_how_far_beyond_the_data_it_is() -> None:
    rows = make_rows("chinchilla_parametric", 0.002)
    fit = fit_rows("chinchilla_parametric", rows, Settings(100))
    target = {"n_params": np.array([1e11]), "n_tokens": np.array([1e13])}
    found = predict_target(fit, target, rows)
    assert isinstance(found, Prediction)
    assert found.decades_beyond == pytest.approx(2.0)
    assert found.is_extrapolated
    assert found.value.interval is not None


def test_next_run_shrinks_the_interval_and_far_runs_shrink_it_more() -> None:
    rows = make_rows("chinchilla_parametric", 0.002)
    fit = fit_rows("chinchilla_parametric", rows, Settings(400))
    quantity = fit.replica_params["E"]
    candidates = {"n_params": np.array([1e8, 1e11]), "n_tokens": np.array([1e10, 1e13])}
    found = rank_next_runs(fit, quantity, candidates, 0.002)
    assert not isinstance(found, Refusal)
    assert found[0].place == 1
    assert found[0].sd_after < found[1].sd_after < found[0].sd_before
    assert found[0].flops == pytest.approx(6e24)


def test_planned_run_shrinks_the_spread_as_announced() -> None:
    rows = make_rows("chinchilla_vpnls", 0.002)
    fit = fit_rows("chinchilla_vpnls", rows, Settings(1000))
    candidate = {"n_params": np.array([1e11]), "n_tokens": np.array([1e13])}
    ranked = rank_next_runs(fit, fit.replica_params["E"], candidate, 0.002)
    assert not isinstance(ranked, Refusal)
    truth = PARAMETRIC.truth
    loss = truth["E"] + truth["A"] * 1e11**-0.34 + truth["B"] * 1e13**-0.28
    # five equal runs stand in for the certainty that a bootstrap of one run cannot show
    columns = {
        role: np.append(values, np.repeat(candidate[role], 5))
        for role, values in rows.columns.items()
    }
    longer = Rows(columns, np.append(rows.target, np.repeat(loss, 5)))
    after = fit_rows("chinchilla_vpnls", longer, Settings(1000)).params["E"].standard_error
    assert after is not None
    assert ranked[0].sd_after < ranked[0].sd_before
    assert after < ranked[0].sd_before
