"""Downstream error from compute, through the loss: two fits, one prediction.

``C, M -> L -> Err`` (Gadre et al. 2024, arXiv 2403.08540).
"""

from __future__ import annotations

import numpy as np

from fitting.maths.predict import evaluate_point, evaluate_replicas
from fitting.maths.records import Estimate
from fitting.maths.registry import get_law
from fitting.maths.types import Columns, Fit, FloatArray
from fitting.maths.uncertainty import summarise


def predict_error(
    loss_fit: Fit, error_fit: Fit, target: Columns, level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """Return the predicted loss and downstream error at one target.

    Parameters
    ----------
    loss_fit : of a loss law, such as overtraining
    error_fit : of error_vs_loss
    target : role -> ndarray of one value, inputs of the loss law
    level : nominal coverage of the intervals

    Returns
    -------
    loss in nats per token and error as a fraction, each with its interval

    Notes
    -----
    Replicas of the two fits are paired in their order; both are drawn through.

    References
    ----------
    Gadre et al. 2024, arXiv 2403.08540
    """
    loss = evaluate_point(loss_fit, target)
    error = evaluate_point(error_fit, {"loss": loss})
    losses: FloatArray | None = None
    errors: FloatArray | None = None
    if loss_fit.replica_params and error_fit.replica_params:
        losses = evaluate_replicas(loss_fit, target)[:, 0]
        table = evaluate_replicas(error_fit, {"loss": losses})
        n = min(table.shape)
        errors = table[np.arange(n), np.arange(n)]
    reason = "" if losses is not None else "one of the fits has no replicas"
    unit = get_law(loss_fit.law).target.unit
    return (
        summarise(float(loss[0]), losses, level, unit, reason),
        summarise(float(error[0]), errors, level, "", reason),
    )
