"""Compute-optimal allocation of laws ``L = E + A N^-alpha + B D^-beta`` with C = 6 N D.

``a = beta / (alpha + beta)``, ``G = (alpha A / (beta B))^(1 / (alpha + beta))``,
``N* = G (C/6)^a``, ``D* = (C/6)^b / G`` (Hoffmann et al. 2022, arXiv 2203.15556, eq. 4).
"""

from __future__ import annotations

import numpy as np

from fitting.maths.types import Columns, DerivedQuantity, FloatArray, Options, Params

FLOPS_PER_PARAMETER_TOKEN = 6.0


def split_budget(params: Params, flops: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """Return N* and D* at a budget.

    Parameters
    ----------
    params : name -> ndarray; A, B, alpha, beta, in parameters and tokens
    flops : budget in FLOPs (C = 6 N D); broadcasts against the parameters

    Returns
    -------
    n_params, n_tokens : ndarrays of the broadcast shape, ``6 N* D* = C``
    """
    alpha, beta = params["alpha"], params["beta"]
    log_g = np.log(alpha * params["A"] / (beta * params["B"])) / (alpha + beta)
    log_c = np.log(np.asarray(flops) / FLOPS_PER_PARAMETER_TOKEN)
    n_params = np.exp(log_g + beta / (alpha + beta) * log_c)
    return n_params, np.exp(log_c) / n_params


def predict_loss(params: Params, n_params: FloatArray, n_tokens: FloatArray) -> FloatArray:
    """Return the loss of the law, in nats per token.

    Parameters
    ----------
    params : name -> ndarray; E, A, B, alpha, beta
    n_params, n_tokens : ndarrays that broadcast against each other and the parameters
    """
    size = params["A"] * n_params ** -params["alpha"]
    data = params["B"] * n_tokens ** -params["beta"]
    total: FloatArray = params["E"] + size + data
    return total


def draw_frontier(
    params: Params, columns: Columns, options: Options, flops: FloatArray
) -> FloatArray:
    """Return the loss on the compute-optimal frontier.

    Parameters
    ----------
    params : name -> ndarray; E, A, B, alpha, beta
    columns, options : unused; every law draws its curve through this signature
    flops : ndarray of budgets in FLOPs
    """
    return predict_loss(params, *split_budget(params, flops))


def _budget(options: Options) -> float:
    return float(str(options["budget"]))


def _exponent_n(params: Params, options: Options) -> FloatArray:
    ratio: FloatArray = params["beta"] / (params["alpha"] + params["beta"])
    return ratio


def _exponent_d(params: Params, options: Options) -> FloatArray:
    ratio: FloatArray = params["alpha"] / (params["alpha"] + params["beta"])
    return ratio


def _factor(params: Params, options: Options) -> FloatArray:
    return split_budget(params, FLOPS_PER_PARAMETER_TOKEN)[0]


def _best_n(params: Params, options: Options) -> FloatArray:
    return split_budget(params, _budget(options))[0]


def _best_d(params: Params, options: Options) -> FloatArray:
    return split_budget(params, _budget(options))[1]


def _tokens_per_parameter(params: Params, options: Options) -> FloatArray:
    n_params, n_tokens = split_budget(params, _budget(options))
    return n_tokens / n_params


def _frontier_loss(params: Params, options: Options) -> FloatArray:
    return predict_loss(params, *split_budget(params, _budget(options)))


ALLOCATION = (
    DerivedQuantity("a", "exponent of N* in C, beta / (alpha + beta)", "", _exponent_n),
    DerivedQuantity("b", "exponent of D* in C, alpha / (alpha + beta)", "", _exponent_d),
    DerivedQuantity("G", "factor of N* = G (C/6)^a", "", _factor),
    DerivedQuantity("n_opt", "compute-optimal size at the budget", "parameters", _best_n),
    DerivedQuantity("d_opt", "compute-optimal data at the budget", "tokens", _best_d),
    DerivedQuantity(
        "tokens_per_parameter", "D*/N* at the budget", "tokens/parameter", _tokens_per_parameter
    ),
    DerivedQuantity("loss_opt", "loss on the frontier at the budget", "nats", _frontier_loss),
)
