"""Any rows give a fit or a Refusal, and the known traps stay shut (LAWS 2.4, issue's promise)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitting.maths.engine import fit_law
from fitting.maths.fitters import SeparableFitter
from fitting.maths.parabola import fit_parabola
from fitting.maths.registry import get_law, list_laws
from fitting.maths.second_opinion import evaluate_objective, minimise_again
from fitting.maths.types import Fit, Refusal, Rows, Separable, Settings
from tests.fitting.maths.reference import read_chinchilla
from tests.fitting.maths.synthetic import NEEDED

# schedules and horizons need options that random rows do not have
SLUGS = [
    slug for slug, law in list_laws().items() if law.group != "curve" and slug != "learning_curve"
]
VALUES = st.sampled_from(
    [0.0, -1.0, 1.0, 2.0, 3.0, 10.0, 1e3, 1e9, 1e18, 1e-9, np.nan, np.inf, 1.5, 64.0, 100.0]
)


@pytest.mark.parametrize("slug", SLUGS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_rows_give_a_fit_or_a_refusal(slug: str, data: st.DataObject) -> None:
    law = get_law(slug)
    n = data.draw(st.integers(0, 14))
    columns = {
        item.role: np.array(data.draw(st.lists(VALUES, min_size=n, max_size=n)), dtype=float)
        for item in law.inputs
    }
    target = np.array(data.draw(st.lists(VALUES, min_size=n, max_size=n)), dtype=float)
    options = NEEDED.get(slug, {})
    found = fit_law(law, Rows(columns, target), Settings(replicas=5, options=options))
    assert isinstance(found, Fit | Refusal)
    assert isinstance(found, Fit) or found.sentence
    json.dumps(found.to_dict())


def problem_of_chinchilla() -> tuple[SeparableFitter, float]:
    law, rows = get_law("chinchilla_parametric"), read_chinchilla()
    assert isinstance(law.structure, Separable)
    return SeparableFitter(law, law.structure, rows, law.read_options({})), 1.0182740178e-3


def test_second_optimiser_does_not_stop_at_its_default_tolerances() -> None:
    fitter, best = problem_of_chinchilla()
    assert minimise_again(fitter.make_problem()) == pytest.approx(best, rel=1e-6)


def test_default_tolerances_would_have_confirmed_the_published_point() -> None:
    from scipy.optimize import minimize

    fitter, best = problem_of_chinchilla()
    problem = fitter.make_problem()
    exponents = np.array([0.34, 0.28])
    log_c = np.log([1.69, 406.4, 410.7]) - problem.centres @ exponents
    start = np.concatenate([log_c, exponents])
    found = minimize(lambda t: evaluate_objective(problem, t), start, jac=True, method="L-BFGS-B")
    assert found.fun > best * (1 + 1e-6)


def test_mean_in_place_of_sum_has_the_same_minimum_here() -> None:
    rows = read_chinchilla()
    law = get_law("chinchilla_parametric")
    assert isinstance(law.structure, Separable)
    fitter = SeparableFitter(law, law.structure, rows, law.read_options({}))
    problem = fitter.make_problem()
    from dataclasses import replace

    from fitting.maths.separable import fit_replicas

    mean = replace(problem, weights=problem.weights / rows.n)
    one = fit_replicas(problem, np.ones((1, rows.n)), 1e-12, 1000)
    other = fit_replicas(mean, np.ones((1, rows.n)), 1e-12, 1000)
    assert other.theta[0] == pytest.approx(one.theta[0], rel=1e-7)


def test_weights_multiply_the_squared_residual() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 0.2, 0.3, 1.4])
    weights = np.array([1.0, 2.0, 2.0, 1.0])
    repeated = fit_parabola(np.repeat(x, [1, 2, 2, 1]), np.repeat(y, [1, 2, 2, 1]))
    weighted = fit_parabola(x, y, weights)
    assert weighted.vertex == pytest.approx(repeated.vertex, rel=1e-12)


def test_resampled_duplicates_are_not_fitted_by_a_parabola() -> None:
    with pytest.raises(ValueError, match="needs 3 distinct x, here are 2"):
        fit_parabola(np.array([1.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]))
