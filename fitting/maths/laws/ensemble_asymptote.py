"""Ensembles and their double limit: ``L(N, K) = A_N K^-alpha + E_N``, ``E_N = A N^-alpha' + E``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.laws.power_law_constant import LAW as POWER
from fitting.maths.loss_line import fit_loss_lines
from fitting.maths.separable import SeparableProblem, fit_replicas
from fitting.maths.types import (
    Columns,
    FloatArray,
    Law,
    LawInput,
    LawParam,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Published,
    Refusal,
    Review,
    Rows,
    Separable,
    Settings,
    Terms,
)
from fitting.maths.uncertainty import draw_counts

MIN_MEMBERS, MIN_SIZES, MIN_SIZES_INTERVAL = 4, 4, 5
SOURCE = "Kim et al. 2025, Pre-training under infinite compute, sections 2-5"
LEAST = Objective("least_squares", "linear")
LIMIT_GRID = np.geomspace(0.02, 4.0, 80)


def fit_asymptotes(rows: Rows) -> tuple[FloatArray, FloatArray, float]:
    """Return sizes, their asymptotes E_N and the exponent of K that they share.

    Parameters
    ----------
    rows : n_params, k_members; loss in nats per token

    Returns
    -------
    sizes (k,), asymptotes (k,) in nats per token, the exponent

    References
    ----------
    Kim et al. 2025, Pre-training under infinite compute, sections 2-5
    """
    sizes, limits, alpha = _fit_counts(rows, np.ones((1, rows.n)), 1e-13)
    return sizes, limits[0], float(alpha[0])


def _fit_counts(
    rows: Rows, counts: FloatArray, tolerance: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return sizes (k,), asymptotes (B, k) and the shared exponent (B,) of each replica."""
    sizes = np.unique(rows.columns["n_params"])
    own = (rows.columns["n_params"][None, :] == sizes[:, None]).astype(np.float64)
    log_k = np.log(rows.columns["k_members"])
    logs = np.concatenate([np.zeros_like(own), np.tile(log_k, (sizes.size, 1))])[:, None]
    names = [f"{kind}{place}" for kind in ("E", "A") for place in range(sizes.size)]
    form = Separable(tuple(names), ("alpha",), (np.geomspace(0.1, 4.0, 40),), _no_terms)
    problem = SeparableProblem(
        form, Terms(np.tile(own, (2, 1)), logs), rows.target, LEAST, np.ones(rows.n)
    )
    found = fit_replicas(problem, counts, tolerance, 500)
    params = problem.read_params(found.theta)
    limits = np.stack([params[f"E{place}"] for place in range(sizes.size)], axis=1)
    members = own @ (counts > 0).T.astype(np.float64)
    return sizes, np.where(members.T >= 2, limits, np.nan), params["alpha"]


def _no_terms(columns: Columns, options: Options) -> Terms:
    raise NotImplementedError("the terms are given")


def fit_limit(sizes: FloatArray, limits: FloatArray) -> Mapping[str, float]:
    """Return (E, A, alpha') of ``E_N = A N^-alpha' + E``.

    Parameters
    ----------
    sizes : ndarray, shape (k,), parameters
    limits : ndarray, shape (k,), asymptotes in nats per token

    Returns
    -------
    name -> value; E in nats per token

    References
    ----------
    Kim et al. 2025, Pre-training under infinite compute, sections 2-5
    """
    form = POWER.structure
    assert isinstance(form, Separable)
    grid = Separable(form.linear, form.nonlinear, (LIMIT_GRID,), form.terms)
    problem = SeparableProblem(
        grid, form.terms({"x": sizes}, {}), limits, LEAST, np.ones(sizes.size)
    )
    found = fit_replicas(problem, np.ones((1, sizes.size)), 1e-13, 1000)
    params = {name: float(values[0]) for name, values in problem.read_params(found.theta).items()}
    return {"E": params["L_inf"], "A": params["A"], "alpha_N": params["a"]}


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse few sizes, and few ensemble sizes at any of them."""
    sizes = np.unique(rows.columns["n_params"])
    if sizes.size < MIN_SIZES:
        return Refusal(
            "too_few_groups", f"needs >= {MIN_SIZES} sizes; have {sizes.size}", "more sizes"
        )
    for size in sizes:
        members = np.unique(rows.columns["k_members"][rows.columns["n_params"] == size]).size
        if members < MIN_MEMBERS:
            return Refusal(
                "too_few_points",
                f"size {size:.3g} has {members} ensemble sizes; its asymptote needs {MIN_MEMBERS}",
                "average more members",
            )
    return None


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit the asymptote of each size, then their limit."""
    sizes, limits, alpha = fit_asymptotes(rows)
    table = tuple(
        {"n_params": float(n), "asymptote": float(e)} for n, e in zip(sizes, limits, strict=True)
    )
    if np.any(np.diff(limits) > 0):
        worst = int(np.argmax(np.diff(limits))) + 1
        return Refusal(
            "not_monotone",
            f"the asymptote rises with size at N = {sizes[worst]:.3g}: hyper-parameters are not "
            "tuned there",
            "tune epochs, weight decay and learning rate at each size",
        )
    found = fit_limit(sizes, limits)
    if found["E"] > rows.target.min():
        return Refusal(
            "not_interior",
            f"the limit {found['E']:.4g} lies above the best measured loss {rows.target.min():.4g}",
            "larger sizes, or more members",
        )
    return Point({**found, "alpha_K": alpha}, table=table)


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample the ensembles of each size and refit both steps; NaN where a limit rises."""
    sizes = tuple(f"{size:.17g}" for size in rows.columns["n_params"])
    grouped = replace(rows, groups=sizes)
    counts = draw_counts(grouped, settings.replicas, settings.seed, within_groups=True)
    n, limits, alpha = _fit_counts(rows, counts, 1e-8)
    line = fit_loss_lines(np.log(n), limits, LIMIT_GRID, relative=False)
    params = {
        "E": line["L_inf"],
        "A": np.exp(line["log_l_factor"]),
        "alpha_N": line["l"],
        "alpha_K": alpha,
    }
    falls = np.all(np.diff(limits, axis=1) <= 0, axis=1) & (line["L_inf"] <= rows.target.min())
    return {name: np.where(falls, values, np.nan) for name, values in params.items()}


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Withhold the interval of three parameters on four sizes."""
    n_sizes = np.unique(rows.columns["n_params"]).size
    if n_sizes >= MIN_SIZES_INTERVAL:
        return Review()
    reason = f"3 parameters on {n_sizes} sizes"
    return Review((reason,), {"E": reason, "A": reason, "alpha_N": reason})


LAW = Law(
    slug="ensemble_asymptote",
    title="Ensembles, double limit",
    formula="L(N, K) = A_N K^-alpha_K + E_N, E_N = A N^-alpha_N + E",
    tex=r"L(N, K) = A_N K^{-\alpha_K} + E_N,\quad E_N = A N^{-\alpha_N} + E",
    inputs=(
        LawInput("n_params", "N", "parameters of a member", octaves=1.0),
        LawInput("k_members", "K", "independently seeded members", octaves=1.0),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("E", "limit of infinite members and size", "nats", bound_has_meaning=True),
        LawParam("A", "amplitude of size"),
        LawParam("alpha_N", "exponent of size"),
        LawParam("alpha_K", "exponent of members, shared by the sizes"),
    ),
    structure=Procedure(run, "within_groups", replicate),
    objective=LEAST,
    source=SOURCE,
    procedure="Per size a power of K with one shared exponent, then a power of N through the "
    "asymptotes; least squares.",
    pitfalls=(
        "Noise enters nested fits; hyper-parameters must be tuned at every size.",
        "The epochs form of data_constrained does not hold here.",
    ),
    published=(
        Published(
            "regularised recipe, N in 1e9, K = 1", {"A": 0.05, "alpha_N": 1.02, "E": 3.43}, SOURCE
        ),
    ),
    refuse=refuse,
    review=review,
)
