"""Which next run shrinks an interval most, and what it costs."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from fitting.maths.plan import Plan, plan_next_runs, rank_next_runs
from fitting.maths.types import Columns, Fit, Refusal, Rows, Settings
from tests.fitting.maths.laws.test_isoflop import make_profiles
from tests.fitting.maths.synthetic import fit_rows, make_rows

SLUG = "chinchilla_parametric"


@cache
def fit_chinchilla() -> Fit:
    return fit_rows(SLUG, make_rows(SLUG, 0.002), Settings(400, hold_out="none"))


def make_candidates() -> Columns:
    return {"n_params": np.array([1e8, 1e11, 3e9]), "n_tokens": np.array([1e10, 1e13, 1e12])}


def plan(name: str, by_cost: bool = False, noise: float | None = None) -> Plan:
    found = plan_next_runs(fit_chinchilla(), name, make_candidates(), noise, by_cost)
    assert isinstance(found, Plan), found
    return found


def test_shrinkage_and_shrinkage_per_flop_stand_side_by_side() -> None:
    for run in plan("E").runs:
        assert run.shrinkage == pytest.approx(1 - run.sd_after / run.sd_before, rel=1e-12)
        assert run.shrinkage_per_flop == pytest.approx(run.shrinkage / run.flops, rel=1e-12)
        assert run.shrinkage_per_flop == run.to_dict()["shrinkage_per_flop"]


def test_cheap_run_wins_per_flop_and_the_large_one_by_shrinkage() -> None:
    assert plan("E").runs[0].place == 1
    assert plan("E", by_cost=True).runs[0].place == 0
    assert plan("E", by_cost=True).runs[-1].place == 1


def test_derived_quantity_is_planned_for_by_name() -> None:
    runs = plan("n_opt").runs
    assert runs[0].sd_before == pytest.approx(
        fit_chinchilla().derived["n_opt"].standard_error, rel=0.01
    )


def test_noisier_runs_shrink_less() -> None:
    assert plan("E", noise=0.05).runs[0].shrinkage < plan("E", noise=0.001).runs[0].shrinkage


def test_noise_comes_from_the_residuals_where_nothing_was_repeated() -> None:
    found = plan("E")
    assert found.noise == pytest.approx(0.002, rel=0.4)
    assert "nothing was repeated" in found.noise_source


def test_noise_comes_from_repeats_where_there_are_some() -> None:
    rows = make_rows(SLUG, 0.002)
    columns = {role: np.tile(values, 2) for role, values in rows.columns.items()}
    draws = np.random.default_rng(8).standard_normal(rows.n)
    again = make_rows(SLUG).target * (1 + 0.002 * draws)
    fit = fit_rows(SLUG, Rows(columns, np.concatenate([rows.target, again])), Settings(50))
    found = plan_next_runs(fit, "E", make_candidates())
    assert isinstance(found, Plan)
    assert found.noise_source == "repeats with other seeds"
    assert found.noise == pytest.approx(0.002, rel=0.3)


def refuse_plan(fit: Fit, name: str, candidates: Columns) -> Refusal:
    found = plan_next_runs(fit, name, candidates)
    assert isinstance(found, Refusal)
    return found


def test_unknown_quantity_is_named_with_the_known_ones() -> None:
    sentence = refuse_plan(fit_chinchilla(), "gamma", make_candidates()).sentence
    assert "has no gamma; it has E, A, B" in sentence


def test_fit_without_replicas_cannot_plan() -> None:
    fit = fit_rows(SLUG, make_rows(SLUG), Settings(replicas=0))
    assert refuse_plan(fit, "E", make_candidates()).code == "no_replicas"


def test_missing_column_of_the_candidates_is_named() -> None:
    sentence = refuse_plan(fit_chinchilla(), "E", {"n_params": np.array([1e9])}).sentence
    assert sentence == "the candidates lack n_tokens"


def test_law_that_predicts_no_run_is_refused() -> None:
    fit = fit_rows("isoflop", make_profiles(1.0), Settings(20))
    candidates = {"n_params": np.array([1e9]), "flops": np.array([1e21])}
    assert "no run can be planned" in refuse_plan(fit, "a", candidates).sentence


def test_quantity_without_spread_is_refused() -> None:
    found = rank_next_runs(fit_chinchilla(), np.ones(400), make_candidates(), 0.01)
    assert isinstance(found, Refusal)
    assert "the same in every replica" in found.sentence


def test_candidates_without_tokens_have_no_cost() -> None:
    fit = fit_rows("power_law_constant", make_rows("power_law_constant", 0.002), Settings(50))
    found = plan_next_runs(fit, "L_inf", {"x": np.array([1e5])})
    assert isinstance(found, Plan)
    assert np.isnan(found.runs[0].shrinkage_per_flop)
