"""Kaplan's joint law on its own constants (LAWS 4.5)."""

from __future__ import annotations

import pytest

from fitting.maths.registry import get_law
from fitting.maths.types import Settings
from tests.fitting.maths.synthetic import fit_rows, make_rows

SLUG = "kaplan"
POINT = Settings(replicas=0, hold_out="none")


def test_published_constants_are_recovered_without_noise() -> None:
    fit = fit_rows(SLUG, make_rows(SLUG), POINT)
    assert fit.n == 81
    assert fit.values() == pytest.approx(dict(get_law(SLUG).truth), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_exponents_under_noise(seed: int) -> None:
    values = fit_rows(SLUG, make_rows(SLUG, 0.002, seed), POINT).values()
    assert values["alpha_N"] == pytest.approx(0.076, abs=0.001)
    assert values["alpha_D"] == pytest.approx(0.103, abs=0.002)


def test_size_grows_faster_with_compute_than_in_later_laws() -> None:
    exponent = fit_rows(SLUG, make_rows(SLUG), POINT).derived["n_exponent"].value
    assert exponent == pytest.approx(0.103 / 0.179, rel=1e-6)
