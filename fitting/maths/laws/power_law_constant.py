"""Power law with a constant: ``L = L_inf + A x^-a``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.types import (
    Columns,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Review,
    Rows,
    Separable,
    Terms,
)

MIN_DECADES = 1.5
MAX_ZERO_SHARE = 0.025
NEGLIGIBLE = 1e-6


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the constant and the power."""
    log_x = np.log(columns["x"])
    return Terms(np.ones((2, log_x.size)), np.stack([np.zeros_like(log_x), log_x])[:, None])


def weigh(rows: Rows, options: Options) -> FloatArray:
    """Return 1/L^2, which makes the residuals relative."""
    return 1.0 / rows.target**2


def measure_decades(rows: Rows, constant: float) -> float:
    """Return how many decades of reducible loss the rows span.

    Parameters
    ----------
    rows : loss in nats per token
    constant : L_inf, nats per token

    Returns
    -------
    log10 of the largest over the least reducible loss; infinite where one is not positive

    References
    ----------
    Henighan et al. 2020, arXiv 2010.14701
    """
    low, high = float(rows.target.min()), float(rows.target.max())
    if low <= constant:
        return np.inf
    return float(np.log10((high - constant) / (low - constant)))


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Say when L_inf and a cannot be told apart, and withhold what has no lower end."""
    warnings, withheld = [], {}
    decades = measure_decades(rows, params["L_inf"])
    if decades < MIN_DECADES:
        warnings.append(
            f"weakly identified: the reducible loss spans {decades:.2f} decades; L_inf and a "
            f"trade off below {MIN_DECADES}"
        )
    if replicas:
        finite = replicas["L_inf"][np.isfinite(replicas["L_inf"])]
        share = float(np.mean(finite < NEGLIGIBLE * rows.target.min()))
        if share > MAX_ZERO_SHARE:
            reason = f"{share:.0%} of the replicas put L_inf at 0: only predictions have a band"
            withheld = {"L_inf": reason, "a": reason, "A": reason}
    return Review(tuple(warnings), withheld)


def design() -> dict[str, np.ndarray]:
    """Return four decades of x."""
    return {"x": np.geomspace(1.0, 1e4, 30)}


LAW = Law(
    slug="power_law_constant",
    title="Power law with a constant",
    formula="L = L_inf + A x^-a",
    tex=r"L = L_\infty + A x^{-a}",
    inputs=(LawInput("x", "x", "any scale", octaves=1.0),),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("L_inf", "irreducible loss", "nats", lower=0.0, bound_has_meaning=True),
        LawParam("A", "amplitude", lower=0.0),
        LawParam("a", "exponent"),
    ),
    structure=Separable(("L_inf", "A"), ("a",), (np.geomspace(0.005, 1.5, 60),), make_terms),
    objective=Objective("least_squares", "linear", weights="1/L^2"),
    source="Henighan et al. 2020, arXiv 2010.14701",
    procedure="Relative least squares; with delta a Huber loss on the same residuals.",
    pitfalls=("L_inf and a are almost fully correlated: read the profile over L_inf.",),
    options=(
        LawOption("delta", None, "Huber threshold; None = least squares", least=0.0, is_above=True),
    ),
    curve_role="x",
    review=review,
    weigh=weigh,
    truth={"L_inf": 1.7, "A": 2.0, "a": 0.25},
    design=design,
)
