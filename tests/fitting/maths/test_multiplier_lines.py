"""The over-training law as lines of one token multiplier each."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.engine import fit_law
from fitting.maths.multiplier_lines import MAX_LINES, choose_multipliers, draw_multipliers
from fitting.maths.registry import get_law
from fitting.maths.types import Fit, Rows, Settings

LAW = get_law("overtraining")


def test_few_multipliers_have_a_line_each() -> None:
    found = choose_multipliers(np.array([20.0, 20.5, 320.0, 330.0]))
    assert found == pytest.approx([20.2, 325.0], rel=0.01)


def test_many_multipliers_are_spread_evenly() -> None:
    found = choose_multipliers(np.geomspace(1.0, 1e4, 40))
    assert found == pytest.approx(np.geomspace(1.0, 1e4, MAX_LINES))


def test_lines_follow_the_planted_law_and_turn_dashed_beyond_the_data() -> None:
    assert LAW.design is not None
    columns = LAW.design()
    n, d = columns["n_params"], columns["n_tokens"]
    t = LAW.truth
    multiplier, spent = d / n, 6.0 * n * d
    amplitude = t["a"] * multiplier ** t["eta"] + t["b"] * multiplier ** -t["eta"]
    rows = Rows(columns, t["E"] + amplitude * spent ** -t["eta"])
    fit = fit_law(LAW, rows, Settings(0))
    assert isinstance(fit, Fit)
    first, last = draw_multipliers(fit, rows)
    assert (first.multiplier, last.multiplier) == pytest.approx((20.0, 320.0))
    wanted = (t["a"] * 20.0 ** t["eta"] + t["b"] * 20.0 ** -t["eta"]) * first.flops ** -t["eta"]
    assert first.loss == pytest.approx(t["E"] + wanted, rel=1e-4)
    assert (
        first.flops[first.extrapolated].min()
        > spent.max()
        >= first.flops[~first.extrapolated].max()
    )
