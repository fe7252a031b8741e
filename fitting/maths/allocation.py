"""Compute-optimal allocation of laws ``L = E + A N^-alpha + B D^-beta`` with C = 6 N D.

``a = beta / (alpha + beta)``, ``G = (alpha A / (beta B))^(1 / (alpha + beta))``,
``N* = G (C/6)^a``, ``D* = (C/6)^b / G`` (Hoffmann et al. 2022, arXiv 2203.15556, eq. 4).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fitting.maths.types import (
    Columns,
    DerivedQuantity,
    FloatArray,
    LawOption,
    Options,
    Params,
    Split,
)

FLOPS_PER_PARAMETER_TOKEN = 6.0
N_TEXT = "compute-optimal size at the budget"
D_TEXT = "compute-optimal data at the budget"
RATIO_TEXT = "D*/N* at the budget"
LOSS_TEXT = "loss on the frontier at the budget"
BUDGET = LawOption(
    "budget", 5.76e23, "FLOPs at which N*, D* and L* are reported", least=0.0, is_above=True
)


def split_budget(params: Params, flops: FloatArray | float) -> tuple[FloatArray, FloatArray]:
    """Return N* and D* at a budget.

    Parameters
    ----------
    params : name -> ndarray; A, B, alpha, beta, in parameters and tokens
    flops : budget in FLOPs (C = 6 N D); broadcasts against the parameters

    Returns
    -------
    n_params, n_tokens : ndarrays of the broadcast shape, ``6 N* D* = C``

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, eq. 4
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

    Returns
    -------
    ndarray of the broadcast shape

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.3 and eq. 10
    """
    size = params["A"] * n_params ** -params["alpha"]
    data = params["B"] * n_tokens ** -params["beta"]
    total: FloatArray = params["E"] + size + data
    return total


def allocate_sum(params: Params, flops: FloatArray) -> Split:
    """Return N*, D* and L* of ``L = E + A N^-alpha + B D^-beta``.

    Parameters
    ----------
    params : name -> ndarray; E, A, B, alpha, beta
    flops : budget in FLOPs (C = 6 N D); broadcasts against the parameters

    Returns
    -------
    N* in parameters, D* in tokens, L* in nats per token, of the broadcast shape

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, eq. 4
    """
    n_params, n_tokens = split_budget(params, flops)
    return n_params, n_tokens, predict_loss(params, n_params, n_tokens)


def allocate_lines(params: Params, flops: FloatArray) -> Split:
    """Return N*, D* and L* of the lines that approaches 1 and 2 draw through their optima.

    Parameters
    ----------
    params : name -> ndarray; a, b, log_n_factor, log_d_factor and, where the budgets were enough
        for it, L_inf, log_l_factor, l
    flops : budget in FLOPs; broadcasts against the parameters

    Returns
    -------
    ``N* = exp(log_n_factor) C^a``, ``D* = exp(log_d_factor) C^b`` and
    ``L* = L_inf + exp(log_l_factor) C^-l``, which is None without its three parameters

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, sections 3.1 and 3.2
    """
    log_c = np.log(flops)
    n_params = np.exp(params["log_n_factor"] + params["a"] * log_c)
    n_tokens = np.exp(params["log_d_factor"] + params["b"] * log_c)
    if "L_inf" not in params:
        return n_params, n_tokens, None
    loss = params["L_inf"] + np.exp(params["log_l_factor"] - params["l"] * log_c)
    return n_params, n_tokens, loss


def list_allocation(
    allocate: Callable[[Params, FloatArray], Split],
) -> tuple[DerivedQuantity, ...]:
    """Return N*, D*, D*/N* and L* at the option `budget` as derived quantities of a law.

    Parameters
    ----------
    allocate : the law's own split of a budget, (params, flops) -> N*, D*, L* or None

    Returns
    -------
    four derived quantities; L* is NaN where the law has none
    """

    def split(params: Params, options: Options) -> Split:
        return allocate(params, np.array(_budget(options)))

    def read_ratio(params: Params, options: Options) -> FloatArray:
        n_params, n_tokens, _ = split(params, options)
        return n_tokens / n_params

    def read_loss(params: Params, options: Options) -> FloatArray:
        n_params, _, loss = split(params, options)
        return np.full_like(n_params, np.nan) if loss is None else loss

    return (
        DerivedQuantity("n_opt", N_TEXT, "parameters", lambda p, o: split(p, o)[0]),
        DerivedQuantity("d_opt", D_TEXT, "tokens", lambda p, o: split(p, o)[1]),
        DerivedQuantity("tokens_per_parameter", RATIO_TEXT, "tokens/parameter", read_ratio),
        DerivedQuantity("loss_opt", LOSS_TEXT, "nats", read_loss),
    )


def draw_frontier(
    params: Params, columns: Columns, options: Options, flops: FloatArray
) -> FloatArray:
    """Return the loss on the compute-optimal frontier.

    Parameters
    ----------
    params : name -> ndarray; E, A, B, alpha, beta
    columns, options : unused; every law draws its curve through this signature
    flops : ndarray of budgets in FLOPs

    Returns
    -------
    ndarray of the broadcast shape, nats per token

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, eq. 4
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


ALLOCATION = (
    DerivedQuantity("a", "exponent of N* in C, beta / (alpha + beta)", "", _exponent_n),
    DerivedQuantity("b", "exponent of D* in C, alpha / (alpha + beta)", "", _exponent_d),
    DerivedQuantity("G", "factor of N* = G (C/6)^a", "", _factor),
    *list_allocation(allocate_sum),
)
