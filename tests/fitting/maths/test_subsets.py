"""Any subset of noise-free rows gives the truth or a Refusal; units do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.maths.engine import fit_law
from fitting.maths.registry import get_law
from fitting.maths.types import Fit, Refusal, Rows
from tests.fitting.maths.synthetic import fit_rows, list_self_tested, make_rows, settings_of

SLUGS = list_self_tested()
SCALABLE = {"n_params", "n_tokens", "unique_tokens", "flops", "x", "gpu_hours", "batch_tokens"}
SCALED = [
    slug
    for slug in SLUGS
    if {item.role for item in get_law(slug).inputs if not item.optional} <= SCALABLE
]
# relative misfit of a noise-free row below which a fit counts as right
EXACT = 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("slug", SLUGS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_subset_gives_the_truth_or_a_refusal(slug: str, data: st.DataObject) -> None:
    rows, law = make_rows(slug), get_law(slug)
    size = data.draw(st.integers(len(law.params) + 2, min(rows.n, 3 * len(law.params) + 6)))
    seed = data.draw(st.integers(0, 10_000))
    places = np.random.default_rng(seed).choice(rows.n, size, replace=False)
    found = fit_law(law, rows.take(places), settings_of(law))
    assert isinstance(found, Fit | Refusal)
    if isinstance(found, Fit):
        assert np.max(np.abs(found.residuals)) < EXACT


@pytest.mark.parametrize("slug", SCALED)
@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_units_change_no_prediction(slug: str, factor: float) -> None:
    rows = make_rows(slug)
    columns = {role: values * factor for role, values in rows.columns.items()}
    needed = settings_of(get_law(slug))
    if slug == "rl_sigmoid":
        needed = needed.with_options(first_hours=0.0)
    fit = fit_rows(slug, Rows(columns, rows.target, rows.ids), needed)
    assert np.max(np.abs(fit.residuals)) < EXACT


@pytest.mark.parametrize("slug", SLUGS)
def test_one_column_in_another_unit_raises_nothing(slug: str) -> None:
    rows, law = make_rows(slug, 0.002), get_law(slug)
    for role in rows.columns:
        columns = {**rows.columns, role: rows.columns[role] * 1e9}
        found = fit_law(law, Rows(columns, rows.target, rows.ids), settings_of(law))
        assert isinstance(found, Fit) or found.sentence


def test_dense_runs_alone_are_refused_by_the_sparse_law() -> None:
    rows = make_rows("sparse_average")
    dense = rows.take(rows.columns["n_final"] == rows.columns["n_initial"])
    more = Rows({k: np.repeat(v, 2) for k, v in dense.columns.items()}, np.repeat(dense.target, 2))
    found = fit_law(get_law("sparse_average"), more, settings_of(get_law("sparse_average")))
    assert isinstance(found, Refusal)
    assert "none of 12 runs" in found.sentence
