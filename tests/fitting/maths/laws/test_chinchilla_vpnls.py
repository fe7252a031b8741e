"""Least squares in loss: the second opinion (LAWS 4.1 c7)."""

from __future__ import annotations

import pytest

from fitting.maths.types import Settings
from tests.fitting.maths.reference import read_chinchilla
from tests.fitting.maths.synthetic import fit_rows, make_rows


def test_golden_c7_exponents_and_constant() -> None:
    values = fit_rows("chinchilla_vpnls", read_chinchilla(), Settings(replicas=0)).values()
    golden = {"E": 1.88281, "alpha": 0.35762, "beta": 0.42762}
    assert {name: values[name] for name in golden} == pytest.approx(golden, abs=1e-4)


def test_one_bad_point_moves_it_more_than_approach_3() -> None:
    rows = make_rows("chinchilla_vpnls", 0.001)
    rows.target[5] *= 1.1
    point = Settings(replicas=0)
    shift = {
        slug: abs(fit_rows(slug, rows, point).values()["beta"] - 0.28)
        for slug in ("chinchilla_vpnls", "chinchilla_parametric")
    }
    assert shift["chinchilla_vpnls"] > 2 * shift["chinchilla_parametric"]
