"""Mixture of experts in active parameters and number of experts: the joint law."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.laws.mixture_of_experts import JOINT, JOINT_SOURCE
from fitting.maths.types import (
    Columns,
    CurveForm,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Published,
    Refusal,
    Rows,
)

NAMES = ("a", "alpha", "delta", "gamma", "b", "beta", "omega", "zeta", "c")


def count_effective(n_experts: FloatArray, options: Options) -> FloatArray:
    """Return log of the effective number of experts, between E_start and E_max.

    Parameters
    ----------
    n_experts : ndarray, E
    options : e_start and e_max

    Returns
    -------
    ndarray of the shape of n_experts, natural logarithm

    References
    ----------
    Ludziejewski et al. 2025, arXiv 2502.05172, eq. 4 and Tables 3 and 4
    """
    e_start, e_max = float(str(options["e_start"])), float(str(options["e_max"]))
    inner = n_experts - 1.0 + 1.0 / (1.0 / e_start - 1.0 / e_max)
    effective: FloatArray = -np.log(1.0 / inner + 1.0 / e_max)
    return effective


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return ``a e^delta N^(alpha + gamma log e) + b e^omega D^(beta + zeta log e) + c``."""
    log_e = count_effective(columns["n_experts"], options)
    log_n, log_d = np.log(columns["n_active"]), np.log(columns["n_tokens"])
    size = params["delta"] * log_e + (params["alpha"] + params["gamma"] * log_e) * log_n
    data = params["omega"] * log_e + (params["beta"] + params["zeta"] * log_e) * log_d
    loss: FloatArray = params["a"] * np.exp(size) + params["b"] * np.exp(data) + params["c"]
    return loss


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read amplitudes and their experts' exponents from the centre of N and D."""
    n, d = np.log(centres["n_active"]), np.log(centres["n_tokens"])
    return {
        **searched,
        "a": searched["a"] * np.exp(-searched["alpha"] * n),
        "delta": searched["delta"] - searched["gamma"] * n,
        "b": searched["b"] * np.exp(-searched["beta"] * d),
        "omega": searched["omega"] - searched["zeta"] * d,
    }


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return a grid over the exponents and the shares of the three terms."""
    low = float(rows.target.min())
    return np.array(
        [
            [np.log(0.4 * low), alpha, 0.0, 0.0, np.log(0.3 * low), beta, 0.0, 0.0, np.log(s * low)]
            for alpha in (-0.1, -0.2, -0.35)
            for beta in (-0.1, -0.2, -0.35)
            for s in (0.3, 0.6)
        ]
    )


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse experts and active size that grow together."""
    log_e, log_n = np.log(rows.columns["n_experts"]), np.log(rows.columns["n_active"])
    correlation = float(np.corrcoef(log_e, log_n)[0, 1]) if np.std(log_e) > 0 else 1.0
    if abs(correlation) < 0.95:
        return None
    return Refusal(
        "rank",
        f"experts and active parameters grow together (correlation {correlation:.3f})",
        "train several numbers of experts at one active size",
    )


def design() -> dict[str, np.ndarray]:
    """Return five sizes x five token counts x six numbers of experts."""
    n, d, e = np.meshgrid(
        np.geomspace(1e8, 3e9, 5), np.geomspace(2e9, 2e11, 5), 2.0 ** np.arange(6)
    )
    return {"n_active": n.ravel(), "n_tokens": d.ravel(), "n_experts": e.ravel()}


VALUES = {name: JOINT[name] for name in NAMES}

LAW = Law(
    slug="mixture_of_experts_joint",
    title="Mixture of experts, joint law",
    formula="L = a e^delta N_act^(alpha + gamma log e) + b e^omega D^(beta + zeta log e) + c",
    tex=r"L = a \hat E^{\delta} N_\mathrm{act}^{\alpha + \gamma \log \hat E} "
    r"+ b \hat E^{\omega} D^{\beta + \zeta \log \hat E} + c",
    inputs=(
        LawInput("n_active", "N_act", "ACTIVE parameters with embeddings", octaves=1.0),
        LawInput("n_tokens", "D", "tokens", octaves=1.0),
        LawInput("n_experts", "E", "experts, top-1 routing; 1 = dense", octaves=1.0),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=tuple(
        LawParam(name, text, bound_has_meaning=name == "c")
        for name, text in zip(
            NAMES,
            (
                "amplitude of size",
                "exponent of size, negative",
                "experts' effect on the amplitude of size",
                "experts' effect on the exponent of size",
                "amplitude of data",
                "exponent of data, negative",
                "experts' effect on the amplitude of data",
                "experts' effect on the exponent of data",
                "irreducible loss",
            ),
            strict=True,
        )
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (-15.0, -2.0, -3.0, -1.0, -15.0, -2.0, -3.0, -1.0, -20.0),
        (8.0, -1e-3, 3.0, 1.0, 8.0, -1e-3, 3.0, 1.0, 5.0),
        (True, False, False, False, True, False, False, False, True),
        decode=decode,
    ),
    objective=Objective("huber", "log", delta=0.01),
    source=JOINT_SOURCE,
    procedure="Sum of Huber losses of the log residuals; E_start and E_max are options, held.",
    pitfalls=(
        "N is active here and total in mixture_of_experts: the two do not mix.",
        "Learning rates must be tuned for each number of experts: the source's peak rate is "
        "exp(8.39 - .81 log N_act - .25 log E) (eq. 8).",
    ),
    options=(
        LawOption("delta", 0.01, "Huber threshold on log residuals", least=0.0, is_above=True),
        LawOption("e_start", JOINT["e_start"], "effective experts of a dense model", least=1.0),
        LawOption("e_max", JOINT["e_max"], "largest effective number of experts", least=1.0),
    ),
    published=(Published("Ludziejewski et al. 2025", VALUES, JOINT_SOURCE),),
    refuse=refuse,
    truth=VALUES,
    apart=(("n_active", "n_tokens"),),
    design=design,
)
