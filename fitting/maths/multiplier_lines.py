"""The over-training law as lines: loss against compute at fixed tokens per parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.budgets import group_near
from fitting.maths.records import BoolArray, FloatArray, Record
from fitting.maths.results import Fit
from fitting.maths.rows import Rows
from fitting.maths.uncertainty import take_bands

MAX_LINES = 6
SAME_MULTIPLIER = 1.25
N_SAMPLES = 32
AHEAD = 10.0


@dataclass(frozen=True)
class MultiplierLine(Record):
    """Loss against compute at one token multiplier.

    Parameters
    ----------
    multiplier : M = D/N, tokens per parameter
    flops : ndarray, shape (k,), C = 6 N D
    loss, low, high : ndarrays, shape (k,), the law and its pointwise 95 % interval
    extrapolated : ndarray of bool, shape (k,), beyond the largest fitted compute
    """

    multiplier: float
    flops: FloatArray
    loss: FloatArray
    low: FloatArray
    high: FloatArray
    extrapolated: BoolArray


def choose_multipliers(multiplier: FloatArray) -> FloatArray:
    """Return the token multipliers to draw: those of the runs if they are few, else six.

    Parameters
    ----------
    multiplier : ndarray, shape (n,), D/N of the runs

    Returns
    -------
    ndarray, ascending: geometric means of groups within 25 %, or six spaced evenly in log M

    References
    ----------
    Gadre et al. 2024, arXiv 2403.08540 (one line a token multiplier)
    """
    groups = group_near(multiplier, SAME_MULTIPLIER)
    if groups.max() < MAX_LINES:
        logs = np.bincount(groups, weights=np.log(multiplier)) / np.bincount(groups)
        means: FloatArray = np.exp(logs)
        return means
    return np.geomspace(multiplier.min(), multiplier.max(), MAX_LINES)


def draw_multipliers(fit: Fit, rows: Rows) -> tuple[MultiplierLine, ...]:
    """Sample the over-training law over compute at each of a few token multipliers.

    Parameters
    ----------
    fit : of the law ``overtraining``
    rows : the fitted rows, with n_params and n_tokens

    Returns
    -------
    one line per multiplier, from the least compute of the rows to ten times the largest

    References
    ----------
    Gadre et al. 2024, arXiv 2403.08540, section 3
    """
    n, d = rows.columns["n_params"], rows.columns["n_tokens"]
    spent = 6.0 * n * d
    flops = np.geomspace(spent.min(), AHEAD * spent.max(), N_SAMPLES)
    point = {name: np.array([item.value]) for name, item in fit.params.items()}
    empty = np.full(N_SAMPLES, np.nan)
    lines = []
    for multiplier in choose_multipliers(d / n):
        band = (empty, empty)
        if fit.replica_params:
            band = take_bands(_evaluate(fit.replica_params, multiplier, flops))
        loss = _evaluate(point, multiplier, flops)[0]
        beyond = flops > spent.max() * (1 + 1e-9)
        lines.append(MultiplierLine(float(multiplier), flops, loss, *band, beyond))
    return tuple(lines)


def _evaluate(params: Mapping[str, FloatArray], multiplier: float, flops: FloatArray) -> FloatArray:
    wide = {name: values[:, None] for name, values in params.items()}
    amplitude = wide["a"] * multiplier ** wide["eta"] + wide["b"] * multiplier ** -wide["eta"]
    loss: FloatArray = wide["E"] + amplitude * flops ** -wide["eta"]
    return loss
