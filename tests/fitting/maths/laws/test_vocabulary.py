"""Vocabulary law against the released table (LAWS_FURTHER)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.fitters import SeparableFitter
from fitting.maths.laws.vocabulary import find_best_vocabulary, prepare
from fitting.maths.registry import get_law
from fitting.maths.second_opinion import evaluate_objective
from fitting.maths.types import Rows, Separable, Settings
from tests.fitting.maths.reference import read_reference
from tests.fitting.maths.synthetic import fit_rows, make_rows, refuse_rows

SLUG = "vocabulary"


def read_table() -> Rows:
    """Return sail-sg/scaling-with-vocab@6701cc2 exp_data.csv."""
    data = read_reference("vocabulary.csv")
    columns = {
        "n_params_non_vocabulary": data["Non_vocab_parameters"],
        "vocab_size": data["vocab_size"],
        "embed_dim": data["embed_dim"],
        "characters": data["num_characters"],
        "flops": data["FLOPs"],
    }
    return Rows(columns, data["Lossu"])


def objective_at_published(as_released: bool) -> float:
    law = get_law(SLUG)
    options = law.read_options({"as_released": as_released})
    rows = prepare(read_table(), options)
    assert isinstance(rows, Rows)
    assert isinstance(law.structure, Separable)
    problem = SeparableFitter(law, law.structure, rows, options).make_problem()
    values = law.published[0].values
    exponents = np.array([values["alpha2"], values["beta"]])
    log_c = np.log([values[name] for name in ("E", "A1", "A2", "B")])
    theta = np.concatenate([log_c - problem.centres @ exponents, exponents])
    return evaluate_objective(problem, theta)[0]


def test_golden_published_point_with_tokens_as_released() -> None:
    assert objective_at_published(True) == pytest.approx(0.0622917, rel=1e-4)
    fit = fit_rows(SLUG, read_table(), Settings(0, options={"as_released": True}))
    assert fit.n == 1054
    assert fit.objective <= 0.0622914
    assert np.mean(np.abs(fit.residuals)) == pytest.approx(0.0596, abs=1e-3)


def test_golden_refit_with_tokens_counted_right() -> None:
    assert objective_at_published(False) == pytest.approx(0.48608, rel=1e-3)
    fit = fit_rows(SLUG, read_table(), Settings(replicas=0))
    assert fit.objective <= 0.066786 * (1 + 1e-3)
    golden = {"E": 5.537, "A1": 1.904, "A2": 0.129, "B": 1.331, "alpha2": 1.06, "beta": 0.440}
    assert fit.values() == pytest.approx(golden, rel=0.01)
    assert np.mean(np.abs(fit.residuals)) == pytest.approx(0.0639, abs=1e-3)
    assert "outside the source's bounds" in fit.warnings[0]


def test_best_vocabulary_survives_noise() -> None:
    truth = get_law(SLUG).truth
    values = fit_rows(SLUG, make_rows(SLUG, 0.002, seed=2), Settings(replicas=0)).values()
    best = find_best_vocabulary(truth, 3e8, 1024, 1e20)
    assert find_best_vocabulary(values, 3e8, 1024, 1e20) == pytest.approx(best, rel=0.15)


@pytest.mark.slow
def test_best_vocabulary_is_steadier_than_its_exponent() -> None:
    truth, point = get_law(SLUG).truth, Settings(replicas=0, hold_out="none")
    fits = [fit_rows(SLUG, make_rows(SLUG, 0.002, seed), point).values() for seed in range(60)]
    exact = find_best_vocabulary(truth, 3e8, 1024, 1e20)
    ratios = [find_best_vocabulary(fit, 3e8, 1024, 1e20) / exact for fit in fits]
    assert np.median(ratios) == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.abs(np.array(ratios) - 1) < 0.15) > 0.85
    beta = np.quantile([fit["beta"] for fit in fits], [0.025, 0.975])
    assert beta == pytest.approx((0.434, 0.445), abs=0.003)
    exponent = np.quantile([fit["alpha2"] for fit in fits], [0.025, 0.975])
    assert exponent[1] - exponent[0] > 10 * (beta[1] - beta[0])


def test_plain_cross_entropy_is_not_comparable() -> None:
    rows = make_rows(SLUG)
    refusal = refuse_rows(SLUG, Rows(rows.columns, -rows.target))
    assert "not comparable" in refusal.sentence


def test_one_vocabulary_per_size_is_refused() -> None:
    rows = make_rows(SLUG)
    body = rows.columns["n_params_non_vocabulary"]
    vocabulary = 4000.0 * (body / body.min()) ** 0.9
    columns = {**rows.columns, "vocab_size": vocabulary}
    assert refuse_rows(SLUG, Rows(columns, rows.target)).code == "rank"
