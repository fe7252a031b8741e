"""Encoder-decoder, experts, pruning, trajectory, ensembles, regimes, tails (LAWS_FURTHER)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.laws.encoder_decoder import fit_sum
from fitting.maths.laws.ensemble_asymptote import fit_asymptotes
from fitting.maths.laws.loss_trajectory import KAPLAN, predict
from fitting.maths.laws.mixture_of_experts import reduce_joint, split_joint_budget
from fitting.maths.laws.scaling_regime import judge_regime
from fitting.maths.records import Interval
from fitting.maths.types import FloatArray, Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, make_rows, refuse_rows

POINT = Settings(replicas=0)


def test_symmetric_scaling_is_refused_and_the_sum_still_told() -> None:
    rows = make_rows("encoder_decoder")
    same = rows.columns["n_encoder"] == rows.columns["n_decoder"]
    refusal = refuse_rows("encoder_decoder", rows.take(same))
    assert refusal.code == "rank"
    assert "p_e - p_d cannot be determined" in refusal.sentence
    log_n = np.log(rows.columns["n_encoder"][same])
    assert fit_sum(2 * log_n, rows.target[same]) == pytest.approx(0.49, abs=0.005)


@pytest.mark.parametrize(
    ("n_experts", "golden"),
    [(1, (30.4, -0.1818, 53.9, -0.1964)), (32, (16.54, -0.1557, 234.7, -0.2652))],
)
def test_golden_joint_expert_law_reduced(n_experts: int, golden: tuple[float, ...]) -> None:
    reduced = reduce_joint(n_experts)
    found = [reduced[name] for name in ("m", "mu", "n", "nu")]
    assert found == pytest.approx(list(golden), rel=4e-3)


@pytest.mark.parametrize(("n_experts", "golden"), [(1, (1.7e9, 9.7e9)), (32, (6.7e8, 2.49e10))])
def test_golden_joint_expert_law_optimum(n_experts: int, golden: tuple[float, float]) -> None:
    assert split_joint_budget(n_experts, 1e20) == pytest.approx(golden, rel=0.03)


@pytest.mark.slow
def test_expert_coefficients_spread_as_in_the_design() -> None:
    point = Settings(replicas=0, hold_out="none")
    rows = [make_rows("mixture_of_experts", 0.002, seed) for seed in range(30)]
    values = [fit_rows("mixture_of_experts", item, point).values() for item in rows]
    golden = {"alpha": 0.0044, "beta": 0.017, "gamma": 0.033, "c": 0.13}
    for name, spread in golden.items():
        found = np.std([item[name] for item in values], ddof=1)
        assert 0.6 * spread < found < 1.5 * spread, name
    tied = np.corrcoef([item["beta"] for item in values], [item["c"] for item in values])
    assert tied[0, 1] > 0.7


@pytest.mark.slow
def test_expert_predictions_are_steadier_than_coefficients() -> None:
    from fitting.maths.predict import evaluate_point

    target = {
        "n_total": np.array([64 * 3e9]),
        "n_tokens": np.array([3e11]),
        "granularity": np.array([8.0]),
    }
    found, betas = [], []
    for seed in range(12):
        fit = fit_rows("mixture_of_experts", make_rows("mixture_of_experts", 0.002, seed), POINT)
        found.append(float(evaluate_point(fit, target)[0]))
        betas.append(fit.values()["beta"])
    assert np.std(found) / np.mean(found) < 0.006
    assert np.std(betas) / np.mean(betas) > 3 * np.std(found) / np.mean(found)


def test_average_size_wins_on_held_out_sparse_runs() -> None:
    fit = fit_rows("sparse_average", make_rows("sparse_average"), POINT)
    assert "supported" in fit.warnings[0]
    errors = {row["size"]: float(str(row["held_out_error"])) for row in fit.table}
    assert errors["n_average"] < 0.1 * errors["n_final"]


def test_one_pruning_schedule_is_refused() -> None:
    rows = make_rows("sparse_average")
    columns = {**rows.columns, "n_average": 0.6 * rows.columns["n_initial"]}
    assert "spans a factor 1" in refuse_rows("sparse_average", Rows(columns, rows.target)).sentence


def test_trajectory_predicts_a_larger_model_from_the_solved_form() -> None:
    wide = {name: np.array([[value]]) for name, value in KAPLAN.items()}
    target = {
        "n_params": np.array([3.3e9]),
        "step": np.array([1e5]),
        "batch_tokens": np.array([1e6]),
    }
    assert predict(wide, target, {})[0, 0] == pytest.approx(2.313, abs=0.004)
    fit = fit_rows("loss_trajectory", make_rows("loss_trajectory", 0.002), POINT)
    found = {name: np.array([[value]]) for name, value in fit.values().items()}
    assert predict(found, target, {})[0, 0] == pytest.approx(2.313, abs=0.01)


def test_trajectory_spreads_under_noise_are_those_of_the_design() -> None:
    point = Settings(replicas=0, hold_out="none")
    rows = [make_rows("loss_trajectory", 0.002, seed) for seed in range(10)]
    values = [fit_rows("loss_trajectory", item, point).values() for item in rows]
    for name, golden in {"alpha_N": 0.0002, "alpha_S": 0.006, "alpha_B": 0.0025}.items():
        spread = np.std([item[name] for item in values], ddof=1)
        assert 0.6 * golden < spread < 1.5 * golden, name


def test_decaying_rate_is_sent_to_the_annealing_law() -> None:
    rows = make_rows("loss_trajectory")
    lr = np.linspace(1e-3, 1e-4, rows.n)
    refusal = refuse_rows("loss_trajectory", Rows({**rows.columns, "lr": lr}, rows.target))
    assert "lr_annealing" in refusal.cure


def make_ensembles(noise: float, seed: int = 0) -> Rows:
    n, k = np.meshgrid([0.15, 0.3, 0.6, 1.4], np.arange(1.0, 6.0))
    n, k = n.ravel(), k.ravel()
    loss = 3.17 + 0.05 * n**-1.02 + 0.12 * n**-0.3 / k
    loss = loss + noise * np.random.default_rng(seed).standard_normal(n.size)
    return Rows({"n_params": n, "k_members": k}, loss)


def test_double_limit_of_ensembles_is_recovered() -> None:
    rows = make_ensembles(0.0)
    sizes, limits, alpha = fit_asymptotes(rows)
    assert alpha == pytest.approx(1.0, abs=1e-6)
    assert limits[sizes == 0.3][0] == pytest.approx(3.3407, abs=1e-3)
    fit = fit_rows("ensemble_asymptote", rows, POINT)
    assert fit.values()["E"] == pytest.approx(3.170, abs=1e-3)


def test_double_limit_under_noise_stays_near() -> None:
    found = [
        fit_rows("ensemble_asymptote", make_ensembles(0.001, seed), POINT).values()["E"]
        for seed in range(8)
    ]
    assert min(found) > 3.157
    assert max(found) < 3.184


def test_double_limit_under_strong_noise_is_wide_and_has_no_interval() -> None:
    fits = [
        fit_rows("ensemble_asymptote", make_ensembles(0.003, seed), Settings(50))
        for seed in range(8)
    ]
    assert all(3.05 < fit.values()["E"] < 3.20 for fit in fits)
    assert all(fit.params["E"].interval is None for fit in fits)
    assert all("3 parameters on 4 sizes" in fit.warnings for fit in fits)


def test_three_ensemble_sizes_are_refused() -> None:
    rows = make_ensembles(0.0)
    refusal = refuse_rows("ensemble_asymptote", rows.take(rows.columns["k_members"] < 4))
    assert "has 3 ensemble sizes" in refusal.sentence


def test_asymptote_that_rises_with_size_is_refused() -> None:
    rows = make_ensembles(0.0)
    rows.target[rows.columns["n_params"] == 1.4] += 0.3
    assert "rises with size" in refuse_rows("ensemble_asymptote", rows).sentence


def make_regime(alpha: float, seed: int, points: int = 8, top: float = 100.0) -> Rows:
    x = np.geomspace(1.0, top, points)
    noise = 1 + 0.005 * np.random.default_rng(seed).standard_normal(points)
    return Rows({"x": x}, 0.4 + x**-alpha * noise)


def judge_alpha(alpha: float, seed: int) -> str:
    """Return the verdict on an exponent seen at two fixed values of the other variable.

    A fit that refuses its interval gives no verdict; among many seeds one may.
    """
    fits = [
        fit_rows("scaling_regime", make_regime(alpha, 100 * k + seed), Settings(200))
        for k in (0, 1)
    ]
    first, second = (fit.params["a"].interval for fit in fits)
    if first is None:
        return "no interval"
    return judge_regime(alpha, first, "data", second).verdict


REGIMES = [(1.0, "variance-limited"), (0.35, "resolution-limited")]


@pytest.mark.parametrize(("alpha", "verdict"), REGIMES)
def test_regime_is_recognised(alpha: float, verdict: str) -> None:
    assert judge_alpha(alpha, 0) == verdict


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "verdict"), REGIMES)
def test_regime_is_recognised_nearly_always(alpha: float, verdict: str) -> None:
    right = [judge_alpha(alpha, seed) == verdict for seed in range(100)]
    assert sum(right) >= 95


def test_half_in_parameters_stays_undecided() -> None:
    regime = judge_regime(0.5, Interval(0.48, 0.52), "n_params")
    assert regime.verdict == "undecided"
    assert "decide in width" in regime.sentence


def test_four_points_over_half_a_decade_are_refused() -> None:
    assert refuse_rows("scaling_regime", make_regime(1.0, 0, 4, 3.2)).sentence


def make_tail(kind: str, seed: int) -> Rows:
    x = np.array([1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32.0])
    fall: FloatArray = x**-0.6 if kind == "power" else np.exp(-x / 6)
    noise = 1 + 0.01 * np.random.default_rng(seed).standard_normal(x.size)
    return Rows({"x": x}, (0.05 + 0.4 * fall) * noise)


@pytest.mark.parametrize("kind", ["power", "exponential"])
def test_true_tail_is_chosen_and_the_other_never(kind: str) -> None:
    verdicts = [
        fit_rows("power_or_exponential", make_tail(kind, seed), POINT).warnings[0]
        for seed in range(10)
    ]
    other = "exponential" if kind == "power" else "power"
    assert f"verdict: {other}" not in verdicts
    assert verdicts.count(f"verdict: {kind}") == 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["power", "exponential"])
def test_true_tail_is_chosen_in_200_of_200(kind: str) -> None:
    fits = [fit_rows("power_or_exponential", make_tail(kind, seed), POINT) for seed in range(200)]
    assert [fit.warnings[0] for fit in fits] == [f"verdict: {kind}"] * 200


def test_flat_errors_stay_undecided() -> None:
    rows = make_tail("power", 0)
    noise = 1 + 0.01 * np.random.default_rng(1).standard_normal(rows.n)
    fit = fit_rows("power_or_exponential", Rows(rows.columns, 0.05 * noise), POINT)
    assert fit.warnings[0] == "verdict: undecided"


def test_one_initial_pool_is_evidence_for_neither() -> None:
    rows = make_tail("power", 0)
    columns = {**rows.columns, "initial_pool": np.full(rows.n, 1e6)}
    refusal = refuse_rows("power_or_exponential", Rows(columns, rows.target))
    assert "evidence for neither" in refusal.sentence
