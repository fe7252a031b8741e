"""Plain power law without a constant: ``L = (x_c / x)^a``."""

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
    Published,
    Separable,
    Terms,
)

SOURCE = "Kaplan et al. 2020, arXiv 2001.08361, eq. 1.1-1.3"


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the power."""
    log_x = np.log(columns["x"])
    return Terms(np.ones((1, log_x.size)), log_x[None, None, :])


def _constant(params: Params, options: Options) -> FloatArray:
    return np.exp(np.log(params["A"]) / params["a"])


def design() -> dict[str, np.ndarray]:
    """Return four decades of x."""
    return {"x": np.geomspace(1e6, 1e10, 20)}


LAW = Law(
    slug="power_law",
    title="Plain power law",
    formula="L = A x^-a = (x_c/x)^a",
    tex=r"L = (x_c / x)^{a}",
    inputs=(LawInput("x", "x", "any scale", octaves=1.0),),
    target=LawInput("loss", "L", "nats per token"),
    params=(LawParam("A", "amplitude", lower=0.0), LawParam("a", "exponent")),
    structure=Separable(("A",), ("a",), (np.linspace(-1.5, 1.5, 61),), make_terms),
    objective=Objective("least_squares", "log"),
    source=SOURCE,
    procedure="Least squares on log L.",
    pitfalls=("Without a constant the law cannot bend: compare power_law_constant.",),
    derived=(DerivedQuantity("x_c", "scale at which L = 1, A^(1/a)", "", _constant),),
    published=(
        Published("parameters", {"a": 0.076, "x_c": 8.8e13}, SOURCE),
        Published("tokens", {"a": 0.095, "x_c": 5.4e13}, SOURCE),
        Published("compute in PF-days", {"a": 0.050, "x_c": 3.1e8}, SOURCE),
    ),
    curve_role="x",
    truth={"A": 8.8e13**0.076, "a": 0.076},
    design=design,
)
