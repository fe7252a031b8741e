"""Approach 1 on noise-free curves made from Hoffmann's rounded constants (LAWS 4.5)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fitting.maths.types import Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

SLUG = "chinchilla_envelope"
TRUE_A = 0.28 / (0.34 + 0.28)


def make_curves(n_sizes: int = 32, smallest: float = 3e7) -> Rows:
    sizes = np.geomspace(smallest, 3e10, n_sizes)
    parts = []
    for number, n in enumerate(sizes):
        d = np.geomspace(1e8, 1e13, 400)
        loss = 1.69 + 406.4 * n**-0.34 + 410.7 * d**-0.28
        parts.append((np.full(d.size, n), 6 * n * d, loss, [f"run{number:02d}"] * d.size))
    n_params, flops, loss = (np.concatenate([part[k] for part in parts]) for k in range(3))
    groups = tuple(name for part in parts for name in part[3])
    keep = (flops >= 1e18) & (flops <= 1e23)
    rows = Rows({"n_params": n_params, "flops": flops}, loss, groups=groups)
    return rows.take(keep)


@pytest.mark.parametrize("n_sizes", [24, 32, 40])
def test_exponent_is_recovered_without_noise(n_sizes: int) -> None:
    fit = fit_rows(SLUG, make_curves(n_sizes), Settings(replicas=0))
    assert fit.values()["a"] == pytest.approx(TRUE_A, abs=0.002)
    assert fit.values()["a"] + fit.values()["b"] == pytest.approx(1.0, abs=1e-9)


def test_budgets_won_by_the_smallest_or_largest_size_are_dropped() -> None:
    fit = fit_rows(SLUG, make_curves(smallest=1e9), Settings(replicas=0))
    dropped = [row["n_params"] for row in fit.table if not row["used"]]
    assert set(dropped) == {1e9}
    assert [(item.rule, item.count) for item in fit.exclusions] == [("edge_winner", len(dropped))]


def test_interval_resamples_whole_curves() -> None:
    fit = fit_rows(SLUG, make_curves(24), Settings(replicas=40))
    interval = fit.params["a"].interval
    assert interval is not None
    assert interval.low < fit.values()["a"] < interval.high
    assert fit.resampling_unit == "cluster"


def test_runs_cut_out_of_a_longer_cosine_are_refused() -> None:
    rows = make_curves()
    columns = {**rows.columns, "horizon_flops": np.full(rows.n, 1e24)}
    refusal = refuse_rows(SLUG, replace(rows, columns=columns))
    assert "end before their learning-rate schedule" in refusal.sentence


def test_two_curves_are_refused() -> None:
    rows = make_curves()
    two = np.isin(rows.groups, ["run03", "run20"])
    assert "have 2" in refuse_rows(SLUG, rows.take(two)).sentence
