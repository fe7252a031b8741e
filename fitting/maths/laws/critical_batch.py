"""Critical batch size: ``S = S_min (1 + B_crit / B)``."""

from __future__ import annotations

from collections.abc import Mapping

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
    Published,
    Refusal,
    Review,
    Rows,
    Separable,
    Terms,
)

MIN_BATCHES = 4
RANGE_FACTOR = 4.0


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the straight line in 1/B: S_min and S_min B_crit."""
    batch = columns["batch_tokens"]
    return Terms(np.stack([np.ones_like(batch), 1.0 / batch]), np.zeros((2, 0, batch.size)))


def weigh(rows: Rows, options: Options) -> FloatArray:
    """Return 1/S^2: the residual of a step count is relative."""
    return 1.0 / rows.target**2


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse fewer than four batch sizes, or steps that do not fall with the batch."""
    batch = rows.columns["batch_tokens"]
    n_batches = np.unique(batch).size
    if n_batches < MIN_BATCHES:
        return Refusal(
            "too_few_points",
            f"the critical batch needs >= {MIN_BATCHES} batch sizes; have {n_batches}",
            "train to the same loss at more batch sizes, lr tuned for each",
        )
    root = 1.0 / rows.target
    design = np.stack([root, root / batch], axis=1)
    slope = np.linalg.lstsq(design * batch.min(), rows.target * root, rcond=None)[0][1]
    if slope > 0:
        return None
    return Refusal(
        "sign", "the steps to the target do not fall as the batch grows: no critical batch", ""
    )


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Refuse a critical batch far outside the batches tried."""
    batch = rows.columns["batch_tokens"]
    value = params["K"] / params["S_min"]
    low, high = batch.min() / RANGE_FACTOR, batch.max() * RANGE_FACTOR
    if low <= value <= high:
        return Review()
    return Review(
        refusal=Refusal(
            "extrapolated",
            f"B_crit = {value:.3g} lies outside [{low:.3g}, {high:.3g}], four times beyond the "
            "batches tried",
            "train at batch sizes around it",
        )
    )


def _critical(params: Params, options: Options) -> FloatArray:
    return params["K"] / params["S_min"]


def design() -> dict[str, np.ndarray]:
    """Return ten batch sizes around the critical one."""
    return {"batch_tokens": 16.0 * 2.0 ** np.arange(10)}


def estimate_noise_scale(
    batches: tuple[float, float], gradients: tuple[FloatArray, FloatArray]
) -> float | Refusal:
    """Return B_simple = tr(Sigma) / |G|^2 from squared gradient norms at two batch sizes.

    Parameters
    ----------
    batches : B1 < B2, tokens
    gradients : squared gradient norms at each, any number of measurements; their means are taken
        before the ratio, numerator and denominator apart

    Returns
    -------
    B_simple in tokens, or a Refusal where the estimated signal is not positive

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162, appendix A.1
    """
    (b1, b2), (g1, g2) = batches, (float(np.mean(g)) for g in gradients)
    signal = (b2 * g2 - b1 * g1) / (b2 - b1)
    noise = (g1 - g2) / (1.0 / b1 - 1.0 / b2)
    if signal > 0 and noise > 0:
        return noise / signal
    return Refusal(
        "sign",
        f"|G|^2 = {signal:.3g} and tr(Sigma) = {noise:.3g}: the estimate needs both positive",
        "average over more steps",
    )


LAW = Law(
    slug="critical_batch",
    title="Critical batch size",
    formula="S = S_min (1 + B_crit/B), B_crit = K / S_min",
    tex=r"S = S_{\min}\,(1 + B_\mathrm{crit}/B)",
    inputs=(LawInput("batch_tokens", "B", "tokens per step", octaves=2.0),),
    target=LawInput("steps_to_target", "S", "optimizer steps to a fixed loss"),
    params=(
        LawParam("S_min", "steps at infinite batch", "steps", lower=0.0),
        LawParam("K", "S_min B_crit, the least data", "tokens", lower=0.0),
    ),
    structure=Separable(("S_min", "K"), (), (), make_terms),
    objective=Objective("least_squares", "linear", weights="1/S^2"),
    source="McCandlish et al. 2018, arXiv 1812.06162, eq. 2.11",
    procedure="Weighted straight line in 1/B; E_min = K and B_crit = E_min / S_min.",
    pitfalls=("The learning rate must be tuned for each batch size.",),
    derived=(DerivedQuantity("B_crit", "critical batch, K / S_min", "tokens", _critical),),
    published=(
        Published(
            "B_crit(L) = B_* / L^(1/alpha_B)",
            {"B_star": 2e8, "alpha_B": 0.21},
            "Kaplan et al. 2020, arXiv 2001.08361, eq. 5.3",
        ),
    ),
    curve_role="batch_tokens",
    refuse=refuse,
    review=review,
    weigh=weigh,
    truth={"S_min": 2000.0, "K": 8e5},
    design=design,
)
