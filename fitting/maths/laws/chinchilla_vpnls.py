"""Chinchilla's form fitted by variable projection in loss space: the second opinion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fitting.maths.allocation import BUDGET
from fitting.maths.laws.chinchilla_parametric import LAW as PARAMETRIC
from fitting.maths.laws.chinchilla_parametric import make_terms
from fitting.maths.types import Objective, Separable

GRID = np.linspace(0.05, 0.95, 32)

LAW = replace(
    PARAMETRIC,
    slug="chinchilla_vpnls",
    title="Chinchilla, least squares in loss (VPNLS)",
    structure=Separable(("E", "A", "B"), ("alpha", "beta"), (GRID, GRID), make_terms),
    objective=Objective("least_squares", "linear"),
    source="Open-Athena/scaling-law-analysis@3e0656e",
    procedure="Sum of squared residuals in the loss; coefficients projected out on a 32 x 32 grid "
    "of exponents, then a damped Newton iteration. No start values.",
    pitfalls=("Not robust: single bad points move it. Shown beside approach 3.",),
    options=(BUDGET,),
    published=(),
)
