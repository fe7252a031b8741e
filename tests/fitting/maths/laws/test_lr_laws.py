"""The learning-rate laws as the registry offers them."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.types import Rows, Settings
from tests.fitting.maths.reference import read_reference
from tests.fitting.maths.synthetic import fit_rows, refuse_rows
from tests.fitting.maths.trial_sweep import make_trial_table


def test_golden_s7_best_rate_against_width() -> None:
    data = read_reference("synthetic/lr_width.csv")
    rows = Rows({"width": data["width"], "peak_lr": data["lr"]}, data["loss"])
    fit = fit_rows("lr_optimum", rows, Settings())
    assert fit.values()["exponent"] == pytest.approx(-0.7484, abs=1e-3)
    assert [row["censored"] for row in fit.table] == [""] * 6
    interval = fit.params["exponent"].interval
    assert interval is not None
    assert interval.low < -0.75 < interval.high


def test_rate_law_without_a_scale_is_refused() -> None:
    refusal = refuse_rows(
        "lr_optimum", Rows({"peak_lr": np.geomspace(1e-4, 1, 9)}, np.arange(1.0, 10))
    )
    assert refusal.sentence == "LR* against scale needs width or n_params"


def read_trial(variant: str, most: float) -> Rows:
    table = make_trial_table()
    here = (np.array(table.variant) == variant) & (table.scale <= most)
    columns = {
        "n_params": table.scale[here],
        "peak_lr": table.peak_lr[here],
        "loss_at_init": table.loss_at_init[here],
    }
    return Rows(columns, table.loss[here])


def test_sensitivity_of_the_trial_falls_with_size() -> None:
    fit = fit_rows("lr_sensitivity", read_trial("on", 2e5), Settings(replicas=50))
    assert fit.values()["exponent"] < 0.0
    assert [row["coverage"] for row in fit.table] == ["7/7"] * 3
    assert fit.params["exponent"].interval is None


def test_sizes_with_different_grids_are_not_one_series() -> None:
    refusal = refuse_rows("lr_sensitivity", read_trial("on", 1e9), Settings(replicas=0))
    assert refusal.code == "different_grids"


def test_diverged_runs_are_data_for_the_sensitivity() -> None:
    rows = read_trial("off", 2e5)
    rows.target[6] = np.nan
    fit = fit_rows("lr_sensitivity", rows, Settings(replicas=0))
    assert fit.n == rows.n
    value = fit.table[0]["value"]
    assert isinstance(value, float)
    assert value > 0.578
