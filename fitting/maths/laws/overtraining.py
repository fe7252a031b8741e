"""Over-training: ``L(C, M) = E + (a M^eta + b M^-eta) C^-eta``, ``M = D/N``, ``C = 6 M N^2``."""

from __future__ import annotations

import numpy as np

from fitting.maths.allocation import BUDGET, FLOPS_PER_PARAMETER_TOKEN, list_allocation
from fitting.maths.types import (
    Columns,
    DerivedQuantity,
    FloatArray,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Refusal,
    Rows,
    Separable,
    Split,
    Terms,
)

SAME_M = 0.01


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the terms: C/M = 6 N^2 and C M = 6 D^2 carry the same exponent."""
    n, d = columns["n_params"], columns["n_tokens"]
    logs = np.stack([np.zeros_like(n), np.log(6.0 * n**2), np.log(6.0 * d**2)])
    return Terms(np.ones((3, n.size)), logs[:, None])


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse a single token multiplier: a and b are then one amplitude."""
    multiplier = np.log(rows.columns["n_tokens"] / rows.columns["n_params"])
    if np.ptp(multiplier) > SAME_M:
        return None
    return Refusal(
        "rank",
        f"all {rows.n} runs have {np.exp(multiplier[0]):.4g} tokens per parameter; the law needs "
        "at least 2 values of D/N",
        "train one size for another number of tokens",
    )


def allocate(params: Params, flops: FloatArray) -> Split:
    """Return N*, D* and L*: the token multiplier ``M* = (b / a)^(1 / (2 eta))`` at any budget.

    Parameters
    ----------
    params : name -> ndarray; E, a, b, eta
    flops : budget in FLOPs (C = 6 M N^2); broadcasts against the parameters

    Returns
    -------
    N* in parameters, D* in tokens, L* in nats per token

    References
    ----------
    Gadre et al. 2024, arXiv 2403.08540: the two terms share one exponent, so M* does not move
    """
    balance = np.log(params["b"] / params["a"]) / (2.0 * params["eta"])
    log_n = 0.5 * (np.log(flops / FLOPS_PER_PARAMETER_TOKEN) - balance)
    excess = 2.0 * np.sqrt(params["a"] * params["b"]) * flops ** -params["eta"]
    return np.exp(log_n), np.exp(log_n + balance), params["E"] + excess


def _exponent(params: Params, options: Options) -> FloatArray:
    exponent: FloatArray = -2.0 * params["eta"]
    return exponent


def design() -> dict[str, np.ndarray]:
    """Return the published layout: four sizes at M = 20 and one at M = 320, and one more."""
    n = np.array([1.1e7, 7.9e7, 1.5e8, 4.1e8, 1.1e7, 7.9e7])
    return {"n_params": n, "n_tokens": n * np.array([20.0, 20.0, 20.0, 20.0, 320.0, 320.0])}


LAW = Law(
    slug="overtraining",
    title="Over-training (token multiplier)",
    formula="L = E + (a M^eta + b M^-eta) C^-eta, M = D/N",
    tex=r"L = E + (a M^{\eta} + b M^{-\eta})\, C^{-\eta}, \quad M = D/N",
    inputs=(
        LawInput("n_params", "N", "parameters", octaves=1.0),
        LawInput("n_tokens", "D", "tokens", octaves=1.0),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("E", "irreducible loss", "nats", lower=0.0, bound_has_meaning=True),
        LawParam("a", "amplitude of the size term", lower=0.0),
        LawParam("b", "amplitude of the data term", lower=0.0),
        LawParam("eta", "exponent of compute"),
    ),
    structure=Separable(("E", "a", "b"), ("eta",), (np.geomspace(0.02, 0.6, 40),), make_terms),
    objective=Objective("least_squares", "linear"),
    source="Gadre et al. 2024, arXiv 2403.08540; mlfoundations/scaling@a003c49, scaling/laws.py",
    procedure="Least squares in the loss; the single exponent is searched, the rest projected out.",
    pitfalls=(
        "4 parameters on 5 points: read the held-out error.",
        "More points do not by themselves extrapolate better.",
    ),
    derived=(
        DerivedQuantity("s", "exponent of N in the authors' code, -2 eta", "", _exponent),
        *list_allocation(allocate),
    ),
    options=(BUDGET,),
    allocate=allocate,
    refuse=refuse,
    truth={"E": 1.84, "a": 212.0, "b": 367.0, "eta": 0.136},
    design=design,
)
