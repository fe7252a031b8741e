"""Kaplan: ``L(N, D) = [(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D``, no irreducible loss."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.allocation import BUDGET, FLOPS_PER_PARAMETER_TOKEN, list_allocation
from fitting.maths.types import (
    Columns,
    CurveForm,
    DerivedQuantity,
    FloatArray,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Published,
    Rows,
    Split,
)

SOURCE = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5 and Table 2"


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the joint law, in logarithms so that no power overflows."""
    size = np.log(params["N_c"]) - np.log(columns["n_params"])
    data = np.log(params["D_c"]) - np.log(columns["n_tokens"])
    ratio = params["alpha_N"] / params["alpha_D"]
    loss: FloatArray = np.exp(params["alpha_D"] * np.logaddexp(ratio * size, data))
    return loss


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read N_c and D_c from the losses that each term alone gives at the centre."""
    n_c = centres["n_params"] * searched["N_c"] ** (1.0 / searched["alpha_N"])
    d_c = centres["n_tokens"] * searched["D_c"] ** (1.0 / searched["alpha_D"])
    return {**searched, "N_c": n_c, "D_c": d_c}


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return the two marginal power laws, and variations of their exponents."""
    log_n, log_d = np.log(rows.columns["n_params"]), np.log(rows.columns["n_tokens"])
    log_l = np.log(rows.target)
    slope_n = _slope(log_n, log_l, log_d >= np.quantile(log_d, 0.8))
    slope_d = _slope(log_d, log_l, log_n >= np.quantile(log_n, 0.8))
    middle = float(np.exp(log_l.mean()))
    levels = [np.log(middle)] * 2
    return np.array(
        [
            [np.log(slope_n * f), np.log(slope_d * g), levels[0], levels[1]]
            for f in (1.0, 0.6, 1.7)
            for g in (1.0, 0.6, 1.7)
        ]
    )


def _slope(x: FloatArray, y: FloatArray, where: np.ndarray) -> float:
    chosen = where if np.unique(x[where]).size > 1 else np.ones_like(where)
    spread = x[chosen] - x[chosen].mean()
    return float(max(-np.sum(spread * y[chosen]) / np.sum(spread**2), 0.01))


def _frontier_exponent(params: Params, options: Options) -> FloatArray:
    exponent: FloatArray = params["alpha_D"] / (params["alpha_N"] + params["alpha_D"])
    return exponent


def allocate(params: Params, flops: FloatArray) -> Split:
    """Return N*, D* and L* of the joint law at C = 6 N D.

    With ``r = alpha_N / alpha_D`` the bracket ``(N_c/N)^r + 6 D_c N / C`` is least at
    ``N* = (r N_c^r C / (6 D_c))^(1 / (r + 1))``.

    Parameters
    ----------
    params : name -> ndarray; alpha_N, alpha_D, N_c, D_c
    flops : budget in FLOPs; broadcasts against the parameters

    Returns
    -------
    N* in parameters without embeddings, D* in tokens, L* in nats per token

    Notes
    -----
    The published N* ~ C^.73 comes from runs stopped before convergence, not from this optimum.

    References
    ----------
    Kaplan et al. 2020, arXiv 2001.08361, eq. 1.5
    """
    r = params["alpha_N"] / params["alpha_D"]
    log_c = np.log(flops / FLOPS_PER_PARAMETER_TOKEN)
    log_n = (np.log(r) + r * np.log(params["N_c"]) + log_c - np.log(params["D_c"])) / (r + 1.0)
    n_params, n_tokens = np.exp(log_n), np.exp(log_c - log_n)
    return n_params, n_tokens, predict(params, {"n_params": n_params, "n_tokens": n_tokens}, {})


def design() -> dict[str, np.ndarray]:
    """Return the 9 x 9 grid of the self-test."""
    n, d = np.meshgrid(np.geomspace(1e6, 1e10, 9), np.geomspace(2e7, 1e11, 9))
    return {"n_params": n.ravel(), "n_tokens": d.ravel()}


LAW = Law(
    slug="kaplan",
    title="Kaplan joint law",
    formula="L = [(N_c/N)^(alpha_N/alpha_D) + D_c/D]^alpha_D",
    tex=r"L = \left[(N_c/N)^{\alpha_N/\alpha_D} + D_c/D\right]^{\alpha_D}",
    inputs=(
        LawInput("n_params", "N", "parameters without embeddings", octaves=1.0),
        LawInput("n_tokens", "D", "tokens", octaves=1.0),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("alpha_N", "exponent of size"),
        LawParam("alpha_D", "exponent of data"),
        LawParam("N_c", "size constant", "parameters"),
        LawParam("D_c", "data constant", "tokens"),
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (np.log(1e-3), np.log(1e-3), np.log(1e-3), np.log(1e-3)),
        (np.log(3.0), np.log(3.0), np.log(1e3), np.log(1e3)),
        (True, True, True, True),
        decode=decode,
    ),
    objective=Objective("least_squares", "log"),
    source=SOURCE,
    procedure="Least squares on log L from the two marginal power laws.",
    pitfalls=(
        "Differs from Chinchilla through FLOP counting, warm-up, schedule and untuned "
        "hyper-parameters (Porian et al. 2024, arXiv 2406.19146): fit approach 3 to the same rows.",
    ),
    derived=(
        DerivedQuantity(
            "n_exponent",
            "exponent of N* in C at fixed 6ND, alpha_D / (alpha_N + alpha_D)",
            "",
            _frontier_exponent,
        ),
        *list_allocation(allocate),
    ),
    options=(BUDGET,),
    allocate=allocate,
    apart=(("n_params", "n_tokens"),),
    published=(
        Published(
            "joint fit",
            {"alpha_N": 0.076, "alpha_D": 0.103, "N_c": 6.4e13, "D_c": 1.8e13},
            "arXiv 2001.08361, Table 2",
        ),
    ),
    truth={"alpha_N": 0.076, "alpha_D": 0.103, "N_c": 6.4e13, "D_c": 1.8e13},
    design=design,
)
