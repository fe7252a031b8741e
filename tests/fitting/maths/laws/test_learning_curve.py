"""Forecasts of running curves (LAWS_FURTHER)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.types import FloatArray, Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

SLUG = "learning_curve"
HORIZON = 400.0
FAMILIES = {
    "power": lambda t: 2 + 0.5 * (100 * t) ** -0.4,
    "exponential": lambda t: 2 + 0.9 * np.exp(-4 * t),
    "ilog": lambda t: 1.2 + 3 / np.log(1 + 5000 * t),
}


def make_curve(family: str, seen: float, seed: int, sd: float = 0.003) -> Rows:
    step = np.arange(1.0, HORIZON * seen + 1)
    curve: FloatArray = FAMILIES[family](step / HORIZON)
    noise = sd * np.random.default_rng(seed).standard_normal(step.size)
    return Rows({"step": step}, curve + noise)


@pytest.mark.slow
@pytest.mark.parametrize(("seen", "limit"), [(0.25, 0.0045), (0.5, 0.0025)])
def test_end_is_forecast_within_the_published_error(seen: float, limit: float) -> None:
    errors = []
    for family, curve in FAMILIES.items():
        for seed in range(4):
            settings = Settings(0, options={"horizon": HORIZON})
            found = fit_rows(SLUG, make_curve(family, seen, seed), settings).values()["end"]
            errors.append(abs(found / curve(1.0) - 1))
    assert np.median(errors) <= limit


@pytest.mark.parametrize("family", FAMILIES)
def test_true_family_weighs_most_on_a_quiet_curve(family: str) -> None:
    rows = make_curve(family, 0.5, 0, sd=1e-5)
    fit = fit_rows(SLUG, rows, Settings(0, options={"horizon": HORIZON}))
    weights = {str(row["family"]): float(str(row["weight"])) for row in fit.table}
    assert max(weights, key=lambda name: weights[name]) == family


def test_band_holds_the_end() -> None:
    settings = Settings(40, options={"horizon": HORIZON})
    fit = fit_rows(SLUG, make_curve("power", 0.5, 1), settings)
    interval = fit.params["end"].interval
    assert interval is not None
    assert interval.low - 0.01 < FAMILIES["power"](1.0) < interval.high + 0.01


def test_twenty_points_are_refused() -> None:
    rows = make_curve("power", 0.05, 0)
    refusal = refuse_rows(SLUG, rows, Settings(0, options={"horizon": HORIZON}))
    assert "20 points over 5% of the steps" in refusal.sentence


def test_unknown_horizon_is_asked_for() -> None:
    assert refuse_rows(SLUG, make_curve("power", 0.5, 0)).cure == "set horizon"


def test_decaying_rate_is_refused() -> None:
    rows = make_curve("power", 0.5, 0)
    lr = np.linspace(1.0, 0.5, rows.n)
    settings = Settings(0, options={"horizon": HORIZON})
    assert refuse_rows(SLUG, Rows({**rows.columns, "lr": lr}, rows.target), settings).code == (
        "schedule"
    )
