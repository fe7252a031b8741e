"""What real tables do to rows: every registered law answers rightly or refuses with a reason.

Each law starts from rows it fits well; one thing is then done to them.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitting.maths.engine import fit_law, prepare_rows
from fitting.maths.registry import get_law
from fitting.maths.types import Fit, Refusal, Rows
from tests.fitting.maths.good_rows import SLUGS, UNITLESS, make_good, settings_for
from tests.fitting.maths.synthetic import predict_truth

pytestmark = pytest.mark.slow  # every law many times over: minutes, not seconds
FEW = settings(
    max_examples=2, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# equal inputs, or equal counts, are data for these
COUNTED = {"coverage_beta_binomial", "coverage_power"}
SCORED = {"training_algorithm_score"}
# multiplying these is not a change of unit: they count, label or have a range of their own
NO_UNIT = {
    "k_members",
    "k_streams",
    "loss",
    "loss_at_init",
    "n_experts",
    "n_samples",
    "pool_size",
    "samples",
    "step",
    "study",
    "submission",
    "tries",
    "unique_tokens",
    "vocab_size",
    "workload",
}
# columns that only mean something in one common unit
TOGETHER = {
    "data_constrained": ("n_tokens", "unique_tokens"),
    "quality_pools": ("samples", "pool_size"),
    "sparse_average": ("n_average", "n_final", "n_initial"),
}
# a fit to resampled or repeated rows of these may sit elsewhere in a flat valley
FLAT_VALLEY = {"multi_power": 1e-4, "mixture_of_experts_joint": 1e-4}


@cache
def fit_good(slug: str) -> Fit:
    found = fit_law(get_law(slug), make_good(slug), settings_for(slug))
    assert isinstance(found, Fit), found
    return found


def try_fit(slug: str, rows: Rows, replicas: int = 0) -> Fit | Refusal:
    found = fit_law(get_law(slug), rows, settings_for(slug, replicas))
    json.dumps(found.to_dict())
    if isinstance(found, Refusal):
        assert found.code
        assert re.search(r"[A-Za-z]{3,}", found.sentence)
    return found


def refuse(slug: str, rows: Rows) -> Refusal:
    found = try_fit(slug, rows, 5)
    assert isinstance(found, Refusal), f"{found.values()} {found.warnings}"
    return found


def assert_same(slug: str, found: Fit | Refusal, expected: Fit) -> None:
    assert isinstance(found, Fit), found
    tolerance = FLAT_VALLEY.get(slug, 1e-6)
    assert found.values() == pytest.approx(expected.values(), rel=tolerance, nan_ok=True)


@pytest.mark.parametrize("slug", SLUGS)
@FEW
@given(data=st.data())
def test_two_points_are_refused_or_counted_beside_the_parameters(
    slug: str, data: st.DataObject
) -> None:
    rows = make_good(slug)
    pair = data.draw(st.lists(st.integers(0, rows.n - 1), min_size=2, max_size=2, unique=True))
    found = try_fit(slug, rows.take(np.array(pair)), 5)
    if isinstance(found, Fit):
        assert "2 parameters on 2 points" in found.warnings
        assert all(item.interval is None for item in found.params.values())
    else:
        assert re.search(r"\d|lack|needs|no ", found.sentence)


@pytest.mark.parametrize("slug", [s for s in SLUGS if not get_law(s).flat_target_means])
def test_equal_targets_are_refused(slug: str) -> None:
    rows = make_good(slug)
    level = float(np.median(rows.target[np.isfinite(rows.target)]))
    assert refuse(slug, replace(rows, target=np.full(rows.n, level))).sentence


@pytest.mark.parametrize("slug", [s for s in SLUGS if s not in COUNTED])
def test_equal_inputs_are_refused(slug: str) -> None:
    rows = make_good(slug)
    columns = {role: np.full(rows.n, values[0]) for role, values in rows.columns.items()}
    assert refuse(slug, replace(rows, columns=columns)).sentence


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_selection_in_which_all_diverged_is_refused(slug: str, value: float) -> None:
    rows = make_good(slug)
    assert refuse(slug, replace(rows, target=np.full(rows.n, value))).sentence


@pytest.mark.parametrize("slug", [s for s in SLUGS if not get_law(s).keeps_non_finite])
@FEW
@given(data=st.data())
def test_one_run_that_is_not_finite_changes_nothing_but_the_list(
    slug: str, data: st.DataObject
) -> None:
    rows = make_good(slug)
    place = data.draw(st.integers(0, rows.n - 1))
    target = rows.target.copy()
    target[place] = data.draw(st.sampled_from([np.nan, np.inf]))
    found = try_fit(slug, replace(rows, target=target))
    without = try_fit(slug, rows.take(np.delete(np.arange(rows.n), place)))
    if isinstance(without, Refusal):
        assert isinstance(found, Refusal)
        assert found.sentence == without.sentence
        return
    assert isinstance(found, Fit)
    assert found.values() == pytest.approx(without.values(), rel=0, abs=0, nan_ok=True)
    assert (found.exclusions[0].rule, found.exclusions[0].ids) == ("non_finite", (rows.ids[place],))


@pytest.mark.parametrize("slug", [s for s in SLUGS if get_law(s).keeps_non_finite])
def test_diverged_run_is_data_where_the_law_says_so(slug: str) -> None:
    rows = make_good(slug)
    target = rows.target.copy()
    target[int(np.nanargmax(np.where(np.isfinite(target), target, -np.inf)))] = np.nan
    found = try_fit(slug, replace(rows, target=target))
    assert isinstance(found, Fit) or "comparable" in found.sentence
    assert isinstance(found, Refusal) or found.n == rows.n


@pytest.mark.parametrize("slug", SLUGS)
@FEW
@given(data=st.data())
def test_order_of_the_rows_changes_nothing(slug: str, data: st.DataObject) -> None:
    rows = make_good(slug)
    order = np.random.default_rng(data.draw(st.integers(0, 10_000))).permutation(rows.n)
    found = try_fit(slug, rows.take(order))
    assert json.dumps(found.to_dict()) == json.dumps(fit_good(slug).to_dict())


@pytest.mark.parametrize("slug", SLUGS)
@FEW
@given(times=st.integers(2, 3))
def test_every_row_several_times_gives_the_same_answer(slug: str, times: int) -> None:
    rows = make_good(slug)
    many = replace(rows.take(np.repeat(np.arange(rows.n), times)), ids=())
    found = try_fit(slug, many)
    expected = fit_good(slug)
    if slug == "power_or_exponential":  # AICc counts rows, and counts them right
        assert isinstance(found, Fit)
        assert found.values()["nu"] == pytest.approx(expected.values()["nu"], rel=1e-6)
        return
    assert_same(slug, found, expected)


@pytest.mark.parametrize("slug", SLUGS)
@FEW
@given(data=st.data())
def test_some_rows_twice_move_no_law_far(slug: str, data: st.DataObject) -> None:
    rows = make_good(slug)
    extra = data.draw(st.lists(st.integers(0, rows.n - 1), min_size=1, max_size=5))
    twice = replace(rows.take(np.concatenate([np.arange(rows.n), extra])), ids=())
    found = try_fit(slug, twice)
    assert isinstance(found, Fit), found
    expected = fit_good(slug)
    if found.residuals.size and expected.residuals.size:
        spread = float(np.std(expected.residuals))
        assert np.std(found.residuals) < 3 * spread + 1e-9


def list_units(slug: str) -> list[tuple[str, ...]]:
    columns = make_good(slug).columns
    together = TOGETHER.get(slug, ())
    alone = [(role,) for role in columns if role not in NO_UNIT and role not in together]
    return [*alone, *([together] if together else [])]


SCALED = [(slug, roles) for slug in SLUGS for roles in list_units(slug)]


@pytest.mark.parametrize(("slug", "roles"), SCALED)
@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_other_unit_gives_the_same_law_or_a_refusal(
    slug: str, roles: tuple[str, ...], factor: float
) -> None:
    rows = make_good(slug)
    columns = {r: v * factor if r in roles else v for r, v in rows.columns.items()}
    found, expected = try_fit(slug, replace(rows, columns=columns)), fit_good(slug)
    if isinstance(found, Refusal):
        return
    for name in UNITLESS.get(slug, ()):
        assert found.values()[name] == pytest.approx(expected.values()[name], rel=1e-5), name
    if expected.residuals.size:
        # a predicted value moves by less than the noise of the rows
        scale = float(np.max(np.abs(expected.residuals)))
        assert found.residuals == pytest.approx(expected.residuals, abs=0.1 * scale + 1e-9)


PAIRS = [
    (slug, first, second)
    for slug in SLUGS
    if get_law(slug).design is not None
    for first in make_good(slug).columns
    for second in make_good(slug).columns
    if first != second and "n_vocabulary" not in (first, second)  # the law computes that one
]


@pytest.mark.parametrize(("slug", "first", "second"), PAIRS)
@settings(max_examples=1, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_column_that_follows_another_gives_the_truth_a_warning_or_a_refusal(
    slug: str, first: str, second: str, seed: int
) -> None:
    law, rows = get_law(slug), make_good(slug)
    ratio = float(np.median(rows.columns[second] / rows.columns[first]))
    columns = {**rows.columns, second: ratio * rows.columns[first]}
    noise = 1 + 2e-4 * np.random.default_rng(seed).standard_normal(rows.n)
    prepared = prepare_rows(law, replace(rows, columns=columns), law.read_options({}))
    assert isinstance(prepared, Rows)
    truth = predict_truth(law, prepared.columns)
    found = try_fit(slug, replace(rows, columns=columns, target=truth * noise))
    if isinstance(found, Refusal) or any("trade off" in text for text in found.warnings):
        return
    exponents = [item.name for item in law.params if "exponent" in item.text]
    for name in exponents:
        assert found.values()[name] == pytest.approx(law.truth[name], rel=0.1), name
