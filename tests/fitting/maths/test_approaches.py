"""The compute frontier by every approach side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from fitting.maths.approaches import (
    APPROACHES,
    compare_approaches,
    fit_approaches,
    measure_range,
    trace_frontiers,
)
from fitting.maths.frontier import allocate, compare_allocations
from fitting.maths.predict import evaluate_point
from fitting.maths.registry import get_law
from fitting.maths.types import Fit, FloatArray, Refusal, Rows, Settings
from tests.fitting.maths.laws.test_chinchilla_envelope import make_curves
from tests.fitting.maths.laws.test_isoflop import make_profiles
from tests.fitting.maths.reference import read_isoflop
from tests.fitting.maths.synthetic import fit_rows, make_rows

BUDGETS = np.geomspace(1e20, 1e23, 16)
ABLE = ("chinchilla_parametric", "chinchilla_vpnls", "kaplan", "overtraining")


def make_runs(noise: float = 0.0, seed: int = 0) -> Rows:
    """Return isoFLOP profiles that carry their tokens too."""
    rows = make_profiles(1.0)
    tokens = rows.columns["flops"] / (6 * rows.columns["n_params"])
    draws = np.random.default_rng(seed).standard_normal(rows.n)
    return Rows({**rows.columns, "n_tokens": tokens}, rows.target * (1 + noise * draws))


@cache
def fit_noisy() -> dict[str, Fit | Refusal]:
    return fit_approaches(make_runs(0.002), make_curves(24), Settings(200, hold_out="none"))


def true_frontier(flops: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return N*, D* and L* of Hoffmann's rounded constants by a search, not by the formula."""
    n = np.geomspace(1e7, 1e12, 200_001)[:, None]
    d = flops / (6 * n)
    loss = 1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28
    best = np.argmin(loss, axis=0)
    return n[best, 0], d[best, np.arange(flops.size)], loss.min(axis=0)


@pytest.mark.parametrize("approach", APPROACHES)
def test_every_approach_recovers_the_frontier_without_noise(approach: str) -> None:
    fits = fit_approaches(make_runs(), make_curves(40), Settings(replicas=0))
    found = trace_frontiers(fits, measure_range(make_runs()), BUDGETS).get(approach)
    n_params, n_tokens, loss = true_frontier(BUDGETS)
    assert found.loss is not None
    # parabolas place the vertices 4 % off (LAWS 4.5); the envelope wins at the sizes there are
    assert found.n_params.value == pytest.approx(n_params, rel=0.05)
    assert found.n_tokens.value == pytest.approx(n_tokens, rel=0.05)
    assert found.loss.value == pytest.approx(loss, rel=0.003)
    assert found.tokens_per_parameter.value == pytest.approx(n_tokens / n_params, rel=0.1)


@pytest.mark.parametrize("slug", ABLE)
def test_split_of_a_law_is_the_minimum_of_its_own_prediction(slug: str) -> None:
    law, flops = get_law(slug), np.array([1e21])
    truth = {name: np.array([value]) for name, value in law.truth.items()}
    assert law.allocate is not None
    n_params, n_tokens, loss = law.allocate(truth, flops)
    assert 6 * n_params * n_tokens == pytest.approx(flops, rel=1e-9)
    sizes = n_params[0] * np.geomspace(0.1, 10, 2001)
    columns = {"n_params": sizes, "n_tokens": flops[0] / (6 * sizes)}
    fit = fit_rows(slug, make_rows(slug), Settings(replicas=0))
    losses = evaluate_point(fit, columns)
    assert sizes[np.argmin(losses)] == pytest.approx(n_params[0], rel=0.005)
    assert loss is not None
    assert losses.min() == pytest.approx(loss[0], rel=1e-6)


def test_intervals_hold_the_truth_inside_the_data() -> None:
    found = trace_frontiers(fit_noisy(), measure_range(make_runs()), np.array([1e20, 1e21]))
    n_params, _, loss = true_frontier(found.flops)
    for approach in ("chinchilla_parametric", "chinchilla_vpnls"):
        frontier = found.get(approach)
        assert frontier.loss is not None
        assert np.all(frontier.n_params.low < n_params)
        assert np.all(n_params < frontier.n_params.high)
        assert np.all((frontier.loss.low < loss) & (loss < frontier.loss.high))


def test_bands_equal_the_interval_at_each_budget_alone() -> None:
    fit = fit_noisy()["chinchilla_parametric"]
    assert isinstance(fit, Fit)
    found = trace_frontiers({"three": fit}, (6e18, 3e21), BUDGETS).get("three")
    alone = allocate(fit, float(BUDGETS[5]), 3e21)
    assert alone.n_params.interval is not None
    assert alone.tokens_per_parameter is not None
    assert alone.tokens_per_parameter.interval is not None
    assert found.n_params.low[5] == pytest.approx(alone.n_params.interval.low, rel=1e-12)
    ratio = found.tokens_per_parameter
    assert ratio.high[5] == pytest.approx(alone.tokens_per_parameter.interval.high, rel=1e-12)


def test_budgets_outside_the_data_are_marked_with_their_decades() -> None:
    budgets = np.array([6e17, 6e18, 1e20, 3e21, 3e22])
    found = trace_frontiers(fit_noisy(), (6e18, 3e21), budgets).get("isoflop")
    assert found.extrapolated.tolist() == [True, False, False, False, True]
    assert found.decades_beyond[[0, 4]] == pytest.approx([1.0, 1.0])


def test_default_budgets_are_128_to_a_decade_beyond_the_data() -> None:
    found = trace_frontiers(fit_noisy(), (6e18, 3e21))
    assert found.flops.size == 128
    assert (found.flops[0], found.flops[-1]) == pytest.approx((6e18, 3e22))
    assert all(item.n_params.low.size == 128 for item in found.frontiers)


def test_disagreement_is_one_between_equal_fits_and_grows_with_the_bias() -> None:
    fit = fit_noisy()["chinchilla_parametric"]
    same = trace_frontiers({"a": fit, "b": fit}, (6e18, 3e21), BUDGETS)
    assert same.n_params_ratio == pytest.approx(1.0, abs=1e-12)
    assert same.loss_gap == pytest.approx(0.0, abs=1e-12)
    assert not same.disjoint.any()
    found = trace_frontiers(fit_noisy(), (6e18, 3e21), BUDGETS)
    assert np.all(found.n_params_ratio > 1.0)
    assert np.all(found.tokens_per_parameter_ratio >= found.n_params_ratio)


def test_intervals_that_share_nothing_are_said() -> None:
    fit = fit_noisy()["isoflop"]
    assert isinstance(fit, Fit)
    moved = {**fit.replica_params, "log_n_factor": fit.replica_params["log_n_factor"] + 3.0}
    other = replace(fit, replica_params=moved)
    found = trace_frontiers({"a": fit, "b": other}, (6e18, 3e21), BUDGETS)
    assert found.disjoint.all()
    assert "their intervals share nothing" in found.sentences[-1]


def test_sentences_name_the_approaches_and_the_distance_to_the_data() -> None:
    sentences = trace_frontiers(fit_noisy(), (6e18, 3e21)).sentences
    assert len(sentences) == 2
    assert "beyond" not in sentences[0]
    assert "1.0 decades beyond the data" in sentences[1]
    assert "a factor" in sentences[1]


def test_fit_without_replicas_has_no_band_and_says_why() -> None:
    fits = fit_approaches(make_runs(0.002), None, Settings(replicas=0))
    found = trace_frontiers(fits, (6e18, 3e21), BUDGETS).get("isoflop")
    assert np.isnan(found.n_params.low).all()
    assert found.reason == "no replicas were asked for"


def test_missing_curves_and_unable_laws_are_refused_by_name() -> None:
    ladder = fit_rows("power_law", make_rows("power_law"), Settings(replicas=0))
    fits = {**fit_approaches(make_runs(), None, Settings(replicas=0)), "ladder": ladder}
    found = trace_frontiers(fits, (6e18, 3e21), BUDGETS)
    assert sorted(found.refusals) == ["chinchilla_envelope", "ladder"]
    assert "says nothing about the size that is best" in found.refusals["ladder"].sentence
    assert "isoflop" in found.refusals["ladder"].cure


def test_one_budget_comparison_refuses_unable_laws_too() -> None:
    ladder = fit_rows("power_law", make_rows("power_law"), Settings(replicas=0))
    found = compare_allocations({"ladder": ladder}, 1e22, 1e21)
    assert found.allocations == ()
    assert np.isnan(found.n_params_ratio)
    assert found.refusals["ladder"].code == "unsupported"
    with pytest.raises(ValueError, match="says nothing about the size"):
        allocate(ladder, 1e22, 1e21)


def test_nothing_fitted_gives_an_empty_comparison() -> None:
    found = trace_frontiers({"a": Refusal("span", "no", "")}, (1e18, 1e20))
    assert found.frontiers == ()
    assert found.flops.size == 0
    assert found.sentences == ()


def test_three_budgets_give_sizes_but_no_loss() -> None:
    rows = make_runs(0.0)
    three = rows.take(np.isin(rows.columns["flops"], np.unique(rows.columns["flops"])[2:5]))
    fit = fit_rows("isoflop", three, Settings(50))
    found = trace_frontiers({"two": fit}, measure_range(three), BUDGETS)
    assert found.get("two").loss is None
    assert np.isnan(found.loss_gap).all()
    assert np.isnan(fit.derived["loss_opt"].value)


def test_comparison_is_plain_data() -> None:
    plain = trace_frontiers(fit_noisy(), (6e18, 3e21)).to_dict()
    assert set(json.loads(json.dumps(plain))) >= {"flops", "frontiers", "n_params_ratio"}


def test_one_call_from_published_profiles_to_the_frontier() -> None:
    found = compare_approaches(read_isoflop("chinchilla", False), None, Settings(200))
    assert [item.approach for item in found.frontiers] == list(APPROACHES[1:])
    at = int(np.argmin(np.abs(found.flops / 1e21 - 1)))
    sizes = [item.n_params.value[at] for item in found.frontiers]
    assert all(3e9 < size < 1.2e10 for size in sizes)
    assert all(np.isfinite(item.n_params.low).all() for item in found.frontiers)
