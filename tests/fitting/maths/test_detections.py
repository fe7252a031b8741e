"""Every sign that an answer must not be trusted is found and said (LAWS 1.2, 2.5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitting.maths.engine import fit_law
from fitting.maths.registry import get_law, list_laws
from fitting.maths.types import (
    Columns,
    CurveForm,
    Fit,
    FloatArray,
    HeldOut,
    Law,
    LawParam,
    Options,
    Params,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import summarise
from tests.fitting.maths.laws.test_isoflop import make_profiles
from tests.fitting.maths.laws.test_step_law import make_sweeps
from tests.fitting.maths.synthetic import (
    fit_rows,
    list_self_tested,
    make_rows,
    refuse_rows,
    settings_of,
)

POINT = Settings(replicas=0)
SPANNED = [
    (slug, item.role, item.octaves)
    for slug in list_self_tested()
    for item in get_law(slug).inputs
    if item.octaves > 0 and not item.optional
]


def make_stuck_law() -> Law:
    """Return a law whose prediction jumps at its start: every step away from it is worse."""

    def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
        a = params["a"]
        return columns["x"] * (a + 0.01 * np.sign(a - 2.0))

    form = CurveForm(predict, lambda rows, options: np.array([[2.0]]), (0.1,), (9.0,), (False,))
    law = get_law("power_law")
    params = (LawParam("a", "slope"),)
    return replace(law, structure=form, params=params, derived=(), curve_role="")


def test_search_that_does_not_leave_its_start_is_refused() -> None:
    x = np.geomspace(1.0, 100.0, 9)
    found = fit_law(make_stuck_law(), Rows({"x": x}, 2.004 * x), POINT)
    assert isinstance(found, Refusal)
    assert found.code == "fit_is_start"
    assert "did not leave its start" in found.sentence


def test_start_that_is_the_optimum_is_no_failure() -> None:
    x = np.geomspace(1.0, 100.0, 9)
    found = fit_law(make_stuck_law(), Rows({"x": x}, 2.0 * x), POINT)
    assert isinstance(found, Fit)


def test_parameter_at_the_end_of_its_search_is_refused_by_name() -> None:
    rows = make_rows("rl_sigmoid")
    steep = np.where(rows.columns["gpu_hours"] < 4000, 0.3, 0.6)
    refusal = refuse_rows("rl_sigmoid", Rows(rows.columns, steep))
    assert refusal.code == "on_bound"
    assert "do not determine it" in refusal.sentence


def test_exponent_of_the_wrong_sign_is_refused_by_name() -> None:
    rows = make_rows("chinchilla_parametric")
    rising = Rows(rows.columns, 4.0 - 0.5 * rows.target)
    refusal = refuse_rows("chinchilla_parametric", rising)
    assert refusal.code == "on_bound"
    assert "beyond the 0 that ends what it can mean" in refusal.sentence


def test_bound_with_a_meaning_is_shown_and_said() -> None:
    x = np.geomspace(1.0, 1e4, 12)
    noise = 1 + 0.002 * np.random.default_rng(0).standard_normal(12)
    fit = fit_rows("power_law_constant", Rows({"x": x}, 3.0 * x**-0.2 * noise), POINT)
    assert fit.values()["L_inf"] == pytest.approx(0.0, abs=1e-6)
    assert any("L_inf is zero" in warning for warning in fit.warnings)


@pytest.mark.parametrize(("slug", "role", "octaves"), SPANNED)
def test_span_below_its_least_is_refused_by_role(slug: str, role: str, octaves: float) -> None:
    rows = make_rows(slug, 0.002)
    values = rows.columns[role]
    share = np.log(values / values.min()) / np.log(values.max() / values.min())
    narrow = values.min() * 2 ** (0.9 * octaves * share)
    refusal = refuse_rows(slug, Rows({**rows.columns, role: narrow}, rows.target, rows.ids))
    assert refusal.code == "span"
    assert refusal.sentence.startswith(f"{role} spans a factor {2 ** (0.9 * octaves):.3g}")


@pytest.mark.parametrize("slug", list_self_tested())
def test_fewer_points_than_parameters_and_two_have_no_interval(slug: str) -> None:
    law, rows = get_law(slug), make_rows(slug, 0.002)
    p = len(law.params)
    found = fit_law(law, rows.take(np.linspace(0, rows.n - 1, p + 1).astype(int)), settings_of(law))
    few = fit_law(law, rows.take(np.arange(p - 1)), settings_of(law, 50))
    assert isinstance(few, Refusal)
    if isinstance(found, Fit):
        assert f"{p} parameters on {p + 1} points" in found.warnings
        assert all(item.interval is None for item in found.params.values())


def test_few_points_are_counted_in_the_reason_of_each_missing_interval() -> None:
    rows = make_rows("overtraining", 0.002).take(np.array([0, 1, 2, 3, 4]))
    fit = fit_rows("overtraining", rows, Settings(50))
    assert fit.params["eta"].reason == "4 parameters on 5 points"
    assert fit.derived["s"].reason == "4 parameters on 5 points"


def test_budget_with_its_minimum_at_the_edge_is_dropped_by_name() -> None:
    rows = make_profiles(1.0)
    budget = np.unique(rows.columns["flops"])[4]
    here = np.flatnonzero(rows.columns["flops"] == budget)
    keep = np.ones(rows.n, dtype=bool)
    keep[here[4:]] = False
    fit = fit_rows("isoflop", rows.take(keep), POINT)
    assert fit.exclusions[-1].rule == "budget"
    assert "has no minimum inside its 4 sizes" in fit.exclusions[-1].sentence
    assert sum(bool(row["used"]) for row in fit.table) == 8


def test_cell_with_its_best_run_at_the_edge_of_the_grid_is_censored() -> None:
    rows = make_sweeps()
    first = (rows.columns["n_params"] == 1e7) & (rows.columns["n_tokens"] == 1e9)
    centre = 2 * 1e7**-0.5 * 1e9**0.1
    cut = rows.take(~(first & (rows.columns["peak_lr"] > 0.99 * centre)))
    fit = fit_rows("step_law_surface", cut, POINT)
    assert [bool(row["used"]) for row in fit.table] == [False] + [True] * 8
    assert fit.values()["lr_N"] == pytest.approx(-0.5, abs=1e-6)


def test_gradient_or_second_optimiser_makes_a_fit_not_converged() -> None:
    fit = fit_rows("chinchilla_parametric", make_rows("chinchilla_parametric", 0.002), POINT)
    assert fit.is_converged
    for evidence in ({"second_optimiser_gap": -1e-5}, {"scaled_gradient": 1e-3}):
        assert not replace(fit, convergence=replace(fit.convergence, **evidence)).is_converged


@pytest.mark.parametrize(("n_failed", "shown"), [(5, True), (6, False)])
def test_more_than_five_percent_failed_replicas_withhold_the_interval(
    n_failed: int, shown: bool
) -> None:
    draws = np.random.default_rng(0).standard_normal(100)
    draws[:n_failed] = np.nan
    found = summarise(0.0, draws, 0.95, "", "")
    assert (found.interval is not None) == shown
    assert found.reason == ("" if shown else "6% of the replicas failed")


APART = [(slug, pair) for slug, law in list_laws().items() for pair in law.apart]


@pytest.mark.parametrize(("slug", "pair"), APART)
def test_inputs_that_grow_together_are_refused_by_name(slug: str, pair: tuple[str, str]) -> None:
    rows = make_rows(slug, 0.002)
    first, second = pair
    together = 20 * rows.columns[first] * np.linspace(1.0, 1.05, rows.n)
    refusal = refuse_rows(slug, Rows({**rows.columns, second: together}, rows.target))
    assert refusal.code == "rank"
    assert f"{first} and {second} grow together" in refusal.sentence


def test_ladder_at_one_ratio_of_tokens_would_have_swapped_the_exponents() -> None:
    n = np.geomspace(1e7, 1e10, 14)
    noise = 1 + 0.001 * np.random.default_rng(0).standard_normal(14)
    loss = (1.7 + 400 * n**-0.34 + 410 * (20 * n) ** -0.28) * noise
    rows = Rows({"n_params": n, "n_tokens": 20 * n}, loss)
    free = fit_law(replace(get_law("chinchilla_parametric"), apart=()), rows, POINT)
    assert isinstance(free, Fit)
    assert abs(free.values()["alpha"] - 0.34) > 1.0
    assert refuse_rows("chinchilla_parametric", rows).code == "rank"


def test_one_budget_leaves_size_and_data_apart() -> None:
    rows = make_profiles(1.5)
    one = rows.take(rows.columns["flops"] == rows.columns["flops"].max())
    columns = {**one.columns, "n_tokens": one.columns["flops"] / (6 * one.columns["n_params"])}
    found = fit_law(get_law("chinchilla_parametric"), Rows(columns, one.target), POINT)
    assert isinstance(found, Fit) or "grow together" not in found.sentence


def test_withheld_runs_that_leave_too_little_are_not_scored() -> None:
    rows = make_rows("chinchilla_parametric", 0.002)
    one = rows.columns["n_tokens"] == rows.columns["n_tokens"].max()
    fit = fit_rows("chinchilla_parametric", rows, replace(POINT, hold_out_ids=_ids(rows, ~one)))
    assert isinstance(fit.held_out, Refusal)
    assert "nothing was held out" in fit.held_out.sentence
    assert "n_tokens spans" in fit.held_out.sentence


def _ids(rows: Rows, where: np.ndarray) -> tuple[str, ...]:
    return tuple(rows.take(where).ids)


@pytest.mark.parametrize("slug", list_self_tested())
def test_every_law_predicts_its_own_noise_free_held_out_runs(slug: str) -> None:
    held_out = fit_rows(slug, make_rows(slug)).held_out
    assert isinstance(held_out, HeldOut)
    assert held_out.max_error < 1e-8


@pytest.mark.parametrize("slug", list(list_laws()))
def test_every_law_names_source_objective_and_units(slug: str) -> None:
    law = get_law(slug)
    assert law.source
    assert law.procedure
    assert law.objective.loss
    assert all(item.unit for item in (*law.inputs, law.target) if not item.optional)
    assert all(param.text for param in law.params)
