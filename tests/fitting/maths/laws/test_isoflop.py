"""Approach 2 on published profiles (LAWS 4.3) and on synthetic truth (4.5)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.types import HeldOut, Rows, Settings
from tests.fitting.maths.reference import read_isoflop
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

SLUG = "isoflop"
TRUE_A = 0.28 / 0.62
# rows, budgets, vertices, N* exponent, then VPNLS E, alpha, beta, a
GOLDEN = {
    ("chinchilla", False): (85, 7, 7, 0.54142, (1.9001, 0.37523, 0.43105, 0.53462)),
    ("chinchilla", True): (123, 9, 8, 0.49199, (2.0618, 0.43362, 0.65067, 0.60009)),
    ("misfitting", False): (106, 14, 14, 0.52338, (2.7007, 0.64267, 0.70834, 0.52430)),
    ("misfitting", True): (176, 26, 19, 0.48109, (2.6716, 0.59919, 0.66346, 0.52545)),
}


@pytest.mark.parametrize("case", GOLDEN, ids=["i1", "i2", "i3", "i4"])
def test_golden_i1_to_i4_exponents_and_vertices(case: tuple[str, bool]) -> None:
    n_rows, n_budgets, n_vertices, exponent, _ = GOLDEN[case]
    rows = read_isoflop(*case)
    fit = fit_rows(SLUG, rows, Settings(replicas=0))
    assert (rows.n, len(fit.table)) == (n_rows, n_budgets)
    assert sum(bool(row["used"]) for row in fit.table) == n_vertices
    assert fit.values()["a"] == pytest.approx(exponent, abs=1e-4)
    assert fit.values()["b"] == pytest.approx(1.0 - exponent, abs=1e-4)


@pytest.mark.parametrize("case", GOLDEN, ids=["i1", "i2", "i3", "i4"])
def test_golden_i1_to_i4_least_squares_on_the_same_rows(case: tuple[str, bool]) -> None:
    fit = fit_rows("chinchilla_vpnls", read_isoflop(*case), Settings(replicas=0))
    found = [fit.values()[name] for name in ("E", "alpha", "beta")] + [fit.derived["a"].value]
    assert found == pytest.approx(list(GOLDEN[case][4]), abs=1e-3)


@pytest.mark.parametrize(
    ("experiment", "low", "high"), [("chinchilla", 0.49, 0.557), ("misfitting", 0.49, 0.59)]
)
def test_golden_i1_i3_intervals(experiment: str, low: float, high: float) -> None:
    fit = fit_rows(SLUG, read_isoflop(experiment, False), Settings(replicas=1000))
    interval = fit.params["a"].interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.02)


def test_golden_i1_median_of_the_replicas() -> None:
    fit = fit_rows(SLUG, read_isoflop("chinchilla", False), Settings(replicas=1000))
    assert np.nanmedian(fit.replica_params["a"]) == pytest.approx(0.53, abs=0.005)


def make_profiles(half_width: float, drift: float = 0.0) -> Rows:
    budgets = np.geomspace(6e18, 3e21, 9)
    g = (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62)
    shift = np.linspace(-drift, drift, budgets.size)
    n_params, flops = [], []
    for budget, off in zip(budgets, shift, strict=True):
        centre = np.log10(g * (budget / 6) ** TRUE_A) + off
        n_params.append(10 ** (centre + np.linspace(-half_width, half_width, 9)))
        flops.append(np.full(9, budget))
    n, c = np.concatenate(n_params), np.concatenate(flops)
    d = c / (6 * n)
    return Rows({"n_params": n, "flops": c}, 1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28)


@pytest.mark.parametrize(("half_width", "bias"), [(0.5, 0.0042), (1.0, 0.0170), (1.5, 0.0382)])
def test_centred_profiles_keep_the_exponent_and_bias_the_vertices(
    half_width: float, bias: float
) -> None:
    fit = fit_rows(SLUG, make_profiles(half_width), Settings(replicas=0))
    g = (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62)
    true_factor = np.log(g) - TRUE_A * np.log(6)
    assert fit.values()["a"] == pytest.approx(TRUE_A, abs=1e-4)
    found = abs(fit.values()["log_n_factor"] - true_factor) / np.log(10)
    assert found == pytest.approx(bias, abs=1e-3)


def test_the_best_sizes_of_the_largest_decade_are_withheld_and_predicted() -> None:
    held_out = fit_rows(SLUG, make_profiles(0.5), Settings(replicas=0)).held_out
    assert isinstance(held_out, HeldOut)
    assert held_out.quantity == "n_params"
    assert held_out.ids == ("6.344e+20", "1.38e+21", "3e+21")
    assert held_out.max_error < 1e-3


def test_golden_i1_misses_the_best_sizes_of_the_decade_that_it_did_not_see() -> None:
    rows = read_isoflop("chinchilla", False)
    held_out = fit_rows(SLUG, rows, Settings(replicas=0)).held_out
    assert isinstance(held_out, HeldOut)
    assert len(held_out.ids) == 3
    assert held_out.median_error == pytest.approx(0.279, abs=0.005)


def test_drifting_centre_biases_the_exponent() -> None:
    fit = fit_rows(SLUG, make_profiles(1.0, drift=0.3), Settings(replicas=0))
    assert fit.values()["a"] == pytest.approx(0.4503, abs=5e-4)


def test_budget_with_three_points_is_named() -> None:
    rows = make_profiles(1.0)
    kept = np.ones(rows.n, dtype=bool)
    kept[3:9] = False
    fit = fit_rows(SLUG, rows.take(kept), Settings(replicas=0))
    assert "has 3 points, a parabola needs 4" in str(fit.table[0]["reason"])


def test_a_refusal_names_a_few_budgets_and_counts_the_others() -> None:
    rows = make_profiles(1.0)
    lone = np.unique(rows.columns["flops"], return_index=True)[1]
    sentence = refuse_rows(SLUG, rows.take(lone)).sentence
    assert sentence.count("has 1 point, a parabola needs 4") == 3
    assert f"; and {lone.size - 3} more)" in sentence


def test_two_usable_budgets_are_refused() -> None:
    rows = make_profiles(1.0)
    refusal = refuse_rows(SLUG, rows.take(np.arange(18)))
    assert refusal.code == "too_few_groups"
    assert "have 2 of 2" in refusal.sentence


def test_akima_recovers_the_exponent_and_leaves_the_vertices_unbiased() -> None:
    rows = make_profiles(1.5)
    settings = Settings(replicas=0, options={"interpolant": "akima"})
    fit = fit_rows(SLUG, rows, settings)
    g = (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62)
    true_factor = np.log(g) - TRUE_A * np.log(6)
    assert fit.values()["a"] == pytest.approx(TRUE_A, abs=2e-3)
    found = fit.values()["log_n_factor"] + fit.values()["a"] * np.log(1e20)
    assert found == pytest.approx(true_factor + TRUE_A * np.log(1e20), abs=0.03 * np.log(10))


def test_akima_interval_comes_from_seed_noise() -> None:
    settings = Settings(replicas=100, options={"interpolant": "akima"})
    interval = fit_rows(SLUG, make_profiles(1.5), settings).params["a"].interval
    assert interval is not None
    assert interval.low < TRUE_A < interval.high
