"""Chinchilla approach 3 against the published re-analysis (LAWS 4.1)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.fitters import SeparableFitter
from fitting.maths.registry import get_law
from fitting.maths.second_opinion import evaluate_objective
from fitting.maths.separable import SeparableProblem, fit_replicas, polish
from fitting.maths.types import HeldOut, Rows, Separable, Settings
from tests.fitting.maths.reference import read_chinchilla, read_reference
from tests.fitting.maths.synthetic import fit_rows, make_rows, refuse_rows

SLUG = "chinchilla_parametric"
POINT = Settings(replicas=0, hold_out="none")


def problem_of(rows: Rows) -> SeparableProblem:
    law = get_law(SLUG)
    assert isinstance(law.structure, Separable)
    return SeparableFitter(law, law.structure, rows, law.read_options({})).make_problem()


def objective_at(rows: Rows, a: float, b: float, e: float, alpha: float, beta: float) -> float:
    problem = problem_of(rows)
    log_c = np.array([e, a, b])
    theta = np.concatenate([log_c - problem.centres @ np.array([alpha, beta]), [alpha, beta]])
    return evaluate_objective(problem, theta)[0]


@pytest.mark.parametrize(
    ("theta", "golden"),
    [
        ((6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083), 1.231163e-3),
        ((6.17795598, 7.64273236, 0.59711196, 0.34781303, 0.36585412), 1.018645e-3),
    ],
)
def test_golden_c0_objective_at_published_points(
    theta: tuple[float, float, float, float, float], golden: float
) -> None:
    assert objective_at(read_chinchilla(), *theta) == pytest.approx(golden, rel=1e-6)


def test_golden_c1_chinchilla_minimum() -> None:
    fit = fit_rows(SLUG, read_chinchilla(), POINT)
    assert fit.objective == pytest.approx(1.0182740178e-3, rel=1e-6)
    assert fit.convergence.scaled_gradient < 1e-4
    assert abs(fit.convergence.second_optimiser_gap) < 1e-6


def test_golden_c2_parameters_at_the_minimum() -> None:
    values = fit_rows(SLUG, read_chinchilla(), POINT).values()
    assert values["E"] == pytest.approx(1.81722, abs=1e-3)
    assert values["A"] == pytest.approx(477.83, abs=1)
    assert values["B"] == pytest.approx(2143.4, abs=10)
    assert values["alpha"] == pytest.approx(0.34731, abs=3e-4)
    assert values["beta"] == pytest.approx(0.36717, abs=3e-4)


def test_golden_c3_allocation_exponent() -> None:
    fit = fit_rows(SLUG, read_chinchilla(), POINT)
    assert fit.derived["a"].value == pytest.approx(0.51390, abs=3e-4)


def test_golden_c4_c5_intervals_of_4000_cold_bootstraps() -> None:
    fit = fit_rows(SLUG, read_chinchilla(), Settings(replicas=4000, seed=42, hold_out="none"))
    ends = {"alpha": (0.317, 0.373), "beta": (0.333, 0.416), "E": (1.771, 1.870)}
    for name, (low, high) in ends.items():
        interval = fit.params[name].interval
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.004)
    amplitude, data, a = fit.params["A"], fit.params["B"], fit.derived["a"]
    assert amplitude.interval is not None
    assert amplitude.interval.low == pytest.approx(285, abs=10)
    assert amplitude.interval.high == pytest.approx(735, abs=30)
    assert data.interval is not None
    assert (data.interval.low, data.interval.high) == pytest.approx((1080, 5850), rel=0.1)
    assert a.interval is not None
    assert (a.interval.low, a.interval.high) == pytest.approx((0.482, 0.557), abs=0.004)
    assert a.standard_error == pytest.approx(0.0197, abs=0.002)
    assert fit.convergence.replicas_converged == 1.0


def test_golden_c6_all_245_rows() -> None:
    fit = fit_rows(SLUG, read_chinchilla(with_all=True), POINT)
    values = fit.values()
    assert fit.objective == pytest.approx(1.826011e-3, rel=1e-3)
    assert values["E"] == pytest.approx(1.8913, abs=1e-3)
    assert values["A"] == pytest.approx(495.7, abs=2)
    assert values["B"] == pytest.approx(12846, abs=100)
    assert values["alpha"] == pytest.approx(0.3493, abs=5e-4)
    assert values["beta"] == pytest.approx(0.4530, abs=5e-4)


@pytest.mark.parametrize(
    ("delta", "beta", "a"),
    [(1e-4, 0.36538, 0.51261), (1e-2, 0.38154, 0.51843), (1e-1, 0.40588, 0.52978)],
)
def test_golden_c8_delta_moves_the_answer(delta: float, beta: float, a: float) -> None:
    fit = fit_rows(SLUG, read_chinchilla(), POINT.with_options(delta=delta))
    assert fit.values()["beta"] == pytest.approx(beta, abs=1e-3)
    assert fit.derived["a"].value == pytest.approx(a, abs=1e-3)


def test_golden_c8_delta_more_than_doubles_the_data_amplitude() -> None:
    fit = fit_rows(SLUG, read_chinchilla(), POINT.with_options(delta=1e-1))
    assert fit.values()["B"] == pytest.approx(4876, rel=1e-3)


def test_golden_c9_tokens_per_parameter_at_the_gopher_budget() -> None:
    fit = fit_rows(SLUG, read_chinchilla(), POINT.with_options(budget=5.76e23))
    assert fit.derived["tokens_per_parameter"].value == pytest.approx(17.92, abs=0.05)


@pytest.mark.parametrize(
    ("alpha", "beta", "golden"), [(0.34, 0.28, 92.65), (0.33917084, 0.2849083, 58.92)]
)
def test_golden_c9_published_coefficients(alpha: float, beta: float, golden: float) -> None:
    ratio = next(item for item in get_law(SLUG).derived if item.name == "tokens_per_parameter")
    published = {"A": 406.4, "B": 410.7, "E": 1.69, "alpha": alpha, "beta": beta}
    params = {name: np.array([value]) for name, value in published.items()}
    assert float(ratio.compute(params, {"budget": 5.76e23})[0]) == pytest.approx(golden, abs=0.01)


def test_golden_c10_held_out_decade() -> None:
    held_out = fit_rows(SLUG, read_chinchilla(), Settings(replicas=0)).held_out
    assert isinstance(held_out, HeldOut)
    assert len(held_out.ids) == 19
    assert held_out.params["E"] == pytest.approx(1.8382, abs=2e-3)
    assert held_out.params["alpha"] == pytest.approx(0.3425, abs=2e-3)
    assert held_out.params["beta"] == pytest.approx(0.3901, abs=2e-3)
    assert held_out.median_error == pytest.approx(0.00908, abs=2e-4)
    assert held_out.max_error == pytest.approx(0.0293, abs=2e-4)


@pytest.mark.slow
def test_golden_c11_no_published_start_ends_lower() -> None:
    problem, best = problem_of(read_chinchilla()), 1.0182740178e-3
    grids = (
        np.arange(-1, 1.01, 0.5),
        np.arange(0, 26, 5.0),
        np.arange(0, 26, 5.0),
        np.arange(0, 2.1, 0.5),
        np.arange(0, 2.1, 0.5),
    )
    starts = np.stack(np.meshgrid(*grids), axis=-1).reshape(-1, 5)
    starts[:, :3] -= starts[:, 3:] @ problem.centres.T
    lowest = np.inf
    for first in range(0, starts.shape[0], 250):
        block = starts[first : first + 250]
        counts = np.ones((block.shape[0], problem.target.size))
        lowest = min(lowest, float(polish(problem, counts, block, 1e-10, 300).objective.min()))
    assert starts.shape[0] == 4500
    assert lowest >= best * (1 - 1e-9)
    assert lowest == pytest.approx(best, rel=1e-6)


@pytest.mark.slow
def test_cold_replicas_of_the_published_rows_agree_with_64_published_starts_each() -> None:
    problem, rng = problem_of(read_chinchilla()), np.random.default_rng(42)
    counts = rng.multinomial(240, np.full(240, 1 / 240), size=4000)[::80].astype(float)
    cold, best = fit_replicas(problem, counts, 1e-7), np.full(50, np.inf)
    for _ in range(64):
        exponents = rng.choice([0.0, 0.5, 1.0, 1.5, 2.0], size=(50, 2))
        constant = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=(50, 1))
        amplitudes = rng.choice([0.0, 5.0, 10.0, 15.0, 20.0, 25.0], size=(50, 2))
        raw = np.concatenate([constant, amplitudes], axis=1) - exponents @ problem.centres.T
        start = np.concatenate([raw, exponents], axis=1)
        best = np.minimum(best, polish(problem, counts, start, 1e-9, 300).objective)
    assert np.max((cold.objective - best) / best) < 1e-6


@pytest.mark.slow
def test_cold_replicas_agree_with_many_starts_each() -> None:
    rows = make_rows(SLUG, 0.01, seed=4)
    problem, rng = problem_of(rows), np.random.default_rng(7)
    counts = rng.multinomial(rows.n, np.full(rows.n, 1 / rows.n), size=50).astype(float)
    cold = fit_replicas(problem, counts, 1e-7)
    best = np.full(50, np.inf)
    for _ in range(64):
        start = cold.theta + rng.normal(0.0, [0.3, 0.3, 0.3, 0.15, 0.15], size=cold.theta.shape)
        best = np.minimum(best, polish(problem, counts, start, 1e-9, 300).objective)
    assert np.max((cold.objective - best) / best) < 1e-6


def test_golden_s1_s2_synthetic_surface() -> None:
    data = read_reference("synthetic/chinchilla_surface.csv")
    columns = {"n_params": data["params"].astype(float), "n_tokens": data["tokens"].astype(float)}
    exact = fit_rows(SLUG, Rows(columns, data["loss_noiseless"]), POINT).values()
    truth = {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28}
    assert exact == pytest.approx(truth, rel=1e-6)
    fit = fit_rows(SLUG, Rows(columns, data["loss"]), Settings())
    found = {name: fit.params[name] for name in ("E", "alpha", "beta")}
    golden = {
        "E": (1.6927, 1.676, 1.702),
        "alpha": (0.3361, 0.330, 0.348),
        "beta": (0.2831, 0.2755, 0.2875),
    }
    for name, (value, low, high) in golden.items():
        interval = found[name].interval
        assert interval is not None
        assert found[name].value == pytest.approx(value, abs=1e-3)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.003)


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_move_parameters_as_units_say(factor: float) -> None:
    rows = make_rows(SLUG, 0.002)
    scaled = Rows({role: values * factor for role, values in rows.columns.items()}, rows.target)
    first, second = fit_rows(SLUG, rows, POINT).values(), fit_rows(SLUG, scaled, POINT).values()
    assert second["alpha"] == pytest.approx(first["alpha"], rel=1e-9)
    assert second["E"] == pytest.approx(first["E"], rel=1e-9)
    assert second["A"] == pytest.approx(first["A"] * factor ** first["alpha"], rel=1e-7)


def test_tokens_proportional_to_size_are_refused_as_rank() -> None:
    n = np.geomspace(1e7, 1e10, 12)
    loss = 1.7 + 400 * n**-0.34 + 410 * (20 * n) ** -0.34
    refusal = refuse_rows(SLUG, Rows({"n_params": n, "n_tokens": 20 * n}, loss))
    assert refusal.code in {"rank", "on_bound"}


def test_size_within_an_octave_is_refused() -> None:
    rows = make_rows(SLUG)
    narrow = {**rows.columns, "n_params": 1e8 * (1 + 0.5 * np.linspace(0, 1, rows.n))}
    refusal = refuse_rows(SLUG, Rows(narrow, rows.target))
    assert refusal.code == "span"
    assert "n_params spans a factor 1.5" in refusal.sentence


def test_five_rows_give_a_point_without_interval() -> None:
    rows = make_rows(SLUG, 0.001).take(np.array([0, 6, 20, 49, 55, 33]))
    fit = fit_rows(SLUG, rows, Settings(replicas=50))
    assert fit.params["alpha"].interval is None
    assert "5 parameters on 6 points" in fit.warnings


@pytest.mark.slow
def test_intervals_cover_the_truth_at_their_level() -> None:
    law = get_law(SLUG)
    names, hits = ("E", "alpha", "beta"), np.zeros(4)
    for trial in range(100):
        fit = fit_rows(SLUG, make_rows(SLUG, 0.002, seed=trial), Settings(400, hold_out="none"))
        truth_a = law.truth["beta"] / (law.truth["alpha"] + law.truth["beta"])
        checked = [(fit.params[name], law.truth[name]) for name in names]
        for place, (estimate, truth) in enumerate([*checked, (fit.derived["a"], truth_a)]):
            assert estimate.interval is not None
            hits[place] += estimate.interval.low <= truth <= estimate.interval.high
    assert np.all((hits >= 88) & (hits <= 100))
