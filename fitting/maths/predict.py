"""Predictions of a stored fit: the curve, its replicas, and a value at a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.fitters import make_fitter
from fitting.maths.held_out import measure_size
from fitting.maths.records import Estimate
from fitting.maths.registry import get_law
from fitting.maths.types import Columns, Fit, FloatArray, Params, Record, Refusal, Rows
from fitting.maths.uncertainty import summarise


@dataclass(frozen=True)
class Prediction(Record):
    """A fit's value at a target.

    Parameters
    ----------
    value : with the interval of the fit's replicas (of the curve, not of a single run)
    decades_beyond : log10 of the target's size over the largest fitted one; > 0 = extrapolated
    """

    value: Estimate
    decades_beyond: float

    @property
    def is_extrapolated(self) -> bool:
        """Whether the target lies beyond the fitted data."""
        return self.decades_beyond > 0.0


def evaluate_point(fit: Fit, columns: Columns) -> FloatArray:
    """Return the fitted values, in the unit of the law's target.

    Parameters
    ----------
    fit : of a law that predicts single runs
    columns : role -> ndarray, shape (n,), in the units of the fitted rows

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ValueError
        For a law that predicts no single run, such as a score.
    """
    params = {name: np.array([estimate.value]) for name, estimate in fit.params.items()}
    values: FloatArray = _evaluate(fit, params, columns)[0]
    return values


def evaluate_replicas(fit: Fit, columns: Columns) -> FloatArray:
    """Return the values of every replica, in the unit of the law's target.

    Parameters
    ----------
    fit : with replicas, of a law that predicts single runs
    columns : role -> ndarray, shape (n,), in the units of the fitted rows

    Returns
    -------
    ndarray, shape (B, n)

    Raises
    ------
    ValueError
        For a law that predicts no single run.
    """
    return _evaluate(fit, fit.replica_params, columns)


def evaluate_curve(fit: Fit, x: FloatArray) -> FloatArray:
    """Return the values of a law of one variable.

    Parameters
    ----------
    fit : of a law with one input
    x : ndarray, shape (n,), in the unit of that input

    Returns
    -------
    ndarray, shape (n,), in the unit of the law's target
    """
    return evaluate_point(fit, {get_law(fit.law).inputs[0].role: x})


def evaluate_curve_replicas(fit: Fit, x: FloatArray) -> FloatArray:
    """Return the values of every replica of a law of one variable.

    Parameters
    ----------
    fit : with replicas, of a law with one input
    x : ndarray, shape (n,), in the unit of that input

    Returns
    -------
    ndarray, shape (B, n), in the unit of the law's target
    """
    return evaluate_replicas(fit, {get_law(fit.law).inputs[0].role: x})


def predict_target(fit: Fit, target: Columns, fitted: Rows) -> Prediction | Refusal:
    """Predict at one target, role -> array of one value.

    Parameters
    ----------
    fit : of a law that predicts single runs
    target : role -> ndarray of one value, in the units of the fitted rows
    fitted : the rows of the fit, for the distance to the data

    Returns
    -------
    the value with interval and the decades beyond the data
    """
    values = evaluate_point(fit, target)
    draws = evaluate_replicas(fit, target)[:, 0] if fit.replica_params else None
    reason = "" if draws is not None else "the fit has no replicas"
    value = summarise(float(values[0]), draws, 0.95, get_law(fit.law).target.unit, reason)
    size, largest = measure_size(Rows(target, values)), measure_size(fitted)
    if size is None or largest is None:
        return Prediction(value, np.nan)
    return Prediction(value, float(np.log10(size[0] / largest.max())))


def _evaluate(fit: Fit, params: Params, columns: Columns) -> FloatArray:
    law = get_law(fit.law)
    n = next(iter(columns.values())).size
    predicted = make_fitter(law, Rows(columns, np.ones(n)), fit.options).predict(params, columns)
    if predicted is None:
        raise ValueError(f"{fit.law} predicts no single run")
    return np.asarray(predicted, dtype=np.float64)
