"""Repeated data (LAWS 4.5)."""

from __future__ import annotations

import pytest

from fitting.maths.registry import get_law
from fitting.maths.types import Settings
from tests.fitting.maths.synthetic import fit_rows, make_rows, refuse_rows

SLUG = "data_constrained"
TRUTH = get_law(SLUG).truth


def test_repetition_constants_are_recovered_without_noise() -> None:
    values = fit_rows(SLUG, make_rows(SLUG), Settings(replicas=0)).values()
    found = {name: values[name] for name in ("R_D", "R_N")}
    assert found == pytest.approx({name: TRUTH[name] for name in found}, rel=1e-6)


def test_repetition_constants_under_noise() -> None:
    values = fit_rows(SLUG, make_rows(SLUG, 0.003), Settings(replicas=0)).values()
    assert values["R_D"] == pytest.approx(TRUTH["R_D"], rel=0.02)
    assert values["R_N"] == pytest.approx(TRUTH["R_N"], rel=0.02)


def test_golden_value_of_repeated_tokens() -> None:
    derived = fit_rows(SLUG, make_rows(SLUG), Settings(replicas=0)).derived
    assert derived["value_at_4"].value == pytest.approx(0.9314, abs=1e-4)
    assert derived["value_at_16"].value == pytest.approx(0.6614, abs=1e-4)


def test_five_given_parameters_stay_as_given() -> None:
    given = {name: TRUTH[name] for name in ("E", "A", "B", "alpha", "beta")}
    values = fit_rows(SLUG, make_rows(SLUG), Settings(0, options=given)).values()
    assert values == pytest.approx(dict(TRUTH), rel=1e-6)


def test_single_number_of_epochs_is_refused() -> None:
    rows = make_rows(SLUG)
    epochs = rows.columns["n_tokens"] / rows.columns["unique_tokens"]
    refusal = refuse_rows(SLUG, rows.take(epochs < 1.5))
    assert "needs at least 2 numbers of epochs" in refusal.sentence


def test_small_models_leave_excess_parameters_undetermined() -> None:
    rows = make_rows(SLUG)
    small = rows.take(rows.columns["n_params"] <= 2.1e7)
    many = rows.take(rows.columns["n_params"] < 2e8)
    assert small.n < many.n
    given = {name: TRUTH[name] for name in ("E", "A", "B", "alpha", "beta")}
    big_data = many.take(many.columns["unique_tokens"] > 9e9)
    fit = fit_rows(SLUG, big_data, Settings(0, options=given))
    assert any("no run is larger than N*" in warning for warning in fit.warnings)


def test_losses_that_rise_with_epochs_are_flagged() -> None:
    rows = make_rows(SLUG)
    epochs = rows.columns["n_tokens"] / rows.columns["unique_tokens"]
    rows.target[:] = rows.target * (1 + 0.002 * epochs)
    fit = fit_rows(SLUG, rows, Settings(replicas=0))
    assert any("residuals grow with the epochs" in warning for warning in fit.warnings)
