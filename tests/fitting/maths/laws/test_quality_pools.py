"""Quality pools: the formula's goldens and the ranking of pools (LAWS_FURTHER)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitting.maths.laws.quality_pools import (
    SourcePool,
    find_best_count,
    measure_decay,
    mix_pools,
)
from fitting.maths.types import Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

SLUG = "quality_pools"
B, TAU, POOL = (-0.20, -0.17, -0.14, -0.11), (3.0, 4.0, 5.0, 6.0), 12.8
BUDGETS = (12.8e6, 64e6, 128e6, 640e6)


@pytest.mark.parametrize(
    ("b", "as_released", "golden"),
    [
        (-0.18, False, (0.92998, 0.75879, 0.72159, 0.70183)),
        (-0.12, False, (0.98317, 0.85712, 0.82834, 0.81282)),
        (-0.18, True, (0.92998, 0.73816, 0.69648, 0.67434)),
    ],
)
def test_golden_formula_and_released_code(
    b: float, as_released: bool, golden: tuple[float, ...]
) -> None:
    pool = SourcePool(12.8e6, b, 6.0, 0.022, 0.1)
    found = [pool.evaluate(n, as_released) for n in BUDGETS]
    assert found == pytest.approx(list(golden), abs=1e-5)


def make_pools(noise: float = 0.0, seed: int = 0) -> Rows:
    epochs = np.array([1, 2, 3, 4, 6, 8, 10.0])
    samples = np.tile(POOL * epochs, 4)
    error = np.concatenate(
        [measure_decay(POOL * epochs, POOL, b, t) + 0.1 for b, t in zip(B, TAU, strict=True)]
    )
    error = error * (1 + noise * np.random.default_rng(seed).standard_normal(error.size))
    groups = tuple(f"pool{place}" for place in range(4) for _ in epochs)
    columns = {"samples": samples, "pool_size": np.full(samples.size, POOL)}
    return Rows(columns, error, groups=groups)


def test_best_number_of_pools_grows_with_the_budget() -> None:
    counts = [find_best_count(n, POOL, B, TAU, 1.0, 0.1) for n in (32, 64, 128, 640)]
    assert counts == [1, 2, 2, 3]


def test_mixture_of_one_pool_is_the_pool() -> None:
    alone = float(measure_decay(np.array([100.0]), POOL, -0.2, 3.0)[0]) + 0.1
    assert mix_pools(100.0, POOL, (-0.2,), (3.0,), 1.0, 0.1) == pytest.approx(alone, rel=1e-12)


def test_truth_is_recovered_without_noise() -> None:
    values = fit_rows(SLUG, make_pools(), Settings(replicas=0)).values()
    found = [values[f"b[pool{place}]"] for place in range(4)]
    assert found == pytest.approx(list(B), rel=1e-3)
    assert values["d"] == pytest.approx(0.1, rel=1e-2)


def test_fit_under_noise_keeps_the_order_and_the_best_counts() -> None:
    fit = fit_rows(SLUG, make_pools(0.003), Settings(replicas=0))
    assert [row["pool"] for row in fit.table] == ["pool0", "pool1", "pool2", "pool3"]
    values = fit.values()
    b = [values[f"b[pool{place}]"] for place in range(4)]
    tau = [values[f"tau[pool{place}]"] for place in range(4)]
    counts = [
        find_best_count(n, POOL, b, tau, values["a"], values["d"]) for n in (32, 64, 128, 640)
    ]
    assert counts == [1, 2, 2, 3]


def test_order_of_the_pools_survives_one_percent_of_noise() -> None:
    for seed in range(4):
        values = fit_rows(SLUG, make_pools(0.01, seed), Settings(replicas=0)).values()
        b = [values[f"b[pool{place}]"] for place in range(4)]
        assert list(np.argsort(b)) == [0, 1, 2, 3]


def test_pool_seen_once_is_refused() -> None:
    rows = make_pools()
    once = rows.columns["samples"] < 2.5 * POOL
    only = once | np.array([name != "pool2" for name in rows.groups])
    assert "pool pool2 is seen 2 times" in refuse_rows(SLUG, rows.take(only)).sentence


def test_unequal_pools_are_refused() -> None:
    rows = make_pools()
    sizes = np.where(np.array(rows.groups) == "pool1", 6.4, POOL)
    columns = {**rows.columns, "pool_size": sizes}
    assert refuse_rows(SLUG, replace(rows, columns=columns)).code == "mixed"


def test_pool_of_another_unit_is_refused_with_its_epochs() -> None:
    rows = make_pools()
    columns = {**rows.columns, "pool_size": rows.columns["pool_size"] * 1e-16}
    refusal = refuse_rows(SLUG, replace(rows, columns=columns))
    assert refusal.code == "span"
    assert "is seen 1e+17 times; at most 256 are fitted" in refusal.sentence
    assert "same unit" in refusal.cure


def test_endless_repetition_reaches_the_limit_of_the_product() -> None:
    many, more = (float(measure_decay(np.array([n]), 1.0, -0.2, 3.0)[0]) for n in (400, 1e18))
    assert more == pytest.approx(many, rel=1e-12)
    assert np.isfinite(mix_pools(1e18, 1.0, (-0.2, -0.1), (3.0, 4.0), 1.0, 0.1))
