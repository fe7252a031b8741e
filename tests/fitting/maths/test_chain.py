"""Downstream error predicted through the loss."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.chain import predict_error
from fitting.maths.registry import get_law
from fitting.maths.types import Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, make_rows, predict_truth

TARGET = {"n_params": np.array([1.4e9]), "n_tokens": np.array([2.8e10])}


def test_chain_gives_the_truth_without_noise() -> None:
    loss_fit = fit_rows("overtraining", make_rows("overtraining"))
    error_fit = fit_rows("error_vs_loss", make_rows("error_vs_loss"))
    loss, error = predict_error(loss_fit, error_fit, TARGET)
    true_loss = predict_truth(get_law("overtraining"), TARGET)
    true_error = predict_truth(get_law("error_vs_loss"), {"loss": true_loss})
    assert loss.value == pytest.approx(true_loss[0], rel=1e-6)
    assert error.value == pytest.approx(true_error[0], rel=1e-6)
    assert "no replicas" in error.reason


def test_interval_is_drawn_through_both_fits() -> None:
    rng = np.random.default_rng(0)
    n = np.tile(np.geomspace(1e7, 4e8, 6), 2)
    columns = {"n_params": n, "n_tokens": n * np.repeat([20.0, 320.0], 6)}
    loss = predict_truth(get_law("overtraining"), columns) * (1 + 0.002 * rng.standard_normal(12))
    error = predict_truth(get_law("error_vs_loss"), {"loss": loss})
    error = error * (1 + 0.004 * rng.standard_normal(12))
    loss_fit = fit_rows("overtraining", Rows(columns, loss), Settings(200))
    error_fit = fit_rows("error_vs_loss", Rows({"loss": loss}, error), Settings(200))
    _, found = predict_error(loss_fit, error_fit, TARGET)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high
