"""Downstream error against loss: ``Err = eps - k exp(-gamma L)``."""

from __future__ import annotations

import numpy as np

from fitting.maths.types import (
    Columns,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Separable,
    Terms,
)


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the constant and the subtracted exponential."""
    loss = columns["loss"]
    factor = np.stack([np.ones_like(loss), -np.ones_like(loss)])
    return Terms(factor, np.stack([np.zeros_like(loss), loss])[:, None])


def design() -> dict[str, np.ndarray]:
    """Return six losses."""
    return {"loss": np.array([4.2, 3.6, 3.2, 2.9, 2.6, 2.3])}


LAW = Law(
    slug="error_vs_loss",
    title="Downstream error against loss",
    formula="Err = eps - k exp(-gamma L)",
    tex=r"\mathrm{Err} = \epsilon - k\, e^{-\gamma L}",
    inputs=(LawInput("loss", "L", "nats per token"),),
    target=LawInput("error", "Err", "average top-1 error over a fixed set of tasks"),
    params=(
        LawParam("eps", "error at large loss"),
        LawParam("k", "amplitude", lower=0.0),
        LawParam("gamma", "rate", "1/nats"),
    ),
    structure=Separable(("eps", "k"), ("gamma",), (np.geomspace(0.1, 6.0, 40),), make_terms),
    objective=Objective("least_squares", "linear"),
    source="Gadre et al. 2024, arXiv 2403.08540; mlfoundations/scaling@a003c49, scaling/laws.py",
    procedure="Least squares in the error, fitted on the runs of the loss law and one larger run.",
    pitfalls=("The set of tasks must be fixed before the fit.",),
    curve_role="loss",
    truth={"eps": 0.85, "k": 2.1, "gamma": 0.72},
    design=design,
)
