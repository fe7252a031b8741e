"""Loss along training at any batch: ``L = (N_c/N)^alpha_N + (S_c/S_min)^alpha_S``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.types import (
    Columns,
    CurveForm,
    FloatArray,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Published,
    Refusal,
    Rows,
)

SOURCE = "Kaplan et al. 2020, arXiv 2001.08361, section 5, eq. 5.3 and Table 3"
MIN_SIZES, MIN_BATCHES, BATCH_FACTOR = 3, 3, 4.0
MAX_FIXED_POINT, FIXED_POINT_TOLERANCE = 400, 1e-13
MIN_LR_RATIO = 0.95


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the loss; the critical batch uses the measured loss in a fit, else the solution."""
    if "measured_loss" in columns:
        return _evaluate(params, columns, columns["measured_loss"])
    loss = (params["N_c"] / columns["n_params"]) ** params["alpha_N"] + 1.0
    for _ in range(MAX_FIXED_POINT):
        update = 0.5 * loss + 0.5 * _evaluate(params, columns, loss)
        change = np.max(np.abs(update - loss))
        loss = update
        if change < FIXED_POINT_TOLERANCE:
            break
    return loss


def _evaluate(params: Params, columns: Columns, loss: FloatArray) -> FloatArray:
    critical = params["B_star"] * loss ** (-1.0 / params["alpha_B"])
    least_steps = columns["step"] / (1.0 + critical / columns["batch_tokens"])
    size = np.exp(params["alpha_N"] * (np.log(params["N_c"]) - np.log(columns["n_params"])))
    steps = np.exp(params["alpha_S"] * (np.log(params["S_c"]) - np.log(least_steps)))
    total: FloatArray = size + steps
    return total


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read N_c, S_c and B_* from their terms at the centre of the data."""
    n_c = centres["n_params"] * searched["N_c"] ** (1.0 / searched["alpha_N"])
    s_c = centres["step"] * searched["S_c"] ** (1.0 / searched["alpha_S"])
    b_star = searched["B_star"] * centres["batch_tokens"]
    b_star = b_star * centres["measured_loss"] ** (1.0 / searched["alpha_B"])
    return {**searched, "N_c": n_c, "S_c": s_c, "B_star": b_star}


def keep_measured(rows: Rows, options: Options) -> Rows:
    """Add the measured loss, which the critical batch is read at.

    Parameters
    ----------
    rows : n_params, step, batch_tokens; loss in nats per token
    options : unused

    Returns
    -------
    the rows with the column measured_loss

    References
    ----------
    Kaplan et al. 2020, arXiv 2001.08361, eq. 5.3
    """
    return replace(rows, columns={**rows.columns, "measured_loss": rows.target})


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return starts around a loss made mostly of the size term."""
    level = float(np.log(np.exp(np.mean(np.log(rows.target)))))
    return np.array(
        [
            [np.log(0.08), np.log(alpha_s), level - 0.2, level - 2.0, np.log(0.3), np.log(alpha_b)]
            for alpha_s in (0.4, 0.8)
            for alpha_b in (0.15, 0.3)
        ]
    )


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse decaying rates, few sizes and few batch sizes."""
    columns = rows.columns
    if "lr" in columns and np.any(columns["lr"] < MIN_LR_RATIO * columns["lr"].max()):
        return Refusal(
            "schedule",
            "the learning rate decays inside these rows; the law holds at a constant rate",
            "use lr_annealing, or rows before the decay",
        )
    batches = np.unique(columns["batch_tokens"])
    if batches.size < MIN_BATCHES or batches.max() < BATCH_FACTOR * batches.min():
        return Refusal(
            "too_few_points",
            f"B_* needs >= {MIN_BATCHES} batch sizes over a factor 4; have {batches.size}",
            "train one size at other batch sizes",
        )
    n_sizes = np.unique(columns["n_params"]).size
    if n_sizes >= MIN_SIZES:
        return None
    return Refusal("too_few_points", f"needs >= {MIN_SIZES} sizes; have {n_sizes}", "more sizes")


def design() -> dict[str, np.ndarray]:
    """Return five sizes x twelve steps x three batches."""
    n, s, b = np.meshgrid(
        np.geomspace(1e6, 6e7, 5), np.geomspace(2e3, 5e4, 12), [6.4e4, 2.56e5, 1e6]
    )
    return {"n_params": n.ravel(), "step": s.ravel(), "batch_tokens": b.ravel()}


NAMES = ("alpha_N", "alpha_S", "N_c", "S_c", "B_star", "alpha_B")
KAPLAN = {
    "alpha_N": 0.077,
    "alpha_S": 0.76,
    "N_c": 6.5e13,
    "S_c": 2.1e3,
    "B_star": 2e8,
    "alpha_B": 0.21,
}

LAW = Law(
    slug="loss_trajectory",
    title="Loss along training at any batch",
    formula="L = (N_c/N)^alpha_N + (S_c/S_min)^alpha_S, S_min = S / (1 + B_crit(L)/B), "
    "B_crit = B_star / L^(1/alpha_B)",
    tex=r"L = (N_c/N)^{\alpha_N} + (S_c/S_{\min})^{\alpha_S},\; "
    r"S_{\min} = \frac{S}{1 + B_\mathrm{crit}(L)/B}",
    inputs=(
        LawInput("n_params", "N", "parameters without embeddings", octaves=1.0),
        LawInput("step", "S", "optimizer steps after warm-up", octaves=1.0),
        LawInput("batch_tokens", "B", "tokens per step"),
        LawInput("lr", "lr", "learning rate, checked to be constant", optional=True),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=tuple(
        LawParam(name, text)
        for name, text in zip(
            NAMES,
            (
                "exponent of size",
                "exponent of steps",
                "size constant",
                "step constant",
                "critical batch at a loss of 1, tokens",
                "exponent of the critical batch",
            ),
            strict=True,
        )
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (np.log(1e-3), np.log(1e-2), -12.0, -25.0, -15.0, np.log(0.02)),
        (np.log(3.0), np.log(5.0), 8.0, 8.0, 15.0, np.log(5.0)),
        (True,) * 6,
        decode=decode,
    ),
    objective=Objective("least_squares", "log"),
    source=SOURCE,
    procedure="Least squares on log L with the measured L inside B_crit; predictions solve for L.",
    pitfalls=(
        "alpha_S is .76, not .076. No offset: valid far above the irreducible loss.",
        "Rows are points of curves: resample runs.",
    ),
    published=(Published("Kaplan et al. 2020", KAPLAN, SOURCE),),
    refuse=refuse,
    prepare=keep_measured,
    truth=KAPLAN,
    apart=(("n_params", "step"),),
    design=design,
)
