"""Mixture of experts with granularity: ``L = c + (g/G^gamma + a) N^-alpha + b D^-beta``.

The file also holds the closed form of the joint law in active parameters and experts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.types import (
    Columns,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Published,
    Review,
    Rows,
    Separable,
    Terms,
)

SOURCE = "Krajewski et al. 2024, arXiv 2402.07871, eq. 9 and Table 1"
JOINT_SOURCE = "Ludziejewski et al. 2025, arXiv 2502.05172, eq. 4, 6 and Table 3"
MAX_GRANULARITY = 16.0
JOINT = {
    "a": 35.91,
    "alpha": -0.1889,
    "delta": -0.2285,
    "gamma": 0.0098,
    "b": 35.98,
    "beta": -0.1775,
    "omega": 0.5529,
    "zeta": -0.0259,
    "e_start": 2.0732,
    "e_max": 290.4521,
    "c": 1.3637,
}


def make_terms(columns: Columns, options: Options) -> Terms:
    """Return constant, size, granularity and data terms; alpha is shared."""
    log_n, log_d = np.log(columns["n_total"]), np.log(columns["n_tokens"])
    log_g, zero = np.log(columns["granularity"]), np.zeros_like(log_n)
    logs = np.array(
        [[zero, zero, zero], [log_n, zero, zero], [log_n, zero, log_g], [zero, log_d, zero]]
    )
    return Terms(np.ones((4, log_n.size)), logs)


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Warn beyond the granularities of the source."""
    largest = float(rows.columns["granularity"].max())
    optimum = "the law is monotone in G: an optimum exists only with the cost of routing"
    if largest <= MAX_GRANULARITY:
        return Review((optimum,))
    return Review((optimum, f"granularity {largest:g} lies above 16, the source's range"))


def reduce_joint(n_experts: float, values: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return (m, mu, n, nu, c) of ``L = m N_act^mu + n D^nu + c`` at a number of experts.

    Parameters
    ----------
    n_experts : E; 1 is a dense model
    values : coefficients; None = Table 3

    Returns
    -------
    name -> value, for N_act and D as they are

    References
    ----------
    Ludziejewski et al. 2025, arXiv 2502.05172, eq. 4 and Tables 3 and 4
    """
    v = values or JOINT
    inner = n_experts - 1.0 + 1.0 / (1.0 / v["e_start"] - 1.0 / v["e_max"])
    log_e = -np.log(1.0 / inner + 1.0 / v["e_max"])
    return {
        "m": float(v["a"] * np.exp(v["delta"] * log_e)),
        "mu": float(v["alpha"] + v["gamma"] * log_e),
        "n": float(v["b"] * np.exp(v["omega"] * log_e)),
        "nu": float(v["beta"] + v["zeta"] * log_e),
        "c": v["c"],
    }


def split_joint_budget(
    n_experts: float, flops: float, values: Mapping[str, float] | None = None
) -> tuple[float, float]:
    """Return the compute-optimal (N_act, D) of the joint law with C = 6 N_act D.

    Parameters
    ----------
    n_experts : E; 1 is a dense model
    flops : the budget
    values : coefficients; None = Table 3

    Returns
    -------
    active parameters and tokens

    References
    ----------
    Ludziejewski et al. 2025, arXiv 2502.05172, eq. 4 and Tables 3 and 4
    """
    v = reduce_joint(n_experts, values)
    log_g = np.log(v["mu"] * v["m"] / (v["nu"] * v["n"])) / -(v["mu"] + v["nu"])
    log_n = log_g + v["nu"] / (v["mu"] + v["nu"]) * np.log(flops / 6.0)
    return float(np.exp(log_n)), float(flops / 6.0 / np.exp(log_n))


def design() -> dict[str, np.ndarray]:
    """Return five sizes x four token counts x five granularities."""
    n, d, g = np.meshgrid(
        64 * np.geomspace(25e6, 800e6, 5), np.geomspace(16e9, 130e9, 4), 2.0 ** np.arange(5)
    )
    return {"n_total": n.ravel(), "n_tokens": d.ravel(), "granularity": g.ravel()}


EXPONENTS = np.geomspace(0.04, 0.4, 12)

LAW = Law(
    slug="mixture_of_experts",
    title="Mixture of experts, granularity",
    formula="L = c + a N^-alpha + g G^-gamma N^-alpha + b D^-beta",
    tex=r"L = c + \left(\frac{g}{G^{\gamma}} + a\right) N^{-\alpha} + b D^{-\beta}",
    inputs=(
        LawInput("n_total", "N", "TOTAL parameters without embeddings", octaves=1.0),
        LawInput("n_tokens", "D", "tokens", octaves=1.0),
        LawInput("granularity", "G", "d_ff / d_expert", octaves=1.0),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("c", "irreducible loss", "nats", bound_has_meaning=True),
        LawParam("a", "amplitude of the size term", bound_has_meaning=True),
        LawParam("g", "amplitude of granularity"),
        LawParam("b", "amplitude of the data term"),
        LawParam("alpha", "exponent of size"),
        LawParam("beta", "exponent of data"),
        LawParam("gamma", "exponent of granularity"),
    ),
    structure=Separable(
        ("c", "a", "g", "b"),
        ("alpha", "beta", "gamma"),
        (EXPONENTS, EXPONENTS, np.geomspace(0.2, 1.6, 8)),
        make_terms,
    ),
    objective=Objective("huber", "log", delta=1e-3),
    source=SOURCE,
    procedure="Sum of Huber losses of the log residuals; the source has delta .1, weight decay.",
    pitfalls=(
        "Active against total N changes every coefficient; N is total here.",
        "beta and c trade off: lead with predictions.",
        "Learning rates must be tuned for each number of experts.",
    ),
    published=(
        Published(
            "mixture of experts, 64 experts",
            {
                "a": 18.1,
                "alpha": 0.115,
                "b": 30.8,
                "beta": 0.147,
                "g": 2.1,
                "gamma": 0.58,
                "c": 0.47,
            },
            SOURCE,
        ),
    ),
    review=review,
    truth={"c": 0.47, "a": 18.1, "g": 2.1, "b": 30.8, "alpha": 0.115, "beta": 0.147, "gamma": 0.58},
    apart=(("n_total", "n_tokens"),),
    design=design,
)
