"""Noise from repeated configurations."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.repeats import estimate_noise
from fitting.maths.types import Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, make_rows


def test_noise_is_pooled_over_repeats() -> None:
    rows = make_rows("power_law_constant")
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(10 * rows.n)
    repeated = Rows({"x": np.tile(rows.columns["x"], 10)}, np.tile(rows.target, 10) * noise)
    assert estimate_noise(repeated) == pytest.approx(0.01, rel=0.1)


def test_noise_is_unknown_without_repeats() -> None:
    assert np.isnan(estimate_noise(make_rows("power_law_constant", 0.01)))
    assert np.isnan(estimate_noise(Rows({}, np.empty(0))))


def test_fit_carries_the_noise() -> None:
    rows = make_rows("power_law_constant")
    twice = Rows(
        {"x": np.tile(rows.columns["x"], 2)},
        np.repeat([1.0, 1.02], rows.n) * np.tile(rows.target, 2),
    )
    fit = fit_rows("power_law_constant", twice, Settings(replicas=0))
    assert fit.loss_noise == pytest.approx(0.01 / 1.01 * 2**0.5, rel=1e-9)
