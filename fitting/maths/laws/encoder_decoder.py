"""Encoder and decoder size: ``L = a (N_e0/N_e)^p_e (N_d0/N_d)^p_d + L_inf``."""

from __future__ import annotations

import numpy as np

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
    Terms,
)

MAX_CORRELATION = 0.95
GRID = np.geomspace(0.03, 1.0, 16)


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the product of two powers and the constant."""
    log_e, log_d = np.log(columns["n_encoder"]), np.log(columns["n_decoder"])
    zero = np.zeros_like(log_e)
    return Terms(np.ones((2, log_e.size)), np.array([[log_e, log_d], [zero, zero]]))


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse encoder and decoder that grow together; their sum of exponents is still told."""
    log_e, log_d = np.log(rows.columns["n_encoder"]), np.log(rows.columns["n_decoder"])
    correlation = float(np.corrcoef(log_e, log_d)[0, 1])
    if abs(correlation) < MAX_CORRELATION:
        return None
    total = fit_sum(log_e + log_d, rows.target)
    return Refusal(
        "rank",
        f"encoder and decoder grow together (correlation {correlation:.3f}): the direction "
        f"p_e - p_d cannot be determined; p_e + p_d = {total:.3f}",
        "scale encoder and decoder apart",
    )


def fit_sum(log_product: FloatArray, loss: FloatArray) -> float:
    """Return p_e + p_d from rows whose encoder and decoder grow together.

    Parameters
    ----------
    log_product : ndarray, shape (n,), log of N_e times log of N_d, summed
    loss : ndarray, shape (n,), nats per token

    Returns
    -------
    the sum of the exponents

    References
    ----------
    Ghorbani et al. 2021, arXiv 2109.07740, abstract
    """
    x = log_product / 2.0
    best = (np.inf, np.nan)
    for exponent in np.geomspace(0.02, 3.0, 2000):
        basis = np.stack([np.exp(-exponent * (x - x.mean())), np.ones_like(x)], axis=1)
        basis = basis / loss[:, None]
        linear = np.linalg.lstsq(basis, np.ones_like(loss), rcond=None)[0]
        misfit = float(np.sum((basis @ linear - 1.0) ** 2))
        best = min(best, (misfit, float(exponent)))
    return best[1]


def _sum(params: Params, options: Options) -> FloatArray:
    return params["p_e"] + params["p_d"]


def _split(params: Params, options: Options) -> FloatArray:
    return params["p_e"] / params["p_d"]


def design() -> dict[str, np.ndarray]:
    """Return all pairs of five depths."""
    depth = np.array([6.0, 12.0, 24.0, 36.0, 48.0])
    e, d = np.meshgrid(depth, depth)
    return {"n_encoder": e.ravel(), "n_decoder": d.ravel()}


LAW = Law(
    slug="encoder_decoder",
    title="Encoder and decoder size",
    formula="L = a N_e^-p_e N_d^-p_d + L_inf",
    tex=r"L = a N_e^{-p_e} N_d^{-p_d} + L_\infty",
    inputs=(
        LawInput("n_encoder", "N_e", "encoder parameters or layers", octaves=1.0),
        LawInput("n_decoder", "N_d", "decoder parameters or layers", octaves=1.0),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("a", "amplitude"),
        LawParam("L_inf", "irreducible loss", "nats", bound_has_meaning=True),
        LawParam("p_e", "exponent of the encoder"),
        LawParam("p_d", "exponent of the decoder"),
    ),
    structure=Separable(("a", "L_inf"), ("p_e", "p_d"), (GRID, GRID), make_terms),
    objective=Objective("huber", "log", delta=1e-3),
    source="Ghorbani et al. 2021, arXiv 2109.07740 (abstract: bivariate; formula unverified)",
    procedure="Sum of Huber losses of the log residuals.",
    pitfalls=("BLEU of test sets of different direction must not be mixed.",),
    derived=(
        DerivedQuantity("frontier_exponent", "p_e + p_d", "", _sum),
        DerivedQuantity("best_split", "N_e/N_d at fixed N_e + N_d, p_e / p_d", "", _split),
    ),
    refuse=refuse,
    truth={"a": 1.2 * 17.7 ** (0.18 + 0.31), "L_inf": 1.0, "p_e": 0.18, "p_d": 0.31},
    design=design,
)
