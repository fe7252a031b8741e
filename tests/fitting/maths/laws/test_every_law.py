"""What must hold for every law with a synthetic self-test: recovery, invariance, refusal."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fitting.maths.engine import fit_law
from fitting.maths.registry import get_law, list_laws
from fitting.maths.types import Refusal, Rows, Separable
from tests.fitting.maths.synthetic import (
    fit_rows,
    list_self_tested,
    make_rows,
    refuse_rows,
    settings_of,
)

SLUGS = list_self_tested()
SEPARABLE = [slug for slug in SLUGS if isinstance(get_law(slug).structure, Separable)]
# rows resampled or removed must leave enough for the fit
BOOTSTRAPPED = [slug for slug in SLUGS if slug != "broken_power"]


@pytest.mark.parametrize("slug", SLUGS)
def test_noise_free_truth_is_recovered(slug: str) -> None:
    values = fit_rows(slug, make_rows(slug)).values()
    tolerance = 1e-6 if slug in SEPARABLE else 1e-4
    assert values == pytest.approx(dict(get_law(slug).truth), rel=tolerance)


@pytest.mark.parametrize("slug", SLUGS)
def test_truth_lies_inside_the_99_percent_interval_under_noise(slug: str) -> None:
    law = get_law(slug)
    fit = fit_rows(slug, make_rows(slug, 0.002, seed=3), settings_of(law, 300, 0.99))
    for name, truth in law.truth.items():
        estimate = fit.params[name]
        inside = estimate.interval is not None
        inside = inside and estimate.interval.low <= truth <= estimate.interval.high
        assert inside or estimate.reason, f"{name}: {estimate}"


@pytest.mark.parametrize("slug", SLUGS)
def test_row_order_changes_nothing(slug: str) -> None:
    rows = make_rows(slug, 0.002)
    order = np.random.default_rng(1).permutation(rows.n)
    law = get_law(slug)
    first = fit_rows(slug, rows, settings_of(law, 20))
    second = fit_rows(slug, rows.take(order), settings_of(law, 20))
    assert json.dumps(first.to_dict()) == json.dumps(second.to_dict())


@pytest.mark.parametrize("slug", SLUGS)
def test_every_row_twice_gives_the_same_parameters(slug: str) -> None:
    rows = make_rows(slug, 0.002)
    twice = replace(rows.take(np.tile(np.arange(rows.n), 2)), ids=())
    first, second = fit_rows(slug, rows).values(), fit_rows(slug, twice).values()
    assert second == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("slug", SLUGS)
def test_other_seed_moves_intervals_only(slug: str) -> None:
    rows, law = make_rows(slug, 0.002), get_law(slug)
    one = fit_rows(slug, rows, settings_of(law, 50))
    other = fit_rows(slug, rows, replace(settings_of(law, 50), seed=9))
    assert one.values() == other.values()
    assert one.digest == other.digest


@pytest.mark.parametrize("slug", SLUGS)
def test_non_finite_rows_are_left_out_and_listed(slug: str) -> None:
    rows = make_rows(slug, 0.002)
    target = np.append(rows.target, [np.nan, np.inf])
    columns = {role: np.append(values, values[:2]) for role, values in rows.columns.items()}
    fit = fit_rows(slug, Rows(columns, target, (*rows.ids, "bad1", "bad2")))
    assert fit.values() == fit_rows(slug, rows).values()
    first = fit.exclusions[0]
    assert (first.rule, first.ids) == ("non_finite", ("bad1", "bad2"))


@pytest.mark.parametrize("slug", SLUGS)
def test_one_row_is_refused_with_its_number(slug: str) -> None:
    refusal = refuse_rows(slug, make_rows(slug).take(np.array([0])))
    assert "1 usable row" in refusal.sentence


@pytest.mark.parametrize("slug", SLUGS)
def test_equal_targets_are_refused(slug: str) -> None:
    rows = make_rows(slug)
    refusal = refuse_rows(slug, replace(rows, target=np.full(rows.n, 2.5)))
    assert refusal.sentence


@pytest.mark.parametrize("slug", SLUGS)
def test_constant_inputs_are_refused(slug: str) -> None:
    rows = make_rows(slug)
    columns = {role: np.full(rows.n, values[0]) for role, values in rows.columns.items()}
    refusal = refuse_rows(slug, replace(rows, columns=columns))
    assert refusal.sentence


@pytest.mark.parametrize("slug", SLUGS)
def test_empty_and_all_diverged_selections_are_refused(slug: str) -> None:
    rows = make_rows(slug)
    for broken in (
        rows.take(np.zeros(rows.n, dtype=bool)),
        replace(rows, target=np.full(rows.n, np.nan)),
    ):
        assert refuse_rows(slug, broken).code == "too_few_points"


@pytest.mark.parametrize("slug", list(list_laws()))
def test_missing_column_is_named(slug: str) -> None:
    law = get_law(slug)
    found = fit_law(law, Rows({"wrong": np.ones(9), "other": np.ones(9)}, np.arange(1.0, 10.0)))
    assert isinstance(found, Refusal)
    assert found.code == "missing_input"


@pytest.mark.parametrize("slug", SLUGS)
def test_fit_is_plain_data_without_the_replicas(slug: str) -> None:
    fit = fit_rows(slug, make_rows(slug, 0.002), settings_of(get_law(slug), 30))
    plain = fit.to_dict()
    assert "replica_params" not in plain
    json.dumps(plain)
