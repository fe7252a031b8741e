"""Chinchilla approach 3: ``L = E + A N^-alpha + B D^-beta``."""

from __future__ import annotations

import numpy as np

from fitting.maths.allocation import ALLOCATION, BUDGET, allocate_sum, draw_frontier
from fitting.maths.types import (
    Columns,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Published,
    Separable,
    Terms,
)

SOURCE = "Hoffmann et al. 2022, arXiv 2203.15556, section 3.3 and eq. 10"
BESIROGLU = (
    "Besiroglu et al. 2024, epoch-research/analyzing-chinchilla@9225883, data_analysis.ipynb"
)


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return the three terms: a constant, a power of N and a power of D."""
    log_n, log_d = np.log(columns["n_params"]), np.log(columns["n_tokens"])
    zero = np.zeros_like(log_n)
    logs = np.array([[zero, zero], [log_n, zero], [zero, log_d]])
    return Terms(np.ones((3, log_n.size)), logs)


def design() -> dict[str, np.ndarray]:
    """Return a grid of sizes and token counts that identifies all parameters."""
    n, d = np.meshgrid(np.geomspace(1e7, 1e10, 7), np.geomspace(1e8, 1e12, 8))
    return {"n_params": n.ravel(), "n_tokens": d.ravel()}


GRID = np.linspace(0.1, 0.8, 15)
INPUTS = (
    LawInput("n_params", "N", "parameters", octaves=1.0),
    LawInput("n_tokens", "D", "tokens", octaves=1.0),
)
PARAMS = (
    LawParam("E", "irreducible loss", "nats", lower=0.0, bound_has_meaning=True),
    LawParam("A", "amplitude of the size term", lower=0.0),
    LawParam("B", "amplitude of the data term", lower=0.0),
    LawParam("alpha", "exponent of size", lower=0.0),
    LawParam("beta", "exponent of data", lower=0.0),
)
PUBLISHED = (
    Published(
        "Hoffmann et al. 2022",
        {"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
        SOURCE,
    ),
    Published(
        "Besiroglu et al. 2024",
        {"E": 1.81686, "A": 482.01, "B": 2085.43, "alpha": 0.34781, "beta": 0.36585},
        BESIROGLU,
    ),
)

LAW = Law(
    slug="chinchilla_parametric",
    title="Chinchilla, approach 3 (parametric)",
    formula="L = E + A N^-alpha + B D^-beta",
    tex=r"L = E + A N^{-\alpha} + B D^{-\beta}",
    inputs=INPUTS,
    target=LawInput("loss", "L", "nats per token"),
    params=PARAMS,
    structure=Separable(("E", "A", "B"), ("alpha", "beta"), (GRID, GRID), make_terms),
    objective=Objective("huber", "log", delta=1e-3),
    source=SOURCE,
    procedure="Sum of Huber losses of the log residuals; every replica starts cold.",
    pitfalls=(
        "A and B are nearly unidentifiable: lead with exponents, ratios and predictions.",
        "The answer moves with delta and with the exclusions; both are printed.",
        "Checkpoints in the middle of a cosine schedule are not final losses.",
    ),
    options=(
        LawOption("delta", 1e-3, "Huber threshold on log residuals", least=0.0, is_above=True),
        BUDGET,
    ),
    derived=ALLOCATION,
    published=PUBLISHED,
    curve_role="flops",
    curve=draw_frontier,
    allocate=allocate_sum,
    apart=(("n_params", "n_tokens"),),
    truth={"E": 1.69, "A": 406.4, "B": 410.7, "alpha": 0.34, "beta": 0.28},
    design=design,
)
